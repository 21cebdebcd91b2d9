"""The published description: complete, up to date, and true of what the doors answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from api.app import bare_app
from api.authorization import RULES, action_of
from api.description import describe
from api.openapi import FILE, text_of
from api.problems import PROBLEMS
from api.settings import Settings

METHODS = {"get", "post", "patch", "delete", "put"}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return bare_app(Settings())


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return describe(app)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def test_the_file_is_what_the_routes_say(document: dict[str, Any]) -> None:
    """Else: python -m api.openapi"""
    assert FILE.read_text(encoding="utf-8") == text_of(document)


def test_every_route_under_v1_is_described(app: FastAPI, document: dict[str, Any]) -> None:
    described = {(path, method.upper()) for path, method, _ in operations(document)}
    routes = {
        (path, method)
        for route in app.routes
        if (path := getattr(route, "path", "")).startswith("/v1/")
        for method in set(getattr(route, "methods", None) or ()) - {"HEAD"}
    }
    assert described == routes


def test_every_route_declares_its_action(app: FastAPI) -> None:
    without = [getattr(route, "path", route) for route in _all_routes(app.routes) if action_of(route) not in RULES]
    assert without == []


def _all_routes(routes: Any) -> Iterator[Any]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from _all_routes(inner.routes)


def test_every_operation_says_who_may_do_it_and_how_it_fails(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        rule = RULES[operation["x-action"]]
        assert ({} in operation["security"]) == rule.public, path
        assert operation["responses"].keys() >= {"4XX", "5XX"} and "422" not in operation["responses"], (path, method)
        assert operation.get("description"), (path, method)


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_change_takes_an_idempotency_key_but_those_of_secrets(document: dict[str, Any]) -> None:
    without = {
        path
        for path, method, operation in operations(document)
        if method in ("post", "patch")
        and not any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }
    assert without == {"/v1/keys", "/v1/users", "/v1/users/{user}/disable", "/v1/orders/preview"}


def test_what_comes_in_takes_no_unknown_fields_and_no_model_is_both(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    into, out = set(), set()
    for _, _, operation in operations(document):
        into |= _named(operation.get("requestBody", {}), schemas)
        out |= _named(operation["responses"], schemas)
    assert {name for name in into if schemas[name].get("additionalProperties") is not False} == {
        name for name in into if "enum" in schemas[name]
    }
    assert {name for name in into & out if "enum" not in schemas[name]} == set()


def _named(part: Any, schemas: dict[str, Any]) -> set[str]:
    """Names of all schemas that a part of the document refers to."""
    found: set[str] = set()
    waiting = set(re.findall(r"#/components/schemas/([\w-]+)", json.dumps(part)))
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= set(re.findall(r"#/components/schemas/([\w-]+)", json.dumps(schemas[name]))) - found
    return found


def test_no_amount_is_a_number(document: dict[str, Any]) -> None:
    """A number in JSON passes through a float at somebody's place."""
    assert '"type": "number"' not in json.dumps(document)


def test_the_codes_of_problems_are_listed(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(PROBLEMS)
