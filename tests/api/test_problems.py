"""Every no of the house and of its doors is one well-formed problem, and tells nobody what is another's."""

from __future__ import annotations

import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import (
    DOOR_PROBLEMS,
    PROBLEMS,
    FieldError,
    Problem,
    pointer_of,
    problem,
    problem_body,
    problem_of,
    problem_response,
)
from domain.rejections import Reason, refuse


def test_every_refusal_and_every_problem_of_the_doors_is_in_the_catalogue() -> None:
    assert PROBLEMS.keys() == {reason.code for reason in Reason} | DOOR_PROBLEMS.keys()
    for code, kind in PROBLEMS.items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
        assert 400 <= kind.status < 600
        assert kind.meaning.endswith(".") and "|" not in kind.meaning


def test_only_the_house_itself_is_at_fault_with_a_status_above_499() -> None:
    assert {code for code, kind in PROBLEMS.items() if kind.status >= 500} == {
        "capacity_exhausted",
        "projection_lagging",
        "not_ready",
        "writer_stopped",
        "internal",
    }


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.INSUFFICIENT_FUNDS, 409),
        (Reason.ORDER_NOT_OPEN, 409),
        (Reason.PRICE_NOT_ON_TICK, 422),
        (Reason.MALFORMED_TERRITORY, 422),
        (Reason.REQUEST_ID_REUSED, 422),
        (Reason.UNKNOWN_SERIES, 404),
        (Reason.UNKNOWN_SYMBOL, 404),
        (Reason.NOT_THE_OWNER, 404),
        (Reason.NOT_THE_ISSUER, 403),
        (Reason.HOUSE_ONLY, 403),
        (Reason.UNKNOWN_FIELD, 422),
        (Reason.CAPACITY_EXHAUSTED, 503),
    ],
)
def test_a_refusal_has_the_status_of_its_kind(reason: Reason, status: int) -> None:
    assert problem_of(refuse(reason, "price", "must be so", "x")).status == status


@pytest.mark.parametrize("reason", [Reason.ROLE_REQUIRED, Reason.PARTY_FROZEN])
def test_who_asks_is_forbidden_but_a_party_that_is_named_is_a_conflict(reason: Reason) -> None:
    assert problem_of(refuse(reason, "actor", "must be so", 7)).status == 403
    assert problem_of(refuse(reason, "agents[0].party", "must be so", 7)).status == 409


def test_what_is_unknown_is_not_found_whatever_it_is() -> None:
    statuses = {reason: PROBLEMS[reason.code].status for reason in Reason if reason.name.startswith("UNKNOWN_")}
    assert {reason for reason, status in statuses.items() if status != 404} == {
        Reason.UNKNOWN_KIND,
        Reason.UNKNOWN_FIELD,
    }


def test_a_problem_names_field_rule_and_value() -> None:
    found = problem_of(refuse(Reason.PRICE_NOT_ON_TICK, "orders[2].price", "must be a multiple of 0.05", "12.41"))
    assert problem_body(found, "req_1") == {
        "type": "/problems/price_not_on_tick",
        "title": "Price not on tick",
        "status": 422,
        "code": "price_not_on_tick",
        "instance": "/requests/req_1",
        "request_id": "req_1",
        "detail": "orders[2].price: must be a multiple of 0.05; got '12.41'",
        "errors": [{"pointer": "/orders/2/price", "code": "price_not_on_tick", "detail": "must be a multiple of 0.05"}],
    }


def test_anothers_order_is_answered_like_one_that_does_not_exist() -> None:
    others = problem_of(refuse(Reason.NOT_YOUR_ORDER, "order", "must be yours", 33, "party 5 owns it"))
    assert (others.status, others.code) == (404, "unknown_order")
    assert "5" not in orjson.dumps(problem_body(others, "req_x")).decode()


def test_the_answer_is_problem_json_with_the_headers_of_the_problem() -> None:
    response = problem_response(problem("rate_limited", retry_after_ms=1_001, headers={"X-Left": "0"}), "req_1")
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.headers["retry-after"], response.headers["x-left"]) == ("2", "0")
    assert orjson.loads(bytes(response.body))["retry_after_ms"] == 1_001


@given(st.text(st.characters(), max_size=20), st.text(st.characters(), max_size=20))
def test_any_text_can_be_told(detail: str, pointer: str) -> None:
    response = problem_response(problem("not_found", detail, errors=[FieldError(pointer, "x", detail)]), "req_1")
    assert orjson.loads(bytes(response.body))["code"] == "not_found"


@pytest.mark.parametrize(
    ("field", "pointer"),
    [("price", "/price"), ("a.b", "/a/b"), ("a[0][12].b", "/a/0/12/b"), ("a/b~c", "/a~1b~0c"), ("", "/")],
)
def test_a_field_is_pointed_at(field: str, pointer: str) -> None:
    assert pointer_of(field) == pointer


def test_a_problem_that_was_made_by_hand_says_what_it_was_made_of() -> None:
    made = Problem(418, "teapot", "Short and stout", "Here is my handle.")
    assert str(made) == "teapot: Here is my handle."
    assert problem_body(made, "req_1")["type"] == "/problems/teapot"
