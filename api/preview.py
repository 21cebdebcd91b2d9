"""What an order would do if it came next: computed from the published depth by the rules of the kernel.

It is a forecast, not a promise: the book moves, and a series' primary sales pay no rebate. It reads single rows of the
writer's tables, which may change between two of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from api.doors import Doors
from api.order_terms import PlaceOrder, Terms, terms_of
from api.problems import problem_of
from api.schemas.orders import PreviewOrder
from api.series_facts import SeriesFact
from domain.rejections import Reason, Refusal
from domain.values import PPM, AccountKind, AccountRef, Role, SeriesPhase
from ledger.effects import account_number
from matching.layout import FLAG_PRIMARY, NONE, Side


class _Rates(NamedTuple):
    maker_ppm: int
    taker_ppm: int
    tax_ppm: int
    royalty_ppm: int


def preview(doors: Doors, party: int, asked: PreviewOrder) -> dict[str, Any]:
    """The body of `api.schemas.orders.Preview`. Raises the Problems of an order that does not reach the log."""
    order = PlaceOrder(**asked.model_dump())
    terms = terms_of(doors, order)
    if isinstance(terms, Refusal):
        raise problem_of(terms)
    series, price, lots = terms.series, terms.price, terms.lots
    buys = order.side == "buy"
    rates = _rates(doors, party, series, buys=buys, primary=order.primary)
    depth = doors.live.book(series.number)
    trades, left = [], lots
    for level_price, level_lots, _orders in depth.asks if buys else depth.bids:
        if not left or (level_price > price if buys else level_price < price):
            break
        taken = min(left, level_lots)
        trades.append((level_price, taken))
        left -= taken
    filled = lots - left
    notional = sum(level_price * taken for level_price, taken in trades) * series.tick_minor
    fee = _ceil_ppm(notional * rates.taker_ppm)
    tax = _ceil_ppm(notional * rates.tax_ppm)
    royalty = min(_ceil_ppm(notional * rates.royalty_ppm), notional - fee) if not buys else 0
    rests = order.type == "limit" and order.time_in_force != "IOC"
    hold = _hold(series, rates, price, lots) if buys else 0 if order.primary else lots
    available = _available(doors, party, -series.currency if buys else series.number)
    same_side = depth.bids if buys else depth.asks
    ahead = sum(level[1] for level in same_side if level[0] == price) if rests and left else 0
    written = series.money if buys else series.quantity
    return {
        "series": series.id,
        "currency": series.currency_id,
        "fillable_quantity": series.quantity(filled),
        "average_price": series.money(notional // filled) if filled else None,
        "notional": series.money(notional),
        "fee": series.money(fee),
        "tax": series.money(tax),
        "royalty": series.money(royalty),
        "total": series.money(notional + fee + tax if buys else notional - fee - royalty),
        "hold": {"amount": written(hold), "asset": series.currency_id if buys else series.id},
        "available": written(available),
        "resting_quantity": series.quantity(left if rests else 0),
        "ahead_quantity": series.quantity(ahead),
        "would_be_refused": _refusal(doors, party, terms, hold=hold, available=available),
        "position": depth.position,
    }


def _rates(doors: Doors, party: int, series: SeriesFact, *, buys: bool, primary: bool) -> _Rates:
    """What the kernel would freeze into the order."""
    if primary:
        return _Rates(0, 0, 0, 0)
    owner = doors.house.state.tables.owners[party]
    return _Rates(
        int(owner["maker_ppm"]),
        int(owner["taker_ppm"]),
        int(owner["tax_ppm"]) if buys else 0,
        0 if buys else series.listed.royalty_ppm,
    )


def _hold(series: SeriesFact, rates: _Rates, price: int, lots: int) -> int:
    """What a buy holds before its first trade."""
    notional = price * series.tick_minor * lots
    return (
        notional + _ceil_ppm(notional * max(rates.maker_ppm, rates.taker_ppm, 0)) + _ceil_ppm(notional * rates.tax_ppm)
    )


def _available(doors: Doors, party: int, asset: int) -> int:
    tables = doors.house.state.tables
    number = account_number(tables, AccountRef(party, asset, AccountKind.AVAILABLE))
    return 0 if number == NONE else int(tables.accounts[number]["available"])


def _refusal(doors: Doors, party: int, terms: Terms, *, hold: int, available: int) -> str | None:
    """The code of the first rule that the order breaks, as `docs/reference/execution.md` orders them."""
    series, price, lots = terms.series, terms.price, terms.lots
    primary, sells = bool(terms.flags & FLAG_PRIMARY), terms.side == Side.SELL
    listed = series.listed
    row = doors.catalogue.series[series.number]
    who = doors.catalogue.parties[party]
    limits = doors.house.state.tables.series[series.number]
    notional = price * series.tick_minor * lots
    rules = (
        (row.phase is SeriesPhase.ENDED, Reason.SERIES_ENDED),
        (row.phase is SeriesPhase.HALTED, Reason.SERIES_HALTED),
        (who.frozen, Reason.PARTY_FROZEN),
        (not who.roles & (Role.DEVELOPER if primary else Role.TRADER), Reason.ROLE_REQUIRED),
        (primary and not sells, Reason.COMMAND_MALFORMED),
        (price > listed.max_notional_minor // listed.tick_minor, Reason.PRICE_OUT_OF_RANGE),
        (lots > listed.max_order_lots, Reason.LOTS_OUT_OF_RANGE),
        (notional > listed.max_notional_minor, Reason.NOTIONAL_TOO_LARGE),
        (primary and party != listed.issuer, Reason.NOT_THE_ISSUER),
        (sells and not primary and not listed.resale_allowed, Reason.RESALE_NOT_ALLOWED),
        (not sells and hold > available, Reason.INSUFFICIENT_FUNDS),
        (sells and not primary and hold > available, Reason.INSUFFICIENT_UNITS),
        (
            primary and int(limits["issued"]) + int(limits["reserved"]) + lots > listed.supply_cap_lots,
            Reason.SUPPLY_EXHAUSTED,
        ),
    )
    return next((reason.code for broken, reason in rules if broken), None)


def _ceil_ppm(amount: int) -> int:
    """Rounded up to a whole minor unit."""
    return -(-amount // PPM)
