"""What follows a taking order or a change of the book: icebergs refresh, pegs move, stops run."""

from __future__ import annotations

from matching.layout import Side
from matching.reference_orders import BookSide, Order, Series
from matching.reference_rows import Repricing, Trigger
from matching.reference_taking import take
from matching.rulebook_layout import NO_PRICE, Ending, Peg, Phase


def settle(series: Series) -> None:
    """Bring the series to rest: refresh, reprice, then run the stops that were hit, one after the other."""
    _tidy(series)
    mark_hits(series)
    while series.phase == Phase.CONTINUOUS and (stop := _next_hit(series)) is not None:
        run_stop(series, stop)
        _tidy(series)
        mark_hits(series)


def _tidy(series: Series) -> None:
    for order in list(series.thin.values()):
        series.refresh(order)
    for peg in list(series.pegs.values()):
        if peg.open:
            reprice(series, peg)


# --- pegs ---


def reprice(series: Series, peg: Order, *, entering: bool = False) -> None:
    """Move a peg to where its reference is now; an entering peg is always reported."""
    price = peg_price(series, peg)
    before = NO_PRICE if peg.number in series.parked else peg.price
    if price == NO_PRICE and series.phase == Phase.CONTINUOUS and not series.settings.peg_without_reference_parks:
        series.end(peg, Ending.PEG_NO_REFERENCE)
        return
    if price == before:
        if entering:
            series.rows.repricings.append(Repricing(series.rows.command, peg.number, price))
        return
    if price != NO_PRICE:
        series.withdraw(peg)
        peg.price = price
        series.rest(peg)
    else:
        series.sides[peg.side].leave(peg)
        peg.shown = 0
        series.parked.add(peg.number)
    series.rows.repricings.append(Repricing(series.rows.command, peg.number, price))


def peg_price(series: Series, peg: Order) -> int:
    """Where the peg belongs: its reference less the offset (a buyer) or plus it (a seller), within its cap."""
    if series.phase != Phase.CONTINUOUS:
        return NO_PRICE
    bid, ask = (_best_unpegged(side) for side in series.sides)
    sign = 1 if peg.side == Side.BUY else -1
    if peg.peg == Peg.MID:
        if NO_PRICE in (bid, ask):
            return NO_PRICE
        up = (peg.side == Side.BUY) == series.settings.peg_mid_rounds_toward_market
        reference = (bid + ask + up) // 2
    else:
        reference = bid if peg.peg == Peg.BID else ask
        if reference == NO_PRICE:
            return NO_PRICE
    price = reference - sign * peg.offset
    price = min(price, peg.limit) if peg.side == Side.BUY else max(price, peg.limit)
    return price if 1 <= price <= series.settings.price_max else NO_PRICE


def _best_unpegged(side: BookSide) -> int:
    for price, level in side.best_first():
        if any(not order.peg for order in level.values()):
            return price
    return NO_PRICE


# --- stops ---


def is_hit(stop: Order, low: int, high: int) -> bool:
    """Whether trades between the two prices reached the trigger: a buyer's from below, a seller's from above."""
    return high >= stop.trigger if stop.side == Side.BUY else low <= stop.trigger


def mark_hits(series: Series) -> None:
    """Remember which waiting stops the latest trades have hit. Those of one round run in order of acceptance."""
    low, high = series.traded_low, series.traded_high
    series.traded_low = series.traded_high = 0
    if not high:
        return
    series.hit_rounds += 1
    for stop in series.stops.values():
        if not stop.hit and is_hit(stop, low, high):
            stop.hit = series.hit_rounds


def _next_hit(series: Series) -> Order | None:
    hits = [stop for stop in series.stops.values() if stop.hit]
    return min(hits, key=lambda stop: stop.hit, default=None)


def run_stop(series: Series, stop: Order) -> None:
    """A triggered stop becomes a market or limit order and takes."""
    del series.stops[stop.number]
    series.rows.triggers.append(Trigger(series.rows.command, stop.number, series.last_trade))
    stop.trigger = 0
    series.executes(stop)
    take(series, stop)
