"""A stretch of Bitstamp's live order and trade channels: every trade names the resting order that it hit.

The order channel tells each trade twice more, as a change of either order. The replay sends the incoming order whole,
with its limit, at the row that creates it; rows that then say what the market has done already change nothing.

The stretch begins with a snapshot of the book. An order of it may have gone before the events began, and then nothing
ever says so: an order that no row names again, and across which another order of the other side rested for over a
second, is left out.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from matching.layout import Side
from tests.conformance.market_data.tape import Hit, Tape, lines_of, signed

CENTS, SATOSHIS = 100, 100_000_000
RESTED_MS = 1_000
"""A living order would have traded with one that rests across it for longer."""


class Event(NamedTuple):
    """A row of the order channel; `lots` are left after it."""

    order: int
    at_ms: int
    price: int
    lots: int
    action: str
    side: Side


class Trade(NamedTuple):
    """A row of the trade channel: the side that came, its order, and what it hit."""

    side: Side
    incoming: int
    hit: Hit


@dataclass(slots=True)
class Stretch:
    snapshot: list[Event]
    events: list[Event]
    trades: list[Trade]


def load(orders: Path, trades: Path) -> Stretch:
    """Read a pair of files, gzipped or plain. Prices become cents, quantities satoshis."""
    rows = []
    received = []
    for line in lines_of(orders)[1:]:
        order, timestamp, at_ms, price, volume, action, direction = line.split(",")
        received.append((timestamp, at_ms))
        side = Side.BUY if direction == "bid" else Side.SELL
        rows.append(Event(int(order), int(at_ms), whole(price, CENTS), whole(volume, SATOSHIS), action, side))
    first = next((at for at, when in enumerate(received) if when != received[0]), len(rows))
    found = []
    for line in lines_of(trades)[1:]:
        _, _, _, price, amount, buy, sell, side_name = line.split(",")
        side = Side.BUY if side_name == "buy" else Side.SELL
        incoming, resting = (int(buy), int(sell)) if side == Side.BUY else (int(sell), int(buy))
        found.append(Trade(side, incoming, Hit(resting, whole(amount, SATOSHIS), whole(price, CENTS))))
    return Stretch(sorted(rows[:first]), rows[first:], found)


def whole(number: str, scale: int) -> int:
    """A decimal in units of 1/scale."""
    return round(Decimal(number) * scale)


@dataclass(slots=True)
class Found:
    """What a replay found; trades and rows count from 1."""

    trades: int = 0
    first: int = 0
    """With the first order in time at the best price."""
    last_in_fails: int = 0
    """Of the first: at least two orders stood there, and a book that serves the last would have failed."""
    other_ahead: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    """Trades with an order that does not rest, or of an incoming order that no row creates."""
    left_out: list[int] = field(default_factory=list)
    """Orders of the snapshot that were gone."""
    refused: int = 0
    """Orders that would have crossed and went at once, without a trade: post-only orders."""
    below_a_cent: int = 0
    """Orders left out because their price in whole cents is 0."""
    unknown_orders: int = 0
    """Rows that name an order which nothing created."""
    crossed: int = 0
    """Orders dropped because a later one would have hit them, and no trade says so."""
    commands: int = 0

    @property
    def exceptions(self) -> list[int]:
        """Trades that contradict price-time priority, or come out of nowhere."""
        return sorted([*self.other_ahead, *self.unknown])

    @property
    def other_flaws(self) -> int:
        """There is nothing else that may differ."""
        return 0


def replay(stretch: Stretch) -> Found:
    """Replay a stretch and compare."""
    return _Replay(stretch).run()


class _Replay:
    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch
        self.found = Found()
        self.tape = Tape()
        self.ended: set[int] = set()
        """Orders that have come, and are not in the market."""
        self.deleted_ms = {event.order: event.at_ms for event in stretch.events if event.action == "deleted"}
        self.trades: dict[int, list[tuple[int, Trade]]] = defaultdict(list)
        """Number and trade, by incoming order."""
        for number, trade in enumerate(stretch.trades, 1):
            self.trades[trade.incoming].append((number, trade))

    def run(self) -> Found:
        found = self.found
        found.left_out = left_out(self.stretch)
        gone = set(found.left_out)
        for event in self.stretch.snapshot:
            if event.order not in gone:
                self.enter(event, event.lots)
        for event in self.stretch.events:
            if event.action == "created":
                self.create(event)
            else:
                self.change(event)
        self.tape.run()
        found.unknown += [number for trades in self.trades.values() for number, _ in trades]
        found.trades = len(self.stretch.trades)
        found.crossed, found.commands = len(self.tape.crossed), self.tape.commands
        return found

    def create(self, event: Event) -> None:
        """An order that comes: its trades, and what rests of it."""
        numbered = self.trades.pop(event.order, [])
        hits = [trade.hit for _, trade in numbered]
        left = event.lots - sum(hit.lots for hit in hits)
        if not hits:
            refusable = self.deleted_ms.get(event.order) == event.at_ms
            if refusable and self.tape.crossing(event.side, event.price):
                self.found.refused += 1
                self.ended.add(event.order)
            else:
                self.enter(event, left)
            return
        behind = sum(self.has_behind(hit.order) for hit in hits)
        known = all(hit.order in self.tape.place for hit in hits)
        # A market order has no price; it goes as far as its last trade.
        price = event.price or hits[-1].price
        if known and self.tape.trade(event.side, price, hits, rest=(event.order, left) if left > 0 else None):
            self.found.first += len(hits)
            self.found.last_in_fails += behind
        else:
            for number, trade in numbered:
                self.trade_alone(number, trade)
            if left > 0:
                self.enter(event, left)
        self.ended.update(order for order in (event.order, *(hit.order for hit in hits)) if self.tape.lots(order) == 0)

    def enter(self, event: Event, lots: int) -> None:
        """Let an order rest, unless its price is below one cent: no trade is ever that far away."""
        if event.price == 0:
            self.found.below_a_cent += 1
            self.ended.add(event.order)
            return
        self.tape.clear_way(event.side, event.price)
        self.tape.enter(event.order, event.side, event.price, lots)

    def trade_alone(self, number: int, trade: Trade) -> None:
        hit = trade.hit
        if hit.order not in self.tape.place:
            self.found.unknown.append(number)
        elif self.tape.trade(trade.side, hit.price, [hit]):
            self.found.first += 1
            self.found.last_in_fails += self.has_behind(hit.order)
        else:
            self.found.other_ahead.append(number)
            self.tape.take(hit.order, min(hit.lots, self.tape.lots(hit.order)))

    def change(self, event: Event) -> None:
        """What is left of an order; nothing of a deleted one."""
        had = self.tape.lots(event.order)
        left = 0 if event.action == "deleted" else event.lots
        if had == 0:
            self.found.unknown_orders += event.order not in self.ended
        elif left < had:
            self.tape.take(event.order, had - left)
        if left == 0:
            self.ended.add(event.order)

    def has_behind(self, order: int) -> bool:
        """Whether an order stands behind this one, so that it matters who is first."""
        place = self.tape.place.get(order)
        return place is not None and next(reversed(self.tape.levels[place])) != order


def left_out(stretch: Stretch) -> list[int]:
    """Orders of the snapshot that no event names, and across which another order rested."""
    named = {event.order for event in stretch.events}
    created: dict[int, Event] = {}
    best_rested: dict[Side, int] = {}
    last_ms = max((event.at_ms for event in stretch.events), default=0)

    def rested(event: Event, until_ms: int) -> None:
        if until_ms - event.at_ms > RESTED_MS:
            price = signed(event.side, event.price)
            best_rested[event.side] = min(best_rested.get(event.side, price), price)

    for event in stretch.events:
        if event.action == "created":
            created[event.order] = event
        elif event.action == "deleted" and event.order in created:
            rested(created.pop(event.order), event.at_ms)
    for event in created.values():
        rested(event, last_ms)
    return [
        event.order
        for event in stretch.snapshot
        if event.order not in named
        and (other := best_rested.get(Side(1 - event.side))) is not None
        and other + signed(event.side, event.price) <= 0
    ]
