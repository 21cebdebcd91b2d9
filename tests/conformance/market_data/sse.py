"""A day of Shanghai's order and trade log: both orders of every trade, an opening auction, ten-level snapshots.

Orders and trades are told in the order of their `BizIndex`. An incoming order shows its trades first and then, if
anything is left of it, itself; so it is put together again from both and sent whole. Before the opening all orders
gather, and the market finds the price by itself. Prices are 1/1000 yuan, lots 1/1000 shares, as recorded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from matching.auction_certificate import flaw
from matching.layout import Side
from matching.rulebook_layout import NO_PRICE
from tests.conformance.market_data.tape import Hit, Tape, lines_of, merged

ORDER, TRADE, SNAPSHOT = "192", "191", "111"
ADDED, DELETED = 65, 68
BUY_CAME, SELL_CAME, CALL = 66, 83, 78
"""What `ExecType` says of a trade: who came, or that it is one of an auction."""
LEVELS = 10
OPENING, CLOSING = 93000, 145700
"""Orders gather before the one and from the other on (hhmmss)."""
BREAK, AFTERNOON = 113000, 130000


def call_of(at: int) -> int | None:
    """The auction for which orders gather at this time: 0, 1 or, in continuous trading, none."""
    if at < OPENING:
        return 0
    return 1 if at >= CLOSING else None


class Order(NamedTuple):
    """An order that rests (`added`), or leaves with these lots."""

    biz_index: int
    at: int
    """hhmmss"""
    order: int
    side: Side
    price: int
    lots: int
    added: bool


class Trade(NamedTuple):
    """A trade; `came` is the side that came, None in an auction."""

    biz_index: int
    at: int
    buy: int
    sell: int
    price: int
    lots: int
    came: Side | None

    @property
    def incoming(self) -> int:
        return self.buy if self.came == Side.BUY else self.sell

    @property
    def hit(self) -> Hit:
        return Hit(self.sell if self.came == Side.BUY else self.buy, self.lots, self.price)


class Snapshot(NamedTuple):
    """The first levels of both sides at a moment with so many trades."""

    at: int
    trades: int
    previous_close: int
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Day:
    events: list[Order | Trade]
    """In the order of their index."""
    snapshots: list[Snapshot]


def load(file: Path) -> Day:
    """Read a log, gzipped or plain."""
    events: list[Order | Trade] = []
    snapshots = []
    for line in lines_of(file):
        if not line.startswith("//"):
            continue
        row = dict(part.split("=", 1) for part in line[2:].split() if "=" in part)
        kind = row["MsgType"]
        # Hundredths of a second follow.
        index, at = int(row.get("BizIndex", 0)), int(row.get("TransactTime", 0)) // 100
        if kind == ORDER:
            side = Side.BUY if int(row["Side"]) == BUY_CAME else Side.SELL
            number, price, lots = int(row["OrderNo"]), int(row["Price"]), int(row["OrderQty"])
            events.append(Order(index, at, number, side, price, lots, int(row["OrdType"]) == ADDED))
        elif kind == TRADE:
            came = {BUY_CAME: Side.BUY, SELL_CAME: Side.SELL}.get(int(row["ExecType"]))
            buy, sell = int(row["BidApplSeqNum"]), int(row["OfferApplSeqNum"])
            events.append(Trade(index, at, buy, sell, int(row["LastPx"]), int(row["LastQty"]), came))
        elif kind == SNAPSHOT:
            bids, asks = (
                tuple(
                    (int(row[f"{side}Level[{level}].Price"]), lots)
                    for level in range(LEVELS)
                    if (lots := int(row[f"{side}Level[{level}].Qty"])) > 0
                )
                for side in ("Bid", "Ask")
            )
            snapshots.append(
                Snapshot(int(row["DataTimeStamp"]), int(row["NumTrades"]), int(row["PrevClosePx"]), bids, asks)
            )
    events.sort(key=lambda event: event.biz_index)
    return Day(events, snapshots)


@dataclass(slots=True)
class Found:
    """What a replay found; events count from 1, in the order of their index."""

    continuous: int = 0
    """Trades in continuous trading."""
    first: int = 0
    """Of these: with the first order in time at the best price."""
    last_in_fails: int = 0
    """Of the first: at least two orders stood there, and a book that serves the last would have failed."""
    other_ahead: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    """Trades with an order that does not rest."""
    auction_sides: int = 0
    """Sides of auction trades."""
    auction_first: int = 0
    """Of these: the first of their queue, with the recorded lots."""
    auction_prices: list[int] = field(default_factory=list)
    auction_price_differs: int = 0
    """Auctions in which the market found another price than the exchange."""
    auction_differs: list[str] = field(default_factory=list)
    certificate_flaws: list[str] = field(default_factory=list)
    snapshots: int = 0
    """In continuous trading."""
    snapshots_equal: int = 0
    lots_differ: list[int] = field(default_factory=list)
    """Deletions of more or fewer lots than the order had, or of an unknown order."""
    crossed: int = 0
    """Orders dropped because a later one would have hit them, and no trade says so."""
    commands: int = 0

    @property
    def exceptions(self) -> list[int]:
        """Events that contradict price-time priority, or come out of nowhere."""
        return sorted([*self.other_ahead, *self.unknown, *self.lots_differ])

    @property
    def other_flaws(self) -> int:
        """Auctions and snapshots that differ."""
        auctions = self.auction_price_differs + len(self.auction_differs) + len(self.certificate_flaws)
        return auctions + self.snapshots - self.snapshots_equal


def replay(day: Day) -> Found:
    """Replay a day and compare."""
    return _Replay(day).run()


class _Replay:
    def __init__(self, day: Day) -> None:
        self.day = day
        self.found = Found()
        self.tape = Tape()
        self.trades = 0
        self.reference = day.snapshots[0].previous_close if day.snapshots else None
        """Price of the last trade in continuous trading, at first the close of the day before."""
        self.called: set[int] = set()
        """Auctions that are over."""
        self.waiting: dict[int, list[Snapshot]] = {}
        """Snapshots of continuous trading that no book was equal to yet, by the number of trades before them."""

    def run(self) -> Found:
        for snapshot in self.day.snapshots:
            if OPENING <= snapshot.at <= BREAK or AFTERNOON <= snapshot.at < CLOSING:
                self.found.snapshots += 1
                self.waiting.setdefault(snapshot.trades, []).append(snapshot)
        at = 0
        while at < len(self.day.events):
            at = self.tell(at)
            self.compare_snapshots()
        self.tape.run()
        self.found.crossed, self.found.commands = len(self.tape.crossed), self.tape.commands
        self.found.snapshots_equal = self.found.snapshots - sum(len(left) for left in self.waiting.values())
        return self.found

    def tell(self, at: int) -> int:
        """One event, or all of one incoming order or auction; returns where the next begins."""
        event = self.day.events[at]
        call = call_of(event.at)
        gathers = self.tape.market.gathers()
        if isinstance(event, Trade) and event.came is None:
            if not gathers:
                self.gather()
            trades = self.trades_of(at, lambda trade: trade.came is None)
            self.uncross(trades)
            return at + len(trades)
        if call is None and gathers:
            self.uncross([])
        elif call is not None and call not in self.called and not gathers:
            self.called.add(call)
            self.gather()
        if isinstance(event, Trade):
            came, incoming = event.came, event.incoming
            trades = self.trades_of(at, lambda trade: trade.came == came and trade.incoming == incoming)
            return self.come(at + len(trades), trades)
        if event.added:
            self.enter(event)
        elif self.tape.lots(event.order) == event.lots:
            self.tape.take(event.order, event.lots)
        else:
            self.found.lots_differ.append(at + 1)
            if event.order in self.tape.place:
                self.tape.take(event.order, self.tape.lots(event.order))
        return at + 1

    def trades_of(self, at: int, belongs: Callable[[Trade], bool]) -> list[Trade]:
        """The unbroken run of trades from here that belong together."""
        found: list[Trade] = []
        for number in range(at, len(self.day.events)):
            event = self.day.events[number]
            if not isinstance(event, Trade) or not belongs(event):
                break
            found.append(event)
        self.trades += len(found)
        return found

    def enter(self, order: Order) -> None:
        if not self.tape.market.gathers():
            self.tape.clear_way(order.side, order.price)
        self.tape.enter(order.order, order.side, order.price, order.lots)

    # -- continuous trading --------------------------------------------------------------------------------------------

    def come(self, after: int, trades: list[Trade]) -> int:
        """An incoming order: its trades, and what rests of it right after them; returns where the next event is."""
        events, found = self.day.events, self.found
        side, incoming = Side(1 - self.other_side(trades[0])), trades[0].incoming
        added = events[after] if after < len(events) else None
        rest = added if isinstance(added, Order) and added.added and added.order == incoming else None
        hits = [trade.hit for trade in trades]
        found.continuous += len(trades)
        self.reference = trades[-1].price
        behind = [self.has_behind(hit.order) for hit in hits]
        price = rest.price if rest else trades[-1].price
        known = all(hit.order in self.tape.place for hit in hits)
        seen_inside = any(self.waiting.get(self.trades - back) for back in range(1, len(trades)))
        if (
            known
            and not seen_inside
            and self.tape.trade(side, price, hits, rest=(incoming, rest.lots) if rest else None)
        ):
            found.first += len(trades)
            found.last_in_fails += sum(behind)
            return after + (rest is not None)
        # One trade after the other: something is wrong, or a snapshot was taken between them.
        self.trades -= len(trades)
        for number, hit in enumerate(hits, after - len(trades) + 1):
            self.trades += 1
            if hit.order not in self.tape.place:
                found.unknown.append(number)
            elif self.tape.trade(side, hit.price, [hit]):
                found.first += 1
                found.last_in_fails += self.has_behind(hit.order)
            else:
                found.other_ahead.append(number)
                self.tape.take(hit.order, min(hit.lots, self.tape.lots(hit.order)))
            self.compare_snapshots()
        if rest:
            self.enter(rest)
        return after + (rest is not None)

    def other_side(self, trade: Trade) -> Side:
        return Side.SELL if trade.came == Side.BUY else Side.BUY

    def has_behind(self, order: int) -> bool:
        """Whether an order stands behind this one, so that it matters who is first."""
        place = self.tape.place.get(order)
        return place is not None and next(reversed(self.tape.levels[place])) != order

    # -- auctions ------------------------------------------------------------------------------------------------------

    def gather(self) -> None:
        self.tape.run()
        self.tape.market.gather()

    def uncross(self, trades: list[Trade]) -> None:
        """End an auction, in which these trades happened."""
        found, tape = self.found, self.tape
        tape.run()
        orders = [(side, price, lots) for (side, price), level in tape.levels.items() for lots in level.values()]
        reference = self.reference
        certificate, fills = tape.market.uncross(reference=reference)
        wrong = flaw(certificate[0], orders, reference=reference)
        if wrong:
            found.certificate_flaws.append(wrong)
        price = int(certificate["price"][0])
        found.auction_prices.append(price)
        found.auction_price_differs += price != (trades[0].price if trades else NO_PRICE)
        made = [(tape.id_of(buy), tape.id_of(sell), lots) for _, buy, sell, _, lots in fills.tolist()]
        found.auction_sides += 2 * len(trades)
        for side in (0, 1):
            queue = merged(Hit(row[side], row[2], price) for row in made)
            told = merged(Hit((trade.buy, trade.sell)[side], trade.lots, trade.price) for trade in trades)
            if queue == told:
                found.auction_first += len(trades)
            else:
                first = next(
                    at for at, (ours, theirs) in enumerate(itertools.zip_longest(queue, told)) if ours != theirs
                )
                found.auction_differs.append(f"{Side(side).name}: order {first + 1} of the queue differs")
        for buy, sell, lots in made:
            tape.forget(buy, lots)
            tape.forget(sell, lots)

    # -- snapshots -----------------------------------------------------------------------------------------------------

    def compare_snapshots(self) -> None:
        """Strike off the snapshots that the book is equal to now."""
        waiting = self.waiting.get(self.trades)
        if not waiting or self.tape.market.gathers():
            return
        self.tape.run()
        bids, asks = (
            tuple((price, lots) for price, lots, _ in self.tape.market.depth(side, levels=LEVELS).tolist())
            for side in (Side.BUY, Side.SELL)
        )
        left = [seen for seen in waiting if (seen.bids, seen.asks) != (bids, asks)]
        if left:
            self.waiting[self.trades] = left
        else:
            del self.waiting[self.trades]
