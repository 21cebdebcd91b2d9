"""From a row of results to what a client is told of its order command."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from api.doors import OrderReply
from api.order_terms import IOC, Terms
from api.problems import PROBLEMS, FieldError, Problem, shown_reason
from api.wire import ORDER, ORDER_TYPES, SIDES, base32
from domain.rejections import Reason
from matching.layout import FLAG_MARKET, RESULT

_NAMES: Final = RESULT.names or ()
CODE: Final = _NAMES.index("code")
ORDER_OF: Final = _NAMES.index("order")
"""Places of the code and of the order's number in a RESULT row that has become a tuple."""


class Outcome(NamedTuple):
    """What became of an order command that reached the log."""

    body: Any
    """What it did, as JSON or what becomes it; of a refused one a dict: what its problem says besides."""
    refused: Problem | None
    replayed: bool
    position: int
    resting: int = 0
    """Number of the order that it put into the book; 0 for none."""


def outcome(reply: OrderReply, body: Any, resting: int = 0) -> Outcome:
    """The outcome of one command; of a refused one the body says where the refusal stands."""
    if not reply.code:
        return Outcome(body, None, reply.replayed, reply.position, resting)
    return refused(reply.code, reply.command, reply.position, replayed=reply.replayed)


def refused(code: int, command: int, position: int, *, replayed: bool) -> Outcome:
    """The outcome of a command that the log refused."""
    return Outcome({"command": command, "position": position}, refused_by_log(code), replayed, position)


def rests(terms: Terms) -> bool:
    """Whether what is left of the order stays in the book."""
    return terms.tif != IOC


def accepted(terms: Terms, result: tuple[int, ...], position: int) -> str:
    """The JSON of an accepted order (`schemas.OrderAccepted`), given its RESULT row.

    Written by hand, since it is made a hundred thousand times a second; a test holds it to the schema.
    """
    series, price, lots, side, tif, flags, name = terms
    command, number, resting, hold, _, fills = result
    if tif == IOC:
        time_in_force, status = "IOC", "executed" if fills else "canceled"
    else:
        time_in_force, status = "GTC", "open" if resting else "filled"
    amount, asset = (series.quantity(hold), series.id) if side else (series.money(hold), series.currency_id)
    client_order_id = "null" if name is None else f'"{name}"'
    return (
        f'{{"id":"{ORDER_ID}{base32(number)}","client_order_id":{client_order_id},{series.named_json},'
        f'"side":"{SIDES[side]}","type":"{ORDER_TYPES[flags & FLAG_MARKET]}",'
        f'"price":"{series.price(price)}","quantity":"{series.quantity(lots)}",'
        f'"time_in_force":"{time_in_force}","status":"{status}","remaining_quantity":"{series.quantity(resting)}",'
        f'"fills":{fills},"hold":{{"amount":"{amount}","asset":"{asset}"}},'
        f'"command":{command},"position":{position}}}'
    )


ORDER_ID: Final = f"{ORDER}_"
assert FLAG_MARKET == 1, "it is the index of a type's name"


def accepted_body(terms: Terms, reply: OrderReply) -> orjson.Fragment:
    """The body of one accepted order."""
    return orjson.Fragment(accepted(terms, reply[:6], reply.position))


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


def refusal(result: tuple[int, ...], position: int) -> dict[str, Any]:
    """Why an order of a batch was refused (`schemas.OrderRefused`), given its RESULT row."""
    found = refused_by_log(result[CODE])
    return {
        "code": found.code,
        "title": found.title,
        "detail": found.detail,
        "status": found.status,
        "pointer": found.errors[0].pointer if found.errors else None,
        "command": result[0],
        "position": position,
    }
