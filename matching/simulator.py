"""Order flow from a seed, in integer arithmetic only, so that any language gives the same bytes.

Two generators. `generate_flow` makes the flows that benchmarks run: a book that hovers around 10,000 resting orders,
with a plain-Python twin, `generate_flow_reference`, that reads like its description. `random_commands` makes short
adversarial mixtures of valid and invalid commands, for properties that compare two implementations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from matching.layout import (
    COMMAND,
    FLAG_MARKET,
    FLAG_PRIMARY,
    FLAG_SYSTEM,
    LEG,
    NONE,
    Kind,
    Side,
    TimeInForce,
    kernel,
)
from matching.reference import ReferenceBook

# -- randomness --------------------------------------------------------------------------------------------------------

GAMMA, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)."""
MASK_64 = (1 << 64) - 1


class SplitMix64:
    """The generator splitmix64: 64 bits of state, no floats."""

    def __init__(self, seed: int) -> None:
        self.state = seed & MASK_64

    def next(self) -> int:
        """The next 64 bits."""
        self.state = (self.state + GAMMA) & MASK_64
        mixed = self.state
        mixed = ((mixed ^ (mixed >> 30)) * MIX_1) & MASK_64
        mixed = ((mixed ^ (mixed >> 27)) * MIX_2) & MASK_64
        return mixed ^ (mixed >> 31)

    def below(self, bound: int) -> int:
        """A number from 0 to bound − 1."""
        return self.next() % bound

    def pick(self, choices: Sequence[int]) -> int:
        return choices[self.below(len(choices))]

    def one_in(self, odds: int) -> bool:
        return self.below(odds) == 0


# -- benchmark flows ---------------------------------------------------------------------------------------------------

SEED = 20260101
RESTING_TARGET = 10_000
WIDTH = 4096
"""Ticks of a ladder; prices are 1 to WIDTH − 2."""
MIDDLE = 2048
"""Price around which an empty book starts."""
GAP_MAX = 49
ACCOUNTS = 10_000
NEW, CANCEL, REDUCE, IMMEDIATE = 1, 2, 3, 4
"""What a record of a flow asks for."""

FLOW_RECORD = np.dtype(
    [("op", "u1"), ("side", "u1"), ("series", "<u2"), ("id", "<u4"), ("price", "<i4"), ("qty", "<i4")]
)
"""The published format of a flow: series from 0, ids from 1. Read it through `commands_of` to compute with it."""


class Flow(NamedTuple):
    """Parameters of a flow; the mix is per million commands, and what the three leave is immediate-or-cancel."""

    series: int
    new: int
    cancel: int
    reduce: int
    sha256: str
    """Of the first 2,000,000 records."""


FLOWS = {
    "f1": Flow(
        series=1,
        new=480_000,
        cancel=420_000,
        reduce=50_000,
        sha256="03cf7a93ce60bc482bb2ea4f0ccefbd8a557bab20e9364bacac31eda6e7f8184",
    ),
    "f1000": Flow(
        series=1_000,
        new=480_000,
        cancel=420_000,
        reduce=50_000,
        sha256="e6f711dffabdb3b9345536843d93ccf01222ebd138beb6cd29652ce6c90d00c3",
    ),
    "fill1": Flow(
        series=1,
        new=500_000,
        cancel=0,
        reduce=0,
        sha256="0b6df019e44e16c28a52de9214ff0c9133c279fe403f94dbdf799348e8af85a4",
    ),
}


class FlowTally(NamedTuple):
    """What a correct book reports after the flow: two books agree when these are equal."""

    fills: int
    lots: int
    price_lots: int
    """Sum of price × lots over the fills."""
    resting: int
    levels: int


def series_totals(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Running totals of the weights of a Zipf distribution with exponent 1, floor(2^32 / k) for k = 1 to count."""
    return np.cumsum(2**32 // np.arange(1, count + 1, dtype=np.int64))


@dataclass(slots=True)
class _ReferenceFlow:
    """The flow as its description reads: one method a kind of command."""

    flow: Flow
    random: SplitMix64
    totals: list[int]
    books: list[ReferenceBook]
    orders: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    """Side, series and price of each resting order."""
    live: list[int] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    """Where in `live` an order is."""
    last_id: int = 0
    fills: int = 0
    lots: int = 0
    price_lots: int = 0

    def command(self, at: int) -> tuple[int, int, int, int, int, int]:
        live = len(self.live)
        if live < RESTING_TARGET and at < RESTING_TARGET:
            return self.new()
        pull = max(-1_000, min(1_000, RESTING_TARGET - live))
        draw = self.random.below(1_000_000)
        new, cancel, reduce = self.flow.new, self.flow.new + self.flow.cancel, self.flow.reduce
        if draw < new + 50 * pull:
            return self.new()
        if draw < cancel + reduce:
            if live == 0:
                return self.new()
            return self.cancel() if draw < cancel else self.reduce()
        return self.immediate()

    def arrival(self) -> tuple[int, Side, int]:
        """Series, side and lots of an arriving order."""
        series = 0
        if self.flow.series > 1:
            draw = self.random.below(self.totals[-1])
            series = next(place for place, total in enumerate(self.totals) if total > draw)
        side = Side(self.random.below(2))
        lots = 1 + self.random.below(100)
        self.last_id += 1
        return series, side, lots

    def new(self) -> tuple[int, int, int, int, int, int]:
        series, side, lots = self.arrival()
        gap = 0
        while gap < GAP_MAX and self.random.below(10) != 0:
            gap += 1
        book = self.books[series]
        bid, ask = book.best(Side.BUY), book.best(Side.SELL)
        if side == Side.BUY:
            price = ask - 1 - gap if ask is not None else bid - gap if bid is not None else MIDDLE - 1 - gap
        else:
            price = bid + 1 + gap if bid is not None else ask + gap if ask is not None else MIDDLE + gap
        price = max(1, min(WIDTH - 2, price))
        book.rest(order=self.last_id, side=side, price=price, lots=lots)
        self.orders[self.last_id] = (side, series, price)
        self.places[self.last_id] = len(self.live)
        self.live.append(self.last_id)
        return NEW, side, series, self.last_id, price, lots

    def cancel(self) -> tuple[int, int, int, int, int, int]:
        return self.cancel_order(self.random.pick(self.live))

    def cancel_order(self, order: int) -> tuple[int, int, int, int, int, int]:
        side, series, price = self.orders[order]
        lots = self.books[series].cancel(order)
        self.forget(order)
        return CANCEL, side, series, order, price, lots

    def reduce(self) -> tuple[int, int, int, int, int, int]:
        order = self.random.pick(self.live)
        side, series, price = self.orders[order]
        left = self.books[series].levels[Side(side)][price][order]
        if left == 1:
            return self.cancel_order(order)
        lots = 1 + self.random.below(left - 1)
        self.books[series].reduce(order=order, lots=lots)
        return REDUCE, side, series, order, price, lots

    def immediate(self) -> tuple[int, int, int, int, int, int]:
        series, side, lots = self.arrival()
        through = self.random.below(3)
        book = self.books[series]
        best = book.best(Side.SELL if side == Side.BUY else Side.BUY)
        price = MIDDLE if best is None else best + through if side == Side.BUY else best - through
        price = max(1, min(WIDTH - 2, price))
        left = lots
        while left > 0 and (maker := book.crossing_maker(side=side, price=price)) is not None:
            traded = min(left, maker.lots)
            left -= traded
            self.fills += 1
            self.lots += traded
            self.price_lots += maker.price * traded
            if book.reduce(order=maker.order, lots=traded) == 0:
                self.forget(maker.order)
        return IMMEDIATE, side, series, self.last_id, price, lots

    def forget(self, order: int) -> None:
        del self.orders[order]
        place, last = self.places.pop(order), self.live.pop()
        if last != order:
            self.live[place] = last
            self.places[last] = place


def generate_flow_reference(flow: Flow, count: int) -> tuple[np.ndarray[Any, np.dtype[np.void]], FlowTally]:
    """The first `count` records of a flow (FLOW_RECORD), and what its fills add up to: slow and readable."""
    state = _ReferenceFlow(
        flow=flow,
        random=SplitMix64(SEED),
        totals=series_totals(flow.series).tolist(),
        books=[ReferenceBook() for _ in range(flow.series)],
    )
    records = np.array([state.command(at) for at in range(count)], dtype=FLOW_RECORD)
    levels = sum(book.level_count() for book in state.books)
    return records, FlowTally(state.fills, state.lots, state.price_lots, len(state.live), levels)


FLOW_ORDER = np.dtype(
    [
        ("price", "<i4"),
        ("left", "<i4"),
        ("ahead", "<i4"),  # neighbors in the queue of the level
        ("behind", "<i4"),
        ("place", "<i4"),  # in the list of live orders
        ("series", "<i2"),
        ("side", "<i2"),
    ]
)
FLOW_LEVEL = np.dtype([("head", "<i4"), ("tail", "<i4")])
FLOW_BEST = np.dtype([("price", "<i4"), ("levels", "<i4")])  # levels: how many prices of the side have orders
FLOW_STATE = np.dtype(
    [("live", "<i8"), ("last_id", "<i8"), ("fills", "<i8"), ("lots", "<i8"), ("price_lots", "<i8"), ("levels", "<i8")]
)


class _Ladders(NamedTuple):
    """Everything the fast generator remembers. Order 0 is none, so zeroed arrays are the empty state."""

    orders: np.ndarray[Any, np.dtype[np.void]]
    """[count + 1] of FLOW_ORDER, by id."""
    levels: np.ndarray[Any, np.dtype[np.void]]
    """[series, WIDTH] of FLOW_LEVEL: no price has bids and asks at once, so one ladder serves both sides."""
    best: np.ndarray[Any, np.dtype[np.void]]
    """[series, 2] of FLOW_BEST."""
    live: np.ndarray[Any, np.dtype[np.int32]]
    totals: np.ndarray[Any, np.dtype[np.int64]]
    random: np.ndarray[Any, np.dtype[np.uint64]]
    """[1]: state of splitmix64, the one unsigned number here."""
    state: np.ndarray[Any, np.dtype[np.void]]
    """[1] of FLOW_STATE."""


def generate_flow(flow: Flow, count: int) -> tuple[np.ndarray[Any, np.dtype[np.void]], FlowTally]:
    """The first `count` records of a flow (FLOW_RECORD), and what its fills add up to."""
    ladders = _Ladders(
        orders=np.zeros(count + 1, FLOW_ORDER),
        levels=np.zeros((flow.series, WIDTH), FLOW_LEVEL),
        best=np.zeros((flow.series, 2), FLOW_BEST),
        live=np.zeros(count + 1, np.int32),
        totals=series_totals(flow.series),
        random=np.array([SEED], np.uint64),
        state=np.zeros(1, FLOW_STATE),
    )
    records = np.zeros(count, FLOW_RECORD)
    with np.errstate(over="ignore"):  # the generator wraps on purpose, which plain numpy would warn of
        _generate(ladders, records, flow.new, flow.cancel, flow.reduce)
    state = ladders.state[0]
    return records, FlowTally(*(int(state[name]) for name in ("fills", "lots", "price_lots", "live", "levels")))


_GAMMA, _MIX_1, _MIX_2 = np.uint64(GAMMA), np.uint64(MIX_1), np.uint64(MIX_2)
_SHIFT_27, _SHIFT_30, _SHIFT_31 = np.uint64(27), np.uint64(30), np.uint64(31)
_BUY, _SELL = int(Side.BUY), int(Side.SELL)


@kernel
def _below(random: Any, bound: int) -> int:
    random[0] += _GAMMA
    mixed = random[0]
    mixed = (mixed ^ (mixed >> _SHIFT_30)) * _MIX_1
    mixed = (mixed ^ (mixed >> _SHIFT_27)) * _MIX_2
    mixed = mixed ^ (mixed >> _SHIFT_31)
    return np.int64(mixed % np.uint64(bound))  # type: ignore[return-value]


@kernel
def _generate(ladders: _Ladders, records: Any, new: int, cancel: int, reduce: int) -> None:
    state = ladders.state[0]
    for at in range(len(records)):
        record = records[at]
        live = state["live"]
        if live < RESTING_TARGET and at < RESTING_TARGET:
            _rest(ladders, record)
            continue
        pull = max(-1_000, min(1_000, RESTING_TARGET - live))
        draw = _below(ladders.random, 1_000_000)
        if draw < new + 50 * pull or (live == 0 and draw < new + cancel + reduce):
            _rest(ladders, record)
        elif draw < new + cancel + reduce:
            order = int(ladders.live[_below(ladders.random, live)])
            left = int(ladders.orders[order]["left"])
            taken = left
            if draw >= new + cancel and left > 1:
                taken = 1 + _below(ladders.random, left - 1)
            _write(record, CANCEL if taken == left else REDUCE, ladders.orders[order], order, taken)
            _take(ladders, order, taken)
        else:
            _trade(ladders, record)


@kernel
def _write(record: Any, op: int, order: Any, number: int, lots: int) -> None:
    record["op"] = op
    record["side"] = order["side"]
    record["series"] = order["series"]
    record["id"] = number
    record["price"] = order["price"]
    record["qty"] = lots


@kernel
def _arrive(ladders: _Ladders) -> int:
    """Draw series, side and lots of the next order; its price is still open."""
    totals = ladders.totals
    series = 0
    if len(totals) > 1:
        series = int(np.searchsorted(totals, _below(ladders.random, totals[-1]), side="right"))
    state = ladders.state[0]
    state["last_id"] += 1
    number = int(state["last_id"])
    order = ladders.orders[number]
    order["series"] = series
    order["side"] = _below(ladders.random, 2)
    order["left"] = 1 + _below(ladders.random, 100)
    return number


@kernel
def _rest(ladders: _Ladders, record: Any) -> None:
    number = _arrive(ladders)
    order = ladders.orders[number]
    side = int(order["side"])
    gap = 0
    while gap < GAP_MAX and _below(ladders.random, 10) != 0:
        gap += 1
    sign = 1 if side == _BUY else -1  # toward worse prices is − sign
    own = ladders.best[order["series"], side]
    other = ladders.best[order["series"], 1 - side]
    if other["levels"] > 0:
        price = int(other["price"]) - sign * (1 + gap)
    elif own["levels"] > 0:
        price = int(own["price"]) - sign * gap
    else:
        price = (MIDDLE - 1 if side == _BUY else MIDDLE) - sign * gap
    price = max(1, min(WIDTH - 2, price))
    order["price"] = price
    _write(record, NEW, order, number, order["left"])

    level = ladders.levels[order["series"], price]
    tail = int(level["tail"])
    order["ahead"] = tail
    if tail == 0:
        level["head"] = number
        if own["levels"] == 0 or sign * (price - int(own["price"])) > 0:
            own["price"] = price
        own["levels"] += 1
        ladders.state[0]["levels"] += 1
    else:
        ladders.orders[tail]["behind"] = number
    level["tail"] = number
    live = ladders.state[0]["live"]
    order["place"] = live
    ladders.live[live] = number
    ladders.state[0]["live"] += 1


@kernel
def _trade(ladders: _Ladders, record: Any) -> None:
    number = _arrive(ladders)
    order = ladders.orders[number]
    side = int(order["side"])
    sign = 1 if side == _BUY else -1
    through = _below(ladders.random, 3)
    other = ladders.best[order["series"], 1 - side]
    price = MIDDLE
    if other["levels"] > 0:
        price = int(other["price"]) + sign * through
    price = max(1, min(WIDTH - 2, price))
    order["price"] = price
    _write(record, IMMEDIATE, order, number, order["left"])

    state = ladders.state[0]
    left = int(order["left"])
    while left > 0 and other["levels"] > 0 and sign * (price - int(other["price"])) >= 0:
        best = int(other["price"])
        maker = int(ladders.levels[order["series"], best]["head"])
        traded = min(left, int(ladders.orders[maker]["left"]))
        left -= traded
        state["fills"] += 1
        state["lots"] += traded
        state["price_lots"] += best * traded
        _take(ladders, maker, traded)


@kernel
def _take(ladders: _Ladders, number: int, lots: int) -> None:
    """Take lots off a resting order; with nothing left it leaves its queue and the list of live orders."""
    order = ladders.orders[number]
    order["left"] -= lots
    if order["left"] > 0:
        return
    ahead, behind = int(order["ahead"]), int(order["behind"])
    level = ladders.levels[order["series"], order["price"]]
    if ahead == 0:
        level["head"] = behind
    else:
        ladders.orders[ahead]["behind"] = behind
    if behind == 0:
        level["tail"] = ahead
    else:
        ladders.orders[behind]["ahead"] = ahead
    if level["head"] == 0:
        own = ladders.best[order["series"], order["side"]]
        own["levels"] -= 1
        ladders.state[0]["levels"] -= 1
        if own["levels"] > 0 and own["price"] == order["price"]:
            # Beyond the best of a side there are only prices of that side.
            step = -1 if order["side"] == _BUY else 1
            price = int(own["price"]) + step
            while ladders.levels[order["series"], price]["head"] == 0:
                price += step
            own["price"] = price
    state = ladders.state[0]
    state["live"] -= 1
    last = int(ladders.live[state["live"]])
    ladders.live[order["place"]] = last
    ladders.orders[last]["place"] = order["place"]


def commands_of(
    records: np.ndarray[Any, np.dtype[np.void]], *, first_command: int = 1
) -> np.ndarray[Any, np.dtype[np.void]]:
    """A flow as rows of `commands`: series and parties from 1, ids as order numbers (so every order must be accepted
    and be among the first), one party of ACCOUNTS a hash of the id.
    """
    commands = np.zeros(len(records), COMMAND)
    ids = records["id"].astype(np.int64)
    op = records["op"]
    commands["command"] = first_command + np.arange(len(records))
    commands["at_ns"] = commands["command"]
    commands["price"] = records["price"]
    commands["lots"] = records["qty"]
    commands["target"] = np.where((op == CANCEL) | (op == REDUCE), ids, 0)
    commands["account"] = 1 + ((ids * 2_654_435_761) >> 8) % ACCOUNTS
    commands["actor"] = commands["account"]
    commands["series"] = records["series"].astype(np.int32) + 1
    commands["kind"] = np.array([NONE, Kind.NEW, Kind.CANCEL, Kind.REDUCE, Kind.NEW], np.int8)[op]
    commands["side"] = records["side"]
    commands["tif"] = np.where(op == IMMEDIATE, TimeInForce.IOC, TimeInForce.GTC)
    return commands


# -- adversarial commands ----------------------------------------------------------------------------------------------

I8_EXTREMES = (0, 1, -1, 2**62, 2**63 - 1, -(2**63))
I4_EXTREMES = (0, -1, 2**31 - 1, -(2**31))
I1_EXTREMES = (-128, -1, 0, 2, 3, 4, 5, 6, 8, 127)
EXTREMES: dict[str, tuple[int, ...]] = {
    "price": I8_EXTREMES,
    "lots": I8_EXTREMES,
    "target": I8_EXTREMES,
    "account": I4_EXTREMES,
    "series": I4_EXTREMES,
    "side": I1_EXTREMES,
    "tif": I1_EXTREMES,
    "flags": I1_EXTREMES,
    "kind": (-128, -1, 0, 9, 100, 127),
}
"""Values that a field of a command takes in place of a sensible one. OPEN_ACCOUNT is left alone: only the house sends
it, so nothing checks it.
"""
PRICE, SPREAD = 100, 4
"""Prices lie within SPREAD ticks of PRICE, so that most orders meet somebody."""
KINDS = (
    (Kind.NEW,) * 62
    + (Kind.CANCEL,) * 12
    + (Kind.REDUCE,) * 8
    + (Kind.JOURNAL,) * 8
    + (Kind.REFUND,) * 4
    + (Kind.MASS_CANCEL, Kind.OPEN_ACCOUNT, Kind.TICK) * 2
)
"""How often each kind is drawn, of 100."""


def random_commands(
    seed: int,
    count: int,
    *,
    parties: int,
    series: int,
    accounts: Sequence[int],
    asset: int,
    kinds: Sequence[int],
    issuers: Sequence[int] | None = None,
    versions: int = 1,
    first_command: int = 1,
    first_order: int = 1,
    open_orders: Sequence[tuple[int, int]] = (),
) -> tuple[np.ndarray[Any, np.dtype[np.void]], np.ndarray[Any, np.dtype[np.void]]]:
    """`count` valid and invalid rows of `commands`, and the `legs` of their journals; the same for the same arguments.

    Journals move money between `accounts`; opened accounts hold `asset` and have one of `kinds`. `issuers[s − 1]`
    issues series s (default: party s); refunds name a waterfall version up to one above `versions`. New orders are
    numbered from `first_order`; cancels and reduces name these and `open_orders` (order, party), which were open
    before. Whoever draws a long mixture draws it in pieces and says what is open, for guesses about what was accepted
    grow stale.
    """
    mixture = _Mixture(
        random=SplitMix64(seed),
        parties=parties,
        series=series,
        accounts=accounts,
        asset=asset,
        kinds=kinds,
        issuers=range(1, series + 1) if issuers is None else issuers,
        versions=versions,
        first_order=first_order,
        open_orders=open_orders,
    )
    commands, legs = np.zeros(count, COMMAND), []
    for at in range(count):
        row = mixture.command()
        row["command"] = row["at_ns"] = first_command + at
        for name, value in row.items():
            commands[at][name] = value
        if row["kind"] == Kind.JOURNAL:
            legs += [(first_command + at, *leg, 0) for leg in mixture.legs()]
    return commands, np.array(legs, dtype=LEG)


@dataclass(slots=True)
class _Mixture:
    """Draws one command after the other. It knows no state but guesses which orders exist and whose they are."""

    random: SplitMix64
    parties: int
    series: int
    accounts: Sequence[int]
    asset: int
    kinds: Sequence[int]
    issuers: Sequence[int]
    versions: int
    first_order: int
    open_orders: Sequence[tuple[int, int]]
    senders: list[int] = field(default_factory=list)
    """Party of each order that was probably accepted."""

    def command(self) -> dict[str, int]:
        kind = self.random.pick(KINDS)
        row = {
            "kind": kind,
            "account": self.party(),
            "series": 1 + self.random.below(self.series),
            "actor": self.party(),
        }
        if kind == Kind.NEW:
            self.new(row)
        elif kind in {Kind.CANCEL, Kind.REDUCE}:
            self.change(row)
        elif kind == Kind.MASS_CANCEL:
            self.mass_cancel(row)
        elif kind == Kind.REFUND:
            row |= {"price": self.price(), "lots": 1 + self.random.below(6)}
            row["target"] = self.random.below(self.versions + 2)
        elif kind == Kind.OPEN_ACCOUNT:
            row |= {"series": self.asset, "flags": self.random.pick(self.kinds)}
        if kind != Kind.OPEN_ACCOUNT and self.random.one_in(25):
            spoiled = list(EXTREMES)[self.random.below(len(EXTREMES))]
            row[spoiled] = self.random.pick(EXTREMES[spoiled])
        return row

    def party(self) -> int:
        return 1 + self.random.below(self.parties)

    def price(self) -> int:
        return PRICE - SPREAD + self.random.below(2 * SPREAD + 1)

    def patient_price(self, side: int) -> int:
        """A price away from the others, where an order rests for long."""
        return PRICE - 2 * SPREAD + self.random.below(SPREAD) + (3 * SPREAD if side == Side.SELL else 0)

    def new(self, row: dict[str, int]) -> None:
        flags = FLAG_MARKET if self.random.one_in(8) else 0
        row["side"] = self.random.below(2)
        if self.random.one_in(6):
            flags |= FLAG_PRIMARY
            row["side"] = Side.SELL
            if not self.random.one_in(8):
                row["account"] = self.issuers[row["series"] - 1]
        if self.random.one_in(60):
            flags |= FLAG_SYSTEM
        row["flags"] = flags
        row["price"] = self.patient_price(row["side"]) if self.random.one_in(3) else self.price()
        if self.random.one_in(50):
            row["price"] = self.random.pick((0, -1, 2**62))
        row["lots"] = 1 + self.random.below(60 if self.random.one_in(5) else 10)
        row["tif"] = TimeInForce.IOC if self.random.one_in(6) else TimeInForce.GTC
        # About half of the resales find no units, so they are not counted as orders.
        if row["side"] == Side.BUY or flags & FLAG_PRIMARY or self.random.one_in(2):
            self.senders.append(row["account"])

    def change(self, row: dict[str, int]) -> None:
        if self.open_orders and not self.random.one_in(3):
            row["target"], sender = self.open_orders[self.random.below(len(self.open_orders))]
        else:
            place = max(0, len(self.senders) - 1 - self.random.below(20))
            row["target"] = self.first_order + place
            sender = self.senders[place] if self.senders else row["account"]
        if not self.random.one_in(4):
            row["account"] = sender
        if row["kind"] == Kind.REDUCE:
            row["lots"] = 1 + self.random.below(8)

    def mass_cancel(self, row: dict[str, int]) -> None:
        if self.random.one_in(2):
            row["series"] = 0
        if self.random.one_in(3):
            row["account"] = 0
        if self.random.one_in(2):
            row["flags"] = FLAG_SYSTEM

    def legs(self) -> list[tuple[int, int, int, int]]:
        """Debit, credit, amount and code of each leg: mostly between two accounts, sometimes with one thing wrong."""
        number = self.random.pick((1, 1, 2, 3, 5, 64)) if not self.random.one_in(20) else self.random.pick((0, 65))
        return [self.leg() for _ in range(number)]

    def leg(self) -> tuple[int, int, int, int]:
        place = self.random.below(len(self.accounts))
        other = place + 1 + self.random.below(len(self.accounts) - 1)
        debit, credit = self.accounts[place], self.accounts[other % len(self.accounts)]
        amount = 1 + self.random.below(10 ** (1 + self.random.below(4)))
        if self.random.one_in(80):
            amount = self.random.pick((0, -1, 10**15, 10**15 + 1, *I8_EXTREMES))
        if self.random.one_in(80):
            debit = self.random.pick((credit, -1, *I4_EXTREMES))
        if self.random.one_in(80):
            credit = self.random.pick((debit, -1, *I4_EXTREMES))
        return debit, credit, amount, 1 + self.random.below(16)
