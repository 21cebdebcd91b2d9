"""Price-time priority in plain Python: what the compiled book must equal, and where a newcomer starts to read.

A book holds what rests: order numbers and lots, by side and price. It knows no money, no accounts and no parties, and
it decides one thing only: who is next to trade. The better price comes first, and at one price whoever rested first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from matching.layout import Side

Level = dict[int, int]
"""Lots left by order number; a dict keeps the order of insertion, which is the order of acceptance."""


class Resting(NamedTuple):
    """An order that rests: its number, its price in ticks and the lots it has left."""

    order: int
    price: int
    lots: int


class Depth(NamedTuple):
    """A price level as the market sees it: ticks, lots in all, number of orders."""

    price: int
    lots: int
    orders: int


@dataclass(slots=True)
class ReferenceBook:
    """The resting orders of one series. Order numbers are the caller's and are never used twice."""

    levels: dict[Side, dict[int, Level]] = field(default_factory=lambda: {Side.BUY: {}, Side.SELL: {}})
    where: dict[int, tuple[Side, int]] = field(default_factory=dict)
    """Side and price of each resting order."""

    def rest(self, *, order: int, side: Side, price: int, lots: int) -> None:
        """Put an order at the tail of its level."""
        assert lots > 0 and order not in self.where, (order, lots)
        self.levels[side].setdefault(price, {})[order] = lots
        self.where[order] = (side, price)

    def cancel(self, order: int) -> int:
        """Take an order out, wherever it stands in its queue; returns the lots it had left."""
        side, price = self.where.pop(order)
        level = self.levels[side][price]
        lots = level.pop(order)
        if not level:
            del self.levels[side][price]
        return lots

    def reduce(self, *, order: int, lots: int) -> int:
        """Take lots off an order, which keeps its place; returns what it has left. At nothing left it is gone."""
        side, price = self.where[order]
        level = self.levels[side][price]
        assert 0 < lots <= level[order], (order, lots, level[order])
        level[order] -= lots
        left = level[order]
        if left == 0:
            self.cancel(order)
        return left

    def best(self, side: Side) -> int | None:
        """The highest bid, or the lowest ask, in ticks."""
        prices = self.levels[side]
        if not prices:
            return None
        return max(prices) if side == Side.BUY else min(prices)

    def crossing_maker(self, *, side: Side, price: int) -> Resting | None:
        """Whom an arriving order trades with next: the first of the other side's best level, if that level crosses."""
        other = Side.SELL if side == Side.BUY else Side.BUY
        best = self.best(other)
        if best is None or (best > price if side == Side.BUY else best < price):
            return None
        level = self.levels[other][best]
        order = next(iter(level))
        return Resting(order=order, price=best, lots=level[order])

    def in_priority(self, side: Side) -> Iterator[Resting]:
        """The orders of a side from the first to trade to the last."""
        for price in sorted(self.levels[side], reverse=side == Side.BUY):
            for order, lots in self.levels[side][price].items():
                yield Resting(order=order, price=price, lots=lots)

    def depth(self, side: Side) -> list[Depth]:
        """The levels of a side, best first."""
        return [
            Depth(price=price, lots=sum(level.values()), orders=len(level))
            for price, level in sorted(self.levels[side].items(), reverse=side == Side.BUY)
        ]

    def level_count(self) -> int:
        """How many prices have at least one order, over both sides."""
        return len(self.levels[Side.BUY]) + len(self.levels[Side.SELL])

    def is_crossed(self) -> bool:
        """Whether a bid stands at or above an ask, which continuous trading never leaves behind."""
        bid, ask = self.best(Side.BUY), self.best(Side.SELL)
        return bid is not None and ask is not None and bid >= ask
