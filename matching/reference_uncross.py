"""An auction ends: its price, the walk that pairs buyers with sellers, and what is canceled after it.

Price and certificate ignore who the orders belong to. The walk gives each buyer, in priority, the first sellers that it
may trade with. The lots of the certified volume that find nobody are told apart: prevented between orders of one
owner, skipped otherwise; executed + prevented + skipped = certified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matching.layout import Side
from matching.reference_auction import Certificate, Interest, auction_price
from matching.reference_orders import Order, Series, opposed
from matching.reference_rows import Prevented, Uncross
from matching.reference_taking import become_limit
from matching.rulebook_layout import SKIPS_MAX, Ending


def interest(series: Series, side: Side) -> list[Interest]:
    """What a side brings to the auction: worst price and lots of each of its orders."""
    return [(order.price, order.lots) for order in series.sides[side].in_priority()]


def indicative(series: Series, reference: int = 0) -> Certificate:
    """The price at which the auction would uncross now."""
    return auction_price(
        interest(series, Side.BUY),
        interest(series, Side.SELL),
        reference=reference or series.reference,
        settings=series.settings,
    )


@dataclass(slots=True)
class _Share:
    """Lots of an order that stand in the walk together: first those it shows, after the level's others the hidden."""

    order: Order
    lots: int
    shown: bool


def _shares(series: Series, side: Side, price: int) -> list[_Share]:
    """Who may trade at the price, in priority: by price, displayed before hidden lots, first in time first."""
    found: list[_Share] = []
    for _, level in series.sides[side].best_first():
        orders = [order for order in level.values() if order.reaches(price)]
        found += [_Share(order, order.shown, shown=True) for order in orders]
        found += [_Share(order, order.lots - order.shown, shown=False) for order in orders if order.lots > order.shown]
    return found


def uncross(series: Series) -> None:
    """Trade at one price, then cancel what may not stay."""
    certificate = indicative(series)
    executed = prevented = 0
    if certificate.lots:
        executed, prevented = _pair(series, certificate.price)
        _sweep_filled(series)
    series.rows.uncrosses.append(
        Uncross(
            series.rows.command,
            series.number,
            *certificate,
            executed=executed,
            prevented=prevented,
            skipped=certificate.lots - executed - prevented,
        )
    )
    end_auction_orders(series, certificate.price if certificate.lots else 0)
    _end_crossing(series)


def _pair(series: Series, price: int) -> tuple[int, int]:
    """The walk; returns lots executed and lots prevented."""
    buys, sells = _shares(series, Side.BUY, price), _shares(series, Side.SELL, price)
    executed, first = 0, 0
    for buy in buys:
        passed = 0
        while first < len(sells) and _spent(sells[first]):
            first += 1
        for sell in sells[first:]:
            if _spent(buy) or passed > SKIPS_MAX:
                break
            if _spent(sell):
                continue
            if _kept_apart(series, buy.order, sell.order):
                passed += 1
                continue
            executed += _trade(series, buy, sell, price)
    return executed, _record_prevented(series, buys, sells, price)


def _spent(share: _Share) -> bool:
    return share.lots == 0 or not share.order.open


def _same_owner(series: Series, buy: Order, sell: Order) -> bool:
    return buy.owner == sell.owner and not series.settings.self_trade_in_auction


def _kept_apart(series: Series, buy: Order, sell: Order) -> bool:
    return _same_owner(series, buy, sell) or opposed(series, buy, sell)


def _trade(series: Series, buy: _Share, sell: _Share, price: int) -> int:
    lots = min(buy.lots, sell.lots)
    series.record_fill(buy.order, sell.order, price, lots)
    for share in (buy, sell):
        share.lots -= lots
        share.order.shown -= lots if share.shown else 0
        series.executes(share.order)
    return lots


def _record_prevented(series: Series, buys: list[_Share], sells: list[_Share], price: int) -> int:
    """What is left of both sides, laid side by side in priority: the lots that one owner has on both."""
    total = 0
    left_buys, left_sells = ([share for share in shares if not _spent(share)] for shares in (buys, sells))
    b = s = 0
    while b < len(left_buys) and s < len(left_sells):
        buy, sell = left_buys[b], left_sells[s]
        lots = min(buy.lots, sell.lots)
        if _same_owner(series, buy.order, sell.order):
            series.rows.prevented.append(
                Prevented(series.rows.command, buy.order.number, sell.order.number, price, lots)
            )
            total += lots
        buy.lots -= lots
        sell.lots -= lots
        b += buy.lots == 0
        s += sell.lots == 0
    return total


def _sweep_filled(series: Series) -> None:
    """Filled orders leave; icebergs that show too little wait for their refresh."""
    for side in series.sides:
        for order in list(side.in_priority()):
            if order.lots == 0 or order.display:
                _settle_share(series, order)


def _settle_share(series: Series, order: Order) -> None:
    if order.lots == 0:
        series.close(order)
    elif order.shown < max(order.refresh_below, 1) and order.shown < order.lots:
        series.thin[order.number] = order


def end_auction_orders(series: Series, price: int) -> None:
    """Orders for this auction only, and market orders that waited for it, do not outlive it."""
    rests = series.settings.auction_market_rests and price
    for order in _in_sweep_order(series, lambda order: order.auction_only or order.is_market):
        if not order.open:
            continue
        if order.auction_only:
            series.end(order, Ending.AUCTION_OVER)
        elif rests:
            series.withdraw(order)
            become_limit(order, price)
            series.rest(order)
        else:
            series.end(order, Ending.NO_LIQUIDITY)


def _in_sweep_order(series: Series, wanted: Callable[[Order], bool]) -> list[Order]:
    """Resting orders, bids from the best to the worst, then asks."""
    return [order for side in series.sides for order in side.in_priority() if wanted(order)]


def _end_crossing(series: Series) -> None:
    """Orders that were kept apart may not leave a crossed book: of the first on each side the newer one goes."""
    while series.is_crossed():
        bid, ask = (next(side.in_priority()) for side in series.sides)
        reason = Ending.SELF_TRADE if _same_owner(series, bid, ask) else Ending.INELIGIBLE
        series.end(max(bid, ask, key=lambda order: order.number), reason)
