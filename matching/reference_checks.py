"""Why a new order, or a changed one, is refused: the checks in the order in which they decide."""

from __future__ import annotations

from matching.layout import Side
from matching.reference_orders import Order, Series, worst_price
from matching.reference_rows import PLAIN, Command
from matching.reference_settings import Settings
from matching.reference_taking import reach
from matching.rulebook_layout import (
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIMARY,
    FLAG_TERMS,
    GROUP_LEGS_MAX,
    BandBreach,
    Code,
    Peg,
    Phase,
    SelfTrade,
    TimeInForce,
)

KNOWN_FLAGS = FLAG_MARKET | FLAG_PRIMARY | FLAG_POST_ONLY | FLAG_TERMS
TIMES_IN_FORCE, PEGS, SELF_TRADES = frozenset(TimeInForce), frozenset(Peg), frozenset(SelfTrade)
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
AUCTION_ONLY = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
TAKES_PART = {
    TimeInForce.AT_OPEN: (Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION),
    TimeInForce.AT_CLOSE: (Phase.CLOSING_AUCTION,),
}


def phase_refusal(series: Series) -> Code:
    """Whether the series takes orders at all."""
    if series.phase == Phase.ENDED:
        return Code.SERIES_ENDED
    if series.phase == Phase.HALTED:
        return Code.SERIES_HALTED
    return Code.PHASE_NOT_ALLOWED if series.phase == Phase.CLOSED else Code.OK


def new_order_refusal(series: Series, command: Command) -> Code:
    """The first check that a new order fails, without a look at the book; OK if none."""
    rules = series.settings
    checks = (
        phase_refusal(series),
        _shape(command),
        size_refusal(rules, command.price, command.lots, is_open_ended=is_open_ended(command)),
        _terms(command, rules),
        _expiry(command),
        _phase(series, command),
        band_refusal(rules, command.price, is_open_ended=is_open_ended(command)),
        _room(series, command),
    )
    return next((code for code in checks if code != Code.OK), Code.OK)


def is_open_ended(command: Command) -> bool:
    """Whether the command names no worst price, which only market orders and pegs may do."""
    may = command.flags & FLAG_MARKET or command.terms.peg
    return bool(may) and command.side in (0, 1) and command.price == worst_price(Side(command.side))


def _shape(command: Command) -> Code:
    terms = command.terms
    known = (
        command.side in (Side.BUY, Side.SELL)
        and command.tif in TIMES_IN_FORCE
        and not command.flags & ~KNOWN_FLAGS
        and terms.peg in PEGS
        and terms.self_trade in SELF_TRADES
    )
    is_market = bool(command.flags & FLAG_MARKET)
    is_post_only = bool(command.flags & FLAG_POST_ONLY)
    contradicts = is_post_only and (is_market or command.tif in AT_ONCE or terms.trigger != 0)
    return Code.OK if known and not contradicts else Code.COMMAND_MALFORMED


def size_refusal(rules: Settings, price: int, lots: int, *, is_open_ended: bool) -> Code:
    """Price, quantity and value within their limits."""
    if not is_open_ended and not 1 <= price <= rules.price_max:
        return Code.PRICE_OUT_OF_RANGE
    if not 1 <= lots <= rules.lots_max:
        return Code.LOTS_OUT_OF_RANGE
    # The quotient says the same as the product, which may not fit in 63 bits.
    if rules.value_max and not is_open_ended and price > rules.value_max // lots:
        return Code.NOTIONAL_TOO_LARGE
    return Code.OK


def _terms(command: Command, rules: Settings) -> Code:
    terms, lots = command.terms, command.lots
    if terms == PLAIN:
        return Code.OK
    is_market = bool(command.flags & FLAG_MARKET)
    at_once = command.tif in AT_ONCE
    auction_only = command.tif in AUCTION_ONLY
    if terms.trigger and (not 1 <= terms.trigger <= rules.price_max or auction_only or terms.peg):
        return Code.BAD_TRIGGER
    if terms.peg and (at_once or auction_only or is_market or not _peg_is_passive(command)):
        return Code.BAD_PEG
    if not terms.peg and terms.offset:
        return Code.BAD_PEG
    if terms.display and (not 1 <= terms.display <= lots or is_market or at_once):
        return Code.BAD_DISPLAY
    if terms.refresh_below and not 1 <= terms.refresh_below <= terms.display:
        return Code.BAD_DISPLAY
    if terms.min_lots and (
        not 1 <= terms.min_lots <= lots or command.flags & FLAG_POST_ONLY or terms.peg or auction_only
    ):
        return Code.BAD_MINIMUM
    return Code.BAD_GROUP if terms.oco < 0 else Code.OK


def _peg_is_passive(command: Command) -> bool:
    """A peg never reaches the other side: a buyer follows the bid or stays below the middle, a seller mirrors it."""
    terms = command.terms
    own = Peg.BID if command.side == Side.BUY else Peg.ASK
    return (terms.peg == own and terms.offset >= 0) or (terms.peg == Peg.MID and terms.offset >= 1)


def _expiry(command: Command) -> Code:
    expire_ns = command.terms.expire_ns
    if (command.tif == TimeInForce.GTD) != (expire_ns != 0):
        return Code.BAD_EXPIRY
    return Code.ALREADY_EXPIRED if expire_ns and expire_ns <= command.at_ns else Code.OK


def _phase(series: Series, command: Command) -> Code:
    """What may enter in this phase; a stop or a peg waits for continuous trading and may always enter."""
    rules = series.settings
    if command.tif in AUCTION_ONLY:
        return Code.OK if series.phase in TAKES_PART[TimeInForce(command.tif)] else Code.PHASE_NOT_ALLOWED
    if not series.collects or command.terms.trigger or command.terms.peg:
        return Code.OK
    refused = (
        command.tif in AT_ONCE
        or command.terms.min_lots
        or (command.flags & FLAG_MARKET and not rules.auction_market_orders)
        or (command.flags & FLAG_POST_ONLY and not rules.post_only_in_auction)
    )
    return Code.PHASE_NOT_ALLOWED if refused else Code.OK


def band_refusal(rules: Settings, price: int, *, is_open_ended: bool) -> Code:
    """The static band on order prices."""
    outside = price < rules.price_low or (rules.price_high and price > rules.price_high)
    return Code.PRICE_OUTSIDE_BAND if outside and not is_open_ended else Code.OK


def _room(series: Series, command: Command) -> Code:
    rules, terms = series.settings, command.terms
    if terms.trigger and len(series.stops) >= rules.stops_max:
        return Code.TOO_MANY_STOPS
    if terms.peg and len(series.pegs) >= rules.pegs_max:
        return Code.TOO_MANY_PEGS
    if terms.oco:
        legs = series.groups.get((command.account, terms.oco))
        if legs is None and len(series.groups) >= rules.groups_max:
            return Code.TOO_MANY_GROUPS
        if legs is not None and len(legs) >= GROUP_LEGS_MAX:
            return Code.BAD_GROUP
    return Code.OK


def is_through(series: Series, order: Order) -> bool:
    """Whether the last trade is already at or past the trigger of a stop."""
    last = series.last_trade
    if series.phase != Phase.CONTINUOUS or not last or not order.trigger:
        return False
    return last >= order.trigger if order.side == Side.BUY else last <= order.trigger


def book_refusal(series: Series, order: Order) -> Code:
    """What only the book can say about an order that is to take, stop or rest in continuous trading."""
    if series.phase != Phase.CONTINUOUS or order.peg:
        return Code.OK
    if order.trigger:
        refused = is_through(series, order) and not series.settings.stop_already_through_runs
        return Code.STOP_ALREADY_THROUGH if refused else Code.OK
    if order.is_post_only and series.crossing_price(order) is not None:
        return Code.POST_ONLY_WOULD_TRADE
    if series.settings.band_breach == BandBreach.REJECT and _breaches(series, order):
        return Code.TRADE_OUTSIDE_BAND
    return Code.OK


def _breaches(series: Series, order: Order) -> bool:
    """Whether the order would trade outside the band; one that cannot be filled as it must trades nothing."""
    whole = reach(series, order, through_band=True)
    need = order.lots if order.tif == TimeInForce.FOK else order.min_lots
    return whole.breach and whole.lots >= need
