"""Orders: placing, changing, canceling, looking at them, and a preview of what one would do.

The two ways in for many orders are plain ASGI, with nothing between the body and the row; their documentation stands in
`api.openapi`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import orjson
from fastapi import Header, Query, Request
from fastapi.dependencies.models import Dependant
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api import wire
from api.auth.authentication import authenticate, charge
from api.auth.principal import Principal
from api.authorization import authorize, principal_for
from api.doors import Doors
from api.json_bodies import require_json
from api.middleware import REQUEST_ID
from api.order_batches import place_many
from api.order_entry import CLIENT_PREFIX, cancel_all, cancel_one, place_one, reduce_one
from api.order_replies import Outcome
from api.order_terms import read_orders
from api.paging import Paging
from api.preview import preview
from api.problems import MEDIA_TYPE, problem, problem_body
from api.replies import JSON, POSITION, REPLAYED, After, Cursor, IdempotencyKey, Limit, as_of, doors_of, reply
from api.routes.registry import OrderPath, action, found, found_row, router_of
from api.routes.traders import fact_of, fill_body, series_number, whose, within
from api.schemas.base import Page, SeriesName, Time, good
from api.schemas.orders import (
    Order,
    OrderChanged,
    OrderLife,
    OrderRefusal,
    OrdersCanceled,
    OrderStatus,
    Preview,
    PreviewOrder,
    ReduceOrder,
    SideName,
)
from api.wire import ORDER_TYPES, SIDES, TIMES_IN_FORCE, public_id, rfc3339
from domain.rejections import Reason
from matching.layout import FLAG_MARKET, FLAG_PRIMARY, Ending, Kind, Side
from projections import traders
from projections.flow import STATUS_CANCELED, STATUS_FILLED, STATUS_OPEN, STATUS_PARTLY_FILLED

router = router_of("orders")

STATUSES: Final = {
    STATUS_OPEN: "open",
    STATUS_FILLED: "filled",
    STATUS_CANCELED: "canceled",
    STATUS_PARTLY_FILLED: "partly_filled_and_canceled",
}
_STATUS_OF: Final = {name: number for number, name in STATUSES.items()}
BATCH_COST_ORDERS: Final = 100
"""Orders of a batch that cost as much as one request."""


# -- placing: plain ASGI -----------------------------------------------------------------------------------------------

Placing = Callable[[Doors, Principal, Scope, bytes, str | None], Awaitable[Outcome]]


class _Entry:
    """The endpoint of bodies with orders."""

    def __init__(self, place: Placing, status: int) -> None:
        self._place = place
        self._status = status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body"):
            parts = [body]
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
            body = b"".join(parts)
        if message["type"] == "http.disconnect":
            return
        doors: Doors = scope["app"].state.doors
        principal = authenticate(doors, scope, body)
        authorize(principal, "orders.place")
        key = None
        is_json = False
        for name, value in scope["headers"]:
            if name == b"idempotency-key":
                key = value.decode("latin-1")
            elif name == b"content-type":
                is_json = value == b"application/json"
        if not is_json:
            require_json({"content-type": _header(scope, b"content-type")})
        outcome = await self._place(doors, principal, scope, body, key)
        await respond(scope, send, outcome, self._status)


async def _place_one(doors: Doors, principal: Principal, _scope: Scope, body: bytes, key: str | None) -> Outcome:
    return await place_one(doors, principal, body, key)


async def _place_many(doors: Doors, principal: Principal, scope: Scope, body: bytes, key: str | None) -> Outcome:
    orders = read_orders(body)
    cost = (len(orders) - 1) // BATCH_COST_ORDERS
    if cost:
        charge(doors, scope, principal, cost)
    return await place_many(doors, principal, orders, key)


async def respond(scope: Scope, send: Send, outcome: Outcome, status: int) -> None:
    """Answer with what became of an order command."""
    body, media_type = orjson.dumps(outcome.body), b"application/json"
    if outcome.refused is not None:
        status, media_type = outcome.refused.status, MEDIA_TYPE.encode()
        body = orjson.dumps(problem_body(outcome.refused, scope[REQUEST_ID]) | outcome.body)
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        (b"x-position", b"%d" % outcome.position),
    ]
    if outcome.replayed:
        headers.append((b"idempotent-replayed", b"true"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _header(scope: Scope, wanted: bytes) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), "")


class ActionRoute(Route):
    """A plain route that declares its action like every other."""

    def __init__(self, path: str, endpoint: Any, *, method: str, name: str) -> None:
        super().__init__(path, endpoint, methods=[method], include_in_schema=False)
        self.dependant = Dependant(call=principal_for(name))


ENTRY_ROUTES: Final = (
    ActionRoute("/v1/orders", _Entry(_place_one, 201), method="POST", name="orders.place"),
    ActionRoute("/v1/orders/batch", _Entry(_place_many, 200), method="POST", name="orders.place"),
)


# -- changing and canceling --------------------------------------------------------------------------------------------


@router.delete("/orders/{order}", response_model=OrderChanged)
async def cancel_order(
    request: Request,
    principal: Annotated[Principal, action("orders.cancel")],
    order: OrderPath,
    key: IdempotencyKey = None,
) -> Response:
    """Cancel an open order. It can be named by `client:` and its client order id."""
    doors = doors_of(request)
    number = await numbered(doors, principal, order)
    return answered(request, await cancel_one(doors, principal, number, key))


@router.delete("/orders", response_model=OrdersCanceled)
async def cancel_orders(
    request: Request,
    principal: Annotated[Principal, action("orders.cancel")],
    series: SeriesName | None = None,
    key: IdempotencyKey = None,
) -> Response:
    """Cancel all open orders of the asking party, or those of one series."""
    doors = doors_of(request)
    of = None if series is None else good(doors.series.named(series))
    return answered(request, await cancel_all(doors, principal, of, key))


@router.patch("/orders/{order}", response_model=OrderChanged)
async def reduce_order(
    request: Request,
    principal: Annotated[Principal, action("orders.place")],
    order: OrderPath,
    body: ReduceOrder,
    key: IdempotencyKey = None,
    if_match: Annotated[str | None, Header(description="The ETag of the order as it was read.")] = None,
) -> Response:
    """Take a part off an open order, which keeps its place in the queue."""
    doors = doors_of(request)
    number = await numbered(doors, principal, order)
    await as_of(doors, doors.house.store.position)
    row = found_row(await doors.reads.ask(traders.order, number))
    authorize(principal, "orders.place", row.party)
    if if_match is not None and if_match.strip() not in ("*", etag(row)):
        raise problem("precondition_failed", f"The order is at {etag(row)}.", headers={"ETag": etag(row)})
    return answered(
        request, await reduce_one(doors, principal, number, fact_of(doors, row.series), body.reduce_by, key)
    )


# -- looking -----------------------------------------------------------------------------------------------------------


@router.get("/orders", response_model=Page[Order])
async def list_orders(
    request: Request,
    principal: Annotated[Principal, action("orders.read")],
    party: Annotated[str | None, Query(description="The asking party where absent.")] = None,
    series: SeriesName | None = None,
    status: OrderStatus | None = None,
    side: SideName | None = None,
    since: Time | None = None,
    until: Time | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Orders of a party, the newest first."""
    doors = doors_of(request)
    asked = {"party": party, "series": series, "status": status, "side": side, "since": since, "until": until}
    paging = Paging(doors, limit, cursor, asked, address="/v1/orders")
    filters = paging.filters
    await as_of(doors, after)
    rows = await paging.rows(
        traders.all_orders,
        party=whose(principal, "orders.read", filters["party"]),
        series=series_number(doors, filters["series"]),
        statuses=None if filters["status"] is None else [_STATUS_OF[filters["status"]]],
        side=None if filters["side"] is None else SIDES.index(filters["side"]),
        within=within(filters["since"], filters["until"]),
    )
    return paging.reply(rows, lambda row: order_body(doors, row), lambda row: row.order_number)


@router.get("/orders/{order}", response_model=OrderLife)
async def get_order(
    request: Request,
    principal: Annotated[Principal, action("orders.read")],
    order: OrderPath,
    after: After = None,
) -> Response:
    """An order with its whole life: fills, reductions, and how it ended."""
    doors = doors_of(request)
    await as_of(doors, after)
    number = await numbered(doors, principal, order)
    life = found_row(await doors.reads.ask(traders.order_life, number))
    authorize(principal, "orders.read", life.order.party)
    fact = fact_of(doors, life.order.series)
    body = order_body(doors, life.order) | {
        "life": [fill_body(doors, row) for row in life.fills],
        "reductions": [
            {
                "quantity": fact.quantity(row.lots),
                "at": rfc3339(row.at_ns),
                "command": row.command,
                "position": row.position,
            }
            for row in life.reductions
        ],
        "whole": life.whole,
    }
    return reply(body, position=doors.reads.position(), headers={"ETag": etag(life.order)})


@router.get("/order_refusals", response_model=Page[OrderRefusal])
async def list_refusals(
    request: Request,
    principal: Annotated[Principal, action("orders.read")],
    party: Annotated[str | None, Query(description="The asking party where absent.")] = None,
    series: SeriesName | None = None,
    since: Time | None = None,
    until: Time | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Order commands of a party that the log refused, the newest first."""
    doors = doors_of(request)
    asked = {"party": party, "series": series, "since": since, "until": until}
    paging = Paging(doors, limit, cursor, asked, address="/v1/order_refusals")
    filters = paging.filters
    await as_of(doors, after)
    rows = await paging.rows(
        traders.all_refusals,
        party=whose(principal, "orders.read", filters["party"]),
        series=series_number(doors, filters["series"]),
        within=within(filters["since"], filters["until"]),
    )
    return paging.reply(rows, lambda row: refusal_body(doors, row), lambda row: row.command)


@router.post("/orders/preview", response_model=Preview)
async def preview_order(
    request: Request, principal: Annotated[Principal, action("orders.preview")], body: PreviewOrder
) -> Response:
    """What an order would cost, trade, hold and stand behind, if it came next."""
    return reply(preview(doors_of(request), principal.party, body))


# -- helpers -----------------------------------------------------------------------------------------------------------


async def numbered(doors: Doors, principal: Principal, text: str) -> int:
    """The number of an order of an id, or of the party's own client order id. Raises Problem `not_found`."""
    if not text.startswith(CLIENT_PREFIX):
        return found(wire.ORDER, text)
    client_order_id = text.removeprefix(CLIENT_PREFIX)
    number = doors.client_orders.get((principal.party, client_order_id))
    if number is None:
        row = found_row(await doors.reads.ask(traders.order_by_client_id, principal.party, client_order_id))
        number = int(row.order_number)
    return number


def answered(request: Request, outcome: Outcome, status: int = 200) -> Response:
    """The answer of what became of an order command."""
    headers = {POSITION: str(outcome.position)}
    if outcome.replayed:
        headers[REPLAYED] = "true"
    if outcome.refused is None:
        return Response(orjson.dumps(outcome.body), status, headers, JSON)
    body = problem_body(outcome.refused, request.scope[REQUEST_ID]) | outcome.body
    return Response(orjson.dumps(body), outcome.refused.status, headers, MEDIA_TYPE)


def etag(row: Any) -> str:
    """The version of an order: the command that touched it last."""
    return f'"{row.last_command}"'


def order_body(doors: Doors, row: Any) -> dict[str, Any]:
    fact = fact_of(doors, row.series)
    market = bool(row.flags & FLAG_MARKET)
    buys = row.side == Side.BUY
    # Rounded down to a minor unit; the exact sum stands beside it.
    average = None
    if row.filled_lots:
        average = fact.money(row.notional_minor // row.filled_lots)
    return {
        "id": public_id(wire.ORDER, row.order_number),
        "client_order_id": row.client_order_id,
        "party": public_id(wire.PARTY, row.party),
        "series": fact.id,
        "symbol": fact.symbol,
        "side": SIDES[row.side],
        "type": ORDER_TYPES[market],
        "price": fact.price(row.price_ticks),
        "quantity": fact.quantity(row.lots),
        "time_in_force": TIMES_IN_FORCE[row.tif],
        "primary": bool(row.flags & FLAG_PRIMARY),
        "status": STATUSES[row.status],
        "end_reason": Ending(row.end_reason).name.lower() if row.end_reason else None,
        "filled_quantity": fact.quantity(row.filled_lots),
        "remaining_quantity": fact.quantity(row.resting_lots),
        "canceled_quantity": fact.quantity(row.canceled_lots),
        "average_price": average,
        "hold": {
            "amount": fact.money(row.hold_minor) if buys else fact.quantity(row.hold_minor),
            "asset": fact.currency_id if buys else fact.id,
        },
        "notional": fact.money(row.notional_minor),
        "fees": fact.money(row.fees_minor),
        "taxes": fact.money(row.taxes_minor),
        "royalty": fact.money(row.royalty_minor),
        "currency": fact.currency_id,
        "accepted_at": rfc3339(row.at_ns),
        "accepted_command": row.command,
        "last_command": row.last_command,
        "position": row.position,
    }


_KINDS: Final = {Kind.NEW: "new", Kind.CANCEL: "cancel", Kind.REDUCE: "reduce", Kind.MASS_CANCEL: "cancel_all"}


def refusal_body(doors: Doors, row: Any) -> dict[str, Any]:
    fact = doors.series.of(row.series)
    reason = Reason(row.code)
    return {
        "command": row.command,
        "at": rfc3339(row.at_ns),
        "party": public_id(wire.PARTY, row.party),
        "series": None if fact is None else fact.id,
        "kind": _KINDS.get(row.kind, "other"),
        "order": public_id(wire.ORDER, row.target) if row.target > 0 else None,
        "code": reason.code,
        "title": reason.meaning,
        "position": row.position,
    }
