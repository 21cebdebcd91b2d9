"""The venue: listing, halting, ending, list prices, fees and taxes."""

from dataclasses import replace

import pytest

from domain.catalogue import Due, DueKind
from domain.commands import (
    AdoptFeeSchedule,
    HaltSeries,
    RecordListPrice,
    RegisterCurrency,
    ResumeSeries,
    SetTaxRate,
    WithdrawModelVersion,
)
from domain.decisions import next_due
from domain.events import SeriesEnded, SeriesListed, WaterfallCompiled
from domain.outcomes import CancelAll
from domain.rejections import Reason
from domain.values import (
    HOUSE,
    AccountKind,
    AccountRef,
    HaltReason,
    PriceBasis,
    Role,
    SeriesPhase,
    TermKind,
    WithdrawalKind,
)
from tests.domain.house import PERCENT, START_NS, TODAY, House, a_market, a_series

HALT = HaltSeries(series=1, reason=HaltReason.RISK)


def a_house_ready_to_list() -> tuple[House, int, int, int]:
    """(house, developer, published version under an agreement, terms)."""
    house = House()
    developer = house.party(Role.DEVELOPER)
    model = house.model(developer)
    house.agreement(model)
    house.currency()
    return house, developer, house.model_version(model), house.terms(developer)


def test_a_listing_opens_its_accounts_and_has_a_waterfall_before_its_first_sale() -> None:
    house, developer, version, terms = a_house_ready_to_list()
    listed = house.do(a_series(version, terms), actor=developer)
    assert isinstance(listed, SeriesListed)
    assert (listed.issuer, listed.resale_allowed, listed.royalty_ppm) == (developer, True, 50_000)
    compiled = house.last.facts[1]
    assert isinstance(compiled, WaterfallCompiled)
    assert (compiled.version, compiled.rows) == (1, ((HOUSE, 20 * PERCENT), (developer, 80 * PERCENT)))
    assert house.last.opens == (
        AccountRef(-1, -1, AccountKind.SUSPENSE),
        AccountRef(-1, 1, AccountKind.ISSUANCE),
        AccountRef(HOUSE, -1, AccountKind.FEE_REVENUE),
        AccountRef(HOUSE, -1, AccountKind.TAX_COLLECTED),
        AccountRef(HOUSE, -1, AccountKind.PLATFORM_REVENUE),
        AccountRef(developer, -1, AccountKind.AVAILABLE),
    )


def test_only_a_published_version_is_listed() -> None:
    house, developer, version, terms = a_house_ready_to_list()
    draft = house.model_version(1, "2.0.0", published=False)
    refusal = house.refuses(a_series(draft, terms), actor=developer)
    assert refusal.message == "model_version: must be published; got 2"
    assert refusal.code == "model_version_not_published"
    house.do(WithdrawModelVersion(model_version=version, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY))
    assert house.refuses(a_series(version, terms), actor=developer).reason is Reason.MODEL_VERSION_WITHDRAWN


def test_a_listing_names_what_exists_and_belongs_together() -> None:
    house, developer, version, terms = a_house_ready_to_list()
    other = house.party(Role.DEVELOPER)
    foreign_terms = house.terms(other)
    listing = a_series(version, terms)
    for changed, reason in (
        (replace(listing, model_version=9), Reason.UNKNOWN_MODEL_VERSION),
        (replace(listing, terms=9), Reason.UNKNOWN_TERMS),
        (replace(listing, currency=9), Reason.UNKNOWN_CURRENCY),
        (replace(listing, terms=foreign_terms), Reason.TERMS_OF_ANOTHER_DEVELOPER),
        (replace(listing, symbol="MODEL/EUR"), Reason.MALFORMED_SYMBOL),
    ):
        assert house.refuses(changed, actor=developer).reason is reason
    assert house.refuses(listing, actor=other).reason is Reason.NOT_THE_OWNER
    house.do(listing, actor=developer)
    taken = house.refuses(listing, actor=developer)
    assert (taken.code, taken.field) == ("symbol_taken", "symbol")


def test_a_model_without_an_agreement_in_force_is_not_listed() -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    model = house.model(developer)
    version = house.model_version(model)
    house.currency()
    listing = a_series(version, house.terms(developer))
    assert house.refuses(listing).reason is Reason.NO_AGREEMENT
    house.agreement(model, effective_at_ns=START_NS + 1)
    assert house.refuses(listing).reason is Reason.NO_AGREEMENT
    house.let_time_pass(START_NS + 1)
    house.do(listing)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("max_notional_minor", 9 * 10**12 + 1, "value_out_of_range"),
        ("max_notional_minor", 0, "value_out_of_range"),
        ("tick_minor", 0, "value_out_of_range"),
        ("tick_minor", 1_000_000_001, "limits_contradict"),
        ("supply_cap_lots", 0, "lots_out_of_range"),
        ("supply_cap_lots", -5, "lots_out_of_range"),
        ("max_order_lots", 0, "lots_out_of_range"),
        ("max_order_lots", 1_000_001, "limits_contradict"),
        ("lot_size", "0", "malformed_number"),
        ("lot_size", "1e6", "malformed_number"),
        ("ends_ns", START_NS, "time_in_past"),
    ],
)
def test_limits_of_a_listing_are_possible(field: str, value: object, code: str) -> None:
    house, developer, version, terms = a_house_ready_to_list()
    changes: dict[str, object] = {field: value}
    refusal = house.refuses(replace(a_series(version, terms), **changes), actor=developer)  # type: ignore[arg-type]
    assert (refusal.code, refusal.field) == (code, field)


def test_limits_may_be_used_to_the_full() -> None:
    house, developer, version, terms = a_house_ready_to_list()
    listing = replace(
        a_series(version, terms),
        tick_minor=9 * 10**12,
        max_notional_minor=9 * 10**12,
        supply_cap_lots=1,
        max_order_lots=1,
        ends_ns=START_NS + 1,
    )
    house.do(listing, actor=developer)
    price = RecordListPrice(series=1, price_ticks=1, basis=PriceBasis.DEMO, source="a rule", effective_day=TODAY)
    house.do(price, actor=developer)
    assert house.refuses(replace(price, price_ticks=2)).reason is Reason.PRICE_OUT_OF_RANGE


def test_a_series_ends_with_its_terms_at_the_latest() -> None:
    house, developer, version, _ = a_house_ready_to_list()
    terms = house.terms(developer, term=TermKind.FIXED_END, term_ends_ns=START_NS + 100)
    listing = a_series(version, terms)
    assert house.refuses(replace(listing, ends_ns=START_NS + 101)).reason is Reason.END_AGAINST_TERMS
    assert house.do(listing).ends_ns == START_NS + 100
    assert house.do(replace(listing, symbol="EARLY/USD", ends_ns=START_NS + 99)).ends_ns == START_NS + 99
    assert house.do(replace(listing, symbol="EQUAL/USD", ends_ns=START_NS + 100)).ends_ns == START_NS + 100


def test_a_series_ends_when_its_time_has_come_and_all_its_orders_with_it() -> None:
    house, developer, version, terms = a_house_ready_to_list()
    house.do(replace(a_series(version, terms), ends_ns=START_NS + 10), actor=developer)
    house.do(HALT)
    assert next_due(house.catalogue) == Due(START_NS + 10, DueKind.END_SERIES, 1)
    assert house.let_time_pass(START_NS + 9) == []
    house.let_time_pass(START_NS + 10)
    assert (house.last.facts, house.last.movement) == ((SeriesEnded(series=1),), CancelAll(1))
    assert house.catalogue.series[1].phase is SeriesPhase.ENDED
    assert next_due(house.catalogue) is None
    for command in (HALT, ResumeSeries(series=1)):
        assert house.refuses(command).reason is Reason.SERIES_ENDED


def test_a_series_is_halted_and_resumed() -> None:
    house, developer, _ = a_market()
    assert house.refuses(HALT, actor=developer).reason is Reason.ROLE_REQUIRED
    assert house.refuses(ResumeSeries(series=1)).reason is Reason.SERIES_NOT_HALTED
    house.do(HALT, actor=house.party(Role.RISK))
    assert house.refuses(HALT).reason is Reason.SERIES_HALTED
    house.do(ResumeSeries(series=1))
    assert house.catalogue.series[1].phase is SeriesPhase.OPEN
    assert house.refuses(replace(HALT, series=2)).reason is Reason.UNKNOWN_SERIES


def test_a_list_price_is_recorded_by_the_issuer_or_an_operator_within_the_limits() -> None:
    house, developer, _ = a_market()
    price = RecordListPrice(
        series=1, price_ticks=250, basis=PriceBasis.LISTED, source="a price list", effective_day=TODAY
    )
    house.do(price, actor=developer)
    house.do(price, actor=house.party(Role.OPERATOR))
    assert house.refuses(price, actor=house.party(Role.DEVELOPER)).reason is Reason.NOT_THE_OWNER
    assert house.refuses(replace(price, price_ticks=0)).reason is Reason.PRICE_OUT_OF_RANGE
    above = house.refuses(replace(price, price_ticks=1_000_000_001))
    assert above.message == "price_ticks: must be 1 to 1000000000; got 1000000001"
    assert house.refuses(replace(price, effective_day="2026-08-15")).reason is Reason.DAY_IN_FUTURE
    assert house.refuses(replace(price, series=3)).reason is Reason.UNKNOWN_SERIES


def test_no_rebate_ever_exceeds_a_taker_fee() -> None:
    house = House()
    house.do(AdoptFeeSchedule(maker_ppm=-100, taker_ppm=300))
    house.do(AdoptFeeSchedule(maker_ppm=50, taker_ppm=100))
    # An order may still rest with the rebate of the first schedule.
    refusal = house.refuses(AdoptFeeSchedule(maker_ppm=50, taker_ppm=99))
    assert (refusal.code, refusal.field, refusal.value) == ("rebate_exceeds_taker_fee", "taker_ppm", "99")
    refusal = house.refuses(AdoptFeeSchedule(maker_ppm=-101, taker_ppm=500))
    assert (refusal.code, refusal.field, refusal.value) == ("rebate_exceeds_taker_fee", "maker_ppm", "-101")
    assert house.do(AdoptFeeSchedule(maker_ppm=-100, taker_ppm=100)).fee_schedule == 3


def test_tax_rates_are_by_country_and_the_last_one_holds() -> None:
    house = House()
    house.do(SetTaxRate(country="DE", tax_ppm=160_000))
    house.do(SetTaxRate(country="DE", tax_ppm=190_000))
    house.do(SetTaxRate(country="FR", tax_ppm=200_000))
    assert house.catalogue.tax_rates == {"DE": 190_000, "FR": 200_000}
    assert house.refuses(SetTaxRate(country="EU", tax_ppm=1)).reason is Reason.MALFORMED_COUNTRY
    assert house.refuses(SetTaxRate(country="DE", tax_ppm=1_000_001)).reason is Reason.VALUE_OUT_OF_RANGE


def test_a_currency_is_registered_once() -> None:
    house = House()
    house.currency("JPY", 0)
    assert house.refuses(RegisterCurrency(code="JPY", exponent=0)).reason is Reason.CURRENCY_CODE_TAKEN
    assert house.refuses(RegisterCurrency(code="usd", exponent=2)).reason is Reason.MALFORMED_SYMBOL
    assert house.refuses(RegisterCurrency(code="USD", exponent=5)).reason is Reason.VALUE_OUT_OF_RANGE
