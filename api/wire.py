"""How numbers become text at the doors and back: ids, times, prices, quantities and money.

Every function is exact both ways: what a door prints it reads back as the same number, and each number has one text.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Final

from domain.rejections import Reason, Refusal, refuse
from domain.values import INT64_MAX, format_money

PARTY: Final = "pty"
DATASET: Final = "dst"
DATASET_VERSION: Final = "dsv"
MODEL: Final = "mdl"
MODEL_VERSION: Final = "mdv"
TRAINING_RUN: Final = "run"
TERMS: Final = "trm"
CURRENCY: Final = "ccy"
SERIES: Final = "ser"
ORDER: Final = "ord"
GRANT: Final = "grt"
AGREEMENT: Final = "agr"
KEY: Final = "key"
USER: Final = "usr"
TRADE: Final = "trd"

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, lower case: no i, l, o, u."""
_DIGITS: Final = {character: value for value, character in enumerate(ALPHABET)}
_PAIRS: Final = tuple(high + low for high in ALPHABET for low in ALPHABET)
_CHARACTERS_MAX: Final = 13
_ID_CHARACTERS_MAX: Final = 32

SIDES: Final = ("buy", "sell")
"""By number of `matching.layout.Side`."""
TIMES_IN_FORCE: Final = ("GTC", "IOC")
"""By number of `matching.layout.TimeInForce`."""
ORDER_TYPES: Final = ("limit", "market")


# -- ids ---------------------------------------------------------------------------------------------------------------


def base32(number: int) -> str:
    """Crockford base 32 of a number of 0 and above, without padding."""
    assert number >= 0, number
    return _base32(number >> 10) + _PAIRS[number & 1023] if number >> 10 else _PAIRS[number].lstrip("0") or "0"


@lru_cache(maxsize=4_096)
def _base32(number: int) -> str:
    """The leading digits, which a thousand numbers share."""
    return base32(number)


def public_id(prefix: str, number: int) -> str:
    """The id of the thing of a kind with this dense number: ("ord", 33) is "ord_11"."""
    return f"{prefix}_{base32(number)}"


def number_of(prefix: str, text: object, field: str) -> int | Refusal:
    """The dense number of an id of this kind."""
    start = f"{prefix}_"
    number = _unbase32(text[len(start) :]) if type(text) is str and text.startswith(start) else None
    if number is None:
        return refuse(Reason.WRONG_TYPE, field, f"must be an id such as {start}1a", text)
    return number


def trade_id(command: int, fill: int) -> str:
    """The id of a trade: the number of the taker's command, and of the fill within it."""
    return f"{TRADE}_{base32(command)}-{base32(fill)}"


def trade_of(text: object, field: str) -> tuple[int, int] | Refusal:
    """(command, fill) of a trade's id."""
    start = f"{TRADE}_"
    if type(text) is str and text.startswith(start):
        command_text, dash, fill_text = text[len(start) :].partition("-")
        command, fill = _unbase32(command_text), _unbase32(fill_text)
        if dash and command is not None and fill is not None:
            return command, fill
    return refuse(Reason.WRONG_TYPE, field, f"must be a trade's id such as {start}1a-0", text)


def _unbase32(text: str) -> int | None:
    """The number, or None for what `base32` does not print."""
    if not 0 < len(text) <= _CHARACTERS_MAX or (text[0] == "0" and text != "0"):
        return None
    number = 0
    for character in text:
        value = _DIGITS.get(character)
        if value is None:
            return None
        number = number * 32 + value
    return number if number <= INT64_MAX else None


# -- times -------------------------------------------------------------------------------------------------------------

_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?Z", re.ASCII)
_TIME_RULE: Final = "must be an RFC 3339 time in UTC such as 2026-11-25T08:30:00.000000000Z, from 1970 to 2261"
_SECOND_NS: Final = 1_000_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def rfc3339(at_ns: int) -> str:
    """The time in UTC with nanoseconds; `at_ns` is not before 1970."""
    assert 0 <= at_ns <= INT64_MAX, at_ns
    second, nanosecond = divmod(at_ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.{nanosecond:09d}Z"


def at_ns_of(text: object, field: str) -> int | Refusal:
    """Nanoseconds since 1970 of a time in UTC with at most nine decimals."""
    match = _TIME.fullmatch(text) if type(text) is str else None
    if match is None:
        return refuse(Reason.WRONG_TYPE, field, _TIME_RULE, text)
    day_text, hour, minute, second, fraction = match.groups(default="")
    try:
        day = date.fromisoformat(day_text).toordinal() - _EPOCH_DAY
    except ValueError:
        return refuse(Reason.WRONG_TYPE, field, _TIME_RULE, text)
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        return refuse(Reason.WRONG_TYPE, field, _TIME_RULE, text)
    seconds = ((day * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    at_ns = seconds * _SECOND_NS + int(fraction.ljust(9, "0"))
    if not 0 <= at_ns <= INT64_MAX:
        return refuse(Reason.WRONG_TYPE, field, _TIME_RULE, text)
    return at_ns


MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
"""In English, whatever the locale."""


# -- amounts -----------------------------------------------------------------------------------------------------------


def tick_size(tick_minor: int, exponent: int) -> str:
    """The tick size of a series as decimal text of its currency: the price of one lot moves in steps of it."""
    return format_money(tick_minor, exponent)


def format_price(ticks: int, tick_minor: int, exponent: int) -> str:
    """A price in ticks as decimal text of its currency."""
    return format_money(ticks * tick_minor, exponent)
