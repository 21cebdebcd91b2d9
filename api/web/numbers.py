"""How integers of the house become text for people: grouped digits, true minus signs, dates by language.

Exact: nothing is rounded but percentages, and those say their exact value in a hint.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from api.wire import MONTHS
from domain.values import PPB, PPM, format_money, format_quantity

MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "–"
_NS: Final = 1_000_000_000


def grouped(text: str) -> str:
    """Plain decimal text with its thousands grouped and a true minus sign: "-1234.50" is "−1,234.50"."""
    sign = MINUS if text.startswith("-") else ""
    whole, dot, decimals = text.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{dot}{decimals}"


class Numbers:
    """Numbers and dates of one language."""

    def __init__(self, language: str) -> None:
        self.language = language

    def count(self, number: int | None) -> str:
        return NOTHING if number is None else grouped(str(number))

    def money(self, amount_minor: int | None, exponent: int) -> str:
        return NOTHING if amount_minor is None else grouped(format_money(amount_minor, exponent))

    def whole(self, amount_minor: int, exponent: int) -> str:
        """As money, without decimals where they are zeros: for the axes of drawings."""
        text = self.money(amount_minor, exponent)
        whole, _, decimals = text.partition(".")
        return text if decimals.strip("0") else whole

    def signed(self, amount_minor: int, exponent: int) -> str:
        """As money, with a plus sign where it is above zero."""
        return ("+" if amount_minor > 0 else "") + self.money(amount_minor, exponent)

    def price(self, ticks: int | None, tick_minor: int, exponent: int) -> str:
        return NOTHING if ticks is None else self.money(ticks * tick_minor, exponent)

    def quantity(self, lots: int | None, lot_size: str) -> str:
        return NOTHING if lots is None else grouped(format_quantity(lots, lot_size))

    def ppm(self, rate_ppm: int, decimals: int = 2) -> str:
        """A rate as percent, half away from zero: 25000 is "2.5 %"; zeros at the end are left out."""
        return self._percent(rate_ppm, PPM, decimals)

    def ppb(self, share_ppb: int, decimals: int = 3) -> str:
        return self._percent(share_ppb, PPB, decimals)

    def _percent(self, part: int, whole: int, decimals: int) -> str:
        scale = 100 * 10**decimals
        scaled = (2 * abs(part) * scale + whole) // (2 * whole)
        text = format_money(-scaled if part < 0 else scaled, decimals)
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        return grouped(text if text != "-0" else "0") + (" %" if self.language == "en" else "%")

    def day(self, text: str) -> str:
        """A day such as 2026-11-14."""
        day = date.fromisoformat(text)
        if self.language == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"

    def month(self, text: str) -> str:
        """A month such as 2026-11."""
        year, month = (int(part) for part in text.split("-"))
        return f"{year}年{month}月" if self.language == "zh" else f"{MONTHS[month - 1]} {year}"

    def month_short(self, text: str) -> str:
        month = int(text.split("-")[1])
        return f"{month}月" if self.language == "zh" else MONTHS[month - 1][:3]

    def day_of(self, at_ns: int) -> str:
        """The UTC day of a time."""
        return self.day(f"{_moment(at_ns):%Y-%m-%d}")

    @staticmethod
    def time(at_ns: int) -> str:
        """A time of the log in UTC, to the second, the same in every language."""
        return f"{_moment(at_ns):%Y-%m-%d %H:%M:%S}"

    @staticmethod
    def clock(at_ns: int) -> str:
        return f"{_moment(at_ns):%H:%M:%S}"

    @staticmethod
    def machine_time(at_ns: int) -> str:
        """RFC 3339 to the nanosecond, for `datetime` attributes and hints."""
        return f"{_moment(at_ns):%Y-%m-%dT%H:%M:%S}.{at_ns % _NS:09d}Z"


def _moment(at_ns: int) -> datetime:
    return datetime.fromtimestamp(at_ns // _NS, UTC)
