"""Checks the certificate of an uncrossing: an auditor's part, which shares no step with the code that found the price.

One pass over the orders for each price looked at, at five prices, no sorting. It rests on one fact: demand never grows
with the price and supply never falls, so what is proved one tick above a price holds for all prices above it.

    below a price p    volume <= supply(p), and if buyers are left over at p, at least as many are left over
    above a price p    volume <= demand(p), and if sellers are left over at p, at least as many are left over
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from matching.layout import Side
from matching.rulebook_layout import NO_PRICE

Order = tuple[Side, int | None, int]
"""Side, price in ticks (None: at any price), lots."""


class At(NamedTuple):
    """What is bought and sold at a price."""

    demand: int
    supply: int

    @property
    def volume(self) -> int:
        return min(self.demand, self.supply)

    @property
    def left(self) -> int:
        """Buyers left over; below zero sellers."""
        return self.demand - self.supply

    @property
    def rank(self) -> tuple[int, int]:
        """More is better: the volume, then the smaller surplus."""
        return self.volume, -abs(self.left)


NOTHING = At(0, 0)
"""What is not a candidate trades nothing."""
POINTS = ("", "_below", "_above", "_turn", "_past")
"""Suffixes of the claimed demand and supply: at the price, a tick beside it, at the turn and a tick above the turn."""


def flaw(certificate: Any, orders: Iterable[Order], *, reference: int | None = None) -> str | None:
    """Why this is not the certificate (a row of UNCROSS) of the price at which these orders uncross; None if it is.

    For given orders and reference price exactly one price passes.
    """
    known = list(orders)
    limits = [price for _, price, _ in known if price is not None]
    if reference is not None:
        limits.append(reference)
    lowest, highest = (min(limits), max(limits)) if limits else (NO_PRICE, NO_PRICE)
    price, turn, volume = (int(certificate[name]) for name in ("price", "turn", "volume"))
    claimed = [At(int(certificate[f"demand{at}"]), int(certificate[f"supply{at}"])) for at in POINTS]
    if int(certificate["reference"]) != (NO_PRICE if reference is None else reference):
        return f"the reference price is {reference}"
    if (int(certificate["lowest"]), int(certificate["highest"])) != (lowest, highest):
        return f"the candidates are {lowest} to {highest}"
    if price == NO_PRICE:
        if (turn, volume) != (0, 0) or any(at != At(0, 0) for at in claimed):
            return "without a price everything is 0"
        return "orders cross" if crosses(known, lowest, highest) else None
    if not (lowest <= price <= highest and lowest - 1 <= turn <= highest):
        return "price and turn are candidates"
    found = [at_price(known, where) for where in (price, price - 1, price + 1, turn, turn + 1)]
    for name, ours, theirs in zip(POINTS, found, claimed, strict=True):
        if ours != theirs:
            return f"demand{name} and supply{name} are {ours.demand} and {ours.supply}"
    here, below, above, at_turn, past = found
    if volume != here.volume or volume == 0:
        return f"the volume is {here.volume}"
    if (turn >= lowest and at_turn.left <= 0) or (turn < highest and past.left > 0):
        return "the turn is the highest candidate at which buyers are left over"
    # Buyers are left over at some of the prices that are as good as this one, sellers at others.
    mixed = lowest <= turn < highest and at_turn.rank == past.rank == here.rank
    above = above if price < highest else NOTHING
    below = below if price > lowest else NOTHING
    return flaw_of_volume(here, below, above, mixed) or flaw_of_choice(
        here, below, above, mixed or here.left == 0, price, reference
    )


def flaw_of_volume(here: At, below: At, above: At, mixed: bool) -> str | None:
    """Volume, surplus and pressure: on the side that is left over the next candidate must be worse."""
    if here.left == 0:
        return None
    beside = above if here.left > 0 else below
    if beside.rank > here.rank:
        return "one tick beside it more trades, or less is left over"
    if beside.rank == here.rank and not mixed:
        return "one tick beside it is as good, and the pressure leads there"
    return None


def flaw_of_choice(here: At, below: At, above: At, choice: bool, price: int, reference: int | None) -> str | None:
    """Reference: where several prices remain, which are consecutive ticks, none of them may be nearer."""
    if choice and above.rank == here.rank and (reference is None or reference > price):
        return "a higher price is as good and nearer the reference price"
    if choice and below.rank == here.rank and reference is not None and reference < price:
        return "a lower price is as good and nearer the reference price"
    return None


def at_price(orders: Sequence[Order], price: int) -> At:
    """What would be bought at `price` or higher, and sold at `price` or lower."""
    demand = sum(lots for side, limit, lots in orders if side == Side.BUY and (limit is None or limit >= price))
    supply = sum(lots for side, limit, lots in orders if side == Side.SELL and (limit is None or limit <= price))
    return At(demand, supply)


def crosses(orders: Sequence[Order], lowest: int, highest: int) -> bool:
    """Whether there is a candidate at which something is both bought and sold."""
    bids = [highest if limit is None else limit for side, limit, _ in orders if side == Side.BUY]
    asks = [lowest if limit is None else limit for side, limit, _ in orders if side == Side.SELL]
    return lowest != NO_PRICE and bool(bids) and bool(asks) and max(bids) >= min(asks)
