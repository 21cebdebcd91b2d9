"""The catalogue as readers see it: what there is, in which state, from which entry, and what came of what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from domain.commands import (
    AdoptFeeSchedule,
    DeclareOwnership,
    FreezeParty,
    GrantRole,
    HaltSeries,
    RecordListPrice,
    RecordTrainingRun,
    ResumeSeries,
    RevokeRole,
    SetTaxRate,
    UnfreezeParty,
    WithdrawDatasetVersion,
    WithdrawModelVersion,
)
from domain.events import Envelope
from domain.values import HaltReason, PriceBasis, Role, SeriesPhase, WithdrawalKind
from projections import assets
from projections.assets import DATASET, MODEL, Assets
from tests.domain.house import TODAY, House, a_dataset_version
from tests.projections.following import told


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """Two developers; the second's model is made from a version of the first's, which is made from a corpus."""
    house = House()
    developer = house.party(Role.DEVELOPER)
    provider = house.party(Role.PROVIDER, country="FR")
    second = house.party(Role.DEVELOPER, Role.TRADER)
    house.currency()
    corpus = house.dataset_version(provider)
    dataset = 1
    house.do(a_dataset_version(dataset, "v2", (corpus,)), actor=provider)
    other = house.dataset_version(provider, "pure_100")
    base = house.model_version(house.model(developer), datasets={corpus: 10, other: 20})
    made = house.model_version(house.model(second, "zeta/tuned"), bases={base: 100})
    house.model(second, "zeta/unlisted")
    house.agreement(1)
    house.agreement(2)
    house.series(base, "BASE/USD")
    house.series(made, "TUNED/USD")
    house.do(RecordTrainingRun(model=1, dataset_versions=(corpus,)), actor=developer)
    for price in (250, 240):
        house.do(
            RecordListPrice(series=1, price_ticks=price, basis=PriceBasis.LISTED, source="a list", effective_day=TODAY),
            actor=developer,
        )
    house.do(HaltSeries(series=1, reason=HaltReason.REGULATOR, note="by order"))
    house.do(HaltSeries(series=2, reason=HaltReason.RISK))
    house.do(ResumeSeries(series=2))
    house.do(GrantRole(party=second, role=Role.AGENT))
    house.do(RevokeRole(party=second, role=Role.TRADER))
    house.do(DeclareOwnership(owner=developer, owned=second))
    house.do(FreezeParty(party=provider, note="asked"))
    house.do(FreezeParty(party=second))
    house.do(UnfreezeParty(party=second))
    house.do(WithdrawDatasetVersion(dataset_version=other, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY))
    house.do(
        WithdrawModelVersion(model_version=base, kind=WithdrawalKind.PAUSED, effective_day=TODAY, note="soon back")
    )
    house.do(AdoptFeeSchedule(maker_ppm=0, taker_ppm=100))
    house.do(AdoptFeeSchedule(maker_ppm=-10, taker_ppm=200))
    house.do(SetTaxRate(country="DE", tax_ppm=190_000))
    house.do(SetTaxRate(country="DE", tax_ppm=160_000))
    facts = [(Envelope(command=command, at_ns=at_ns, actor=7), fact) for command, at_ns, fact in house.history]
    with told(facts, tmp_path_factory.mktemp("reads"), lambda: [Assets()]) as connection:
        yield connection


def test_a_party_shows_its_roles_owner_and_standing_and_where_it_last_changed(reads: Connection) -> None:
    first, provider, second = assets.all_parties(reads)
    assert (second.roles, second.owner, second.frozen) == (Role.DEVELOPER | Role.AGENT, first.party, 0)
    assert second.last_position > second.position > first.position == first.last_position == 1
    assert (provider.frozen, provider.frozen_note, provider.country) == (1, "asked", "FR")
    assert assets.party(reads, 2) == provider and assets.party(reads, 99) is None
    assert assets.party_names(reads, [1, 2, 2, 99]) == {1: "Acme Ltd", 2: "Acme Ltd"}


def test_parties_are_found_by_name_role_country_and_standing(reads: Connection) -> None:
    assert [row.party for row in assets.all_parties(reads, search="ACME")] == [1, 2, 3]
    assert [row.party for row in assets.all_parties(reads, role=Role.DEVELOPER)] == [1, 3]
    assert [row.party for row in assets.all_parties(reads, country="FR")] == [2]
    assert [row.party for row in assets.all_parties(reads, frozen=True)] == [2]
    assert [row.party for row in assets.all_parties(reads, frozen=False, after=1, limit=5)] == [3]
    assert not assets.all_parties(reads, kind="government") and not assets.all_parties(reads, search="a_me")


def test_a_data_set_shows_its_versions_and_who_used_them(reads: Connection) -> None:
    assert [(row.label, row.state) for row in assets.versions_of_dataset(reads, 1)] == [
        ("v1", "published"),
        ("v2", "registered"),
    ]
    withdrawn = assets.dataset_version(reads, 3)
    assert withdrawn is not None and withdrawn.key == "pure_100"
    assert (withdrawn.state, withdrawn.notice, withdrawn.effective_day) == ("withdrawn", "withdrawn", TODAY)
    assert withdrawn.last_position > withdrawn.position
    assert [(row.model_key, row.label, row.weight_ppb, row.relation) for row in assets.users_of_dataset(reads, 1)] == [
        ("acme/model", "v1", 10, "training")
    ]
    assert assets.users_of_dataset(reads, 1, after=1) == []
    assert assets.dataset(reads, 2) is not None and assets.dataset(reads, 3) is None


def test_data_sets_are_found_by_what_is_typed_as_it_is_typed(reads: Connection) -> None:
    assert [row.dataset for row in assets.all_datasets(reads)] == [1, 2]
    assert [row.dataset for row in assets.all_datasets(reads, search="E_1")] == [2]
    assert not assets.all_datasets(reads, search="e%1")
    assert [row.dataset for row in assets.all_datasets(reads, provider=2, classification="general", after=1)] == [2]
    assert [row.dataset for row in assets.all_datasets(reads, license="CC-BY-4.0", limit=1)] == [1]
    assert assets.all_datasets(reads)[0].tags == '["text"]'


def test_models_show_how_many_versions_and_series_they_have(reads: Connection) -> None:
    assert [(row.key, row.versions, row.series) for row in assets.all_models(reads)] == [
        ("acme/model", 1, 1),
        ("zeta/tuned", 1, 1),
        ("zeta/unlisted", 0, 0),
    ]
    assert [row.model for row in assets.all_models(reads, listed=False)] == [3]
    assert [row.model for row in assets.all_models(reads, listed=True, developer=3)] == [2]
    assert [row.model for row in assets.all_models(reads, search="ZETA", after=2)] == [3]
    assert [tuple(row) for row in assets.model_facets(reads, "license")] == [("Apache-2.0", 3)]
    assert assets.model_facets(reads, "family") == []


def test_a_notice_leaves_a_version_as_it_is_and_says_why(reads: Connection) -> None:
    (version,) = assets.versions_of_model(reads, 1)
    assert (version.state, version.notice, version.note) == ("published", "paused", "soon back")
    row = assets.model_version(reads, version.model_version)
    assert row is not None and row.key == "acme/model"
    assert assets.model(reads, 1) is not None and assets.model(reads, 9) is None
    (run,) = assets.runs_of_model(reads, 1)
    assert run.dataset_versions == "[1]" and assets.training_run(reads, run.training_run) == run


def test_lineage_is_walked_up_to_the_data_and_down_to_what_was_made(reads: Connection) -> None:
    up = assets.lineage_of(reads, MODEL, 2)
    assert [row.key for row in up.models] == ["acme/model", "zeta/tuned"]
    assert [(row.key, row.label) for row in up.datasets] == [("corpus", "v1"), ("pure_100", "v1")]
    assert [(edge.version, edge.parent_kind, edge.parent, edge.weight_ppb) for edge in up.edges] == [
        (1, DATASET, 1, 10),
        (1, DATASET, 3, 20),
        (2, MODEL, 1, 100),
    ]
    assert up.whole
    down = assets.lineage_of(reads, DATASET, 1, descendants=True)
    assert [row.key for row in down.models] == ["acme/model", "zeta/tuned"]
    assert {(edge.kind, edge.version) for edge in down.edges} == {(MODEL, 1), (MODEL, 2), (DATASET, 2)}
    assert not assets.lineage_of(reads, MODEL, 2, limit=2).whole
    alone = assets.lineage_of(reads, DATASET, 1)
    assert not alone.edges and [row.label for row in alone.datasets] == ["v1"]


def test_a_series_shows_its_model_its_newest_price_and_why_it_is_halted(reads: Connection) -> None:
    base = assets.series_by_symbol(reads, "BASE/USD")
    assert base is not None and base == assets.series_row(reads, 1)
    assert (base.model, base.model_key, base.semver, base.currency_code, base.exponent) == (
        1,
        "acme/model",
        "1.0.0",
        "USD",
        2,
    )
    assert (base.phase, base.halt_reason, base.halt_note, base.phase_actor) == (
        SeriesPhase.HALTED,
        "regulator",
        "by order",
        7,
    )
    assert (base.list_price_ticks, base.list_price_basis, base.list_price_day) == (240, "listed", TODAY)
    tuned = assets.series_row(reads, 2)
    assert tuned is not None and (tuned.phase, tuned.halt_reason, tuned.list_price_ticks) == (
        SeriesPhase.OPEN,
        None,
        None,
    )
    newest, older = assets.list_price_history(reads, 1)
    assert (newest.price_ticks, older.price_ticks) == (240, 250)
    assert assets.list_price_history(reads, 1, before=newest.position) == [older]
    assert assets.series_row(reads, 9) is None and assets.series_by_symbol(reads, "NONE/USD") is None


def test_series_are_found_by_symbol_model_issuer_terms_and_phase(reads: Connection) -> None:
    assert [row.symbol for row in assets.all_series(reads)] == ["BASE/USD", "TUNED/USD"]
    assert [row.symbol for row in assets.all_series(reads, search="zeta")] == ["TUNED/USD"]
    assert [row.symbol for row in assets.all_series(reads, phase=SeriesPhase.HALTED)] == ["BASE/USD"]
    assert [row.symbol for row in assets.all_series(reads, issuer=3, currency=1, model=2)] == ["TUNED/USD"]
    assert [row.symbol for row in assets.all_series(reads, after=1, limit=1)] == ["TUNED/USD"]
    assert not assets.all_series(reads, family="acme") and not assets.all_series(reads, terms=9)


def test_terms_currencies_fees_and_taxes_are_shown_with_their_history(reads: Connection) -> None:
    first, second = assets.all_terms(reads)
    assert assets.terms_row(reads, first.terms) == first and assets.all_terms(reads, developer=3) == [second]
    assert (first.territory, first.transferable, first.resale_royalty_ppm) == ('["worldwide"]', 1, 50_000)
    assert [row.code for row in assets.all_currencies(reads)] == ["USD"]
    assert [(row.maker_ppm, row.taker_ppm) for row in assets.fee_history(reads)] == [(-10, 200), (0, 100)]
    assert [row.tax_ppm for row in assets.tax_history(reads, country="DE")] == [160_000, 190_000]
    assert assets.tax_history(reads, country="FR") == []
