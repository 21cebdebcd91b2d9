"""Numbers and dates as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.web.numbers import MINUS, Numbers, grouped

EN, ZH = Numbers("en"), Numbers("zh")


@given(st.integers(-(10**18), 10**18), st.integers(0, 6))
def test_grouping_changes_no_digit(amount_minor: int, exponent: int) -> None:
    shown = EN.money(amount_minor, exponent)
    assert Decimal(shown.replace(",", "").replace(MINUS, "-")) == Decimal(amount_minor).scaleb(-exponent)
    assert all(len(group) == 3 for group in shown.partition(".")[0].split(",")[1:])


@pytest.mark.parametrize(
    ("text", "expected"), [("0.00", "0.00"), ("-1234.50", "−1,234.50"), ("1234567", "1,234,567"), ("-0.01", "−0.01")]
)
def test_a_minus_sign_is_a_minus_sign(text: str, expected: str) -> None:
    assert grouped(text) == expected


def test_nothing_known_is_a_dash() -> None:
    assert [EN.money(None, 2), EN.price(None, 1, 2), EN.quantity(None, "1"), EN.count(None)] == ["–"] * 4


@pytest.mark.parametrize(
    ("ppm", "english", "chinese"),
    [
        (25_000, "2.5 %", "2.5%"),
        (-100, "−0.01 %", "−0.01%"),
        (0, "0 %", "0%"),
        (1_000_000, "100 %", "100%"),
        (-1, "0 %", "0%"),
    ],
)
def test_rates_are_percentages_without_idle_zeros(ppm: int, english: str, chinese: str) -> None:
    assert (EN.ppm(ppm), ZH.ppm(ppm)) == (english, chinese)


def test_axes_leave_out_decimals_that_say_nothing() -> None:
    assert [EN.whole(2_000_000, 2), EN.whole(-50, 2), EN.signed(5, 2), EN.signed(-5, 2)] == [
        "20,000",
        "−0.50",
        "+0.05",
        "−0.05",
    ]


def test_days_and_months_are_written_as_the_language_does() -> None:
    assert [EN.day("2026-11-04"), ZH.day("2026-11-04")] == ["4 Nov 2026", "2026年11月4日"]
    assert [EN.month("2026-11"), ZH.month("2026-11")] == ["November 2026", "2026年11月"]
    assert [EN.month_short("2026-11"), ZH.month_short("2026-11")] == ["Nov", "11月"]


def test_times_of_the_log_are_utc_with_the_nanoseconds_at_hand() -> None:
    at_ns = 1_789_300_800_123_456_789
    assert [EN.time(at_ns), EN.machine_time(at_ns)] == ["2026-09-13 12:00:00", "2026-09-13T12:00:00.123456789Z"]
    assert EN.day_of(at_ns) == "13 Sep 2026"
