"""What trading in one series adds up to as it goes on: the day's ticker, the candles in progress.

Times are those of the house, never a clock's: a window of 24 hours ends at the last trade or the last entry that was
folded, so the same log gives the same ticker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import reduce
from typing import Any, Final, NamedTuple

import numpy as np

MINUTE_NS: Final = 60_000_000_000
DAY_MINUTES: Final = 1_440
INTERVALS: Final = {"1m": 1, "5m": 5, "1h": 60, "1d": DAY_MINUTES}
"""Minutes of a candle by name."""


class Candle(NamedTuple):
    """Trading in one interval."""

    minute: int
    """First minute, counted from 1970; a multiple of the interval."""
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    notional_minor: int
    trades: int

    def and_then(self, later: Candle) -> Candle:
        """This one with what came after it."""
        return Candle(
            self.minute,
            self.open_ticks,
            max(self.high_ticks, later.high_ticks),
            min(self.low_ticks, later.low_ticks),
            later.close_ticks,
            self.lots + later.lots,
            self.notional_minor + later.notional_minor,
            self.trades + later.trades,
        )


class Ticker(NamedTuple):
    """The last price, and the 24 hours (by the minute) up to it."""

    position: int
    last_ticks: int
    last_lots: int
    last_at_ns: int
    change_ticks: int
    """Last price minus the last price before the 24 hours, or their first."""
    high_ticks: int
    low_ticks: int
    lots: int
    notional_minor: int
    trades: int


class Tape:
    """The trades of one series."""

    def __init__(self) -> None:
        self.ticker: Ticker | None = None
        self._minutes: deque[Candle] = deque()
        """Minutes of the last 24 hours in which something traded, the one in progress last."""
        self._ended: Candle | None = None
        """All of them but the last as one, so that a trade costs no look at the whole day."""
        self._before_ticks: int | None = None
        """Last price before them."""
        self._candles: dict[int, Candle] = {}

    def add(self, position: int, trades: Any) -> dict[int, list[Candle]]:
        """Take in rows of TRADE, at least one; the candles they changed by interval, in order of time."""
        changed: dict[int, list[Candle]] = {}
        for part in _by_minute(trades):
            self._add_minute(part)
            for interval in INTERVALS.values():
                candle = self._candles.get(interval)
                start = part.minute // interval * interval
                if candle is None or candle.minute != start:
                    candle = part._replace(minute=start)
                else:
                    candle = candle.and_then(part)
                self._candles[interval] = candle
                told = changed.setdefault(interval, [])
                if told and told[-1].minute == start:
                    told[-1] = candle
                else:
                    told.append(candle)
        self._sum_up(position, trades[-1])
        return changed

    def candles(self) -> dict[int, Candle]:
        """By interval the one in progress, or the last if nothing has traded since it ended."""
        return dict(self._candles)

    def _add_minute(self, part: Candle) -> None:
        minutes = self._minutes
        if minutes and minutes[-1].minute == part.minute:
            minutes[-1] = minutes[-1].and_then(part)
            return
        while minutes and minutes[0].minute <= part.minute - DAY_MINUTES:
            self._before_ticks = minutes.popleft().close_ticks
        self._ended = reduce(Candle.and_then, minutes) if minutes else None
        minutes.append(part)

    def _sum_up(self, position: int, last: Any) -> None:
        day = self._minutes[-1] if self._ended is None else self._ended.and_then(self._minutes[-1])
        last_ticks = int(last["price_ticks"])
        before_ticks = day.open_ticks if self._before_ticks is None else self._before_ticks
        self.ticker = Ticker(
            position,
            last_ticks=last_ticks,
            last_lots=int(last["lots"]),
            last_at_ns=int(last["at_ns"]),
            change_ticks=last_ticks - before_ticks,
            high_ticks=day.high_ticks,
            low_ticks=day.low_ticks,
            lots=day.lots,
            notional_minor=day.notional_minor,
            trades=day.trades,
        )


def _by_minute(trades: Any) -> Iterator[Candle]:
    """The trades of each minute as a candle of one minute."""
    minutes = trades["at_ns"] // MINUTE_NS
    ends = [*(np.flatnonzero(np.diff(minutes)) + 1).tolist(), len(trades)]
    first = 0
    for end in ends:
        part = trades[first:end]
        prices = part["price_ticks"]
        yield Candle(
            int(minutes[first]),
            int(prices[0]),
            int(prices.max()),
            int(prices.min()),
            int(prices[-1]),
            int(part["lots"].sum()),
            int(part["notional_minor"].sum()),
            end - first,
        )
        first = end
