"""Agreements: signing, taking effect, and the waterfalls they change."""

from dataclasses import replace

import pytest

from domain.catalogue import Due, DueKind
from domain.decisions import next_due
from domain.events import AgreementTookEffect, WaterfallCompilationFailed, WaterfallCompiled
from domain.rejections import Reason
from domain.values import HOUSE, PPB, AccountKind, AccountRef, Role
from tests.domain.house import PERCENT, START_NS, House, a_market, a_series, an_agreement


def test_an_agreement_takes_effect_when_its_time_has_come_and_not_before() -> None:
    house, developer, _ = a_market()
    later_ns = START_NS + 1_000
    agreement = house.agreement(1, platform_ppb=30 * PERCENT, effective_at_ns=later_ns)
    assert house.catalogue.models[1].agreement == 1
    assert next_due(house.catalogue) == Due(later_ns, DueKind.APPLY_AGREEMENT, agreement)
    house.let_time_pass(later_ns)
    assert house.catalogue.models[1].agreement == agreement
    took_effect, compiled = house.last.facts
    assert took_effect == AgreementTookEffect(agreement=agreement)
    assert isinstance(compiled, WaterfallCompiled)
    assert (compiled.series, compiled.version, compiled.agreement) == (1, 2, agreement)
    assert compiled.rows == ((HOUSE, 30 * PERCENT), (developer, 70 * PERCENT))
    assert house.last.opens == (
        AccountRef(HOUSE, -1, AccountKind.PLATFORM_REVENUE),
        AccountRef(developer, -1, AccountKind.AVAILABLE),
    )


def test_an_agreement_changes_the_series_of_models_downstream() -> None:
    house = House()
    upstream, downstream = house.party(Role.DEVELOPER), house.party(Role.DEVELOPER)
    agent = house.party(Role.AGENT)
    base_model = house.model(upstream, "lab/base")
    middle_model = house.model(upstream, "lab/middle")
    tuned_model, other_model = house.model(downstream, "acme/tuned"), house.model(downstream, "acme/other")
    middle = house.model_version(middle_model, bases={house.model_version(base_model): PPB})
    tuned, other = house.model_version(tuned_model, bases={middle: PPB}), house.model_version(other_model)
    for model in (middle_model, tuned_model, other_model):
        house.agreement(model, upstream_ppb=50 * PERCENT)
    house.series(tuned, "TUNED/USD")
    house.series(other, "OTHER/USD")
    base = house.agreement(base_model, agents=((agent, 10 * PERCENT),))
    compiled = house.last.facts[1:]
    assert [fact.series for fact in compiled if isinstance(fact, WaterfallCompiled)] == [1]
    assert len(compiled) == 1 and isinstance(compiled[0], WaterfallCompiled)
    # The agent of the base gets 10 % of the half of the half; the waterfall still stands under the seller's agreement.
    assert dict(compiled[0].rows)[agent] == 25_000_000
    assert compiled[0].agreement == house.catalogue.models[tuned_model].agreement != base


def test_an_ended_series_keeps_its_waterfall() -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    model = house.model(developer)
    house.agreement(model)
    house.series(house.model_version(model), ends_ns=START_NS + 5)
    house.let_time_pass(START_NS + 5)
    house.agreement(model)
    assert house.last.facts == (AgreementTookEffect(agreement=2),)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"model": 9}, "unknown_model", "model"),
        ({"effective_at_ns": START_NS - 1}, "time_in_past", "effective_at_ns"),
        ({"platform_ppb": PPB + 1}, "value_out_of_range", "platform_ppb"),
        ({"platform_ppb": -1}, "value_out_of_range", "platform_ppb"),
        ({"platform_ppb": PPB, "data_ppb": 1}, "shares_above_whole", "platform_ppb"),
        ({"agents": ((99, 1),)}, "unknown_party", "agents[0].party"),
        ({"agents": ((1, 1),)}, "role_required", "agents[0].party"),
        ({"agents": ((1, 0),)}, "value_out_of_range", "agents[0].share_ppb"),
        ({"agents": ((1, 1), (1, 2))}, "duplicate_item", "agents"),
        ({"agents": ((1, True),)}, "wrong_type", "agents[0].share_ppb"),
    ],
)
def test_bad_agreements_are_refused(changes: dict[str, object], code: str, field: str) -> None:
    house, _, _ = a_market()
    refusal = house.refuses(replace(an_agreement(1), **changes))  # type: ignore[arg-type]
    assert (refusal.code, refusal.field) == (code, field)


def test_an_agreement_may_give_away_the_whole() -> None:
    house, developer, _ = a_market()
    house.agreement(1, platform_ppb=PPB)
    compiled = house.last.facts[1]
    assert isinstance(compiled, WaterfallCompiled)
    assert compiled.rows == ((HOUSE, PPB),)
    assert compiled.developer == developer


def test_a_developer_does_not_set_the_share_of_the_platform_alone() -> None:
    house, developer, _ = a_market()
    assert house.refuses(an_agreement(1), actor=developer).reason is Reason.ROLE_REQUIRED
    house.do(an_agreement(1), actor=house.party(Role.FINANCE))


def test_agreements_of_a_model_take_effect_in_the_order_of_signing() -> None:
    house, _, _ = a_market()
    house.do(replace(an_agreement(1), effective_at_ns=START_NS + 100))
    refusal = house.refuses(replace(an_agreement(1), effective_at_ns=START_NS + 99))
    assert (refusal.code, refusal.field) == ("agreement_out_of_order", "effective_at_ns")
    house.do(replace(an_agreement(1), effective_at_ns=START_NS + 100))
    happened = house.let_time_pass(START_NS + 100)
    assert [due.number for due in happened] == [2, 3]
    assert house.catalogue.models[1].agreement == 3


def a_crowd(house: House, count: int) -> dict[int, int]:
    """Data set versions of so many providers, equally weighted."""
    providers = [house.party(Role.PROVIDER) for _ in range(count)]
    return {house.dataset_version(provider, f"data-{provider}"): 1 for provider in providers}


def test_an_agreement_with_too_many_payees_is_refused_at_signing() -> None:
    house = House()
    model = house.model(house.party(Role.DEVELOPER))
    version = house.model_version(model, datasets=a_crowd(house, 70))
    house.agreement(model)
    house.series(version)
    refusal = house.refuses(replace(an_agreement(model), data_ppb=PERCENT))
    assert (refusal.code, refusal.value) == ("too_many_payees", "72")


def test_a_listing_with_too_many_payees_is_refused() -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    model = house.model(developer)
    version = house.model_version(model, datasets=a_crowd(house, 70))
    house.agreement(model, data_ppb=PERCENT)
    house.series(house.model_version(model, "2.0.0"))
    listing = a_series(version, house.terms(developer), "CROWD/USD")
    assert house.refuses(listing).reason is Reason.TOO_MANY_PAYEES


def test_a_series_that_cannot_be_split_when_agreements_take_effect_keeps_its_waterfall_and_says_so() -> None:
    house = House()
    upstream, downstream = house.party(Role.DEVELOPER), house.party(Role.DEVELOPER)
    base_model, tuned_model = house.model(upstream, "lab/base"), house.model(downstream, "acme/tuned")
    base = house.model_version(base_model, datasets=a_crowd(house, 40))
    tuned = house.model_version(tuned_model, datasets=a_crowd(house, 40), bases={base: PPB})
    house.agreement(tuned_model)
    series = house.series(tuned)
    # Each alone is fine today; together they have 82 payees.
    later_ns = START_NS + 10
    house.do(replace(an_agreement(base_model), data_ppb=PERCENT, effective_at_ns=later_ns))
    house.do(replace(an_agreement(tuned_model), data_ppb=PERCENT, upstream_ppb=PERCENT, effective_at_ns=later_ns))
    before = house.catalogue.series[series].waterfall_version
    house.let_time_pass(later_ns)
    assert house.last.facts == (
        AgreementTookEffect(agreement=3),
        WaterfallCompilationFailed(series=series, agreement=3, reason=Reason.TOO_MANY_PAYEES),
    )
    # The base's agreement came first and changed a waterfall in which it has no share yet.
    assert house.catalogue.series[series].waterfall_version == before + 1
