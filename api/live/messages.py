"""The data messages of the stream, as text: one function per channel.

Every message has `channel`, `type` (snapshot or update), `seq`, `prev_seq` and `ts`, the house's time of the last
entry it tells of; those of a series have `series`. A snapshot needs nothing before it: its `prev_seq` is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from api.live.channels import Key, Message
from api.live.depth import Depth, Level
from api.live.tape import INTERVALS, MINUTE_NS, Candle, Ticker
from api.live.texts import Texts, Times
from api.wire import SIDES, rfc3339, trade_id

ROWS_MAX: Final = 500
"""Rows of one message; what is more goes out in parts."""
PUBLIC_TRADE: Final = ["command", "fill", "price_ticks", "lots", "notional_minor", "taker_side", "primary"]
"""Fields of TRADE that everybody may see."""
TradeRow: TypeAlias = tuple[int, int, tuple[int, ...]]
"""(position, at_ns, values of PUBLIC_TRADE)."""
INTERVAL_NAMES: Final = {minutes: name for name, minutes in INTERVALS.items()}


def message(key: Key, series_id: str | None, prev_seq: int, seq: int, at: str, body: Mapping[str, Any]) -> Message:
    """An update."""
    return Message(key, prev_seq, seq, _text(key, "update", series_id, prev_seq, seq, at, body))


def in_parts(
    key: Key, series_id: str | None, prev_seq: int, seq: int, at: str, name: str, rows: Sequence[Any]
) -> list[Message]:
    """An update of rows in as many parts as it takes."""
    return [
        Message(key, prev_seq, seq, text)
        for text in _parts(key, "update", series_id, prev_seq, seq, prev_seq, at, name, rows, {})
    ]


def snapshot(key: Key, series_id: str | None, seq: int, at: str, body: Mapping[str, Any]) -> str:
    return _text(key, "snapshot", series_id, 0, seq, at, body)


def snapshot_in_parts(
    key: Key, series_id: str | None, seq: int, at: str, name: str, rows: Sequence[Any], omitted: int = 0
) -> list[str]:
    """A snapshot of rows; all but the last part have `seq` 0, because with them alone nothing is whole."""
    return _parts(key, "snapshot", series_id, 0, seq, 0, at, name, rows, {"omitted": omitted} if omitted else {})


def _parts(
    key: Key,
    kind: str,
    series_id: str | None,
    prev_seq: int,
    seq: int,
    part_seq: int,
    at: str,
    name: str,
    rows: Sequence[Any],
    more: Mapping[str, Any],
) -> list[str]:
    """`part_seq`: of all parts but the last; `more` goes into each."""
    cuts = range(0, len(rows) or 1, ROWS_MAX)
    return [
        _text(
            key,
            kind,
            series_id,
            prev_seq,
            seq if cut == cuts[-1] else part_seq,
            at,
            {**more, **({} if cut == cuts[-1] else {"more": True}), name: rows[cut : cut + ROWS_MAX]},
        )
        for cut in cuts
    ]


def _text(key: Key, kind: str, series_id: str | None, prev_seq: int, seq: int, at: str, body: Mapping[str, Any]) -> str:
    head: dict[str, Any] = {"channel": key.channel.value, "type": kind}
    if series_id is not None:
        head["series"] = series_id
    head.update(seq=seq, prev_seq=prev_seq, ts=at)
    head.update(body)
    return orjson.dumps(head).decode()


# -- bodies ------------------------------------------------------------------------------------------------------------


def book_body(texts: Texts, bids: Iterable[Level], asks: Iterable[Level], checksum: int) -> dict[str, Any]:
    """Levels as [price, quantity, orders], best first; quantity "0" and no orders: the level is gone."""
    return {"bids": _levels(texts, bids), "asks": _levels(texts, asks), "checksum": checksum}


def _levels(texts: Texts, levels: Iterable[Level]) -> list[tuple[str, str, int]]:
    price, quantity = texts.price, texts.quantity
    return [(price(ticks), quantity(lots) if lots else "0", orders) for ticks, lots, orders in levels]


def trade_bodies(texts: Texts, trades: Iterable[TradeRow]) -> list[dict[str, Any]]:
    """Trades as everybody may see them: without the parties and their orders."""
    times = Times()
    return [
        {
            "trade": trade_id(command, fill),
            "price": texts.price(ticks),
            "quantity": texts.quantity(lots),
            "notional": texts.money(notional_minor),
            "taker_side": SIDES[taker_side],
            "primary": bool(primary),
            "at": times.text(at_ns),
            "position": position,
        }
        for position, at_ns, (command, fill, ticks, lots, notional_minor, taker_side, primary) in trades
    ]


def ticker_body(texts: Texts, depth: Depth, ticker: Ticker | None) -> dict[str, Any]:
    """Null: what there is none of, such as the last price before the first trade."""
    bid, ask = (side[0] if side else None for side in (depth.bids, depth.asks))
    return {
        "last": ticker and texts.price(ticker.last_ticks),
        "last_quantity": ticker and texts.quantity(ticker.last_lots),
        "last_at": ticker and rfc3339(ticker.last_at_ns),
        "bid": bid and texts.price(bid[0]),
        "bid_quantity": bid and texts.quantity(bid[1]),
        "ask": ask and texts.price(ask[0]),
        "ask_quantity": ask and texts.quantity(ask[1]),
        "spread": texts.price(ask[0] - bid[0]) if bid and ask else None,
        "day": {
            "high": ticker and texts.price(ticker.high_ticks),
            "low": ticker and texts.price(ticker.low_ticks),
            "change": ticker and texts.price(ticker.change_ticks),
            "quantity": texts.quantity(ticker.lots if ticker else 0),
            "notional": texts.money(ticker.notional_minor if ticker else 0),
            "trades": ticker.trades if ticker else 0,
        },
    }


def candles_body(texts: Texts, minutes: int, candles: Iterable[Candle]) -> dict[str, Any]:
    return {"interval": INTERVAL_NAMES[minutes], "candles": [_candle(texts, candle) for candle in candles]}


def _candle(texts: Texts, candle: Candle) -> dict[str, Any]:
    return {
        "start": rfc3339(candle.minute * MINUTE_NS),
        "open": texts.price(candle.open_ticks),
        "high": texts.price(candle.high_ticks),
        "low": texts.price(candle.low_ticks),
        "close": texts.price(candle.close_ticks),
        "quantity": texts.quantity(candle.lots),
        "notional": texts.money(candle.notional_minor),
        "trades": candle.trades,
    }
