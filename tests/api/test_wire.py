"""Numbers at the doors: each has one text, and each text is read back as the same number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.wire import (
    ALPHABET,
    ORDER,
    at_ns_of,
    base32,
    format_price,
    number_of,
    public_id,
    rfc3339,
    tick_size,
    trade_id,
    trade_of,
)
from domain.rejections import Reason, Refusal
from domain.values import INT64_MAX, parse_price

NUMBERS = st.integers(0, INT64_MAX)
NO_IDS: list[object] = [
    *("", "ord_", "ord_01", "ord_I", "ord_l", "ord_o", "ord_u", "ord_A", "ord_-1", "ord_ 1", "ord_1 ", "ser_1", "1"),
    *("ord_" + "z" * 13, "ord_" + "z" * 40, "ord_\u0661", 7, None),
]


@given(NUMBERS)
def test_an_id_is_read_back_as_its_number(number: int) -> None:
    assert number_of(ORDER, public_id(ORDER, number), "id") == number


@given(NUMBERS)
def test_base_32_is_the_shortest_text_of_the_number(number: int) -> None:
    text = base32(number)
    assert sum(ALPHABET.index(digit) * 32**place for place, digit in enumerate(reversed(text))) == number
    assert text == "0" or not text.startswith("0")


@given(NUMBERS, NUMBERS)
def test_different_numbers_have_different_ids(one: int, other: int) -> None:
    assert (public_id(ORDER, one) == public_id(ORDER, other)) == (one == other)


@given(st.text(max_size=20))
def test_whatever_is_read_as_an_id_is_the_text_that_is_printed_for_it(text: str) -> None:
    number = number_of(ORDER, f"ord_{text}", "id")
    assert isinstance(number, Refusal) or public_id(ORDER, number) == f"ord_{text}"


@pytest.mark.parametrize("text", NO_IDS)
def test_no_id_is_refused_with_field_rule_and_value(text: object) -> None:
    refusal = number_of(ORDER, text, "orders[0].id")
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.field) == (Reason.WRONG_TYPE, "orders[0].id")
    assert "ord_" in refusal.rule


@given(NUMBERS, st.integers(0, 2**31))
def test_a_trades_id_is_read_back_as_command_and_fill(command: int, fill: int) -> None:
    assert trade_of(trade_id(command, fill), "trade") == (command, fill)


@pytest.mark.parametrize("text", ["trd_1", "trd_1-", "trd_-1", "trd_1-01", "trd_1-2-3", "ord_1-2", "", None])
def test_no_trade_is_refused(text: object) -> None:
    assert isinstance(trade_of(text, "trade"), Refusal)


@given(NUMBERS)
def test_a_time_is_read_back_to_the_nanosecond(at_ns: int) -> None:
    text = rfc3339(at_ns)
    assert len(text) == 30 and at_ns_of(text, "at") == at_ns


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        ("2026-11-25T08:30:00.000000001Z", 1_795_595_400_000_000_001),
        ("2024-02-29T23:59:59Z", 1_709_251_199_000_000_000),
    ],
)
def test_times_with_fewer_decimals_are_read(text: str, at_ns: int) -> None:
    assert at_ns_of(text, "at") == at_ns


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25",
        "2026-11-25T08:30:00",
        "2026-11-25T08:30:00+00:00",
        "2026-02-29T00:00:00Z",
        "2026-11-25T24:00:00Z",
        "2026-11-25T08:60:00Z",
        "2026-11-25T08:30:60Z",
        "2026-11-25T08:30:00.1234567890Z",
        "1969-12-31T23:59:59Z",
        "2262-04-12T00:00:00Z",
        "\u0662026-11-25T08:30:00Z",
        1795595400,
    ],
)
def test_no_time_is_refused(text: object) -> None:
    refusal = at_ns_of(text, "since")
    assert isinstance(refusal, Refusal) and refusal.field == "since"


@given(st.integers(1, 10**9), st.integers(1, 10**6), st.integers(0, 4))
def test_a_price_that_is_printed_is_on_the_tick_and_read_back(ticks: int, tick_minor: int, exponent: int) -> None:
    assert parse_price(format_price(ticks, tick_minor, exponent), tick_size(tick_minor, exponent)) == ticks
