"""What holds for every command: who may ask, refusals change nothing, and replaying facts is deciding."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import commands as c
from domain.canonical import fingerprint, restore, snapshot
from domain.catalogue import Catalogue
from domain.commands import Command
from domain.decisions import DECISIONS, FOLD, evolve, next_due
from domain.events import TOPIC_OF
from domain.outcomes import Decided
from domain.rejections import Reason, Refusal
from domain.values import (
    PPB,
    BaseRelation,
    DigestBasis,
    HaltReason,
    LineageRole,
    PartyKind,
    PriceBasis,
    Role,
    TermKind,
    WithdrawalKind,
)
from tests.domain.house import (
    DIGEST,
    START_NS,
    TODAY,
    House,
    a_dataset,
    a_dataset_version,
    a_market,
    a_model,
    a_series,
    some_terms,
)
from tests.domain.samples import COMMANDS


def test_every_fact_is_folded_and_every_command_decided() -> None:
    assert set(FOLD) == set(TOPIC_OF)
    commands = {item for item in vars(c).values() if isinstance(item, type) and issubclass(item, Command)}
    assert set(DECISIONS) == commands - {Command}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
def test_only_holders_of_a_commands_roles_get_past_the_door(command: Command, role: Role) -> None:
    house = House()
    actor = house.party(role)
    outcome = house.decide(command, actor)
    roles, _ = DECISIONS[type(command)]
    stopped = (
        isinstance(outcome, Refusal)
        and outcome.field == "actor"
        and outcome.reason
        in {
            Reason.ROLE_REQUIRED,
            Reason.HOUSE_ONLY,
        }
    )
    assert stopped == (not role & roles)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_an_unknown_actor_does_nothing(command: Command) -> None:
    refusal = House().decide(command, actor=12)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field, refusal.value) == ("unknown_party", "actor", "12")


def test_a_state_root_is_recorded_by_the_house_alone_and_is_no_part_of_the_state() -> None:
    house, developer, _ = a_market()
    before = fingerprint(house.catalogue)
    root = c.RecordStateRoot(at_command=5, root=DIGEST)
    assert house.refuses(root, actor=developer).reason is Reason.HOUSE_ONLY
    house.do(root)
    assert fingerprint(house.catalogue) == before
    assert house.refuses(c.RecordStateRoot(at_command=0, root=DIGEST)).reason is Reason.VALUE_OUT_OF_RANGE


def test_deciding_does_not_change_the_state() -> None:
    house, developer, _ = a_market()
    before = copy.deepcopy(house.catalogue)
    for command in COMMANDS:
        house.decide(command)
        house.decide(command, actor=developer)
    assert house.catalogue == before and fingerprint(house.catalogue) == fingerprint(before)


# -- any commands in any order -----------------------------------------------------------------------------------------

number = st.integers(0, 5)
weight = st.sampled_from([0, 1, 3, PPB // 2, PPB])
day = st.sampled_from([TODAY, "2026-08-13", "2026-12-31"])
share = st.sampled_from([0, 1, PPB // 4, PPB // 3])
moment = st.one_of(st.none(), st.integers(START_NS - 1, START_NS + 60))


def weighted(kind: Any) -> st.SearchStrategy[Any]:
    return st.lists(
        st.tuples(number, weight, st.sampled_from(list(kind))), max_size=3, unique_by=lambda edge: edge[0]
    ).map(tuple)


any_command = st.one_of(
    st.builds(
        c.RegisterParty,
        kind=st.just(PartyKind.COMPANY),
        legal_name=st.just("Acme"),
        country=st.sampled_from(["DE", "XX"]),
        roles=st.sampled_from([Role(30), Role.TRADER, Role.OPERATOR | Role.TRADER, Role.OPERATOR]),
    ),
    st.builds(c.GrantRole, party=number, role=st.sampled_from([Role.PROVIDER, Role.TRADER, Role.OPERATOR])),
    st.builds(c.RevokeRole, party=number, role=st.sampled_from([Role.PROVIDER, Role.TRADER, Role.OPERATOR])),
    st.builds(c.DeclareOwnership, owner=number, owned=number),
    st.builds(c.FreezeParty, party=number),
    st.builds(c.UnfreezeParty, party=number),
    st.builds(a_dataset, number, st.sampled_from(["a", "b", "c"])),
    st.builds(a_dataset_version, number, st.sampled_from(["v1", "v2"]), st.sampled_from([(), (1,), (2, 3)])),
    st.builds(c.PublishDatasetVersion, dataset_version=number),
    st.builds(
        c.WithdrawDatasetVersion,
        dataset_version=number,
        kind=st.sampled_from(list(WithdrawalKind)),
        effective_day=day,
    ),
    st.builds(a_model, number, st.sampled_from(["x", "y", "z"])),
    st.builds(c.RecordTrainingRun, model=number, dataset_versions=st.sampled_from([(), (1,), (1, 2)])),
    st.builds(
        c.RegisterModelVersion,
        model=number,
        semver=st.sampled_from(["1.0.0", "1.0.1", "2.0.0-rc.1"]),
        digest=st.just(DIGEST),
        digest_basis=st.just(DigestBasis.ARTIFACT),
        training_run=st.sampled_from([None, None, 1]),
        datasets=weighted(LineageRole),
        bases=weighted(BaseRelation),
    ),
    st.builds(c.PublishModelVersion, model_version=number),
    st.builds(
        c.WithdrawModelVersion, model_version=number, kind=st.sampled_from(list(WithdrawalKind)), effective_day=day
    ),
    st.builds(some_terms, number),
    st.builds(c.RegisterCurrency, code=st.sampled_from(["USD", "EUR"]), exponent=st.integers(0, 5)),
    st.builds(a_series, number, number, st.sampled_from(["A/USD", "B/USD"])),
    st.builds(c.HaltSeries, series=number, reason=st.just(HaltReason.RISK)),
    st.builds(c.ResumeSeries, series=number),
    st.builds(
        c.RecordListPrice,
        series=number,
        price_ticks=number,
        basis=st.just(PriceBasis.DEMO),
        source=st.just("a rule"),
        effective_day=day,
    ),
    st.builds(c.AdoptFeeSchedule, maker_ppm=st.integers(-3, 3), taker_ppm=st.integers(-1, 3)),
    st.builds(c.SetTaxRate, country=st.sampled_from(["DE", "FR"]), tax_ppm=number),
    st.builds(
        c.RecordDeposit,
        party=number,
        currency=number,
        amount_minor=number,
        reference=st.sampled_from(["r1", "r2"]),
        effective_day=day,
    ),
    st.builds(
        c.RecordWithdrawal,
        party=number,
        currency=number,
        amount_minor=number,
        reference=st.sampled_from(["r1", "r2"]),
        effective_day=day,
    ),
    st.builds(
        c.SignAgreement,
        model=number,
        effective_at_ns=moment,
        platform_ppb=share,
        agents=st.sampled_from([(), ((1, PPB // 4),)]),
        data_ppb=share,
        upstream_ppb=share,
    ),
)


def a_busy_house() -> House:
    """Two series, lineage, an agreement to come and a series that will end, so that most commands can succeed."""
    house = House()
    party = house.party(Role.DEVELOPER, Role.PROVIDER, Role.AGENT)
    data = house.dataset_version(party, "a")
    base_model, model = house.model(party, "x"), house.model(party, "y")
    base = house.model_version(base_model, datasets={data: PPB})
    version = house.model_version(model, bases={base: 5})
    house.agreement(model, data_ppb=PPB // 10, upstream_ppb=PPB // 10)
    terms = house.terms(party, term=TermKind.FIXED_END, term_ends_ns=START_NS + 40)
    house.series(version, "A/USD")
    house.do(a_series(version, terms, "B/USD"), actor=party)
    house.agreement(base_model, data_ppb=PPB // 10, effective_at_ns=START_NS + 30)
    return house


@settings(max_examples=150)
@given(st.lists(st.tuples(any_command, st.integers(0, 2), st.integers(0, 20)), max_size=25))
def test_replaying_facts_is_deciding_and_a_refused_command_changes_nothing(
    asked: list[tuple[Command, int, int]],
) -> None:
    house = a_busy_house()
    for command, actor, later_ns in asked:
        house.let_time_pass(house.at_ns + later_ns)
        before = snapshot(house.catalogue)
        outcome = house.decide(command, actor)
        assert snapshot(house.catalogue) == before
        if isinstance(outcome, Decided):
            assert outcome.facts
            house.take(outcome)

    replayed = Catalogue()
    for number_, at_ns, fact in house.history:
        replayed = evolve(replayed, fact, at_ns=at_ns, command=number_)
    restored = restore(snapshot(house.catalogue))
    for other in (replayed, restored):
        assert other == house.catalogue
        assert fingerprint(other) == fingerprint(house.catalogue)
        assert next_due(other) == next_due(house.catalogue)
        for index in ("dataset_by_key", "dataset_version_by_label", "model_by_key", "model_version_by_semver"):
            assert getattr(other, index) == getattr(house.catalogue, index)
        assert other.series_by_symbol == house.catalogue.series_by_symbol
        assert other.currency_by_code == house.catalogue.currency_by_code


def test_what_is_due_comes_in_the_order_of_time_kind_and_number() -> None:
    house = a_busy_house()
    dues = house.let_time_pass(START_NS + 1_000)
    assert dues == sorted(dues) and len(dues) == 2
    assert next_due(house.catalogue) is None
