"""Deposits, withdrawals, refunds: what moves, and that nothing is recorded twice."""

from dataclasses import replace

import pytest

from domain.commands import FreezeParty, RecordDeposit, RecordWithdrawal, RefundSale
from domain.events import SaleRefunded
from domain.outcomes import Journal, Leg, NegativeSale
from domain.rejections import Reason
from domain.values import HOUSE, AccountKind, AccountRef, PostingCode, Role
from tests.domain.house import TODAY, House, a_market

DEPOSIT = RecordDeposit(party=1, currency=1, amount_minor=50_000, reference="bank-1", effective_day=TODAY)
WITHDRAWAL = RecordWithdrawal(party=1, currency=1, amount_minor=50_000, reference="bank-1", effective_day=TODAY)
OUTSIDE = AccountRef(HOUSE, -1, AccountKind.OUTSIDE)
AVAILABLE = AccountRef(1, -1, AccountKind.AVAILABLE)


def a_bank() -> House:
    house = House()
    house.party(Role.TRADER)
    house.currency()
    return house


def test_a_deposit_moves_money_from_outside_to_the_party_and_a_withdrawal_back() -> None:
    house = a_bank()
    house.do(DEPOSIT)
    leg = Leg(debit=OUTSIDE, credit=AVAILABLE, amount_minor=50_000, code=PostingCode.DEPOSIT)
    assert house.last.movement == Journal((leg,))
    assert set(house.last.opens) == {OUTSIDE, AVAILABLE}
    house.do(WITHDRAWAL)
    leg = Leg(debit=AVAILABLE, credit=OUTSIDE, amount_minor=50_000, code=PostingCode.WITHDRAWAL)
    assert house.last.movement == Journal((leg,))


def test_the_same_payment_is_not_recorded_twice() -> None:
    house = a_bank()
    house.do(DEPOSIT)
    first = house.command
    refusal = house.refuses(DEPOSIT)
    assert (refusal.code, refusal.field, refusal.value) == ("duplicate_reference", "reference", "'bank-1'")
    assert f"command {first} recorded it" in refusal.message


@pytest.mark.parametrize("change", [{"amount_minor": 50_001}, {"effective_day": "2026-08-13"}, {"currency": 2}])
def test_a_reference_with_another_amount_currency_or_day_is_a_conflict(change: dict[str, object]) -> None:
    house = a_bank()
    house.currency("EUR")
    house.do(DEPOSIT)
    first = house.command
    refusal = house.refuses(replace(DEPOSIT, **change))  # type: ignore[arg-type]
    assert (refusal.code, refusal.field) == ("reference_conflict", "reference")
    assert f"command {first} recorded it with 50000 minor units" in refusal.message


def test_a_reference_is_unique_per_party_and_direction() -> None:
    house = a_bank()
    other = house.party(Role.TRADER)
    house.do(DEPOSIT)
    house.do(WITHDRAWAL)
    house.do(replace(DEPOSIT, party=other))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("party", 7, "unknown_party"),
        ("party", 0, "unknown_party"),
        ("currency", 7, "unknown_currency"),
        ("amount_minor", 0, "amount_out_of_range"),
        ("amount_minor", -1, "amount_out_of_range"),
        ("amount_minor", 10**15 + 1, "amount_out_of_range"),
        ("amount_minor", 2**63, "amount_out_of_range"),
        ("amount_minor", True, "wrong_type"),
        ("amount_minor", 1.0, "wrong_type"),
        ("reference", "", "malformed_key"),
        ("reference", "bank 1", "malformed_key"),
        ("effective_day", "2026-02-30", "malformed_day"),
        ("effective_day", "2026-08-15", "day_in_future"),
    ],
)
def test_bad_payments_are_refused(field: str, value: object, code: str) -> None:
    house = a_bank()
    for command in (DEPOSIT, WITHDRAWAL):
        changes: dict[str, object] = {field: value}
        refusal = house.refuses(replace(command, **changes))  # type: ignore[arg-type]
        assert (refusal.code, refusal.field) == (code, field)


def test_a_frozen_party_receives_but_does_not_withdraw() -> None:
    house = a_bank()
    house.do(FreezeParty(party=1))
    house.do(DEPOSIT)
    assert house.refuses(WITHDRAWAL).reason is Reason.PARTY_FROZEN


def test_payments_are_for_finance() -> None:
    house = a_bank()
    assert house.refuses(DEPOSIT, actor=1).reason is Reason.ROLE_REQUIRED
    house.do(DEPOSIT, actor=house.party(Role.FINANCE))


def a_refund(buyer: int) -> RefundSale:
    return RefundSale(
        trade_command=40,
        trade_fill=0,
        trade_lots=10,
        series=1,
        buyer=buyer,
        lots=4,
        price_ticks=250,
        waterfall_version=1,
        reason="faulty",
    )


def test_a_refund_is_a_negative_sale_through_the_frozen_waterfall() -> None:
    house, _, series = a_market()
    buyer = house.party(Role.TRADER)
    fact = house.do(a_refund(buyer))
    assert isinstance(fact, SaleRefunded)
    assert fact.amount_minor == 1_000
    assert house.last.movement == NegativeSale(series=series, buyer=buyer, lots=4, price_ticks=250, waterfall_version=1)


def test_refunds_never_exceed_the_sale() -> None:
    house, _, _ = a_market()
    refund = a_refund(house.party(Role.TRADER))
    house.do(refund)
    refusal = house.refuses(replace(refund, lots=7))
    assert refusal.message == "lots: must be at most 6; got 7 (4 of 10 lots were refunded before)"
    assert refusal.code == "refund_exceeds_sale"
    house.do(replace(refund, lots=6))
    house.do(replace(refund, trade_fill=1, lots=10))
    # The first trade there can be, of the greatest amount there can be.
    house.do(replace(refund, trade_command=1, lots=4, price_ticks=250_000_000))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("series", 2, "unknown_series"),
        ("buyer", 99, "unknown_party"),
        ("waterfall_version", 0, "no_waterfall"),
        ("waterfall_version", 2, "no_waterfall"),
        ("trade_command", 0, "value_out_of_range"),
        ("trade_fill", -1, "value_out_of_range"),
        ("lots", 0, "lots_out_of_range"),
        ("price_ticks", 0, "price_out_of_range"),
        ("price_ticks", 250_000_001, "notional_too_large"),
    ],
)
def test_bad_refunds_are_refused(field: str, value: int, code: str) -> None:
    house, _, _ = a_market()
    changes: dict[str, object] = {field: value}
    refusal = house.refuses(replace(a_refund(house.party(Role.TRADER)), **changes))  # type: ignore[arg-type]
    assert (refusal.code, refusal.field) == (code, field)
