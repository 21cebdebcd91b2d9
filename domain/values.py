"""The values that every part of the house shares: numbers, enumerations, accounts, and exact decimal conversions.

Money is an integer of minor units, a price an integer of ticks, a quantity an integer of lots. Text becomes such an
integer exactly or is refused; nothing here rounds, and nothing is a float.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import STRICT, IntEnum, IntFlag, StrEnum
from typing import Final

from domain.rejections import Reason, Refusal, refuse

INT64_MAX: Final = 2**63 - 1
PPB: Final = 1_000_000_000
"""The whole, in parts per billion."""
PPM: Final = 1_000_000
"""The whole, in parts per million."""
NOTIONAL_MINOR_MAX: Final = 9_000_000_000_000
"""Notional of one order never exceeds this many minor units, so that notional times ppm fits in 63 bits."""
AMOUNT_MINOR_MAX: Final = 10**15
"""Greatest amount of one leg of a journal."""
PAYEES_MAX: Final = 64
DAY_NS: Final = 86_400_000_000_000
HOUSE: Final = 0
"""Party number of the house itself."""


class PartyKind(StrEnum):
    COMPANY = "company"
    INDIVIDUAL = "individual"
    INSTITUTE = "institute"
    GOVERNMENT = "government"
    COMMUNITY = "community"


class Role(IntFlag, boundary=STRICT):
    """What a party may do; an operator is never a trader."""

    TRADER = 1
    DEVELOPER = 2
    PROVIDER = 4
    AGENT = 8
    FINANCE = 16
    RISK = 32
    AUDITOR = 64
    OPERATOR = 128


class Classification(StrEnum):
    """How much harm the loss or misuse of a data set would do."""

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"


class PersonalData(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class DigestBasis(StrEnum):
    """What a digest was taken over: the artifact itself, or the row of the catalogue that describes it."""

    ARTIFACT = "artifact"
    CATALOGUE_ROW = "catalogue_row"


class WithdrawalKind(StrEnum):
    """What became of a published version. Only `withdrawn` stops its use; the others are notices."""

    WITHDRAWN = "withdrawn"
    """Gone for good: nothing new may build on it."""
    PAUSED = "paused"
    """Temporarily not served by its publisher; copies stay usable."""
    PARTIAL = "partial"
    """Parts were taken out, such as after opt-outs; the rest stays usable."""
    MOVED = "moved"
    """Served from another place; nothing else changed."""
    LICENSE_CHANGED = "license_changed"
    """Offered under another license from that day on."""


class LineageRole(StrEnum):
    """How a model version used a data set; `training` where the stage is not stated."""

    PRETRAINING = "pretraining"
    FINE_TUNING = "fine_tuning"
    TRAINING = "training"
    VECTORS = "vectors"
    LEXICON = "lexicon"


class BaseRelation(StrEnum):
    """How a model version came from its base; `derived` where the kind is not stated."""

    FINE_TUNE = "fine_tune"
    DISTILLATION = "distillation"
    MERGE = "merge"
    QUANTIZATION = "quantization"
    CONTINUED_PRETRAINING = "continued_pretraining"
    POST_TRAINING = "post_training"
    COMPONENT = "component"
    MIXED = "mixed"
    DERIVED = "derived"
    INSTRUCT_VARIANT = "instruct_variant"
    """Inferred from the two names."""


class PriceBasis(StrEnum):
    """Whether a list price was published by the provider or set by a rule of the demonstration market."""

    LISTED = "listed"
    DEMO = "demo"


class Purpose(StrEnum):
    ANY = "any"
    NON_COMMERCIAL = "non_commercial"
    ACADEMIC = "academic"
    RESEARCH = "research"
    EVALUATION = "evaluation"


class TermKind(StrEnum):
    """How long a license lasts: for ever, to a date of the series, or a number of days from its activation."""

    PERPETUAL = "perpetual"
    FIXED_END = "fixed_end"
    DAYS_FROM_ACTIVATION = "days_from_activation"


class UnitKind(StrEnum):
    """What a unit of a license counts: seats of users, or metered use such as tokens."""

    SEAT = "seat"
    METERED = "metered"


class HaltReason(StrEnum):
    RISK = "risk"
    REGULATOR = "regulator"
    ISSUER = "issuer"
    DISPUTE = "dispute"
    TECHNICAL = "technical"


class SeriesPhase(IntEnum):
    """Whether a series trades; numbered as in the flow of the log."""

    OPEN = 1
    HALTED = 2
    ENDED = 3


class VersionState(StrEnum):
    """A version goes one way only: registered, published, withdrawn."""

    REGISTERED = "registered"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class AccountKind(IntEnum):
    """Class of a ledger account. Only OUTSIDE, ISSUANCE and RECEIVABLE may go below zero."""

    AVAILABLE = 1
    """Spendable by its owner; payees are paid here too."""
    IN_USE = 2
    """License units that were activated."""
    RETIRED = 3
    """License units that were returned or have ended."""
    SUSPENSE = 4
    """Revenue of a series that is not yet a whole minor unit of any payee."""
    FEE_REVENUE = 5
    PLATFORM_REVENUE = 6
    TAX_COLLECTED = 7
    OUTSIDE = 9
    """Counterpart of money that came from or went to the outside world."""
    ISSUANCE = 10
    """Counterpart of the license units issued."""
    RECEIVABLE = 11
    """What its owner owes."""


class PostingCode(IntEnum):
    """Why a posting was made."""

    SALE = 1
    MAKER_FEE = 2
    TAKER_FEE = 3
    TAX = 4
    SHARE = 5
    DELIVERY = 6
    MINT = 7
    ROYALTY = 8
    DEPOSIT = 9
    WITHDRAWAL = 10
    REFUND = 11
    RECLAIM = 12
    RETURN = 13
    RECEIVABLE = 14
    TRANSFER = 15
    FLUSH = 16
    RECOVERY = 17


class EndReason(IntEnum):
    """Why an order, or a part of it, left the book without trading."""

    USER = 1
    MASS = 2
    IOC = 3
    NO_LIQUIDITY = 4
    """Rest of a market order."""
    REDUCED = 5
    SERIES_ENDED = 6
    SELF_TRADE = 7
    EXPIRED = 8


@dataclass(frozen=True, slots=True, order=True)
class AccountRef:
    """Names a ledger account.

    `owner`: a party, 0 the house, or −s the series s itself. `asset`: s > 0 lots of series s, −c minor units of
    currency c.
    """

    owner: int
    asset: int
    kind: AccountKind


# -- decimal text ------------------------------------------------------------------------------------------------------

DECIMAL_CHARACTERS_MAX: Final = 40
_DECIMAL: Final = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?", re.ASCII)
_DECIMAL_RULE: Final = "plain decimal digits with an optional point, at most 40 characters"


def parse_price(text: object, tick_size: str, *, field: str = "price") -> int | Refusal:
    """The price in ticks; `tick_size` is a plain positive decimal such as "0.05"."""
    ticks = _multiple(text, tick_size, field, Reason.PRICE_NOT_ON_TICK, "must be a multiple of the tick size")
    if isinstance(ticks, int) and not 1 <= ticks <= INT64_MAX:
        return refuse(Reason.PRICE_OUT_OF_RANGE, field, "must be positive and fit in 63 bits of ticks", text)
    return ticks


def parse_quantity(text: object, lot_size: str, *, field: str = "quantity") -> int | Refusal:
    """The quantity in lots; `lot_size` is a plain positive decimal: the units of one lot."""
    lots = _multiple(text, lot_size, field, Reason.QUANTITY_NOT_ON_LOT, "must be a multiple of the lot size")
    if isinstance(lots, int) and not 1 <= lots <= INT64_MAX:
        return refuse(Reason.LOTS_OUT_OF_RANGE, field, "must be positive and fit in 63 bits of lots", text)
    return lots


def parse_money(text: object, exponent: int, *, field: str = "amount") -> int | Refusal:
    """The amount in minor units of a currency with `exponent` decimals: 1 to 10^15, the most one payment moves."""
    minor = _multiple(
        text,
        format_money(1, exponent),
        field,
        Reason.AMOUNT_NOT_ON_MINOR_UNIT,
        "must be a multiple of the currency's smallest unit",
    )
    if isinstance(minor, int) and not 1 <= minor <= AMOUNT_MINOR_MAX:
        return refuse(Reason.AMOUNT_OUT_OF_RANGE, field, f"must be 1 to {AMOUNT_MINOR_MAX} minor units", text)
    return minor


def format_money(amount_minor: int, exponent: int) -> str:
    """Plain decimal text with exactly `exponent` decimals: (-1205, 2) is "-12.05"."""
    assert exponent >= 0, exponent
    sign = "-" if amount_minor < 0 else ""
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    return sign + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)


def format_quantity(lots: int, lot_size: str) -> str:
    """Plain decimal text of so many lots, with the decimals of the lot size."""
    scaled = _scaled(lot_size)
    assert scaled is not None, lot_size
    return format_money(lots * scaled[0], scaled[1])


def is_decimal(text: object, *, positive: bool = False) -> bool:
    """Whether the text is a plain decimal number that `_DECIMAL_RULE` allows."""
    scaled = _scaled(text)
    return scaled is not None and (not positive or scaled[0] > 0)


def _multiple(text: object, size: str, field: str, off: Reason, rule: str) -> int | Refusal:
    """How many times `size` goes into the number exactly, or a refusal: malformed, or `off` when not a multiple."""
    number = _scaled(text)
    if number is None:
        return refuse(Reason.MALFORMED_NUMBER, field, _DECIMAL_RULE, text)
    unit = _scaled(size)
    assert unit is not None and unit[0] > 0, size
    count, rest = divmod(number[0] * 10 ** unit[1], unit[0] * 10 ** number[1])
    return count if rest == 0 else refuse(off, field, f"{rule} {size}", text)


def _scaled(text: object) -> tuple[int, int] | None:
    """(digits as an integer, number of decimals) of a plain decimal number, or None."""
    if type(text) is not str or len(text) > DECIMAL_CHARACTERS_MAX:
        return None
    match = _DECIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, decimals = match.groups(default="")
    value = int(whole + decimals)
    return (-value if sign else value), len(decimals)


# -- splitting ---------------------------------------------------------------------------------------------------------


def largest_remainder(weights: Sequence[int], total: int) -> list[int]:
    """Integers in the proportion of the weights that add up to `total` exactly.

    Each gets the whole part of its share; what is missing goes, one each, to the largest remainders, and among equal
    remainders to the smaller index. Weights are not negative and not all zero.
    """
    whole = sum(weights)
    assert whole > 0 and min(weights) >= 0 and total >= 0, (weights, total)
    shares = [weight * total // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(weights[index] * total % whole), index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares
