"""The open orders of one series: who rests where and in which place, which stops wait, which pegs have no price.

Here an order only moves and ends; who trades with whom is decided in `reference_taking` and `reference_uncross`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from matching.layout import Side
from matching.reference_rows import Ended, Fill, Place, Rows
from matching.reference_settings import PPM, Settings
from matching.rulebook_layout import CALLS, FLAG_MARKET, FLAG_POST_ONLY, HIGHEST, LOWEST, Ending, Phase, TimeInForce


@dataclass(slots=True)
class Account:
    """A party as matching knows it: its beneficial owner, and which counterparties it declared not to trade with."""

    owner: int
    traits: int = 0
    """Mask of what it is."""
    refuses: int = 0
    """Mask of what it does not trade with."""
    killed: bool = False
    deadman_due_ns: int = 0
    rate_window: int = -1
    rate_count: int = 0
    orders: dict[int, Order] = field(default_factory=dict)
    """Its open orders in order of acceptance."""


@dataclass(slots=True)
class Order:
    """An open order. `lots` are open, `shown` of them stand in the book for all to see."""

    number: int
    account: int
    series: int
    owner: int
    side: Side
    limit: int
    """Worst price at which it may trade: limit, protection or cap."""
    price: int
    """Where it stands; a peg's moves."""
    lots: int
    tif: int
    flags: int
    trigger: int
    display: int
    refresh_below: int
    min_lots: int
    expire_ns: int
    offset: int
    oco: int
    peg: int
    self_trade: int
    shown: int = 0
    filled: int = 0
    hit: int = 0
    """Of a waiting stop that a trade has hit: the number of the round in which it was."""
    open: bool = True

    @property
    def is_market(self) -> bool:
        return bool(self.flags & FLAG_MARKET)

    @property
    def is_post_only(self) -> bool:
        return bool(self.flags & FLAG_POST_ONLY)

    @property
    def rests(self) -> bool:
        """Whether what does not trade at once may stand in the book."""
        return not self.is_market and self.tif not in (TimeInForce.IOC, TimeInForce.FOK)

    @property
    def auction_only(self) -> bool:
        return self.tif in (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)

    def reaches(self, price: int) -> bool:
        """Whether it may trade at the price."""
        return price <= self.limit if self.side == Side.BUY else price >= self.limit


Level = dict[int, Order]
"""The queue of one price: orders by number, first in time first; a dict keeps the order in which they joined."""


@dataclass(slots=True)
class BookSide:
    """The resting orders of one side."""

    side: Side
    prices: list[int] = field(default_factory=list)
    """Ascending."""
    levels: dict[int, Level] = field(default_factory=dict)

    def best(self) -> int | None:
        if not self.prices:
            return None
        return self.prices[-1] if self.side == Side.BUY else self.prices[0]

    def best_first(self) -> Iterator[tuple[int, Level]]:
        for price in reversed(self.prices) if self.side == Side.BUY else self.prices:
            yield price, self.levels[price]

    def in_priority(self) -> Iterator[Order]:
        for _, level in self.best_first():
            yield from level.values()

    def join(self, order: Order) -> None:
        """At the tail of its price."""
        level = self.levels.get(order.price)
        if level is None:
            level = self.levels[order.price] = {}
            insort(self.prices, order.price)
        level[order.number] = order

    def leave(self, order: Order) -> None:
        level = self.levels[order.price]
        del level[order.number]
        if not level:
            del self.levels[order.price]
            del self.prices[bisect_left(self.prices, order.price)]

    def to_back(self, order: Order) -> None:
        level = self.levels[order.price]
        level[order.number] = level.pop(order.number)


@dataclass(slots=True)
class Series:
    """One series: its rules, its phase and its open orders."""

    number: int
    settings: Settings
    accounts: dict[int, Account]
    open_orders: dict[int, Order]
    """Those of all series, by number."""
    rows: Rows
    phase: Phase = Phase.CONTINUOUS
    last_trade: int = 0
    reference: int = 0
    killed: bool = False
    orders: dict[int, Order] = field(default_factory=dict)
    sides: tuple[BookSide, BookSide] = field(default_factory=lambda: (BookSide(Side.BUY), BookSide(Side.SELL)))
    stops: dict[int, Order] = field(default_factory=dict)
    """Waiting stops in order of acceptance."""
    pegs: dict[int, Order] = field(default_factory=dict)
    """All pegs in order of acceptance."""
    parked: set[int] = field(default_factory=set)
    """Which of them have no price. Asked for members only, never walked through."""
    groups: dict[tuple[int, int], dict[int, Order]] = field(default_factory=dict)
    """Legs that wait for each other, by account and number of the group."""
    thin: dict[int, Order] = field(default_factory=dict)
    """Icebergs that show less than they should, to be refreshed when the taking order is done."""
    traded_low: int = 0
    traded_high: int = 0
    """Trade prices since the waiting stops were last looked at; 0 is none."""
    hit_rounds: int = 0

    def other(self, order: Order) -> BookSide:
        """The side that the order would trade with."""
        return self.sides[1 - order.side]

    def crossing_price(self, order: Order) -> int | None:
        """The best price of the other side, if the order reaches it."""
        best = self.other(order).best()
        return best if best is not None and order.reaches(best) else None

    def is_crossed(self) -> bool:
        bid, ask = self.sides[Side.BUY].best(), self.sides[Side.SELL].best()
        return bid is not None and ask is not None and bid >= ask

    @property
    def collects(self) -> bool:
        """Whether orders wait for an uncrossing."""
        return self.phase in CALLS

    def place(self, order: Order) -> Place:
        """Where an open order is."""
        if order.number in self.stops:
            return Place.PENDING
        return Place.PARKED if order.number in self.parked else Place.RESTING

    def standing(self) -> list[Order]:
        """Every open order: bids and asks in priority, then waiting stops and parked pegs in order of acceptance."""
        resting = [order for side in self.sides for order in side.in_priority()]
        parked = [peg for peg in self.pegs.values() if peg.number in self.parked]
        return [*resting, *self.stops.values(), *parked]

    def trade_band(self) -> tuple[int, int]:
        """Lowest and highest execution price at this moment."""
        rules = self.settings
        low, high = rules.trade_low, rules.trade_high or HIGHEST
        if rules.trade_ppm and self.last_trade:
            low = max(low, -(-self.last_trade * (PPM - rules.trade_ppm) // PPM))
            high = min(high, self.last_trade * (PPM + rules.trade_ppm) // PPM)
        return low, high

    # --- orders come and go ---

    def accept(self, order: Order) -> None:
        """The order is open; it stands nowhere yet."""
        self.orders[order.number] = self.open_orders[order.number] = order
        self.accounts[order.account].orders[order.number] = order
        if order.oco:
            self.groups.setdefault(group_of(order), {})[order.number] = order

    def rest(self, order: Order, *, traded: int = 0) -> None:
        """Join the tail of a level. An iceberg that traded `traded` lots on its way shows its first peak."""
        peak = order.display or order.lots
        if order.display and traded and not self.settings.iceberg_first_peak_full:
            peak -= traded % order.display
        order.shown = min(peak, order.lots)
        self.sides[order.side].join(order)

    def withdraw(self, order: Order) -> None:
        """Take an open order from wherever it stands."""
        if order.number in self.stops:
            del self.stops[order.number]
        elif order.number in self.parked:
            self.parked.discard(order.number)
        elif order.number in self.sides[order.side].levels.get(order.price, {}):
            self.sides[order.side].leave(order)

    def close(self, order: Order) -> None:
        """The order is no longer open."""
        self.withdraw(order)
        order.open = False
        order.lots = order.shown = 0
        del self.orders[order.number]
        del self.open_orders[order.number]
        del self.accounts[order.account].orders[order.number]
        self.pegs.pop(order.number, None)
        self.thin.pop(order.number, None)
        self.leave_group(order)

    def end(self, order: Order, reason: Ending, *, swept: Callable[[Order], bool] | None = None) -> None:
        """Cancel what is left of an order, and the other legs of its group: `swept` legs for the same reason."""
        legs = self.leave_group(order)
        self.rows.endings.append(Ended(self.rows.command, order.number, order.lots, reason))
        self.close(order)
        for leg in legs:
            if leg.open:
                self.end(leg, reason if swept is not None and swept(leg) else Ending.OCO)

    def take_off(self, order: Order, lots: int, reason: Ending) -> None:
        """Fewer lots at the same place, hidden ones first."""
        self.rows.endings.append(Ended(self.rows.command, order.number, lots, reason))
        order.lots -= lots
        order.shown = min(order.shown, order.lots)

    # --- one-cancels-other ---

    def leave_group(self, order: Order) -> list[Order]:
        """Dissolve the order's group; returns the legs it leaves behind."""
        if not order.oco:
            return []
        legs = self.groups.pop(group_of(order), {})
        for leg in legs.values():
            leg.oco = 0
        legs.pop(order.number, None)
        return list(legs.values())

    def executes(self, order: Order) -> None:
        """The order trades or is triggered: the other legs of its group end."""
        for leg in self.leave_group(order):
            if leg.open:
                self.end(leg, Ending.OCO)

    # --- trades ---

    def record_fill(self, maker: Order, taker: Order, price: int, lots: int) -> None:
        """The row of a fill, and what the trade is remembered for."""
        self.rows.fills.append(Fill(self.rows.command, maker.number, taker.number, price, lots))
        self.last_trade = price
        self.traded_low = min(self.traded_low or price, price)
        self.traded_high = max(self.traded_high, price)
        for order in (maker, taker):
            order.lots -= lots
            order.filled += lots

    def refresh(self, order: Order) -> None:
        """The next peak of an iceberg, behind everything at its price."""
        order.shown = min(order.display, order.lots)
        self.sides[order.side].to_back(order)
        self.thin.pop(order.number, None)

    def after_fill(self, order: Order) -> None:
        """A resting order has traded: gone, refreshed, marked for a refresh, or as it was."""
        if not order.open:
            return
        if order.lots == 0:
            self.close(order)
        elif order.shown == 0:
            self.refresh(order)
        elif order.display and order.shown < order.refresh_below and order.shown < order.lots:
            self.thin[order.number] = order


def worst_price(side: Side) -> int:
    """The price of an order that names none."""
    return HIGHEST if side == Side.BUY else LOWEST


def group_of(order: Order) -> tuple[int, int]:
    """The group of an order, among all of its series; `oco` 0 is none."""
    return order.account, order.oco


def opposed(series: Series, one: Order, two: Order) -> bool:
    """Whether a declared conflict keeps the accounts of the two orders from trading with each other."""
    a, b = series.accounts[one.account], series.accounts[two.account]
    return bool(a.refuses & b.traits or b.refuses & a.traits)
