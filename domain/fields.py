"""Types of the fields of commands and facts, each with its rule, and the check of a whole command against them.

A rule stands in the type (`Annotated[str, Rule(...)]`), so that the table of fields is the table of rules and no
decision repeats it. Types are taken exactly: a bool is not an integer, a subclass of str is not a str, and an integer
has 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from enum import Enum, Flag
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from domain.rejections import Reason, Refusal, refuse
from domain.values import (
    AMOUNT_MINOR_MAX,
    INT64_MAX,
    NOTIONAL_MINOR_MAX,
    PPB,
    PPM,
    BaseRelation,
    LineageRole,
    is_decimal,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value of the right type must also fulfill; `says` completes "the field …"."""

    reason: Reason
    says: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Named:
    """Names an item of a tuple in messages."""

    name: str


def check(value: object) -> Refusal | None:
    """The first field of a dataclass, in its order, whose type or rule is not kept."""
    cls: Any = type(value)
    return _checker(cls)(value, "")


# -- the rules ---------------------------------------------------------------------------------------------------------


def _range(low: int, high: int, reason: Reason = Reason.VALUE_OUT_OF_RANGE) -> Rule:
    return Rule(reason, f"must be {low} to {high}", lambda value: low <= value <= high)


def _pattern(reason: Reason, pattern: str, characters: int, says: str) -> Rule:
    compiled = re.compile(pattern, re.ASCII)
    return Rule(
        reason,
        f"must be {says}, at most {characters} characters",
        lambda value: len(value) <= characters and compiled.fullmatch(value) is not None,
    )


def _text(characters: int, *, lines: bool = False) -> Rule:
    control = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]" if lines else r"[\x00-\x1f\x7f-\x9f]")

    def holds(value: str) -> bool:
        return 1 <= len(value) <= characters and value == value.strip() and control.search(value) is None

    kind = "text of some lines" if lines else "one line of text"
    return Rule(
        Reason.MALFORMED_TEXT,
        f"must be {kind}, 1 to {characters} characters, not padded, without control characters",
        holds,
    )


def _items(low: int, high: int) -> Rule:
    return Rule(Reason.TOO_MANY_ITEMS, f"must have {low} to {high} items", lambda value: low <= len(value) <= high)


def _distinct(value: Sized) -> bool:
    return len(frozenset(value)) == len(value)  # type: ignore[call-overload]


_DISTINCT: Final = Rule(Reason.DUPLICATE_ITEM, "must not name the same item twice", _distinct)


def _first_distinct(value: tuple[tuple[Any, ...], ...]) -> bool:
    return _distinct([item[0] for item in value])


_FIRST_DISTINCT: Final = Rule(Reason.DUPLICATE_ITEM, "must not name the same item twice", _first_distinct)


def is_day(text: str) -> bool:
    """Whether the text is a calendar day in the form YYYY-MM-DD."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


_NUMERIC: Final = r"(?:0|[1-9][0-9]*)"
_SEMVER: Final = (
    rf"{_NUMERIC}\.{_NUMERIC}\.{_NUMERIC}"
    rf"(?:-(?:{_NUMERIC}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:{_NUMERIC}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)

_COUNTRY_CODES: Final = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC
CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD
GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH
KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW
MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC
SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY
UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_COUNTRY_CODES.split())
"""ISO 3166-1 alpha-2, the officially assigned codes."""

WORLDWIDE: Final = ("worldwide",)


def is_territory(codes: tuple[str, ...]) -> bool:
    """Whether it is `WORLDWIDE` or at least one country, sorted and distinct."""
    return codes == WORLDWIDE or (
        0 < len(codes) == len(COUNTRIES.intersection(codes)) and codes == tuple(sorted(codes))
    )


# -- the types ---------------------------------------------------------------------------------------------------------

Number: TypeAlias = Annotated[int, _range(-INT64_MAX - 1, INT64_MAX)]
"""A dense number of something; whether it exists is for the decision to say."""
AtNs: TypeAlias = Annotated[int, _range(0, INT64_MAX)]
"""Nanoseconds since 1970-01-01T00:00:00Z."""
Ticks: TypeAlias = Annotated[int, _range(1, NOTIONAL_MINOR_MAX, Reason.PRICE_OUT_OF_RANGE)]
Lots: TypeAlias = Annotated[int, _range(1, NOTIONAL_MINOR_MAX, Reason.LOTS_OUT_OF_RANGE)]
AmountMinor: TypeAlias = Annotated[int, _range(1, AMOUNT_MINOR_MAX, Reason.AMOUNT_OUT_OF_RANGE)]
NotionalMinor: TypeAlias = Annotated[int, _range(1, NOTIONAL_MINOR_MAX)]
Ppb: TypeAlias = Annotated[int, _range(0, PPB)]
Ppm: TypeAlias = Annotated[int, _range(0, PPM)]
MakerPpm: TypeAlias = Annotated[int, _range(-PPM, PPM)]
"""Negative for a rebate."""
Days: TypeAlias = Annotated[int, _range(1, 36_525)]
Capacity: TypeAlias = Annotated[int, _range(1_024, 1 << 30)]
"""Greatest number of rows of a pool of the kernel."""
Exponent: TypeAlias = Annotated[int, _range(0, 4)]

Line: TypeAlias = Annotated[str, _text(200)]
Source: TypeAlias = Annotated[str, _text(4_000)]
"""Where a fact can be read up."""
Note: TypeAlias = Annotated[str, _text(2_000, lines=True)]
Key: TypeAlias = Annotated[
    str,
    _pattern(
        Reason.MALFORMED_KEY,
        r"[a-z0-9][a-z0-9._+-]*(?:/[a-z0-9][a-z0-9._+-]*)*",
        120,
        "segments of a-z, 0-9, '.', '_', '+', '-' that start with a letter or digit, joined by '/'",
    ),
]
"""External identity of a data set or model."""
Label: TypeAlias = Annotated[
    str, _pattern(Reason.MALFORMED_KEY, r"[A-Za-z0-9][A-Za-z0-9._+-]*", 64, "letters, digits, '.', '_', '+', '-'")
]
Tags: TypeAlias = Annotated[
    tuple[
        Annotated[str, _pattern(Reason.MALFORMED_KEY, r"[a-z0-9][a-z0-9._+-]*", 40, "a-z, 0-9, '.', '_', '+', '-'")],
        ...,
    ],
    _items(0, 32),
    _DISTINCT,
]
Reference: TypeAlias = Annotated[
    str,
    _pattern(
        Reason.MALFORMED_KEY, r"[A-Za-z0-9][A-Za-z0-9._:/+-]*", 64, "letters, digits, '.', '_', ':', '/', '+', '-'"
    ),
]
"""Identity of a payment at the bank or provider that made it."""
Symbol: TypeAlias = Annotated[
    str,
    _pattern(
        Reason.MALFORMED_SYMBOL,
        r"[A-Z0-9]+(?:[.-][A-Z0-9]+)*/[A-Z][A-Z0-9]{2,7}",
        80,
        "A-Z and 0-9 joined by '-' or '.', then '/' and the currency code",
    ),
]
CurrencyCode: TypeAlias = Annotated[
    str, _pattern(Reason.MALFORMED_SYMBOL, r"[A-Z][A-Z0-9]{2,7}", 8, "3 to 8 of A-Z and 0-9, a letter first")
]
Country: TypeAlias = Annotated[
    str, Rule(Reason.MALFORMED_COUNTRY, "must be an ISO 3166-1 alpha-2 code", lambda value: value in COUNTRIES)
]
Territory: TypeAlias = Annotated[
    tuple[str, ...],
    Rule(Reason.MALFORMED_TERRITORY, "must be 'worldwide' alone or sorted, distinct country codes", is_territory),
]
Day: TypeAlias = Annotated[str, Rule(Reason.MALFORMED_DAY, "must be a calendar day YYYY-MM-DD", is_day)]
Semver: TypeAlias = Annotated[
    str, _pattern(Reason.MALFORMED_SEMVER, _SEMVER, 64, "a semantic version MAJOR.MINOR.PATCH[-PRERELEASE][+BUILD]")
]
Digest: TypeAlias = Annotated[bytes, Rule(Reason.MALFORMED_DIGEST, "must be 32 bytes", lambda value: len(value) == 32)]
"""SHA-256."""
LotSize: TypeAlias = Annotated[
    str,
    Rule(
        Reason.MALFORMED_NUMBER,
        "must be a positive plain decimal: the units of one lot",
        lambda value: is_decimal(value, positive=True),
    ),
]

Versions: TypeAlias = Annotated[tuple[Number, ...], _items(0, 256), _DISTINCT]
DatasetUses: TypeAlias = Annotated[
    tuple[
        tuple[
            Annotated[Number, Named("dataset_version")],
            Annotated[Ppb, Named("weight_ppb")],
            Annotated[LineageRole, Named("role")],
        ],
        ...,
    ],
    _items(0, 256),
    _FIRST_DISTINCT,
]
"""(data set version, weight in ppb, role) for each data set version that a model version used."""
BaseUses: TypeAlias = Annotated[
    tuple[
        tuple[
            Annotated[Number, Named("model_version")],
            Annotated[Ppb, Named("weight_ppb")],
            Annotated[BaseRelation, Named("relation")],
        ],
        ...,
    ],
    _items(0, 64),
    _FIRST_DISTINCT,
]
"""(model version, weight in ppb, relation) for each model version that a model version was made from."""
AgentShares: TypeAlias = Annotated[
    tuple[tuple[Annotated[Number, Named("party")], Annotated[int, Named("share_ppb"), _range(1, PPB)]], ...],
    _items(0, 32),
    _FIRST_DISTINCT,
]
"""(agent, share in ppb)."""


# -- the check, compiled once per class --------------------------------------------------------------------------------

_Check: TypeAlias = Callable[[Any, str], Refusal | None]


@cache
def _checker(cls: type) -> _Check:
    assert is_dataclass(cls), cls
    hints = get_type_hints(cls, include_extras=True)
    checks = [(field.name, _compile(hints[field.name])) for field in fields(cls)]

    def run(value: Any, path: str) -> Refusal | None:
        for name, checked in checks:
            refusal = checked(getattr(value, name), f"{path}.{name}" if path else name)
            if refusal is not None:
                return refusal
        return None

    return run


def _compile(hint: Any) -> _Check:
    origin = get_origin(hint)
    if origin is Annotated:
        base, *extras = get_args(hint)
        return _with_rules(_compile(base), [extra for extra in extras if isinstance(extra, Rule)])
    if origin in (Union, UnionType):
        alternatives = [item for item in get_args(hint) if item is not NoneType]
        assert len(alternatives) == 1 and len(get_args(hint)) == 2, hint
        present = _compile(alternatives[0])
        return lambda value, path: None if value is None else present(value, path)
    if origin is tuple:
        return _tuple(get_args(hint))
    assert isinstance(hint, type), hint
    return _exactly(hint)


def _with_rules(typed: _Check, rules: list[Rule]) -> _Check:
    def run(value: Any, path: str) -> Refusal | None:
        refusal = typed(value, path)
        if refusal is not None:
            return refusal
        for rule in rules:
            if not rule.holds(value):
                return refuse(rule.reason, path, rule.says, value)
        return None

    return run


def _tuple(items: tuple[Any, ...]) -> _Check:
    if items[-1] is Ellipsis:
        each = _compile(items[0])

        def run_all(value: Any, path: str) -> Refusal | None:
            if type(value) is not tuple:
                return refuse(Reason.WRONG_TYPE, path, "must be a list", value)
            for index, item in enumerate(value):
                refusal = each(item, f"{path}[{index}]")
                if refusal is not None:
                    return refusal
            return None

        return run_all

    names = [next(extra.name for extra in get_args(item)[1:] if isinstance(extra, Named)) for item in items]
    checks = [_compile(item) for item in items]

    def run_each(value: Any, path: str) -> Refusal | None:
        if type(value) is not tuple or len(value) != len(checks):
            return refuse(Reason.WRONG_TYPE, path, f"must be ({', '.join(names)})", value)
        for name, checked, item in zip(names, checks, value, strict=True):
            refusal = checked(item, f"{path}.{name}")
            if refusal is not None:
                return refusal
        return None

    return run_each


_TYPE_WORDS: Final[dict[type, str]] = {int: "an integer", bool: "true or false", str: "text", bytes: "bytes"}


def _exactly(cls: type) -> _Check:
    if issubclass(cls, Enum):
        allowed = "a combination of" if issubclass(cls, Flag) else "one of"
        words = f"{allowed} {', '.join(str(member.name).lower() for member in cls)}"
    else:
        words = _TYPE_WORDS[cls]

    def run(value: Any, path: str) -> Refusal | None:
        if type(value) is not cls or (type(value) is str and not _is_unicode(value)):
            return refuse(Reason.WRONG_TYPE, path, f"must be {words}", value)
        return None

    return run


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
