"""What a reader missed for longer than a channel's ring reaches back, read from the read models.

It goes out beside the channel's own messages, as messages of the type `replay` that have no `seq`: trades, fills and
ended orders of the positions between the last one that was read and where the channel stood when it began anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Connection

from api.doors import Doors
from api.live import Channel, Key
from api.routes.orders import order_body
from api.routes.traders import fill_body
from api.wire import SIDES, rfc3339, trade_id
from projections import market, traders
from projections.flow import STATUS_CANCELED, STATUS_FILLED, STATUS_PARTLY_FILLED
from projections.reads import ProjectionLagging, QuestionTooSlow, ReadsUnavailable

REPLAYED: Final = (Channel.TRADES, Channel.FILLS, Channel.ORDERS)
"""Channels of which more than where they stand can be told again."""
ROWS_MAX: Final = 5_000
_PAGE_ROWS: Final = 500
_ENDED: Final = (STATUS_FILLED, STATUS_CANCELED, STATUS_PARTLY_FILLED)


class Missed(NamedTuple):
    """Rows of the read models, the latest first."""

    rows: list[Any]
    complete: bool
    """False where there are more than are told again; the lists of HTTP have them all."""


async def replay(doors: Doors, key: Key, from_seq: int) -> list[str]:
    """The messages for what came after `from_seq`. Call it when the channel has begun anew."""
    to_seq = doors.live.position
    try:
        await doors.reads.wait(to_seq)
        missed = await doors.reads.ask(_QUESTIONS[key.channel], key.number, from_seq, to_seq)
    except (ProjectionLagging, QuestionTooSlow, ReadsUnavailable):
        missed = Missed([], complete=False)
    bodies = [_body(doors, key, row) for row in reversed(missed.rows)]
    head: dict[str, Any] = {"channel": key.channel.value, "type": "replay"}
    if not key.private:
        head["series"] = doors.live.texts(key.number).series.id
    head.update(from_seq=from_seq, to_seq=to_seq, complete=missed.complete)
    texts = []
    for cut in range(0, len(bodies) or 1, _PAGE_ROWS):
        more = {"more": True} if cut + _PAGE_ROWS < len(bodies) else {}
        texts.append(orjson.dumps({**head, **more, key.channel.value: bodies[cut : cut + _PAGE_ROWS]}).decode())
    return texts


def _trades(connection: Connection, series: int, from_seq: int, to_seq: int) -> Missed:
    rows: list[Any] = []
    after: tuple[int, int] | None = None
    while len(rows) < ROWS_MAX:
        page = market.series_trades(connection, series, after, _PAGE_ROWS)
        rows += [row for row in page if from_seq < row.position <= to_seq]
        if len(page) < _PAGE_ROWS or page[-1].position <= from_seq:
            return Missed(rows, complete=True)
        after = (page[-1].command, page[-1].fill)
    return Missed(rows, complete=False)


def _fills(connection: Connection, party: int, from_seq: int, to_seq: int) -> Missed:
    within = traders.Range(first_position=from_seq + 1, last_position=to_seq)
    rows = traders.all_fills(connection, party, within=within, limit=ROWS_MAX + 1)
    return Missed(list(rows[:ROWS_MAX]), len(rows) <= ROWS_MAX)


def _orders(connection: Connection, party: int, from_seq: int, to_seq: int) -> Missed:
    within = traders.Range(first_position=from_seq + 1, last_position=to_seq)
    rows = traders.all_orders(connection, party=party, statuses=_ENDED, within=within, limit=ROWS_MAX + 1)
    return Missed(list(rows[:ROWS_MAX]), len(rows) <= ROWS_MAX)


_QUESTIONS: Final[dict[Channel, Callable[[Connection, int, int, int], Missed]]] = {
    Channel.TRADES: _trades,
    Channel.FILLS: _fills,
    Channel.ORDERS: _orders,
}


def _body(doors: Doors, key: Key, row: Any) -> dict[str, Any]:
    if key.channel is Channel.FILLS:
        return fill_body(doors, row)
    if key.channel is Channel.ORDERS:
        return order_body(doors, row)
    texts = doors.live.texts(key.number)
    return {
        "trade": trade_id(row.command, row.fill),
        "price": texts.price(row.price_ticks),
        "quantity": texts.quantity(row.lots),
        "notional": texts.money(row.notional_minor),
        "taker_side": SIDES[row.taker_side],
        "primary": bool(row.is_primary),
        "at": rfc3339(row.at_ns),
        "position": row.position,
    }
