"""A market for researchers: many order books behind one object, NumPy rows in and out, no money, no clock, no log.

    from matching.layout import Side
    from matching.market import Market

    market = Market()
    ask = market.submit(side=Side.SELL, price=101, lots=5)
    market.submit(side=Side.SELL, price=101, lots=5)
    taken = market.submit(side=Side.BUY, price=102, lots=7)
    taken.fills                       # [(maker 1, 5 lots at 101), (maker 2, 2 lots at 101)]
    market.depth(Side.SELL)           # [(101, 3 lots, 1 order)]

Prices are whole ticks, quantities whole lots. The better price trades first, at one price the order that came first; a
trade has the price of the order that rested. A replaced order keeps its number, and its place as long as it only gets
smaller. A series may gather orders for an auction and then trade all of them at one price (`matching.auction`).

Two ways in: a method per command, which raises `MarketError` where the market refuses, and `run`, which takes any
number of commands at once (COMMAND rows of `matching.layout`) and answers with rows. A call costs some tens of
microseconds, a command in a batch a thousandth of that, so whoever replays a day uses `run`.
"""

from __future__ import annotations

import operator
from typing import NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from matching.auction import UNCROSS, price_auction, walk
from matching.book import new_book, with_indexes_grown
from matching.layout import COMMAND, FILL, FLAG_MARKET, RESULT, Code, Kind, Side, TimeInForce
from matching.market_kernel import (
    ACTIVE,
    CONTINUOUS,
    DEPTH,
    DONE,
    GATHERING,
    INDEX_FULL,
    LOTS_SUM_MAX,
    PRICE_MAX,
    QUEUED,
    REPLACE,
    TOP,
    depth_rows,
    lots_left,
    queue_rows,
    run_commands,
    write_top,
)
from matching.rulebook_layout import HIGHEST, LOWEST, NO_PRICE

Rows = NDArray[np.void]
"""A structured array."""

UNPRICED = {Side.BUY: HIGHEST, Side.SELL: LOWEST}
"""Price under which orders without a price are listed."""


class MarketError(ValueError):
    """The market refused a command. Nothing has changed.

    `code` is the lower-case name of a `matching.layout.Code`, `field` the argument that broke the `rule`.
    """

    def __init__(self, code: Code, *, field: str, rule: str, value: object) -> None:
        self.code = code.name.lower()
        self.field = field
        self.rule = rule
        self.value = value
        super().__init__(f"{self.code}: {field} {rule}, not {value!r}")


class Outcome(NamedTuple):
    """What became of an order that came, or came again."""

    order: int
    """Its number, from 1; a replaced order keeps it."""
    resting: int
    """Lots that rest now."""
    fills: Rows
    """[n] of FILL, in the order they happened."""


class Level(NamedTuple):
    """A price level."""

    price: int
    lots: int
    orders: int


class Batch(NamedTuple):
    """What became of a batch of commands."""

    results: Rows
    """[commands] of RESULT: `code` (a `Code`), `order`, `lots` resting, number of `fills`."""
    fills: Rows
    """[n] of FILL, over all commands; `command` is that of the row that came."""
    tops: Rows
    """[commands] of TOP, or [0]: the best prices of the command's series after it."""


class Market:
    """Order books of `series` 1 to n. Not thread-safe; every method either does all it says or changes nothing."""

    def __init__(self, *, series: int = 1, orders: int = 1 << 20, levels: int = 1 << 16, fills: int = 1 << 16) -> None:
        """Room for so many series, open orders and price levels at a time, all series together.

        `fills` is the size of the buffer between two calls of the kernel; a command may have any number of fills. Room
        is address space: what is never used occupies no memory. An order may have 2^62 / `orders` lots.
        """
        room = {"series": series, "orders": orders, "levels": levels, "fills": fills}
        for field, value in room.items():
            if not 1 <= value < 1 << 31:
                raise MarketError(Code.CAPACITY_EXHAUSTED, field=field, rule="is from 1 to 2^31 - 1", value=value)
        self._book = new_book(series_max=series, orders_max=orders, levels_max=levels)
        self._active = np.zeros(1, ACTIVE)
        self._phases = np.full(series + 1, CONTINUOUS, np.int8)
        self._fills = np.zeros(fills, FILL)
        self._row = np.zeros(1, COMMAND)
        self._result = np.zeros(1, RESULT)
        self._no_tops = np.zeros(0, TOP)

    # -- one command ---------------------------------------------------------------------------------------------------

    def submit(
        self,
        *,
        side: Side,
        lots: int,
        price: int | None = None,
        series: int = 1,
        account: int = 0,
        tif: TimeInForce = TimeInForce.GTC,
    ) -> Outcome:
        """A new order. Without a `price` it is a market order: it trades at any price, and what is left of it is gone.

        While its series gathers for an auction every order rests, market orders before all limits; IOC is refused.
        """
        row = self._row
        row.fill(0)
        row["kind"], row["series"], row["side"], row["tif"] = (
            Kind.NEW,
            self._known(series),
            Side(side),
            TimeInForce(tif),
        )
        row["price"] = _price(price) if price is not None else 0
        row["flags"] = 0 if price is not None else FLAG_MARKET
        row["lots"], row["account"] = self._lots(lots), account
        if tif == TimeInForce.IOC and self.gathers(series):
            raise MarketError(Code.COMMAND_MALFORMED, field="tif", rule="is GTC while the series gathers", value=tif)
        return self._outcome(*self._single())

    def cancel(self, order: int) -> int:
        """Take an order out; returns the lots it had left."""
        left = self._open(order)
        self._change(Kind.CANCEL, order)
        return left

    def reduce(self, order: int, lots: int) -> int:
        """Take lots off an order, which keeps its place; returns what it has left, at least 1."""
        left = self._open(order)
        if not 1 <= lots < left:
            rule = f"is from 1 to {left - 1}: less than what is left" if left > 1 else "cannot be taken off 1 lot"
            raise MarketError(Code.LOTS_NOT_REDUCIBLE, field="lots", rule=rule, value=lots)
        self._change(Kind.REDUCE, order, lots=lots)
        return left - lots

    def replace(self, order: int, *, lots: int, price: int | None = None) -> Outcome:
        """Give an order `lots` left, and another `price`. Its number stays.

        Not more lots at the same price: it keeps its place. More lots or another price: it leaves its place and comes
        again, and may trade at once.
        """
        self._open(order)
        new = _price(price) if price is not None else 0
        return self._outcome(*self._change(REPLACE, order, lots=self._lots(lots), price=new))

    # -- many commands -------------------------------------------------------------------------------------------------

    def run(self, commands: Rows, *, tops: bool = False) -> Batch:
        """Carry out COMMAND rows in order. A refused one changes nothing and has its reason in `results["code"]`.

        Read are `command` (copied into results and fills), `kind` (NEW, CANCEL, REDUCE, or `REPLACE`), `series`,
        `side`, `price` (0 with FLAG_MARKET: no price; 0 in a REPLACE: the old one), `lots`, `tif`, `flags`, `account`
        and `target`. Every accepted NEW takes the next order number; the first is what `next_order` was before.
        """
        if commands.dtype != COMMAND or commands.ndim != 1:
            raise MarketError(
                Code.COMMAND_MALFORMED, field="commands", rule="is one-dimensional of COMMAND", value=commands.dtype
            )
        results = np.zeros(len(commands), RESULT)
        top_rows = np.zeros(len(commands) if tops else 0, TOP)
        return Batch(results, self._run(commands, results, top_rows), top_rows)

    # -- the auction ---------------------------------------------------------------------------------------------------

    def gather(self, series: int = 1) -> None:
        """From now on orders of this series rest without trading, until `uncross`."""
        self._phases[self._known(series)] = GATHERING

    def gathers(self, series: int = 1) -> bool:
        """Whether this series gathers orders for an auction."""
        return bool(self._phases[self._known(series)] == GATHERING)

    def indicative(self, series: int = 1, *, reference: int | None = None) -> Rows:
        """Price, volume and certificate (one UNCROSS row, see `matching.auction`) if it were uncrossed now."""
        row = np.zeros(1, UNCROSS)
        price_auction(self._book, self._known(series), NO_PRICE if reference is None else reference, row[0])
        return row

    def uncross(self, series: int = 1, *, reference: int | None = None, command: int = 0) -> tuple[Rows, Rows]:
        """Trade all that can trade at one price, drop what is left of market orders, and go on continuously.

        Returns (one UNCROSS row, FILL rows with the buy order as `maker` and the sell order as `taker`). Without a
        price at which anything trades (`price` 0) there are no fills.
        """
        if not self.gathers(series):
            raise MarketError(Code.COMMAND_MALFORMED, field="series", rule="gathers orders", value=series)
        row = self.indicative(series, reference=reference)
        row["command"] = command
        parts: list[Rows] = []
        left = int(row["volume"][0])
        while left > 0:
            written, left = walk(self._book, series, int(row["price"][0]), left, command, self._fills)
            parts.append(self._fills[:written].copy())
        for side in Side:
            for queued in self.queue(side, UNPRICED[side], series=series):
                self.cancel(int(queued["order"]))
        self._phases[series] = CONTINUOUS
        return row, np.concatenate(parts) if parts else np.zeros(0, FILL)

    # -- what it holds -------------------------------------------------------------------------------------------------

    @property
    def next_order(self) -> int:
        """The number of the next order."""
        return int(self._book.tally["next_order"][0])

    @property
    def open_orders(self) -> int:
        """Orders that rest, over all series."""
        return int(self._book.tally["open_orders"][0])

    def top(self, series: int = 1) -> Rows:
        """Best bid and ask (one TOP row)."""
        row = np.zeros(1, TOP)
        write_top(self._book, self._known(series), row[0])
        return row

    def best(self, side: Side, *, series: int = 1) -> Level | None:
        """The first level of a side, or None when it has no order."""
        rows = self.depth(side, series=series, levels=1)
        return Level(*(int(value) for value in rows[0])) if len(rows) else None

    def depth(self, side: Side, *, series: int = 1, levels: int = 10) -> Rows:
        """The first levels of a side (DEPTH rows), best first."""
        rows = np.zeros(levels, DEPTH)
        return rows[: depth_rows(self._book, self._known(series), int(side), rows)]

    def queue(self, side: Side, price: int, *, series: int = 1) -> Rows:
        """The orders of a level (QUEUED rows), first in time first; none if there is no such level."""
        rows = np.zeros(16, QUEUED)
        count = queue_rows(self._book, self._known(series), int(side), price, rows)
        if count > len(rows):
            rows = np.zeros(count, QUEUED)
            queue_rows(self._book, series, int(side), price, rows)
        return rows[:count]

    def lots_left(self, order: int) -> int:
        """Lots an order has left; 0 when it does not rest, or never came."""
        if order < 1:
            return 0
        return int(lots_left(self._book, order))

    # -- how -----------------------------------------------------------------------------------------------------------

    def _run(self, commands: Rows, results: Rows, tops: Rows) -> Rows:
        """Run to the end, however often the kernel has to come back; returns the fills."""
        parts: list[Rows] = []
        at = 0
        while True:
            at, written, why = run_commands(
                self._book, self._active, self._phases, commands, results, self._fills, tops, at
            )
            parts.append(self._fills[:written].copy())
            if why == DONE:
                return parts[0] if len(parts) == 1 else np.concatenate(parts)
            if why == INDEX_FULL:
                self._book = with_indexes_grown(self._book)

    def _single(self) -> tuple[Rows, Rows]:
        self._result.fill(0)
        fills = self._run(self._row, self._result, self._no_tops)
        code = Code(int(self._result["code"][0]))
        if code == Code.CAPACITY_EXHAUSTED:
            rule = f"of the market is for {len(self._book.orders)} orders at {len(self._book.levels)} prices"
            raise MarketError(code, field="room", rule=rule, value=self.open_orders)
        assert code == Code.OK, code
        return self._result, fills

    def _change(self, kind: int, order: int, *, lots: int = 0, price: int = 0) -> tuple[Rows, Rows]:
        self._row.fill(0)
        self._row["kind"], self._row["target"], self._row["lots"], self._row["price"] = kind, order, lots, price
        return self._single()

    def _outcome(self, result: Rows, fills: Rows) -> Outcome:
        return Outcome(order=int(result["order"][0]), resting=int(result["lots"][0]), fills=fills)

    def _open(self, order: int) -> int:
        """Lots an open order has left."""
        if not 1 <= order < self.next_order:
            rule = f"is the number of an order, 1 to {self.next_order - 1}" if self.next_order > 1 else "has come"
            raise MarketError(Code.UNKNOWN_ORDER, field="order", rule=rule, value=order)
        left = self.lots_left(order)
        if left == 0:
            raise MarketError(Code.ORDER_NOT_OPEN, field="order", rule="rests", value=order)
        return left

    def _known(self, series: int) -> int:
        if not 1 <= series < len(self._phases):
            last = len(self._phases) - 1
            raise MarketError(Code.UNKNOWN_SERIES, field="series", rule=f"is from 1 to {last}", value=series)
        return series

    def _lots(self, lots: SupportsIndex) -> int:
        count = operator.index(lots)
        most = LOTS_SUM_MAX // len(self._book.orders)
        if not 1 <= count <= most:
            raise MarketError(Code.LOTS_OUT_OF_RANGE, field="lots", rule=f"is from 1 to {most}", value=lots)
        return count


def _price(price: SupportsIndex) -> int:
    ticks = operator.index(price)
    if not 1 <= ticks <= PRICE_MAX:
        rule = f"is from 1 to {PRICE_MAX} ticks"
        raise MarketError(Code.PRICE_OUT_OF_RANGE, field="price", rule=rule, value=price)
    return ticks
