"""The price of an auction: greatest volume, least surplus, pressure, reference; and the proof that it is the right one.

`auction_price` finds the price. `check_uncross` is told a price and its certificate and says what is wrong with it: it
shares no step with the search, needs no sorting and reads the orders a fixed number of times.

What makes the proof short: with a rising price demand never grows and supply never shrinks. Up to the `turn`, the
highest price at which demand is not below supply, volume is supply, and it is greatest at the turn; above, volume is
demand, and it is greatest at the next possible price. So these two prices show the greatest volume and the least
surplus there are, and a look at both ends of a range, and just outside of it, shows that it holds all prices as good.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from matching.reference_settings import BPS, Settings
from matching.rulebook_layout import HIGHEST, LOWEST, NO_PRICE, AuctionSteps

Interest = tuple[int, int]
"""Worst price and lots of an order; HIGHEST or LOWEST where it takes any price."""


class Certificate(NamedTuple):
    """The price of an auction with the prices that prove it. Without a price everything but `reference` is 0."""

    price: int
    lots: int
    """Executable at the price, whoever the orders belong to."""
    surplus: int
    """Demand minus supply at the price."""
    low: int
    """Lowest and highest of the prices with the greatest volume and, where the steps ask for it, the least surplus."""
    high: int
    turn: int
    """Highest possible price at which demand is not below supply; 0 if there is none."""
    reference: int


class _Stretch(NamedTuple):
    """Possible prices without a gap between which demand and supply stay as they are."""

    low: int
    high: int
    demand: int
    supply: int

    @property
    def volume(self) -> int:
        return min(self.demand, self.supply)

    @property
    def surplus(self) -> int:
        return self.demand - self.supply


def auction_price(
    bids: Sequence[Interest], asks: Sequence[Interest], *, reference: int, settings: Settings
) -> Certificate:
    """The price at which these orders would uncross. `reference` is 0 where there is none."""
    stretches = _stretches(bids, asks, reference, settings)
    greatest = max((stretch.volume for stretch in stretches), default=0)
    if greatest == 0:
        return Certificate(NO_PRICE, 0, 0, 0, 0, 0, reference)
    tied = [stretch for stretch in stretches if stretch.volume == greatest]
    if settings.auction_steps in (AuctionSteps.SURPLUS_PRESSURE_REFERENCE, AuctionSteps.SURPLUS_REFERENCE):
        least = min(abs(stretch.surplus) for stretch in tied)
        tied = [stretch for stretch in tied if abs(stretch.surplus) == least]
    price = _choose(tied, reference, settings)
    at_price = next((s for s in stretches if s.low <= price <= s.high), None) or _between(bids, asks, price)
    turn = max((stretch.high for stretch in stretches if stretch.surplus >= 0), default=0)
    return Certificate(price, greatest, at_price.surplus, tied[0].low, tied[-1].high, turn, reference)


def _stretches(
    bids: Sequence[Interest], asks: Sequence[Interest], reference: int, settings: Settings
) -> list[_Stretch]:
    """All possible prices from the lowest to the highest."""
    limits = sorted({price for price, _ in (*bids, *asks) if LOWEST < price < HIGHEST})
    if settings.auction_every_tick:
        points = sorted({*limits, reference} - {NO_PRICE})
    else:
        points = limits or ([reference] if reference else [])
    ranges: list[tuple[int, int]] = []
    for point in points:
        if settings.auction_every_tick and ranges and ranges[-1][1] + 1 < point:
            ranges.append((ranges[-1][1] + 1, point - 1))
        ranges.append((point, point))
    falling = sorted(bids, reverse=True)
    rising = sorted(asks)
    demand = [0, *accumulate(lots for _, lots in falling)]
    supply = [0, *accumulate(lots for _, lots in rising)]
    bid_prices = [-price for price, _ in falling]
    ask_prices = [price for price, _ in rising]
    # Between two limits nothing changes, so what holds at one price of a stretch holds at all of them.
    return [
        _Stretch(low, high, demand[bisect_right(bid_prices, -low)], supply[bisect_right(ask_prices, low)])
        for low, high in ranges
    ]


def _between(bids: Sequence[Interest], asks: Sequence[Interest], price: int) -> _Stretch:
    """A price that is the middle of a range, and no possible price itself."""
    return _Stretch(price, price, *_curves(bids, asks, price))


def _choose(tied: list[_Stretch], reference: int, settings: Settings) -> int:
    low, high = tied[0].low, tied[-1].high
    steps = settings.auction_steps
    if steps == AuctionSteps.MIDDLE:
        return (low + high) // 2
    if steps == AuctionSteps.SURPLUS_PRESSURE_REFERENCE:
        cap = settings.auction_pressure_cap_bps if reference else 0
        if all(stretch.surplus > 0 for stretch in tied):
            bound = reference * (BPS + cap) // BPS
            inside = [min(stretch.high, bound) for stretch in tied if stretch.low <= bound]
            return high if not cap else max(inside, default=low)
        if all(stretch.surplus < 0 for stretch in tied):
            bound = -(-reference * (BPS - cap) // BPS)
            inside = [max(stretch.low, bound) for stretch in tied if stretch.high >= bound]
            return low if not cap else min(inside, default=high)
    if not reference:
        return high if settings.auction_tie_higher else low
    nearest = [min(max(reference, stretch.low), stretch.high) for stretch in tied]
    sign = -1 if settings.auction_tie_higher else 1
    return min(nearest, key=lambda price: (abs(price - reference), sign * price))


# --- the proof ---


def _curves(bids: Sequence[Interest], asks: Sequence[Interest], price: int) -> tuple[int, int]:
    """Demand and supply at a price."""
    return sum(lots for bid, lots in bids if bid >= price), sum(lots for ask, lots in asks if ask <= price)


def check_uncross(
    claim: Certificate, bids: Sequence[Interest], asks: Sequence[Interest], *, settings: Settings
) -> str | None:
    """What is wrong with a claimed auction price, or None where it is proven to be the one the rules give."""
    return _Proof(claim, bids, asks, settings).fault()


class _Proof(NamedTuple):
    claim: Certificate
    bids: Sequence[Interest]
    asks: Sequence[Interest]
    settings: Settings

    def fault(self) -> str | None:
        claim = self.claim
        if claim.price == NO_PRICE:
            return self._fault_without_price()
        turn_price, next_price = self._turn()
        if turn_price is None and next_price is None:
            return "demand falls below supply elsewhere"
        greatest = max(self._volume(turn_price), self._volume(next_price))
        if claim.lots != greatest or greatest == 0:
            return "the volume is not the greatest"
        if not (self._is_possible(claim.low) and self._is_possible(claim.high)):
            return "an end of the range is no possible price"
        least = min(abs(self._surplus(p)) for p in (turn_price, next_price) if self._volume(p) == greatest)
        if not (self._good(claim.low, greatest, least) and self._good(claim.high, greatest, least)):
            return "an end of the range is not as good as the best price"
        if claim.low > claim.high:
            return "the range is reversed"
        if self._good(self._below(claim.low), greatest, least) or self._good(self._above(claim.high), greatest, least):
            return "a price outside the range is as good"
        if claim.price != self._price_in_range():
            return "another price of the range has precedence"
        if claim.surplus != self._surplus(claim.price):
            return "the surplus is another"
        return None

    def _fault_without_price(self) -> str | None:
        if self.claim != Certificate(0, 0, 0, 0, 0, 0, self.claim.reference):
            return "a certificate without a price is empty"
        bid = max((price for price, _ in self.bids), default=LOWEST - 1)
        ask = min((price for price, _ in self.asks), default=HIGHEST + 1)
        return "something can be executed" if bid >= ask and self._limits() else None

    def _limits(self) -> list[int]:
        found = [price for price, _ in (*self.bids, *self.asks) if LOWEST < price < HIGHEST]
        if self.claim.reference and (self.settings.auction_every_tick or not found):
            found.append(self.claim.reference)
        return found

    def _is_possible(self, price: int) -> bool:
        limits = self._limits()
        return min(limits) <= price <= max(limits) if self.settings.auction_every_tick else price in limits

    def _below(self, price: int) -> int | None:
        """The next lower possible price."""
        limits = self._limits()
        if self.settings.auction_every_tick:
            return price - 1 if price > min(limits) else None
        return max((limit for limit in limits if limit < price), default=None)

    def _above(self, price: int) -> int | None:
        limits = self._limits()
        if self.settings.auction_every_tick:
            return price + 1 if price < max(limits) else None
        return min((limit for limit in limits if limit > price), default=None)

    def _turn(self) -> tuple[int | None, int | None]:
        """The claimed turn and the possible price above it, if they are what they are said to be."""
        limits, claimed = self._limits(), self.claim.turn
        if not limits:
            return None, None
        if claimed == 0:
            return (None, min(limits)) if self._surplus(min(limits)) < 0 else (None, None)
        if not self._is_possible(claimed) or self._surplus(claimed) < 0:
            return None, None
        above = self._above(claimed)
        return (claimed, above) if above is None or self._surplus(above) < 0 else (None, None)

    def _volume(self, price: int | None) -> int:
        return 0 if price is None else min(_curves(self.bids, self.asks, price))

    def _surplus(self, price: int | None) -> int:
        if price is None:
            return 0
        demand, supply = _curves(self.bids, self.asks, price)
        return demand - supply

    def _good(self, price: int | None, greatest: int, least: int) -> bool:
        """Whether the price passes the steps of volume and surplus."""
        if price is None or self._volume(price) != greatest:
            return False
        steps = self.settings.auction_steps
        return steps in (AuctionSteps.REFERENCE, AuctionSteps.MIDDLE) or abs(self._surplus(price)) == least

    def _price_in_range(self) -> int:
        """The price that pressure, the reference and the rule for ties leave of the claimed range."""
        claim, rules = self.claim, self.settings
        low, high, reference = claim.low, claim.high, claim.reference
        if rules.auction_steps == AuctionSteps.MIDDLE:
            return (low + high) // 2
        if rules.auction_steps == AuctionSteps.SURPLUS_PRESSURE_REFERENCE:
            if self._surplus(high) > 0:
                cap = reference * (BPS + rules.auction_pressure_cap_bps) // BPS
                return high if not (rules.auction_pressure_cap_bps and reference) else self._at_most(cap)
            if self._surplus(low) < 0:
                cap = -(-reference * (BPS - rules.auction_pressure_cap_bps) // BPS)
                return low if not (rules.auction_pressure_cap_bps and reference) else self._at_least(cap)
        if not reference:
            return high if rules.auction_tie_higher else low
        under, over = self._at_most(reference), self._at_least(reference)
        if abs(under - reference) == abs(over - reference):
            return max(under, over) if rules.auction_tie_higher else min(under, over)
        return min(under, over, key=lambda price: abs(price - reference))

    def _at_most(self, bound: int) -> int:
        """The highest possible price of the range up to the bound, else the lowest of the range."""
        low, high = self.claim.low, self.claim.high
        if self.settings.auction_every_tick:
            return max(low, min(high, bound))
        return max((limit for limit in self._limits() if low <= limit <= min(high, bound)), default=low)

    def _at_least(self, bound: int) -> int:
        low, high = self.claim.low, self.claim.high
        if self.settings.auction_every_tick:
            return min(high, max(low, bound))
        return min((limit for limit in self._limits() if max(low, bound) <= limit <= high), default=high)
