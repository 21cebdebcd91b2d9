"""A day of LOBSTER (NASDAQ): every execution names the resting order that it hit, and the book follows every row.

What the file tells is told to a market: submissions rest, cancellations take off, and consecutive executions of one
time and side come as one order that takes what crosses. Who is hit is the market's answer, and the file's.

The file does not tell everything, so the replay knows more than the market is told:

- Orders without a submission hold at least what later rows take off them. They enter when they are first named, when
  their level comes into view, or just before the first order of their level with a larger id.
- Levels beyond the recorded ones are silent. When a level leaves the window, its orders keep what later rows take off
  them, and orders without a later row are dropped. When it comes into view, size that no such order accounts for is
  one unnamed order, always the last of its level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matching.layout import Side
from tests.conformance.market_data.tape import Hit, Tape, lines_of, signed

SUBMITTED, REDUCED, DELETED, EXECUTED, CROSSED, HALTED = 1, 2, 3, 4, 6, 7
UNNAMED = 1 << 62
"""From here on: ids of lots that no known order accounts for. They are larger than any other, so they stand last."""
FAR = 1 << 40
"""A price beyond all others."""


class Message(NamedTuple):
    """A row of the message file."""

    at: str
    kind: int
    order: int
    lots: int
    price: int
    side: Side


@dataclass(slots=True)
class Day:
    """A message file and its order book file."""

    messages: list[Message]
    books: NDArray[np.int64]
    """[rows, 4 × levels]: ask price, ask lots, bid price, bid lots of each level, best first."""

    @property
    def levels(self) -> int:
        return int(self.books.shape[1]) // 4

    def prices(self, side: Side) -> NDArray[np.int64]:
        """[rows, levels]"""
        return self.books[:, 2 if side == Side.BUY else 0 :: 4]

    def lots(self, side: Side) -> NDArray[np.int64]:
        """[rows, levels]; 0 where there is no level."""
        return self.books[:, 3 if side == Side.BUY else 1 :: 4]


def load(messages: Path, books: Path) -> Day:
    """Read a pair of files, gzipped or plain."""
    rows = []
    for line in lines_of(messages):
        at, kind, order, lots, price, direction = line.split(",")[:6]
        rows.append(
            Message(at, int(kind), int(order), int(lots), int(price), Side.BUY if int(direction) == 1 else Side.SELL)
        )
    recorded = np.loadtxt(books, delimiter=",", dtype=np.int64, ndmin=2)
    if len(recorded) != len(rows) or recorded.shape[1] % 4:
        raise ValueError(f"{books.name} has {recorded.shape} rows and columns for {len(rows)} messages")
    return Day(rows, recorded)


@dataclass(slots=True)
class Found:
    """What a replay found; the rows of executions count from 1."""

    rows: int = 0
    executions: int = 0
    first: int = 0
    """At the best price and ahead of every other order there; known orders can account for all lots of the level."""
    last_in_fails: int = 0
    """Of the first: a book that serves the last order of a level would have failed."""
    submitted: int = 0
    """Executions that the market made itself, of orders with a submission of their own in the file."""
    first_of_named: list[int] = field(default_factory=list)
    """Ahead of every order that a later row names; other lots of the level are never named."""
    not_rankable: list[int] = field(default_factory=list)
    """The same, but no submission and no other row said before where the order stands."""
    unknown: list[int] = field(default_factory=list)
    """No submission, and the recorded level has no lots for it."""
    not_at_best: list[int] = field(default_factory=list)
    other_ahead: list[int] = field(default_factory=list)
    came_again: int = 0
    """Submissions with an id smaller than another one of their level."""
    lots_differ: list[int] = field(default_factory=list)
    """A deletion of more or fewer lots than the order had."""
    best_agrees: int = 0
    """Rows after which best prices and their lots, both sides, are the recorded ones."""
    best_came_into_view: list[int] = field(default_factory=list)
    """Rows in which a best level comes into view, so that its lots are taken from the record: they prove nothing."""
    best_differs: list[int] = field(default_factory=list)
    crossed: int = 0
    """Orders dropped because a later one would have hit them, and no execution says so."""
    commands: int = 0

    @property
    def exceptions(self) -> list[int]:
        """Rows of executions that contradict price-time priority, or come out of nowhere."""
        return sorted([*self.unknown, *self.not_at_best, *self.other_ahead])

    @property
    def other_flaws(self) -> int:
        """The recorded book is compared apart: what the file is silent on shows there."""
        return 0


def replay(day: Day) -> Found:
    """Replay a day and compare."""
    return _Replay(day).run()


class Verdict(NamedTuple):
    """What it proves that an order was hit."""

    accounted: bool
    """Known orders account for all lots of the level."""
    alone: bool
    """No order stood behind it."""


class _Replay:
    def __init__(self, day: Day) -> None:
        self.day = day
        self.found = Found(rows=len(day.messages))
        self.tape = Tape()
        self.needed: dict[int, int] = {}
        """What the rows to come take off an order."""
        self.submitted: set[int] = set()
        self.sized: set[int] = set()
        """Orders whose lots are known; of others a row may have taken off only a part."""
        self.unsubmitted: dict[tuple[Side, int], list[int]] = {}
        """Orders without a submission that have not entered yet, by level, those with the largest id first."""
        self.first_named: dict[int, int] = {}
        """The first row of each order without a submission."""
        self.entered_late: set[int] = set()
        """Orders that nothing placed before the first row that names them."""
        self.newest = 0
        """The largest id submitted so far."""
        self.doubtful: dict[tuple[Side, int], int] = {}
        """Lots that known orders of a level had when it left the window, and that no later row takes off them."""
        self.commands_after: list[int] = []
        self.top_inside: dict[int, tuple[Side, int, int]] = {}
        """Side that is hit, its best price and lots, after a row inside a sweep."""
        self.refreshed: list[int] = []
        """Rows after which all levels came into view."""
        self.bounds_array = {side: bounds_of(day, side) for side in Side}
        self.bounds: dict[Side, list[int]] = {side: array.tolist() for side, array in self.bounds_array.items()}

    def run(self) -> Found:
        self.read_ahead()
        rows = len(self.day.messages)
        row = 0
        while row < rows:
            end = self.sweep_end(row)
            if end > row:
                self.sweep(row, end)
            else:
                self.tell(row)
                self.look(row)
                end = row + 1
            self.commands_after += [self.tape.commands] * (end - row)
            row = end
        self.compare_tops()
        self.found.commands, self.found.came_again = self.tape.commands, self.tape.came_again
        self.found.crossed = len(self.tape.crossed)
        return self.found

    def read_ahead(self) -> None:
        """What each order will lose, and which orders never come."""
        for row, message in enumerate(self.day.messages):
            if message.kind == SUBMITTED:
                self.submitted.add(message.order)
                self.sized.add(message.order)
            elif message.kind in {REDUCED, DELETED, EXECUTED}:
                if message.order not in self.needed and message.order not in self.submitted:
                    self.unsubmitted.setdefault((message.side, message.price), []).append(message.order)
                    self.first_named[message.order] = row
                if message.kind == DELETED:
                    self.sized.add(message.order)
                self.needed[message.order] = self.needed.get(message.order, 0) + message.lots
        for orders in self.unsubmitted.values():
            orders.sort(reverse=True)

    # -- the rows ------------------------------------------------------------------------------------------------------

    def sweep_end(self, row: int) -> int:
        """The row after the last execution of the order that came with this one; `row` if it is no execution."""
        first = self.day.messages[row]
        end = row
        while end < len(self.day.messages):
            message = self.day.messages[end]
            if message.kind != EXECUTED or message.at != first.at or message.side != first.side:
                break
            end += 1
        return end

    def tell(self, row: int) -> None:
        """A row that is no execution. Hidden executions (5) leave the visible book as it is."""
        message = self.day.messages[row]
        if message.kind == SUBMITTED:
            for order in self.unsubmitted.get((message.side, message.price), [])[::-1]:
                if order < message.order and self.has_room(order, message.side, message.price, row):
                    self.enter_unsubmitted(order, message.side, message.price, row)
            place = message.side, message.price
            if place not in self.tape.levels and self.in_view(*place, row - 1):
                self.doubtful.pop(place, None)
            self.newest = max(self.newest, message.order)
            self.enter(message.order, message.side, message.price, message.lots)
        elif message.kind in {CROSSED, HALTED}:
            self.refresh(row)
        elif message.kind in {REDUCED, DELETED}:
            self.name(message, row)
            had = self.tape.lots(message.order)
            if message.lots > had or (message.kind == DELETED and message.lots != had):
                self.found.lots_differ.append(row + 1)
            self.needed[message.order] -= message.lots
            self.tape.take(message.order, had if message.kind == DELETED else min(message.lots, had))

    def sweep(self, row: int, end: int) -> None:
        """Executions that came as one order; one by one if the market does not answer with exactly these."""
        unknown = [not self.name(self.day.messages[at], row) for at in range(row, end)]
        for at in range(row, end):
            # A level that comes into view inside the sweep may be hit by the next row.
            if at > 0:
                self.look(at)
        if any(unknown) or not self.trade(row, end):
            for at in range(row, end):
                if unknown[at - row]:
                    self.force(at, self.found.unknown)
                elif not self.trade(at, at + 1):
                    self.force(at, self.exception(self.day.messages[at]))
                self.note_top(at)
        if row == 0:
            self.look(0)

    def trade(self, row: int, end: int) -> bool:
        """Send the order of these executions; whether it hit exactly them. If not, everything is as before."""
        messages = self.day.messages[row:end]
        side = messages[0].side
        ahead: list[tuple[int, int]] = []
        if len(messages) > 1:
            self.tape.run()
            ahead = self.tape.market.depth(side, levels=len(messages) + 1)[["price", "lots"]].tolist()
        verdicts = self.verdicts(messages)
        hits = [Hit(message.order, message.lots, message.price) for message in messages]
        if not self.tape.trade(Side(1 - side), messages[-1].price, hits):
            return False
        for at, message in enumerate(messages, row):
            self.count(at, message, verdicts[at - row])
            self.needed[message.order] -= message.lots
            if ahead:
                price, left = ahead.pop(0)
                if left > message.lots:
                    ahead.insert(0, (price, left - message.lots))
                self.top_inside[at] = (side, *(ahead[0] if ahead else (0, 0)))
        return True

    def verdicts(self, messages: list[Message]) -> list[Verdict]:
        """What it proves if these executions hit the first order of the best level, one after the other."""
        found = []
        gone: set[int] = set()
        for message in messages:
            # An execution may be reported at a better price than that of the level.
            place = self.tape.place[message.order]
            level = self.tape.levels[place]
            unnamed = level.get(unnamed_of(*place), 0)
            known = level.keys() - gone - {unnamed_of(*place)}
            accounted = unnamed <= self.doubtful.get(place, 0) or not self.sized.issuperset(known)
            found.append(Verdict(accounted, alone=next(reversed(level)) == message.order))
            if message.lots == level[message.order]:
                gone.add(message.order)
        return found

    def count(self, row: int, message: Message, verdict: Verdict) -> None:
        """An execution that hit the first order of the best level."""
        found = self.found
        found.executions += 1
        found.submitted += message.order in self.submitted
        if verdict.accounted:
            found.first += 1
            found.last_in_fails += not verdict.alone
        elif message.order in self.entered_late:
            found.not_rankable.append(row + 1)
        else:
            found.first_of_named.append(row + 1)

    def exception(self, message: Message) -> list[int]:
        """Where an execution counts that the market would not have made."""
        best = self.tape.market.best(message.side)
        if best is None or best.price != message.price:
            return self.found.not_at_best
        level = list(self.tape.levels[self.tape.place[message.order]])
        ahead = level[: level.index(message.order)]
        never_named = bool(ahead) and not any(self.needed.get(order) for order in ahead)
        return self.found.first_of_named if never_named else self.found.other_ahead

    def force(self, row: int, exceptions: list[int]) -> None:
        """Carry out an execution that the market would not have made."""
        message = self.day.messages[row]
        self.found.executions += 1
        exceptions.append(row + 1)
        self.needed[message.order] -= message.lots
        self.tape.take(message.order, min(message.lots, self.tape.lots(message.order)))

    def note_top(self, row: int) -> None:
        """What stands first after a row inside a sweep."""
        side = self.day.messages[row].side
        self.tape.run()
        best = self.tape.market.best(side)
        self.top_inside[row] = (side, best.price, best.lots) if best else (side, 0, 0)

    # -- the orders ----------------------------------------------------------------------------------------------------

    def name(self, message: Message, row: int) -> bool:
        """Let the order of a row enter if it has not; whether the recorded level has lots for it."""
        if message.order in self.tape.place:
            return True
        self.entered_late.add(message.order)
        return self.enter_unsubmitted(message.order, message.side, message.price, row)

    def enter_unsubmitted(self, order: int, side: Side, price: int, row: int) -> bool:
        """Let an order enter that was there all the time; whether the recorded level has lots for it."""
        waiting = self.unsubmitted.get((side, price), [])
        if order in waiting:
            waiting.remove(order)
        lots, unnamed = self.needed[order], unnamed_of(side, price)
        has_room = self.has_room(order, side, price, row)
        if self.in_view(side, price, row - 1):
            room = self.tape.levels.get((side, price), {}).get(unnamed, 0)
            if room > 0:
                self.tape.take(unnamed, min(room, lots))
        self.enter(order, side, price, lots)
        return has_room

    def enter(self, order: int, side: Side, price: int, lots: int) -> None:
        """Let an order rest. Whoever it would hit without a word is not there any more."""
        self.tape.clear_way(side, price)
        self.tape.enter(order, side, price, lots, late_from=UNNAMED)

    def has_room(self, order: int, side: Side, price: int, row: int) -> bool:
        """Whether the recorded size of the level, if it is in view before this row, has lots for one more order."""
        if not self.in_view(side, price, row - 1):
            return True
        return self.tape.levels.get((side, price), {}).get(unnamed_of(side, price), 0) >= self.needed[order]

    # -- the window ----------------------------------------------------------------------------------------------------

    def in_view(self, side: Side, price: int, row: int) -> bool:
        return row >= 0 and signed(side, price) <= self.bounds[side][row]

    def in_view_to(self, side: Side, price: int, row: int) -> int:
        """The first row from this one on after which the level is out of view; past the end if it stays."""
        step = 64
        while row < len(self.day.messages):
            out = self.bounds_array[side][row : row + step] < signed(side, price)
            if out.any():
                return row + int(out.argmax())
            row += step
            step *= 2
        return row

    def look(self, row: int) -> None:
        """Levels that leave the recorded window with this row, and those that come into view."""
        for side in Side:
            before = self.bounds[side][row - 1] if row > 0 else -FAR
            now = self.bounds[side][row]
            if now < before:
                for price, _ in self.recorded(side, row - 1):
                    if signed(side, price) > now:
                        self.lose_sight(side, price)
            elif now > before:
                for price, lots in self.recorded(side, row):
                    if signed(side, price) > before:
                        self.come_into_view(side, price, lots, row)

    def refresh(self, row: int) -> None:
        """A cross or a halt may change the book without rows of its own: all levels come into view again."""
        for side in Side:
            for price, _ in self.recorded(side, row - 1) if row > 0 else []:
                self.lose_sight(side, price)
            for price, lots in self.recorded(side, row):
                self.come_into_view(side, price, lots, row)
        self.refreshed.append(row)

    def recorded(self, side: Side, row: int) -> list[tuple[int, int]]:
        """Price and lots of the recorded levels of a side."""
        prices, lots = self.day.prices(side)[row].tolist(), self.day.lots(side)[row].tolist()
        return [(price, left) for price, left in zip(prices, lots, strict=True) if left > 0]

    def come_into_view(self, side: Side, price: int, lots: int, row: int) -> None:
        """The recorded size of a level: what no order accounts for is one unnamed order.

        An order without a submission is there already if its id is not new, or if it is named while the level has
        been in view all the time.
        """
        waiting = self.unsubmitted.get((side, price), [])
        if waiting:
            in_view_to = self.in_view_to(side, price, row)
            for order in waiting[::-1]:
                if order < self.newest or self.first_named[order] <= in_view_to:
                    waiting.remove(order)
                    self.enter(order, side, price, self.needed[order])
        unnamed = lots - sum(self.tape.levels.get((side, price), {}).values())
        if unnamed > 0:
            self.enter(unnamed_of(side, price), side, price, unnamed)

    def lose_sight(self, side: Side, price: int) -> None:
        """Of each order of a level that leaves the window only what later rows take off it is left for sure."""
        doubtful = 0
        for order, lots in list(self.tape.levels.get((side, price), {}).items()):
            doubt = max(0, lots - self.needed.get(order, 0))
            doubtful += doubt if order < UNNAMED else 0
            self.tape.take(order, doubt)
        self.doubtful[side, price] = doubtful

    # -- the recorded book ---------------------------------------------------------------------------------------------

    def compare_tops(self) -> None:
        """The best level of both sides after every row."""
        rows = len(self.day.messages)
        after = self.tape.tops()[np.array(self.commands_after) - 1]
        agree, new = np.ones(rows, bool), np.zeros(rows, bool)
        new[self.refreshed] = True
        for side, name in ((Side.BUY, "bid"), (Side.SELL, "ask")):
            price, lots = after[name].copy(), after[f"{name}_lots"].copy()
            for row, (hit, inside_price, inside_lots) in self.top_inside.items():
                if hit == side:
                    price[row], lots[row] = inside_price, inside_lots
            recorded_price, recorded_lots = self.day.prices(side)[:, 0], self.day.lots(side)[:, 0]
            agree &= (lots == recorded_lots) & ((price == recorded_price) | (lots == 0))
            bound = np.concatenate([[-FAR], bounds_of(self.day, side)[:-1]])
            new |= (recorded_lots > 0) & (signed(side, 1) * recorded_price > bound)
        self.found.best_agrees = int((agree & ~new).sum())
        self.found.best_came_into_view = (np.flatnonzero(new) + 1).tolist()
        self.found.best_differs = (np.flatnonzero(~agree & ~new) + 1).tolist()


def bounds_of(day: Day, side: Side) -> NDArray[np.int64]:
    """[rows]: the worst price in view after each row, signed; FAR while there are fewer levels than recorded ones."""
    price, lots = day.prices(side)[:, -1], day.lots(side)[:, -1]
    return np.where(lots == 0, FAR, signed(side, 1) * price)


def unnamed_of(side: Side, price: int) -> int:
    """Id of the lots of a level that no known order accounts for."""
    return UNNAMED + 2 * price + side
