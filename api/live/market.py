"""The public side of the hub: depth, tape and messages of every series, kept by one thread.

Changes are gathered until they are published: a level or a ticker that changes many times in between is told once,
with what it is at the end. Everybody gets what `Published` holds; messages are made only for channels that are open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from api.live.channels import Channel, Key, Message
from api.live.depth import EMPTY, Book, Depth, Level
from api.live.messages import (
    PUBLIC_TRADE,
    TradeRow,
    book_body,
    candles_body,
    in_parts,
    message,
    ticker_body,
    trade_bodies,
)
from api.live.tape import INTERVALS, Candle, Tape, Ticker
from api.live.texts import Texts, Times
from matching.layout import Side
from projections.flow import FlowRows

RECENT_TRADES: Final = 100
"""Trades of a series that a snapshot shows."""


@dataclass(slots=True)
class View:
    """What everybody may see of one series after the last publication; replaced, never changed."""

    texts: Texts
    depth: Depth = EMPTY
    ticker: Ticker | None = None
    candles: Mapping[int, Candle] = field(default_factory=dict)
    """The one in progress by minutes of its interval."""
    trades: tuple[TradeRow, ...] = ()
    """The last trades, the latest first."""


class SeriesMarket:
    """What the hub remembers of one series."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.book = Book(texts)
        self.tape = Tape()
        self.trades: deque[TradeRow] = deque(maxlen=RECENT_TRADES)
        self.view = View(texts)
        self.levels: tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]] = ({}, {})
        """By side, what changed since the last publication: price -> (lots, orders)."""


class Market:
    """All series."""

    def __init__(self, texts_of: Callable[[int], Texts]) -> None:
        self._texts_of = texts_of
        self._series: dict[int, SeriesMarket] = {}
        self._changed: set[int] = set()
        self._trades: list[tuple[int, Any]] = []
        self._seqs: dict[Key, int] = {}
        """Last `seq` of each open channel."""
        self._times = Times()

    def load(self, levels: Any, trades: list[tuple[int, Any]], position: int) -> dict[int, View]:
        """Start from the LEVEL rows of a whole book and the (position, TRADE rows) of the last day."""
        self._gather_levels(levels)
        self._trades += trades
        return self.publish(position, 0)[0]

    def gather(self, position: int, rows: FlowRows) -> None:
        """Take in what one block has changed."""
        self._gather_levels(rows.levels)
        if len(rows.trades):
            self._trades.append((position, rows.trades))

    def publish(self, position: int, at_ns: int) -> tuple[dict[int, View], list[Message]]:
        """What has changed since the last publication: the new views, and the messages of open channels."""
        messages: list[Message] = []
        views: dict[int, View] = {}
        traded = self._publish_trades(position, at_ns, messages)
        for number in sorted(self._changed | traded.keys()):
            series = self._of(number)
            depth = series.view.depth
            bids, asks = self._apply_levels(series)
            if bids or asks:
                depth = series.book.depth(position)
                self._tell(messages, Channel.BOOK, number, position, at_ns, book_body, (bids, asks, depth.checksum))
            best_moved = depth.bids[:1] != series.view.depth.bids[:1] or depth.asks[:1] != series.view.depth.asks[:1]
            series.view = View(
                series.texts,
                depth,
                series.tape.ticker,
                series.tape.candles() if number in traded else series.view.candles,
                tuple(series.trades) if number in traded else series.view.trades,
            )
            views[number] = series.view
            if best_moved or number in traded:
                self._tell(messages, Channel.TICKER, number, position, at_ns, ticker_body, (depth, series.tape.ticker))
        self._changed.clear()
        return views, messages

    @property
    def is_watched(self) -> bool:
        """Whether a channel is open."""
        return bool(self._seqs)

    def open(self, key: Key, position: int) -> int:
        """From the next publication on make the messages of a channel; the `prev_seq` of the next."""
        return self._seqs.setdefault(key, position)

    def close(self, key: Key) -> None:
        self._seqs.pop(key, None)

    def _of(self, number: int) -> SeriesMarket:
        series = self._series.get(number)
        if series is None:
            series = self._series[number] = SeriesMarket(self._texts_of(number))
        return series

    def _gather_levels(self, levels: Any) -> None:
        for ticks, lots, orders, number, side in levels[["price_ticks", "lots", "orders", "series", "side"]].tolist():
            self._of(number).levels[side][ticks] = (lots, orders)
            self._changed.add(number)

    def _apply_levels(self, series: SeriesMarket) -> tuple[list[Level], list[Level]]:
        bids = series.book.bids.change(series.levels[Side.BUY])
        asks = series.book.asks.change(series.levels[Side.SELL])
        series.levels = ({}, {})
        return bids, asks

    def _publish_trades(self, position: int, at_ns: int, messages: list[Message]) -> Mapping[int, Any]:
        """Feed the tapes; the numbers of the series that traded."""
        told: dict[int, list[Any]] = {}
        for at_position, rows in self._trades:
            for number in np.unique(rows["series"]).tolist():
                part = rows[rows["series"] == number]
                told.setdefault(number, []).append((at_position, part))
        self._trades.clear()
        for number, parts in told.items():
            series = self._of(number)
            everything = parts[0][1] if len(parts) == 1 else np.concatenate([part for _, part in parts])
            candles = series.tape.add(position, everything)
            key = Key(Channel.TRADES, number)
            shown = len(everything) if key in self._seqs else min(len(everything), RECENT_TRADES)
            last = _last_trades(parts, shown)
            series.trades.extendleft(last)
            if key in self._seqs:
                prev_seq, self._seqs[key] = self._seqs[key], position
                bodies = trade_bodies(series.texts, last)
                at = self._times.text(at_ns)
                messages += in_parts(key, series.texts.series.id, prev_seq, position, at, "trades", bodies)
            for minutes in INTERVALS.values():
                self._tell(
                    messages,
                    Channel.CANDLES,
                    number,
                    position,
                    at_ns,
                    candles_body,
                    (minutes, candles[minutes]),
                    minutes,
                )
        return told

    def _tell(
        self,
        messages: list[Message],
        channel: Channel,
        number: int,
        position: int,
        at_ns: int,
        body_of: Callable[..., Mapping[str, Any]],
        of: tuple[Any, ...],
        minutes: int = 0,
    ) -> None:
        """The message of a channel, if it is open."""
        key = Key(channel, number, minutes)
        prev_seq = self._seqs.get(key)
        if prev_seq is None:
            return
        texts = self._of(number).texts
        self._seqs[key] = position
        at = self._times.text(at_ns)
        messages.append(message(key, texts.series.id, prev_seq, position, at, body_of(texts, *of)))


def _last_trades(parts: list[tuple[int, Any]], wanted: int) -> list[TradeRow]:
    """The last of the trades, in order; each part stands behind its position."""
    found: list[TradeRow] = []
    for position, rows in reversed(parts):
        left = wanted - len(found)
        if not left:
            break
        part = rows[-left:]
        times, values = part["at_ns"].tolist(), part[PUBLIC_TRADE].tolist()
        found[:0] = [(position, at, value) for at, value in zip(times, values, strict=True)]
    return found
