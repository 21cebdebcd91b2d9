"""Order commands one by one: from a body to a row for the writer and back, for HTTP and for the socket.

What a door can see is refused before (`api.order_terms`); everything else is decided by the log, and its refusal says
which command and which position hold it. Batches are in `api.order_batches`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from api.auth.principal import Principal
from api.doors import Doors, OrderReply
from api.idempotency import body_hash, request_id_of
from api.order_replies import ORDER_OF, Outcome, accepted_body, outcome, refused_by_log, rests
from api.order_terms import Terms, command_row, new_order_row, read_order, terms_of
from api.problems import problem_of
from api.series_facts import SeriesFact
from api.wire import ORDER, public_id
from domain.rejections import Reason, Refusal
from matching.layout import CLIENT_ID, REQUEST, Kind
from projections import traders
from projections.reads import ProjectionLagging, QuestionTooSlow, ReadsUnavailable

_REQUEST: Final = struct.Struct("<q16s16s")
_CLIENT_ID: Final = struct.Struct("<q36si")
assert _REQUEST.size == REQUEST.itemsize
assert _CLIENT_ID.size == CLIENT_ID.itemsize

CLIENT_PREFIX: Final = "client:"
"""Before a client order id in the place of an order's id."""
CLIENT_ORDERS_MAX: Final = 262_144


# -- one order ---------------------------------------------------------------------------------------------------------


async def place_one(
    doors: Doors, principal: Principal, body: bytes | Mapping[str, Any], key: str | None = None
) -> Outcome:
    """Place the order of a body (JSON, or what was parsed from it) for the principal's party.

    `key` is its Idempotency-Key. Raises Problem where the order does not reach the log.
    """
    terms = terms_of(doors, read_order(body))
    if isinstance(terms, Refusal):
        raise problem_of(terms)
    party, name = principal.party, terms.client_order_id
    row = new_order_row(party, terms)
    request = request_of(party, key, row, name)
    reply = await doors.place_one(row, request, b"" if name is None else client_row(name))
    if reply.code:
        return outcome(reply, None)
    remember_order(doors, party, terms, reply)
    resting = reply.order if reply.lots and rests(terms) else 0
    return outcome(reply, accepted_body(terms, reply), resting)


def remember_order(doors: Doors, party: int, terms: Terms, result: tuple[Any, ...]) -> None:
    """Know the order of an accepted command (RESULT row) by its client order id, before the read model does."""
    if terms.client_order_id is not None:
        doors.client_orders[party, terms.client_order_id] = result[ORDER_OF]
        if len(doors.client_orders) > CLIENT_ORDERS_MAX:
            doors.client_orders.popitem(last=False)


# -- changes -----------------------------------------------------------------------------------------------------------


async def cancel_one(doors: Doors, principal: Principal, order: int, key: str | None = None) -> Outcome:
    """Cancel an open order of the principal's party."""
    party = principal.party
    row = command_row(Kind.CANCEL, party, target=order)
    reply = await doors.place_one(row, request_of(party, key, row))
    return await _told_to(doors, party, order, outcome(reply, _changed(reply, "0")))


async def cancel_all(
    doors: Doors, principal: Principal, series: SeriesFact | None = None, key: str | None = None
) -> Outcome:
    """Cancel all open orders of the principal's party, or those of one series."""
    party = principal.party
    number = series.number if series else 0
    row = command_row(Kind.MASS_CANCEL, party, series=number)
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
    row = command_row(Kind.REDUCE, party, target=order, lots=lots)
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
    return request_row(request_id_of(party, key), body_hash(said, b""))


def request_row(request_id: bytes, hashed: bytes) -> bytes:
    """A REQUEST row."""
    return _REQUEST.pack(0, request_id, hashed)


def client_row(client_order_id: str) -> bytes:
    """A CLIENT_ID row; without an id one that names none."""
    return _CLIENT_ID.pack(0, client_order_id.encode("ascii"), 0)
