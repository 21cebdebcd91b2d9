"""The description of the HTTP doors, OpenAPI 3.1: out of the routes, completed with what routes do not say."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from api.auth.principal import Principal
from api.authorization import RULES, action_of
from api.problems import MEDIA_TYPE
from api.replies import reply
from api.routes.registry import action, router_of
from api.schemas.market import Book
from api.schemas.orders import BatchResults, OrderAccepted, PlaceOrder, PlaceOrders
from api.schemas.problems import ProblemBody
from domain.permissions import role_words

VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{model}"
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})

router = router_of("health")


@router.get("/openapi.json", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def openapi_document(request: Request, _principal: Annotated[Principal, action("market.read")]) -> Response:
    """This description."""
    # It takes seconds to make, once.
    return reply(await asyncio.to_thread(request.app.openapi))


def describe(app: FastAPI) -> dict[str, Any]:
    """The document; made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary="An event-sourced ledger and exchange for licenses to AI models.",
            description=_DESCRIPTION,
            routes=app.routes,
            servers=[{"url": "/"}],
        )
        document = json.loads(json.dumps(document))
        _add_plain_routes(document)
        _add_components(document)
        actions = _actions(app)
        for path, item in document["paths"].items():
            for method, operation in item.items():
                if method in _METHODS:
                    _complete(operation, actions[path, method.upper()])
        app.openapi_schema = document
    return app.openapi_schema


_DESCRIPTION: Final = """\
Amounts, prices and quantities are decimal texts; times are RFC 3339 in UTC with nanoseconds; an id is a prefix and a
number in base 32.

A request is signed with an API key: `X-Api-Key`, `X-Timestamp` (milliseconds), `X-Nonce` and `X-Signature`, the base64
of an Ed25519 signature or HMAC-SHA256 of timestamp, method, path with query, lower-case hex SHA-256 of the body and
nonce, joined by line feeds. A change answers with `X-Position`; a read with `?after=` that position shows it.
"""


def _actions(app: FastAPI) -> dict[tuple[str, str], str]:
    """The action of each path and method."""
    found = {}
    for route in app.routes:
        name = action_of(route)
        if name is not None:
            for method in getattr(route, "methods", None) or ():
                found[getattr(route, "path", ""), method] = name
    return found


def _complete(operation: dict[str, Any], name: str) -> None:
    """Who may do it, and how it can fail."""
    rule = RULES[name]
    operation["x-action"] = name
    operation["security"] = [{}] if rule.public else []
    operation["security"] += [{"key": [], "timestamp": [], "nonce": [], "signature": []}, {"session": []}]
    if rule.roles:
        operation["x-roles"] = role_words(rule.roles)
    operation["x-scope"] = rule.scope
    responses = operation["responses"]
    responses.pop("422", None)
    for status, response in responses.items():
        if status[0] == "2":
            response["headers"] = {"X-Position": {"$ref": "#/components/headers/X-Position"}}
    responses["4XX"] = {"$ref": "#/components/responses/NotCarriedOut"}
    responses["5XX"] = {"$ref": "#/components/responses/CannotAnswer"}


def _add_components(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    models = (PlaceOrder, PlaceOrders)
    outs = (OrderAccepted, BatchResults, Book, ProblemBody)
    _, definitions = models_json_schema(
        [*((model, "validation") for model in models), *((model, "serialization") for model in outs)],
        ref_template=_REF,
    )
    for name, schema in definitions["$defs"].items():
        schemas.setdefault("Problem" if name == "ProblemBody" else name, schema)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    failed = {"content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}}
    document["components"]["responses"] = {
        "NotCarriedOut": {"description": "The request was not carried out.", **failed},
        "CannotAnswer": {"description": "The house cannot answer at the moment.", **failed},
    }
    document["components"]["headers"] = {
        "X-Position": {"schema": {"type": "integer"}, "description": "Position of the log that the answer shows."}
    }
    document["components"]["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "timestamp": {"type": "apiKey", "in": "header", "name": "X-Timestamp"},
        "nonce": {"type": "apiKey", "in": "header", "name": "X-Nonce"},
        "signature": {"type": "apiKey", "in": "header", "name": "X-Signature"},
        "session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"},
    }


def _add_plain_routes(document: dict[str, Any]) -> None:
    """The routes that are plain ASGI, in the words in which FastAPI describes the others."""
    key = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "schema": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Idempotency-Key"},
        "description": (
            "1 to 255 printable characters; the same key with the same body gets the same answer, for 7 days."
        ),
    }
    paths = document["paths"]
    paths.setdefault("/v1/orders", {})["post"] = {
        "tags": ["orders"],
        "summary": "Place Order",
        "description": "Place an order. The answer is the log's: the order is durable, or refused with its position.",
        "operationId": "place_order_v1_orders_post",
        "parameters": [key],
        "requestBody": _json_body("PlaceOrder"),
        "responses": {"201": _json_reply("OrderAccepted")},
    }
    paths.setdefault("/v1/orders/batch", {})["post"] = {
        "tags": ["orders"],
        "summary": "Place Orders",
        "description": (
            "Place up to 1,000 orders. One that breaks a rule of its fields refuses the whole batch; what the log "
            "refuses is told order by order."
        ),
        "operationId": "place_orders_v1_orders_batch_post",
        "parameters": [key],
        "requestBody": _json_body("PlaceOrders"),
        "responses": {"200": _json_reply("BatchResults")},
    }
    paths.setdefault("/v1/series/{series}/book", {})["get"] = {
        "tags": ["market"],
        "summary": "Get Book",
        "description": "The depth of a series, as of the last commit.",
        "operationId": "get_book_v1_series__series__book_get",
        "parameters": [
            {
                "name": "series",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "title": "Series"},
                "description": "Id of the series.",
            },
            {
                "name": "depth",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 1, "maximum": 500, "default": 50, "title": "Depth"},
                "description": "Levels of each side.",
            },
            {
                "name": "after",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**53, "title": "After"},
                "description": "Answer as of this log position or a later one: reads one's own write.",
            },
        ],
        "responses": {"200": _json_reply("Book")},
    }
    document["paths"] = dict(sorted(paths.items()))


def _json_body(model: str) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": _REF.format(model=model)}}}}


def _json_reply(model: str) -> dict[str, Any]:
    return {
        "description": "Successful Response",
        "content": {"application/json": {"schema": {"$ref": _REF.format(model=model)}}},
    }
