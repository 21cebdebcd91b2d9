"""Codes and record layouts of the complete rulebook: the members of `matching.layout` with their numbers, and new ones.

Numbers are never reused, so each enum here repeats the old members unchanged and goes on after them; a test holds the
two together. The dtypes are those of the sections that the rulebook adds to the log. All fields are integers. An absent
price is an extreme one: `HIGHEST` for a buy, `LOWEST` for a sell; in a row, `NO_PRICE` says that there is none.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

HIGHEST = 1 << 62
"""Worst price of a buy that names none: it stands before every limit."""
LOWEST = 0
"""Worst price of a sell that names none: no limit is below 1."""
NO_PRICE = 0
"""Price in a row where there is none: a parked peg, an auction without a price, a reference that is not known."""
KEEP = -1
"""Lots of a replace that leaves the quantity as it is; a price or an expiry is left by 0."""
SKIPS_MAX = 256
"""One taking order passes at most this many makers that it may not trade with; the next one cancels its rest."""
GROUP_LEGS_MAX = 4
DEADMAN_NS_MAX = 86_400_000_000_000
"""A dead-man's switch waits for a day at most."""


class Kind(IntEnum):
    """What a row of `commands` asks for."""

    NEW = 1
    CANCEL = 2
    REDUCE = 3
    MASS_CANCEL = 4
    JOURNAL = 5
    OPEN_ACCOUNT = 6
    REFUND = 7
    TICK = 8
    REPLACE = 9
    KILL = 10
    REVIVE = 11
    DEADMAN = 12
    DEADMAN_FIRED = 13
    EXPIRE = 14
    PHASE = 15
    UNCROSS = 16


class TimeInForce(IntEnum):
    """How long an order may live."""

    GTC = 0
    IOC = 1
    FOK = 2
    DAY = 3
    GTD = 4
    AT_OPEN = 5
    AT_CLOSE = 6


FLAG_MARKET = 1
FLAG_PRIMARY = 2
FLAG_SYSTEM = 4
FLAG_POST_ONLY = 8
"""The order is refused where it would trade on entry."""
FLAG_TERMS = 16
"""A row of `order_terms` belongs to the command."""
FLAG_SIDE = 32
"""A mass cancel is limited to the side of its row."""


class Phase(IntEnum):
    """What a series does with orders. `OPEN` is continuous trading."""

    OPEN = 1
    CONTINUOUS = 1
    HALTED = 2
    ENDED = 3
    PRE_OPEN = 4
    OPENING_AUCTION = 5
    VOLATILITY_AUCTION = 6
    CLOSING_AUCTION = 7
    CLOSED = 8


CALLS = (Phase.PRE_OPEN, Phase.OPENING_AUCTION, Phase.VOLATILITY_AUCTION, Phase.CLOSING_AUCTION)
"""Phases that collect orders for an uncrossing."""


class Peg(IntEnum):
    """Which price of the book a pegged order follows."""

    NONE = 0
    BID = 1
    ASK = 2
    MID = 3


class SelfTrade(IntEnum):
    """What happens where an order would trade with an order of the same beneficial owner."""

    SERIES = 0
    """As the series says; only in the terms of an order."""
    CANCEL_NEWEST = 1
    CANCEL_OLDEST = 2
    CANCEL_BOTH = 3
    DECREMENT = 4
    ALLOW = 5


class BandBreach(IntEnum):
    """What happens where an order would trade outside the band on execution prices."""

    REJECT = 1
    CANCEL_REMAINDER = 2
    VOLATILITY_AUCTION = 3
    PARTIAL_THEN_AUCTION = 4


class MarketRemainder(IntEnum):
    """What happens in continuous trading to the lots that a market order could not trade."""

    CANCEL = 1
    REST_AT_PROTECTION = 2
    REST_AT_LAST_FILL = 3


class AuctionSteps(IntEnum):
    """The steps that choose the price of an auction after greatest volume."""

    SURPLUS_PRESSURE_REFERENCE = 1
    SURPLUS_REFERENCE = 2
    REFERENCE = 3
    MIDDLE = 4


class Code(IntEnum):
    """Result of a command; 0 is success."""

    OK = 0
    UNKNOWN_SERIES = 1
    SERIES_HALTED = 2
    SERIES_ENDED = 3
    UNKNOWN_PARTY = 4
    ROLE_REQUIRED = 5
    PARTY_FROZEN = 6
    PRICE_OUT_OF_RANGE = 7
    LOTS_OUT_OF_RANGE = 8
    NOTIONAL_TOO_LARGE = 9
    INSUFFICIENT_FUNDS = 10
    INSUFFICIENT_UNITS = 11
    SUPPLY_EXHAUSTED = 12
    UNKNOWN_ORDER = 13
    ORDER_NOT_OPEN = 14
    NOT_YOUR_ORDER = 15
    CAPACITY_EXHAUSTED = 16
    PROTECTION_REQUIRED = 17
    UNKNOWN_ACCOUNT = 18
    JOURNAL_UNBALANCED = 19
    AMOUNT_OUT_OF_RANGE = 20
    FLOOR_BREACHED = 21
    UNKNOWN_KIND = 22
    NOT_THE_ISSUER = 23
    RESALE_NOT_ALLOWED = 24
    NO_WATERFALL = 25
    ACCOUNT_CLOSED = 26
    REFUND_EXCEEDS_SALE = 27
    UNITS_NOT_RETURNABLE = 28
    CLIENT_ORDER_ID_TAKEN = 29
    COMMAND_MALFORMED = 30
    LOTS_NOT_REDUCIBLE = 31
    PHASE_NOT_ALLOWED = 32
    KILLED = 33
    ORDER_RATE_EXCEEDED = 34
    ALREADY_EXPIRED = 35
    BAD_DISPLAY = 36
    BAD_MINIMUM = 37
    BAD_PEG = 38
    BAD_TRIGGER = 39
    BAD_EXPIRY = 40
    BAD_GROUP = 41
    POST_ONLY_WOULD_TRADE = 42
    PRICE_OUTSIDE_BAND = 43
    TRADE_OUTSIDE_BAND = 44
    STOP_ALREADY_THROUGH = 45
    BELOW_FILLED = 46
    TOO_MANY_STOPS = 47
    TOO_MANY_PEGS = 48
    TOO_MANY_GROUPS = 49
    BOOK_CROSSED = 50


class Ending(IntEnum):
    """Why an order, or a part of it, left without trading."""

    USER = 1
    MASS = 2
    IOC = 3
    NO_LIQUIDITY = 4
    REDUCED = 5
    SERIES_ENDED = 6
    FOK = 7
    MINIMUM = 8
    SELF_TRADE = 9
    DECREMENTED = 10
    """Lots lost to a prevented self-trade by an order that lives on."""
    EXPIRED = 11
    KILLED = 12
    DEADMAN = 13
    OCO = 14
    PRICE_RANGE = 15
    AUCTION_OVER = 16
    PEG_NO_REFERENCE = 17
    REPLACED = 18
    """Lots that a replace took off an order that lives on."""
    REPLACED_TO_ZERO = 19
    INELIGIBLE = 20
    TOO_MANY_SKIPS = 21


ORDER_TERMS = np.dtype(
    [
        ("command", "<i8"),
        ("trigger", "<i8"),  # ticks; 0 is no stop
        ("display", "<i8"),  # lots shown at a time; 0 shows all
        ("refresh_below", "<i8"),
        ("min_lots", "<i8"),
        ("expire_ns", "<i8"),
        ("offset", "<i8"),  # ticks
        ("oco", "<i8"),  # number of the group among those of its account in its series; 0 is none
        ("peg", "<i4"),
        ("self_trade", "<i4"),
    ]
)
"""What most orders do not need. A cap or a protection is the price of the command: the worst at which it may trade."""
TRIGGER = np.dtype([("command", "<i8"), ("order", "<i8"), ("price", "<i8")])
REPRICING = np.dtype([("command", "<i8"), ("order", "<i8"), ("price", "<i8")])
PREVENTED = np.dtype([("command", "<i8"), ("maker", "<i8"), ("taker", "<i8"), ("price", "<i8"), ("lots", "<i8")])
SKIP = np.dtype([("command", "<i8"), ("order", "<i8"), ("orders", "<i8"), ("lots", "<i8")])
PHASE = np.dtype([("command", "<i8"), ("series", "<i4"), ("before", "<i2"), ("after", "<i2")])
UNCROSS = np.dtype(
    [
        ("command", "<i8"),
        ("series", "<i8"),
        ("price", "<i8"),
        ("lots", "<i8"),  # certified volume
        ("surplus", "<i8"),  # demand minus supply at the price
        ("low", "<i8"),  # lowest and highest price that volume and surplus leave
        ("high", "<i8"),
        ("turn", "<i8"),  # highest price at which demand is not below supply
        ("reference", "<i8"),
        ("executed", "<i8"),  # executed + prevented + skipped = lots
        ("prevented", "<i8"),
        ("skipped", "<i8"),
    ]
)
