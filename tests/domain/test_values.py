"""Decimal text, money, and splitting without a remainder."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rejections import Reason, Refusal
from domain.values import (
    AccountKind,
    AccountRef,
    Role,
    format_money,
    format_quantity,
    is_decimal,
    largest_remainder,
    parse_money,
    parse_price,
    parse_quantity,
)

MALFORMED = [
    "",
    " 1",
    "1 ",
    "+1",
    "1.",
    ".5",
    "01",
    "1e3",
    "1E3",
    "NaN",
    "Infinity",
    "1_000",
    "1,000",
    "0x10",
    "--1",
    "١٢",
    "1²",
    "1\n",
    "1\x00",
    "9" * 41,
    1,
    1.0,
    True,
    None,
    b"1",
]


@pytest.mark.parametrize("text", MALFORMED, ids=repr)
def test_only_plain_decimal_text_is_a_number(text: object) -> None:
    for refusal in (parse_price(text, "0.01"), parse_quantity(text, "1"), parse_money(text, 2)):
        assert isinstance(refusal, Refusal) and refusal.reason is Reason.MALFORMED_NUMBER
    assert not is_decimal(text)


@pytest.mark.parametrize(
    ("text", "tick_size", "ticks"), [("12.40", "0.01", 1240), ("12.4", "0.05", 248), ("3", "1", 3), ("1000", "250", 4)]
)
def test_a_price_is_a_number_of_ticks(text: str, tick_size: str, ticks: int) -> None:
    assert parse_price(text, tick_size) == ticks


def test_a_price_off_the_tick_names_field_rule_and_value() -> None:
    refusal = parse_price("12.41", "0.05", field="limit")
    assert isinstance(refusal, Refusal)
    assert refusal.code == "price_not_on_tick"
    assert refusal.message == "limit: must be a multiple of the tick size 0.05; got '12.41'"


def test_a_quantity_off_the_lot_is_refused() -> None:
    refusal = parse_quantity("1500000", "1000000")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("quantity_not_on_lot", "quantity")
    assert parse_quantity("3000000", "1000000") == 3


@pytest.mark.parametrize("text", ["0", "0.00", "-0", "-1", str(2**63), "9" * 40])
def test_zero_negative_and_overflowing_numbers_are_out_of_range(text: str) -> None:
    for refusal, reason in (
        (parse_price(text, "1"), Reason.PRICE_OUT_OF_RANGE),
        (parse_quantity(text, "1"), Reason.LOTS_OUT_OF_RANGE),
        (parse_money(text, 0), Reason.AMOUNT_OUT_OF_RANGE),
    ):
        assert isinstance(refusal, Refusal) and refusal.reason is reason


def test_the_greatest_numbers_are_accepted() -> None:
    assert parse_price(str(2**63 - 1), "1") == parse_quantity(str(2**63 - 1), "1") == 2**63 - 1
    assert parse_money("10000000000000.00", 2) == 10**15
    assert isinstance(parse_money("10000000000000.01", 2), Refusal)


def test_an_amount_finer_than_the_currency_is_refused() -> None:
    refusal = parse_money("1.005", 2)
    assert isinstance(refusal, Refusal) and refusal.code == "amount_not_on_minor_unit"
    assert parse_money("1.500", 2) == 150


@given(st.integers(-(10**15), 10**15), st.integers(0, 4))
def test_money_is_formatted_exactly_with_all_its_decimals(amount_minor: int, exponent: int) -> None:
    text = format_money(amount_minor, exponent)
    assert Decimal(text) == Decimal(amount_minor).scaleb(-exponent)
    assert len(text.partition(".")[2]) == exponent


@given(st.integers(1, 10**15), st.integers(0, 4))
def test_money_survives_formatting_and_parsing(amount_minor: int, exponent: int) -> None:
    assert parse_money(format_money(amount_minor, exponent), exponent) == amount_minor


@given(st.integers(1, 10**12), st.sampled_from(["1", "0.001", "2.5", "1000000"]))
def test_quantities_survive_formatting_and_parsing(lots: int, lot_size: str) -> None:
    assert parse_quantity(format_quantity(lots, lot_size), lot_size) == lots


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any), st.integers(0, 10**12))
def test_largest_remainder_gives_the_total_and_nobody_a_whole_unit_off(weights: list[int], total: int) -> None:
    shares = largest_remainder(weights, total)
    assert sum(shares) == total
    whole = sum(weights)
    for weight, share in zip(weights, shares, strict=True):
        assert abs(share * whole - weight * total) < whole


def test_among_equal_remainders_the_smaller_index_wins() -> None:
    assert largest_remainder([1, 1, 1], 100) == [34, 33, 33]
    assert largest_remainder([1, 2, 1], 2) == [1, 1, 0]
    assert largest_remainder([0, 5], 3) == [0, 3]


def test_numbers_that_others_store_never_change() -> None:
    assert {kind.name: kind.value for kind in AccountKind} == {
        "AVAILABLE": 1,
        "IN_USE": 2,
        "RETIRED": 3,
        "SUSPENSE": 4,
        "FEE_REVENUE": 5,
        "PLATFORM_REVENUE": 6,
        "TAX_COLLECTED": 7,
        "OUTSIDE": 9,
        "ISSUANCE": 10,
        "RECEIVABLE": 11,
    }
    assert [role.value for role in Role] == [1, 2, 4, 8, 16, 32, 64, 128]
    with pytest.raises(ValueError, match="256"):
        Role(256)


def test_accounts_are_ordered_and_hashable() -> None:
    accounts = {AccountRef(2, 1, AccountKind.AVAILABLE), AccountRef(-1, -1, AccountKind.SUSPENSE)}
    assert min(accounts).owner == -1
