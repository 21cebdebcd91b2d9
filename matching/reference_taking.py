"""An order takes: it trades against the other side, best price first and first in time, then rests or is canceled."""

from __future__ import annotations

from dataclasses import dataclass, field

from matching.reference_orders import Order, Series, group_of, opposed
from matching.reference_rows import PhaseChange, Prevented, Skip
from matching.rulebook_layout import (
    HIGHEST,
    LOWEST,
    SKIPS_MAX,
    BandBreach,
    Ending,
    MarketRemainder,
    Phase,
    SelfTrade,
    TimeInForce,
)

STOPS_AT_OWN = (SelfTrade.CANCEL_NEWEST, SelfTrade.CANCEL_BOTH)
UNBOUND = (LOWEST, HIGHEST)
"""Where nothing limits execution prices."""
WHOLE = (BandBreach.REJECT, BandBreach.VOLATILITY_AUCTION)
"""A breach anywhere keeps the whole order from trading."""


def mode_of(series: Series, taker: Order) -> SelfTrade:
    """What the taking order does with its owner's orders: as it says, else as the series says."""
    return SelfTrade(taker.self_trade) if taker.self_trade else series.settings.self_trade


@dataclass(slots=True)
class Reach:
    """What an order would find on its way, without trading."""

    lots: int
    """Lots it could trade."""
    breach: bool
    """Whether it would come to a trade outside the band."""


def reach(series: Series, taker: Order, *, through_band: bool) -> Reach:
    """Look along the way of an order. A price outside the band ends the way, unless it is looked at `through_band`.

    Where something at a price stops the order, hidden lots of that price do not count: they would queue behind it. Of
    the legs of a group only the first on the way counts, because its trade would end the others.
    """
    mode = mode_of(series, taker)
    low, high = series.trade_band()
    left, found, skips, breach = taker.lots, 0, 0, False
    gone: set[tuple[int, int]] = set()
    for price, level in series.other(taker).best_first():
        if not taker.reaches(price) or left <= 0:
            break
        outside = not low <= price <= high
        shown = whole = 0
        for maker in level.values():
            if shown >= left:
                break
            if (maker.oco and group_of(maker) in gone) or _is_own_leg(taker, maker, mode):
                continue
            if maker.owner == taker.owner and mode != SelfTrade.ALLOW:
                if mode in STOPS_AT_OWN:
                    return Reach(found + shown, breach)
                if mode == SelfTrade.DECREMENT:
                    if maker.lots <= left - shown:
                        gone.add(group_of(maker))
                    left -= min(left - shown, maker.lots)
            elif opposed(series, taker, maker):
                skips += 1
                if skips > SKIPS_MAX:
                    return Reach(found + shown, breach)
            elif outside and not through_band:
                return Reach(found, breach=True)
            else:
                breach |= outside
                shown += maker.shown
                whole += maker.lots
                gone |= {group_of(maker), group_of(taker)}
        found += min(left, whole)
        left -= min(left, whole)
    return Reach(found, breach)


def _is_own_leg(taker: Order, maker: Order, mode: SelfTrade) -> bool:
    """Whether both are legs of one group where an owner may trade with itself: then the taker ends the other leg."""
    return mode == SelfTrade.ALLOW and taker.oco != 0 and group_of(taker) == group_of(maker)


def take(series: Series, taker: Order) -> None:
    """Run an open order that stands nowhere: trade what can be traded, then rest or cancel what is left."""
    rule = series.settings.band_breach
    need = taker.lots if taker.tif == TimeInForce.FOK else taker.min_lots
    taker.min_lots = 0
    if need and reach(series, taker, through_band=rule in WHOLE).lots < need:
        series.end(taker, Ending.FOK if taker.tif == TimeInForce.FOK else Ending.MINIMUM)
        return
    if rule in WHOLE and series.trade_band() != UNBOUND and reach(series, taker, through_band=False).breach:
        if rule == BandBreach.VOLATILITY_AUCTION and taker.rests:
            series.rest(taker)
            interrupt(series)
        else:
            series.end(taker, Ending.PRICE_RANGE)
        return
    filled_before = taker.filled
    walk = Walk(series, taker)
    walk.run()
    traded = taker.filled - filled_before
    if walk.skipped_orders:
        row = Skip(series.rows.command, taker.number, walk.skipped_orders, walk.skipped_lots)
        series.rows.skips.append(row)
    if not taker.open:
        return
    if taker.lots == 0:
        series.close(taker)
    elif walk.breached:
        if rule == BandBreach.PARTIAL_THEN_AUCTION and taker.rests:
            series.rest(taker, traded=traded)
            interrupt(series)
        else:
            series.end(taker, Ending.PRICE_RANGE)
    else:
        _leave_rest(series, taker, traded)


def _leave_rest(series: Series, taker: Order, traded: int) -> None:
    """Nobody is left to trade with."""
    if taker.is_market:
        price = _remainder_price(series, taker, traded)
        if price is None:
            series.end(taker, Ending.NO_LIQUIDITY)
            return
        become_limit(taker, price)
    if taker.tif in (TimeInForce.IOC, TimeInForce.FOK):
        series.end(taker, Ending.IOC)
    elif series.crossing_price(taker) is not None:
        # Only orders that it may not trade with are left there, and a book is never crossed.
        series.end(taker, Ending.INELIGIBLE)
    else:
        series.rest(taker, traded=traded)


def _remainder_price(series: Series, taker: Order, traded: int) -> int | None:
    """Where the rest of a market order stands; None where it is canceled."""
    rule = series.settings.market_remainder
    if taker.tif in (TimeInForce.IOC, TimeInForce.FOK):
        return None
    if rule == MarketRemainder.REST_AT_PROTECTION and taker.limit not in (HIGHEST, LOWEST):
        return taker.limit
    if rule == MarketRemainder.REST_AT_LAST_FILL and traded:
        return series.last_trade
    return None


def become_limit(order: Order, price: int) -> None:
    """A market order turns into a limit order."""
    order.flags &= ~1
    order.limit = order.price = price


def interrupt(series: Series) -> None:
    """Continuous trading stops for a volatility auction."""
    series.rows.phases.append(PhaseChange(series.rows.command, series.number, series.phase, Phase.VOLATILITY_AUCTION))
    series.phase = Phase.VOLATILITY_AUCTION


@dataclass(slots=True)
class Walk:
    """The way of one taking order through the other side."""

    series: Series
    taker: Order
    passed: set[int] = field(default_factory=set)
    """Orders that it may not trade with. Asked for members only."""
    skipped_orders: int = 0
    skipped_lots: int = 0
    breached: bool = False

    def run(self) -> None:
        series, taker = self.series, self.taker
        mode = mode_of(series, taker)
        low, high = series.trade_band()
        while taker.open and taker.lots and (maker := self._next_maker()) is not None:
            if _is_own_leg(taker, maker, mode):
                series.executes(taker)
            elif maker.owner == taker.owner and mode != SelfTrade.ALLOW:
                self._prevent(maker, mode)
            elif opposed(series, taker, maker):
                self._skip(maker)
            elif not low <= maker.price <= high:
                self.breached = True
                return
            else:
                self._trade(maker)

    def _next_maker(self) -> Order | None:
        """The first order of the best price that was not passed."""
        for price, level in self.series.other(self.taker).best_first():
            if not self.taker.reaches(price):
                return None
            for maker in level.values():
                if maker.number not in self.passed:
                    return maker
        return None

    def _trade(self, maker: Order) -> None:
        series, taker = self.series, self.taker
        lots = min(taker.lots, maker.shown)
        maker.shown -= lots
        series.record_fill(maker, taker, maker.price, lots)
        # The other legs of a group end before the next fill, so that they cannot trade in it.
        for order in (maker, taker):
            if order.open:
                series.executes(order)
        series.after_fill(maker)

    def _prevent(self, maker: Order, mode: SelfTrade) -> None:
        series, taker = self.series, self.taker
        lots = min(taker.lots, maker.lots) if mode == SelfTrade.DECREMENT else 0
        series.rows.prevented.append(Prevented(series.rows.command, maker.number, taker.number, maker.price, lots))
        for order, hit in ((maker, mode != SelfTrade.CANCEL_NEWEST), (taker, mode != SelfTrade.CANCEL_OLDEST)):
            if not hit or not order.open:
                continue
            if lots and lots < order.lots:
                series.take_off(order, lots, Ending.DECREMENTED)
            else:
                series.end(order, Ending.SELF_TRADE)

    def _skip(self, maker: Order) -> None:
        if self.skipped_orders == SKIPS_MAX:
            self.series.end(self.taker, Ending.TOO_MANY_SKIPS)
            return
        self.passed.add(maker.number)
        self.skipped_orders += 1
        self.skipped_lots += maker.lots
