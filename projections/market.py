"""What everybody may see of trading: trades, candles, last prices and volumes, and depth as of the fold.

Nothing here names a party. Prices are ticks, quantities lots, amounts minor units of the series' currency, times
nanoseconds. A candle begins at a multiple of its length since 1970 (UTC); one without trades does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Index, Row, Select, and_, func, select

from matching.layout import Side
from projections.bulk import Columns, columns_of, delete, insert, upsert
from projections.projection import Batch
from projections.schema import integer, table

# -- tables ------------------------------------------------------------------------------------------------------------

SECOND_NS: Final = 1_000_000_000
CANDLE_SECONDS: Final = (60, 300, 3_600, 86_400)
DAY_SECONDS: Final = 86_400

trades = table(
    "trades",
    integer("command", key=True),
    integer("fill", key=True),  # of the command, from 0
    integer("at_ns"),
    integer("series"),
    integer("price_ticks"),
    integer("lots"),
    integer("notional_minor"),
    integer("taker_side"),
    integer("is_primary"),  # 1: out of unissued supply
    integer("position"),
    Index("trades_by_series", "series", "command", "fill"),
)
candles = table(
    "candles",
    integer("series", key=True),
    integer("seconds", key=True),
    integer("start_ns", key=True),
    integer("open_ticks"),
    integer("high_ticks"),
    integer("low_ticks"),
    integer("close_ticks"),
    integer("lots"),
    integer("notional_minor"),
    integer("trades"),
    integer("last_command"),
)
prices = table(
    "prices",
    integer("series", key=True),
    integer("last_ticks"),
    integer("last_at_ns"),
    integer("last_command"),
    integer("lots"),  # traded since the series was listed
    integer("notional_minor"),
    integer("trades"),
)
levels = table(
    "levels",
    integer("series", key=True),
    integer("side", key=True),
    integer("price_ticks", key=True),
    integer("lots"),
    integer("orders"),
)

# -- the fold ----------------------------------------------------------------------------------------------------------

_CANDLE: Final = np.dtype([(column.name, "<i8") for column in candles.columns])
_PRICE: Final = np.dtype([(column.name, "<i8") for column in prices.columns])
_LEVEL_KEY: Final = ("series", "side", "price_ticks")


class Market:
    """The read model of public market data."""

    name = "market"
    version = 1
    tables = (trades, candles, prices, levels)

    def __init__(self) -> None:
        self._trades: list[Columns] = []
        self._latest = np.zeros((len(CANDLE_SECONDS), 16), _CANDLE)
        """By (length, series): the candle that the next trade may still belong to; one without trades is none."""
        self._candles: list[Any] = []
        self._prices = np.zeros(16, _PRICE)
        """By series."""
        self._priced: list[Any] = []
        self._levels: list[Any] = []

    def load(self, connection: Connection) -> None:
        newest = (
            select(candles.c.series, candles.c.seconds, func.max(candles.c.start_ns).label("start_ns"))
            .group_by(candles.c.series, candles.c.seconds)
            .subquery()
        )
        same = and_(*(candles.c[name] == newest.c[name] for name in ("series", "seconds", "start_ns")))
        for row in connection.execute(select(candles).join(newest, same)):
            self._make_room(row.series)
            self._latest[CANDLE_SECONDS.index(row.seconds), row.series] = tuple(row)
        for row in connection.execute(select(prices)):
            self._make_room(row.series)
            self._prices[row.series] = tuple(row)

    def fold(self, batch: Batch) -> None:
        rows = batch.flow.rows
        if len(rows.trades):
            self._fold_trades(batch.flow.position_of("trades"), rows.trades)
        if len(rows.levels):
            self._levels.append(rows.levels)

    def write(self, connection: Connection) -> None:
        for columns in self._trades:
            insert(connection, trades, columns)
        for rows in self._candles:
            upsert(connection, candles, columns_of(rows))
        if self._priced:
            series = np.unique(np.concatenate(self._priced))
            upsert(connection, prices, columns_of(self._prices[series]))
        if self._levels:
            rows = _last_of(np.concatenate(self._levels), _LEVEL_KEY)
            gone = rows["orders"] == 0
            delete(connection, levels, columns_of(rows[gone], _LEVEL_KEY))
            upsert(connection, levels, columns_of(rows[~gone]))
        self._trades, self._candles, self._priced, self._levels = [], [], [], []

    def _fold_trades(self, positions: Any, rows: Any) -> None:
        names = ("command", "fill", "at_ns", "series", "price_ticks", "lots", "notional_minor", "taker_side")
        self._trades.append(columns_of(rows, names) | {"is_primary": rows["primary"], "position": positions})
        self._make_room(int(rows["series"].max()))
        for latest, seconds in zip(self._latest, CANDLE_SECONDS, strict=True):
            fresh = candles_of(rows, seconds)
            # Time never runs backwards, so only the first candle of a series can go on with one that is known.
            first = np.flatnonzero(np.diff(fresh["series"], prepend=0))
            known = latest[fresh["series"][first]]
            same = (known["trades"] > 0) & (known["start_ns"] == fresh["start_ns"][first])
            fresh[first[same]] = _merged(known[same], fresh[first[same]])
            last = np.flatnonzero(np.diff(fresh["series"], append=0))
            latest[fresh["series"][last]] = fresh[last]
            self._candles.append(fresh)
        # One candle without a length holds all of a series.
        traded = candles_of(rows, 0)
        series = traded["series"]
        price = self._prices[series]
        price["series"] = series
        price["last_ticks"] = traded["close_ticks"]
        price["last_command"] = traded["last_command"]
        price["last_at_ns"][np.searchsorted(series, rows["series"])] = rows["at_ns"]  # The last of equal ones stays.
        for name in ("lots", "notional_minor", "trades"):
            price[name] += traded[name]
        self._prices[series] = price
        self._priced.append(series)

    def _make_room(self, series: int) -> None:
        room = len(self._prices)
        if series >= room:
            more = max(series + 1, 2 * room) - room
            self._prices = np.concatenate([self._prices, np.zeros(more, _PRICE)])
            empty = np.zeros((len(CANDLE_SECONDS), more), _CANDLE)
            self._latest = np.concatenate([self._latest, empty], axis=1)


def candles_of(rows: Any, seconds: int) -> Any:
    """Candles of TRADE rows in order, by (series, start); with a length of 0 seconds one per series."""
    length = seconds * SECOND_NS
    starts = rows["at_ns"] - rows["at_ns"] % length if length else np.zeros(len(rows), np.int64)
    order = np.lexsort((starts, rows["series"]))
    rows, starts = rows[order], starts[order]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (rows["series"][1:] != rows["series"][:-1]) | (starts[1:] != starts[:-1])
    first = np.flatnonzero(is_first)
    last = np.append(first[1:], len(rows)) - 1
    found = np.zeros(len(first), _CANDLE)
    found["series"] = rows["series"][first]
    found["seconds"] = seconds
    found["start_ns"] = starts[first]
    found["open_ticks"] = rows["price_ticks"][first]
    found["high_ticks"] = np.maximum.reduceat(rows["price_ticks"], first)
    found["low_ticks"] = np.minimum.reduceat(rows["price_ticks"], first)
    found["close_ticks"] = rows["price_ticks"][last]
    found["lots"] = np.add.reduceat(rows["lots"], first)
    found["notional_minor"] = np.add.reduceat(rows["notional_minor"], first)
    found["trades"] = last - first + 1
    found["last_command"] = rows["command"][last]
    return found


def _merged(known: Any, rows: Any) -> Any:
    """Candles `rows` that go on with what is known of them."""
    rows["open_ticks"] = known["open_ticks"]
    rows["high_ticks"] = np.maximum(known["high_ticks"], rows["high_ticks"])
    rows["low_ticks"] = np.minimum(known["low_ticks"], rows["low_ticks"])
    for name in ("lots", "notional_minor", "trades"):
        rows[name] += known[name]
    return rows


def _last_of(rows: Any, names: Sequence[str]) -> Any:
    """The last row of each key, by key."""
    order = np.lexsort(tuple(rows[name] for name in reversed(names)))
    rows = rows[order]
    is_last = np.ones(len(rows), bool)
    is_last[:-1] = np.any([rows[name][1:] != rows[name][:-1] for name in names], axis=0)
    return rows[is_last]


# -- questions ---------------------------------------------------------------------------------------------------------


class Ticker(NamedTuple):
    """A series now. What is not known, since it never traded or a side is empty, is None."""

    series: int
    last_ticks: int | None
    last_at_ns: int | None
    last_command: int | None
    change_ticks: int | None
    """Last price minus the price of 24 hours ago, or the first price since."""
    bid_ticks: int | None
    ask_ticks: int | None
    spread_ticks: int | None
    high_ticks: int | None
    low_ticks: int | None
    lots: int
    """Of the last 24 hours, to the minute; as are high, low, notional and trades."""
    notional_minor: int
    trades: int
    all_lots: int
    """Since the series was listed."""
    all_notional_minor: int
    all_trades: int


def series_trades(
    connection: Connection, series: int, after: tuple[int, int] | None = None, limit: int = 100
) -> Sequence[Row[Any]]:
    """Trades of a series, the latest first; `after` is the (command, fill) of the last one seen."""
    asked = select(trades).where(trades.c.series == series)
    if after is not None:
        command, fill = after
        asked = asked.where((trades.c.command < command) | ((trades.c.command == command) & (trades.c.fill < fill)))
    return connection.execute(asked.order_by(trades.c.command.desc(), trades.c.fill.desc()).limit(limit)).all()


def series_candles(
    connection: Connection,
    series: int,
    seconds: int,
    *,
    before_ns: int | None = None,
    since_ns: int | None = None,
    limit: int = 500,
) -> Sequence[Row[Any]]:
    """Candles of a series that start before one moment and not before another, the latest first."""
    asked = select(candles).where(candles.c.series == series, candles.c.seconds == seconds)
    if before_ns is not None:
        asked = asked.where(candles.c.start_ns < before_ns)
    if since_ns is not None:
        asked = asked.where(candles.c.start_ns >= since_ns)
    return connection.execute(asked.order_by(candles.c.start_ns.desc()).limit(limit)).all()


def depth(connection: Connection, series: int, limit: int = 50) -> tuple[Sequence[Row[Any]], Sequence[Row[Any]]]:
    """(bids, asks) of a series, the best first, at most so many levels each: rows of `levels`."""
    found = []
    for side, order in ((Side.BUY, levels.c.price_ticks.desc()), (Side.SELL, levels.c.price_ticks)):
        asked = select(levels).where(levels.c.series == series, levels.c.side == int(side))
        found.append(connection.execute(asked.order_by(order).limit(limit)).all())
    return found[0], found[1]


def tickers(connection: Connection, now_ns: int, series: Sequence[int] | None = None) -> dict[int, Ticker]:
    """The tickers of the series named, or of all that have traded or have an open order, by series."""
    since_ns = now_ns - DAY_SECONDS * SECOND_NS
    last = {row.series: row for row in _of(connection, select(prices), prices, series)}
    best = _best(connection, series)
    day = {row.series: row for row in _of(connection, _volume(since_ns), candles, series)}
    before = {row.series: row.close_ticks for row in _of(connection, _close_before(since_ns), candles, series)}
    opened = {row.series: row.open_ticks for row in _of(connection, _open_since(since_ns), candles, series)}
    found = {}
    for number in sorted(last.keys() | best.keys()) if series is None else series:
        price = last.get(number)
        bid, ask = best.get(number, (None, None))
        volume = day.get(number)
        reference = before.get(number, opened.get(number))
        found[number] = Ticker(
            series=number,
            last_ticks=price and price.last_ticks,
            last_at_ns=price and price.last_at_ns,
            last_command=price and price.last_command,
            change_ticks=None if price is None or reference is None else price.last_ticks - reference,
            bid_ticks=bid,
            ask_ticks=ask,
            spread_ticks=None if bid is None or ask is None else ask - bid,
            high_ticks=volume and volume.high_ticks,
            low_ticks=volume and volume.low_ticks,
            lots=int(volume.lots) if volume else 0,
            notional_minor=int(volume.notional_minor) if volume else 0,
            trades=int(volume.trades) if volume else 0,
            all_lots=price.lots if price else 0,
            all_notional_minor=price.notional_minor if price else 0,
            all_trades=price.trades if price else 0,
        )
    return found


def _of(connection: Connection, asked: Select[Any], of: Any, series: Sequence[int] | None) -> Sequence[Row[Any]]:
    return connection.execute(asked if series is None else asked.where(of.c.series.in_(series))).all()


def _best(connection: Connection, series: Sequence[int] | None) -> dict[int, tuple[int | None, int | None]]:
    """(best bid, best ask) by series; both are the end of a range of the key."""
    asked = select(
        levels.c.series,
        levels.c.side,
        func.min(levels.c.price_ticks).label("least"),
        func.max(levels.c.price_ticks).label("most"),
    ).group_by(levels.c.series, levels.c.side)
    bids, asks = {}, {}
    for row in _of(connection, asked, levels, series):
        if row.side == Side.BUY:
            bids[row.series] = row.most
        else:
            asks[row.series] = row.least
    return {number: (bids.get(number), asks.get(number)) for number in bids.keys() | asks.keys()}


def _minutes(since_ns: int) -> Any:
    return (candles.c.seconds == CANDLE_SECONDS[0]) & (candles.c.start_ns >= since_ns)


def _volume(since_ns: int) -> Select[Any]:
    return (
        select(
            candles.c.series,
            func.max(candles.c.high_ticks).label("high_ticks"),
            func.min(candles.c.low_ticks).label("low_ticks"),
            func.sum(candles.c.lots).label("lots"),
            func.sum(candles.c.notional_minor).label("notional_minor"),
            func.sum(candles.c.trades).label("trades"),
        )
        .where(_minutes(since_ns))
        .group_by(candles.c.series)
    )


def _open_since(since_ns: int) -> Select[Any]:
    """The first candle of each series from a moment on."""
    return _edge(func.min(candles.c.start_ns), _minutes(since_ns))


def _close_before(since_ns: int) -> Select[Any]:
    """The last candle of each series before a moment."""
    earlier = (candles.c.seconds == CANDLE_SECONDS[0]) & (candles.c.start_ns < since_ns)
    return _edge(func.max(candles.c.start_ns), earlier)


def _edge(start_ns: Any, condition: Any) -> Select[Any]:
    edge = select(candles.c.series, start_ns.label("start_ns")).where(condition).group_by(candles.c.series).subquery()
    return select(candles).join(
        edge,
        (candles.c.series == edge.c.series)
        & (candles.c.start_ns == edge.c.start_ns)
        & (candles.c.seconds == CANDLE_SECONDS[0]),
    )
