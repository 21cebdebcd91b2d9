"""From the body of an order to a row for the writer and back: one path for HTTP, for batches and for the socket.

What a door can see is refused here, with field, rule and value; everything else is decided by the log, and its refusal
carries the command and the position that hold it. Decoding is typed and lean: this is the hot path.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from pydantic import BaseModel, ValidationError

from api.auth.principal import Principal
from api.doors import Doors, OrderReply
from api.idempotency import body_hash, request_id_of
from api.json_bodies import parse, validation_problem
from api.problems import PROBLEMS, FieldError, Problem, problem_of, shown_reason
from api.schemas import orders as schemas
from api.series_facts import SeriesFact
from api.wire import ORDER, SIDES, TIMES_IN_FORCE, public_id
from domain.rejections import Reason, Refusal, refuse
from matching.layout import CLIENT_ID, COMMAND, FLAG_MARKET, FLAG_PRIMARY, REQUEST, Kind
from projections import traders
from projections.reads import ProjectionLagging, QuestionTooSlow, ReadsUnavailable

_COMMAND: Final = struct.Struct("<qqqqqiiibbbb")
_REQUEST: Final = struct.Struct("<q16s16s")
_CLIENT_ID: Final = struct.Struct("<q36si")
assert _COMMAND.size == COMMAND.itemsize and _REQUEST.size == REQUEST.itemsize
assert _CLIENT_ID.size == CLIENT_ID.itemsize

_SIDE_OF: Final = {name: number for number, name in enumerate(SIDES)}
_TIF_OF: Final = {name: number for number, name in enumerate(TIMES_IN_FORCE)}
_IOC: Final = _TIF_OF["IOC"]
_NEW: Final = int(Kind.NEW)
_CLIENT_ORDER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII)
CLIENT_PREFIX: Final = "client:"
"""Before a client order id in the place of an order's id."""
BATCH_KEYS_MAX: Final = 65_536
CLIENT_ORDERS_MAX: Final = 262_144


class PlaceOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """`api.schemas.orders.PlaceOrder` for the hot path; a test holds the two equal."""

    series: str
    side: Literal["buy", "sell"]
    quantity: str
    type: Literal["limit", "market"] = "limit"
    price: str | None = None
    time_in_force: Literal["GTC", "IOC"] | None = None
    primary: bool = False
    client_order_id: str | None = None


class PlaceOrders(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    orders: list[PlaceOrder]


_ORDER_DECODER: Final = msgspec.json.Decoder(PlaceOrder)
_BATCH_DECODER: Final = msgspec.json.Decoder(PlaceOrders)


class Outcome(NamedTuple):
    """What became of an order command that reached the log."""

    body: dict[str, Any]
    """What it did, or what a problem of it says besides the problem."""
    refused: Problem | None
    replayed: bool
    position: int


class Entry(NamedTuple):
    """An order that a door has read."""

    order: PlaceOrder
    series: SeriesFact
    price: int
    lots: int
    row: bytes
    """Of COMMAND."""


# -- one order ---------------------------------------------------------------------------------------------------------


async def place_one(
    doors: Doors, principal: Principal, body: bytes | Mapping[str, Any], key: str | None = None
) -> Outcome:
    """Place the order of a body (JSON, or what was parsed from it) for the principal's party.

    `key` is its Idempotency-Key. Raises Problem where the order does not reach the log.
    """
    order = _read_order(body)
    entry = enter(doors, principal.party, order)
    if isinstance(entry, Refusal):
        raise problem_of(entry)
    request = request_of(principal.party, key, entry.row, order.client_order_id)
    if order.client_order_id is None:
        reply = await doors.place_one(entry.row, request)
        return outcome(reply, accepted(entry, reply))
    reply = await doors.place_one(entry.row, request, _client_row(order.client_order_id))
    _remember(doors, principal.party, entry, reply)
    return outcome(reply, accepted(entry, reply))


async def place_many(
    doors: Doors, principal: Principal, orders: Sequence[PlaceOrder], key: str | None = None
) -> Outcome:
    """Place orders one after the other; what the log refuses of them is part of the outcome.

    Raises Problem, and places none, where one of them does not reach the log.
    """
    party = principal.party
    entries = []
    for at, order in enumerate(orders):
        entry = enter(doors, party, order)
        if isinstance(entry, Refusal):
            raise problem_of(replace(entry, field=f"orders[{at}].{entry.field}"))
        entries.append(entry)
    joined = b"".join([entry.row for entry in entries])
    requests = None if key is None else _requests_of_batch(doors, party, key, joined, orders)
    named = any(order.client_order_id for order in orders)
    client_ids = None
    if named:
        client_ids = np.frombuffer(b"".join([_client_row(order.client_order_id or "") for order in orders]), CLIENT_ID)
    replies = await doors.place(np.frombuffer(joined, COMMAND), requests, client_ids)
    if replies[0].code == Reason.REQUEST_ID_REUSED:
        return outcome(replies[0], {})
    results: list[dict[str, Any]] = []
    refused = 0
    for entry, reply in zip(entries, replies, strict=True):
        if reply.code:
            refused += 1
            results.append({"order": None, "refusal": _refusal(reply)})
        else:
            results.append({"order": accepted(entry, reply), "refusal": None})
            if named:
                _remember(doors, party, entry, reply)
    position = max(reply.position for reply in replies)
    body = {"results": results, "accepted": len(results) - refused, "refused": refused, "position": position}
    return Outcome(body, None, replies[0].replayed, position)


def _remember(doors: Doors, party: int, entry: Entry, reply: OrderReply) -> None:
    """Know the order by its client order id, before the read model does."""
    if entry.order.client_order_id is not None and not reply.code:
        doors.client_orders[party, entry.order.client_order_id] = reply.order
        if len(doors.client_orders) > CLIENT_ORDERS_MAX:
            doors.client_orders.popitem(last=False)


def enter(doors: Doors, party: int, order: PlaceOrder) -> Entry | Refusal:
    """The row of an order, or which of its fields breaks its rule."""
    series = doors.series.named(order.series)
    if isinstance(series, Refusal):
        return series
    market = order.type == "market"
    if order.price is None:
        reason = Reason.PROTECTION_REQUIRED if market else Reason.MISSING_FIELD
        return refuse(reason, "price", "must be given", None)
    if market and order.time_in_force == "GTC":
        rule = "must be IOC or absent: what is left of a market order never rests"
        return refuse(Reason.WRONG_TYPE, "time_in_force", rule, "GTC")
    if order.client_order_id is not None and _CLIENT_ORDER_ID.fullmatch(order.client_order_id) is None:
        reason = Reason.MALFORMED_CLIENT_ORDER_ID
        return refuse(reason, "client_order_id", reason.meaning, order.client_order_id)
    price = series.ticks(order.price)
    if isinstance(price, Refusal):
        return price
    lots = series.lots(order.quantity)
    if isinstance(lots, Refusal):
        return lots
    flags = (FLAG_MARKET if market else 0) | (FLAG_PRIMARY if order.primary else 0)
    tif = _IOC if market else _TIF_OF[order.time_in_force or "GTC"]
    row = _COMMAND.pack(0, 0, price, lots, 0, party, series.number, party, _NEW, _SIDE_OF[order.side], tif, flags)
    return Entry(order, series, price, lots, row)


def accepted(entry: Entry, reply: OrderReply) -> dict[str, Any]:
    """The body of an accepted order (`schemas.OrderAccepted`); of a refused one, nothing."""
    if reply.code:
        return {}
    order, series = entry.order, entry.series
    market = order.type == "market"
    rests = not market and order.time_in_force != "IOC"
    status = ("open" if reply.lots else "filled") if rests else ("executed" if reply.fills else "canceled")
    buys = order.side == "buy"
    return {
        "id": public_id(ORDER, reply.order),
        "client_order_id": order.client_order_id,
        "series": series.id,
        "symbol": series.symbol,
        "side": order.side,
        "type": order.type,
        "price": series.price(entry.price),
        "quantity": series.quantity(entry.lots),
        "time_in_force": "GTC" if rests else "IOC",
        "status": status,
        "remaining_quantity": series.quantity(reply.lots),
        "fills": reply.fills,
        "hold": {
            "amount": series.money(reply.hold_minor) if buys else series.quantity(reply.hold_minor),
            "asset": series.currency_id if buys else series.id,
        },
        "command": reply.command,
        "position": reply.position,
    }


# -- changes -----------------------------------------------------------------------------------------------------------


async def cancel_one(doors: Doors, principal: Principal, order: int, key: str | None = None) -> Outcome:
    """Cancel an open order of the principal's party."""
    party = principal.party
    row = _COMMAND.pack(0, 0, 0, 0, order, party, 0, party, Kind.CANCEL, 0, 0, 0)
    reply = await doors.place_one(row, request_of(party, key, row))
    return await _told_to(doors, party, order, outcome(reply, _changed(reply, "0")))


async def cancel_all(
    doors: Doors, principal: Principal, series: SeriesFact | None = None, key: str | None = None
) -> Outcome:
    """Cancel all open orders of the principal's party, or those of one series."""
    party = principal.party
    number = series.number if series else 0
    row = _COMMAND.pack(0, 0, 0, 0, 0, party, number, party, Kind.MASS_CANCEL, 0, 0, 0)
    reply = await doors.place_one(row, request_of(party, key, row))
    body = {"orders": reply.fills, "command": reply.command, "position": reply.position}
    return outcome(reply, body)


async def reduce_one(
    doors: Doors, principal: Principal, order: int, series: SeriesFact, reduce_by: str, key: str | None = None
) -> Outcome:
    """Take a quantity off an open order of the principal's party."""
    lots = series.lots(reduce_by, "reduce_by")
    if isinstance(lots, Refusal):
        raise problem_of(lots)
    party = principal.party
    row = _COMMAND.pack(0, 0, 0, lots, order, party, 0, party, Kind.REDUCE, 0, 0, 0)
    reply = await doors.place_one(row, request_of(party, key, row))
    return await _told_to(doors, party, order, outcome(reply, _changed(reply, series.quantity(reply.lots))))


async def _told_to(doors: Doors, party: int, order: int, found: Outcome) -> Outcome:
    """The outcome as the party may know it.

    The log's refusal of an order that has ended does not look at whose it was; that is told to its owner only.
    """
    if found.refused is None or found.refused.code != Reason.ORDER_NOT_OPEN.code:
        return found
    try:
        await doors.reads.wait(found.position, doors.settings.read_wait_seconds)
        row = await doors.reads.ask(traders.order, order)
    except (ProjectionLagging, QuestionTooSlow, ReadsUnavailable):
        row = None
    if row is not None and row.party == party:
        return found
    return found._replace(refused=refused_by_log(Reason.UNKNOWN_ORDER))


def _changed(reply: OrderReply, remaining: str) -> dict[str, Any]:
    return {
        "id": public_id(ORDER, reply.order),
        "remaining_quantity": remaining,
        "command": reply.command,
        "position": reply.position,
    }


# -- requests ----------------------------------------------------------------------------------------------------------


def request_of(party: int, key: str | None, row: bytes, client_order_id: str | None = None) -> bytes:
    """The REQUEST row of a command with an Idempotency-Key; no bytes without. The same words in another notation, or
    with other white space, are the same request. Raises Problem `idempotency_key_invalid`.
    """
    if key is None:
        return b""
    said = row + (client_order_id or "").encode()
    return _REQUEST.pack(0, request_id_of(party, key), body_hash(said, b""))


def _client_row(client_order_id: str) -> bytes:
    """A CLIENT_ID row; without an id one that names none."""
    return _CLIENT_ID.pack(0, client_order_id.encode("ascii"), 0)


def _requests_of_batch(doors: Doors, party: int, key: str, joined: bytes, orders: Sequence[PlaceOrder]) -> Any:
    """A REQUEST row for each order: ids that follow from the key, and the hash of the whole batch.

    The first has the id of the key itself, so that it is taken for every other command, too. A batch with one other
    order is refused whole; that a batch grew at its end only this process would notice, so its keys are remembered.
    """
    request_id = request_id_of(party, key)
    said = joined + "\0".join([order.client_order_id or "" for order in orders]).encode()
    hashed = body_hash(said, b"")
    known = doors.batch_keys.setdefault(request_id, hashed)
    if len(doors.batch_keys) > BATCH_KEYS_MAX:
        doors.batch_keys.popitem(last=False)
    if known != hashed:
        reason = Reason.REQUEST_ID_REUSED
        raise problem_of(refuse(reason, "Idempotency-Key", "must be a new one for another body", key))
    ids = [blake2b(request_id + at.to_bytes(4, "little"), digest_size=16).digest() for at in range(1, len(orders))]
    return np.frombuffer(b"".join([_REQUEST.pack(0, one, hashed) for one in (request_id, *ids)]), REQUEST)


# -- replies -----------------------------------------------------------------------------------------------------------


def outcome(reply: OrderReply, body: dict[str, Any]) -> Outcome:
    """The outcome of one command; of a refused one the body says where the refusal stands."""
    if not reply.code:
        return Outcome(body, None, reply.replayed, reply.position)
    where = {"command": reply.command, "position": reply.position}
    return Outcome(where, refused_by_log(reply.code), reply.replayed, reply.position)


def refused_by_log(code: int) -> Problem:
    """The problem of a result's code."""
    reason = Reason(code)
    field = _FIELDS.get(reason, "")
    shown = shown_reason(reason)
    kind = PROBLEMS[shown.code]
    errors = (FieldError(f"/{field}", shown.code, shown.meaning),) if field else ()
    return Problem(kind.status, shown.code, kind.title, shown.meaning, errors=errors)


_FIELDS: Final[dict[Reason, str]] = {
    Reason.UNKNOWN_SERIES: "series",
    Reason.SERIES_HALTED: "series",
    Reason.SERIES_ENDED: "series",
    Reason.PRICE_OUT_OF_RANGE: "price",
    Reason.LOTS_OUT_OF_RANGE: "quantity",
    Reason.NOTIONAL_TOO_LARGE: "quantity",
    Reason.INSUFFICIENT_FUNDS: "quantity",
    Reason.INSUFFICIENT_UNITS: "quantity",
    Reason.SUPPLY_EXHAUSTED: "quantity",
    Reason.PROTECTION_REQUIRED: "price",
    Reason.NOT_THE_ISSUER: "primary",
    Reason.RESALE_NOT_ALLOWED: "side",
    Reason.CLIENT_ORDER_ID_TAKEN: "client_order_id",
    Reason.LOTS_NOT_REDUCIBLE: "reduce_by",
}
"""The field at fault of a result that the kernel refused."""


def _refusal(reply: OrderReply) -> dict[str, Any]:
    """Why an order of a batch was refused (`schemas.OrderRefused`)."""
    found = refused_by_log(reply.code)
    return {
        "code": found.code,
        "title": found.title,
        "detail": found.detail,
        "status": found.status,
        "pointer": found.errors[0].pointer if found.errors else None,
        "command": reply.command,
        "position": reply.position,
    }


# -- reading bodies ----------------------------------------------------------------------------------------------------


def _read_order(body: bytes | Mapping[str, Any]) -> PlaceOrder:
    try:
        return _ORDER_DECODER.decode(body) if isinstance(body, bytes) else msgspec.convert(body, PlaceOrder)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise why_not(body, schemas.PlaceOrder) from error


def read_orders(body: bytes) -> list[PlaceOrder]:
    """The orders of a batch. Raises Problem."""
    try:
        orders = _BATCH_DECODER.decode(body).orders
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise why_not(body, schemas.PlaceOrders) from error
    if not 1 <= len(orders) <= schemas.BATCH_ORDERS_MAX:
        raise why_not(body, schemas.PlaceOrders)
    return orders


def why_not(body: bytes | Mapping[str, Any], model: type[BaseModel]) -> Problem:
    """What is wrong with a body that the typed decoder refused, in full and in the words of every other door."""
    try:
        model.model_validate(parse(body) if isinstance(body, bytes) else body)
    except Problem as found:
        return found
    except ValidationError as error:
        return validation_problem([{**found, "loc": ("body", *found["loc"])} for found in error.errors()])
    raise AssertionError("the two schemas of an order disagree")
