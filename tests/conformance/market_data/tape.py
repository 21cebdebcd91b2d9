"""What every replay does alike: orders under the exchange's own ids, commands in batches, fills named as they were.

Each exchange numbers orders in order of entry, so the orders of a level stand by id. One that is told late leaves its
place to be found: those with larger ids leave the market and come again behind it.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from heapq import heappop, heappush
from pathlib import Path
from typing import NamedTuple

import numpy as np

from matching.layout import COMMAND, Code, Kind, Side, TimeInForce
from matching.market import Market, Rows
from matching.market_kernel import TOP

TAKER = -1
"""Id of an incoming order that does not rest."""


class Hit(NamedTuple):
    """A trade as an exchange reports it: which resting order, how many lots, at which price."""

    order: int
    lots: int
    price: int


def lines_of(file: Path) -> list[str]:
    """The lines of a text file, gzipped or plain, without line ends."""
    if file.suffix == ".gz":
        with gzip.open(file, "rt", encoding="ascii") as text:
            return text.read().splitlines()
    return file.read_text(encoding="ascii").splitlines()


def signed(side: Side, price: int) -> int:
    """Less is better on both sides."""
    return -price if side == Side.BUY else price


def merged(hits: Iterable[Hit]) -> list[Hit]:
    """Hits of one order in a row are one."""
    found: list[Hit] = []
    for hit in hits:
        if found and found[-1].order == hit.order:
            found[-1] = hit._replace(lots=found[-1].lots + hit.lots)
        else:
            found.append(hit)
    return found


class Tape:
    """A market whose orders have the exchange's ids. Commands wait until somebody wants to know what they did.

    `levels` and `place` say what should rest where; who is next is the market's own answer.
    """

    def __init__(self) -> None:
        # Room for fewer orders leaves more lots to each: whole bitcoins by the thousand, counted in satoshis.
        self.market = Market(orders=1 << 18)
        self.commands = 0
        """Told so far, those that wait included."""
        self.levels: dict[tuple[Side, int], dict[int, int]] = {}
        """Lots by order for each level, the smallest id first."""
        self.place: dict[int, tuple[Side, int]] = {}
        self.came_again = 0
        """Orders that entered before one with a larger id."""
        self.crossed: list[int] = []
        """Orders that another one would have hit in silence: they cannot have been there any more."""
        self._waiting: list[tuple[int, ...]] = []
        self._number: dict[int, int] = {}
        self._id = [0]
        self._tops: list[Rows] = []
        self._best: dict[Side, list[int]] = {Side.BUY: [], Side.SELL: []}
        """Heap of signed prices, with some whose level is gone."""

    # -- orders --------------------------------------------------------------------------------------------------------

    def lots(self, order: int) -> int:
        """Lots an order should have; 0 if it should not rest."""
        return self.levels[self.place[order]][order] if order in self.place else 0

    def enter(self, order: int, side: Side, price: int, lots: int, *, late_from: int = 1 << 62) -> None:
        """Let an order rest before all of its level with a larger id.

        Ids from `late_from` are no exchange's own, so they do not count as coming again.
        """
        level = self._level(side, price)
        later = []
        while level and (last := next(reversed(level))) > order:
            later.append((last, level.pop(last)))
            self._add(Kind.CANCEL, target=self._number.pop(last))
        later.append((order, lots))
        for known, left in reversed(later):
            level[known] = left
            self.place[known] = (side, price)
            self._submit(known, side, price=price, lots=left)
        self.came_again += any(known < late_from for known, _ in later[:-1])

    def crossing(self, side: Side, price: int) -> dict[int, int]:
        """The orders of the best level of the other side, if an order at `price` would hit them."""
        other = Side(1 - side)
        heap = self._best[other]
        while heap and heap[0] + signed(side, price) <= 0:
            level = self.levels.get((other, abs(heap[0])))
            if level:
                return level
            heappop(heap)
        return {}

    def clear_way(self, side: Side, price: int) -> None:
        """Drop the orders of the other side that an order at `price` would hit, although nobody reports a trade."""
        while level := self.crossing(side, price):
            for order, lots in list(level.items()):
                self.crossed.append(order)
                self.take(order, lots)

    def take(self, order: int, lots: int) -> None:
        """Take lots off an order by cancelling them."""
        if lots == self.lots(order):
            self._add(Kind.CANCEL, target=self._number.pop(order))
        elif lots > 0:
            self._add(Kind.REDUCE, target=self._number[order], lots=lots)
        self.forget(order, lots)

    def forget(self, order: int, lots: int) -> None:
        """Note that an order has fewer lots in the market."""
        place = self.place[order]
        level = self.levels[place]
        level[order] -= lots
        if level[order] == 0:
            del level[order], self.place[order]
            if not level:
                del self.levels[place]

    # -- trades --------------------------------------------------------------------------------------------------------

    def trade(self, side: Side, price: int, hits: list[Hit], *, rest: tuple[int, int] | None = None) -> bool:
        """Send an order of `side` that should make just these hits; whether the market answers so.

        Of `rest` (order, lots) so many lots should rest. If the answer is another, all is put back as it was.
        """
        lots = sum(hit.lots for hit in hits)
        if rest is None:
            self._submit(TAKER, side, price=price, lots=lots, tif=TimeInForce.IOC)
        else:
            self._submit(rest[0], side, price=price, lots=lots + rest[1])
        number = len(self._id) - 1
        made = self.run()
        if made == merged(hits):
            for hit in made:
                self.forget(hit.order, hit.lots)
            if rest is not None and rest[1] > 0:
                self._level(side, price)[rest[0]] = rest[1]
                self.place[rest[0]] = (side, price)
            return True
        if self.market.lots_left(number) > 0:
            self._add(Kind.CANCEL, target=number)
        had = [(hit, self.lots(hit.order)) for hit in made]
        place = [self.place[hit.order] for hit in made]
        for hit, left in had:
            if hit.lots < left:
                self._add(Kind.CANCEL, target=self._number[hit.order])
            self.forget(hit.order, left)
        for (hit, left), (other, at) in zip(had, place, strict=True):
            self.enter(hit.order, other, at, left)
        return False

    # -- the market ----------------------------------------------------------------------------------------------------

    def run(self) -> list[Hit]:
        """Carry out what waits; returns whom the incoming orders hit."""
        if not self._waiting:
            return []
        batch = self.market.run(np.array(self._waiting, COMMAND), tops=True)
        self._waiting.clear()
        assert (batch.results["code"] == Code.OK).all(), batch.results[batch.results["code"] != Code.OK]
        assert self.market.next_order == len(self._id)
        self._tops.append(batch.tops)
        return [Hit(self._id[maker], lots, price) for _, maker, _, price, lots in batch.fills.tolist()]

    def id_of(self, number: int) -> int:
        """The exchange's id of an order of the market."""
        return self._id[number]

    def tops(self) -> Rows:
        """[commands] of TOP: best prices after each command so far."""
        self.run()
        return np.concatenate(self._tops) if self._tops else np.zeros(0, TOP)

    def _level(self, side: Side, price: int) -> dict[int, int]:
        if (side, price) not in self.levels:
            self.levels[side, price] = {}
            heappush(self._best[side], signed(side, price))
        return self.levels[side, price]

    def _submit(self, order: int, side: Side, *, price: int, lots: int, tif: TimeInForce = TimeInForce.GTC) -> None:
        self._number[order] = len(self._id)
        self._id.append(order)
        self._add(Kind.NEW, side=side, price=price, lots=lots, tif=tif)

    def _add(self, kind: Kind, *, target: int = 0, side: int = 0, price: int = 0, lots: int = 0, tif: int = 0) -> None:
        self.commands += 1
        self._waiting.append((self.commands, 0, price, lots, target, 0, 1, 0, kind, side, tif, 0))
