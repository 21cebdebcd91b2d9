"""The demo's own facts hold together, and its prices are those of the price package."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from genai_prices.types import ModelPrice, TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from api.demo import cast, market, prices, tables
from api.demo.licenses import NOT_KNOWN, UnknownLicense, identities, license_class
from api.demo.prices import ListPrice
from domain.fields import COUNTRIES, is_day
from domain.values import BaseRelation, LineageRole, PartyKind, PersonalData, WithdrawalKind

OWN = {row.license: row.license_class for row in tables.own_licenses()}

# -- tables ------------------------------------------------------------------------------------------------------------


def test_there_are_as_many_real_models_data_sets_and_parties_as_promised() -> None:
    with_lineage = {edge.model for edge in tables.lineage()}
    assert len(with_lineage) >= 120 and len(tables.datasets()) >= 60
    assert len(market.assets()) >= 300
    assert 100 <= len(cast.members()) <= 130


def test_every_row_names_its_source_and_no_id_occurs_twice() -> None:
    for rows in (tables.organizations(), tables.datasets(), tables.models(), tables.lineage(), tables.own_licenses()):
        assert all(row.source for row in rows)
    for ids in (
        [row.key for row in tables.organizations()],
        [row.name for row in tables.organizations()],
        [row.id for row in tables.datasets()],
        [row.id for row in tables.models()],
        [(row.model, row.dataset) for row in tables.lineage()],
        [asset.key for asset in market.assets()],
    ):
        assert Counter(ids).most_common(1)[0][1] == 1


def test_bases_and_contained_data_sets_stand_before_what_names_them() -> None:
    organizations = {row.key for row in tables.organizations()}
    seen: set[str] = set()
    for dataset in tables.datasets():
        assert dataset.provider in organizations and seen.issuperset(dataset.derived_from), dataset
        seen.add(dataset.id)
    models: set[str] = set()
    for model in tables.models():
        assert model.developer in organizations and models.issuperset(model.base_models), model
        assert bool(model.base_models) == bool(model.base_relation), model
        models.add(model.id)
    assert all(edge.model in models and edge.dataset in seen for edge in tables.lineage())


def test_every_word_of_the_tables_is_one_that_the_domain_knows() -> None:
    for organization in tables.organizations():
        assert organization.country in COUNTRIES and organization.country_basis in {"seat", "assumed"}
        assert PartyKind(organization.kind)
    for dataset in tables.datasets():
        assert PersonalData(dataset.personal_data)
    for model in tables.models():
        assert not model.base_relation or BaseRelation(model.base_relation)
    for edge in tables.lineage():
        assert LineageRole(edge.role) and edge.confidence in {"high", "medium"}


def test_withdrawals_are_there_with_their_kind_and_day() -> None:
    rows = {row.id: row for row in tables.datasets() if row.withdrawal}
    kinds = {id_: WithdrawalKind(row.withdrawal) for id_, row in rows.items()}
    assert {id_ for id_, kind in kinds.items() if kind is WithdrawalKind.WITHDRAWN} == {
        "bookcorpus",
        "books3",
        "the-pile",
        "webvid-10m",
        "webvid-2m",
    }
    assert set(kinds.values()) == set(WithdrawalKind)
    assert set(rows) <= {edge.dataset for edge in tables.lineage()}
    for row in rows.values():
        assert row.withdrawal_day_basis in {"reported", "month", "recorded"}
        assert (row.withdrawal_day == "") == (row.withdrawal_day_basis == "recorded")
        assert not row.withdrawal_day or (is_day(row.withdrawal_day) and row.withdrawal_day <= market.EVE)


# -- licenses ----------------------------------------------------------------------------------------------------------


def test_every_license_is_an_spdx_identifier_a_scancode_reference_or_in_our_table() -> None:
    used: set[str] = set()
    for expression in [*(row.license for row in tables.datasets()), *(row.license for row in tables.models())]:
        used.update(identities(expression, OWN))
    assert used - {NOT_KNOWN} and market.SERVICE_LICENSE in OWN
    assert set(OWN) - {market.SERVICE_LICENSE} <= used


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", "Permissive"),
        ("LicenseRef-scancode-gemma-tou-2024-04-01", "Proprietary Free"),
        ("CC-BY-4.0 AND LicenseRef-openai-terms-of-use", "Free Restricted"),
        ("CC0-1.0 AND GPL-3.0-only", "Copyleft"),
        (NOT_KNOWN, "Unstated License"),
    ],
)
def test_the_class_of_a_license_is_the_strictest_of_those_that_apply(expression: str, expected: str) -> None:
    assert license_class(expression, OWN) == expected


@pytest.mark.parametrize("expression", ["LicenseRef-no-such", "MIT AND", "", "mit license of sorts"])
def test_an_unknown_license_is_an_error(expression: str) -> None:
    with pytest.raises(UnknownLicense):
        license_class(expression, OWN)


# -- prices ------------------------------------------------------------------------------------------------------------


def test_the_package_holds_the_entries_and_the_changes_of_the_ninety_days_that_are_known() -> None:
    entries = prices.entries()
    changes = [change for entry in entries for change in entry.changes(market.FIRST_DAY, market.LAST_DAY)]
    assert (len(entries), len({entry.provider for entry in entries})) == (2_330, 47)
    assert len(changes) == 230
    assert Counter(change.day for change in changes).most_common(1) == [("2026-10-19", 129)]


def test_every_change_is_in_the_market_on_its_date_and_at_its_exact_price() -> None:
    assets = {asset.price_source: asset for asset in market.assets() if asset.basis == "listed"}
    count = 0
    for entry in prices.entries():
        changes = entry.changes(market.FIRST_DAY, market.LAST_DAY)
        if not changes:
            continue
        asset = assets[entry.source]
        assert [price.day for price in asset.prices] == [market.EVE, *(change.day for change in changes)]
        for price, change in zip(asset.prices[1:], changes, strict=True):
            micro = 3 * change.input_micro + change.output_micro
            assert price.price_minor * 10_000 == asset.pack_size * micro
        count += len(changes)
    assert count == 230


def test_a_list_price_is_the_packages_decimal_and_one_change_alone_was_a_binary_fraction() -> None:
    rounded = [(asset.key, price) for asset in market.assets() for price in asset.prices if price.rounded]
    assert [(key, price.day) for key, price in rounded] == [
        ("huggingface_together/meta-llama/llama-3.3-70b-instruct", "2026-10-19")
    ]
    entry = next(entry for entry in prices.entries() if entry.model == "gpt-4.1" and entry.provider == "openai")
    assert entry.prices == (ListPrice(None, 2_000_000, 8_000_000, rounded=False),)


def test_every_price_is_a_whole_number_of_cents_not_below_the_least() -> None:
    for asset in market.assets():
        assert asset.pack_size in prices.PACK_SIZES
        assert all(type(price.price_minor) is int and price.price_minor >= 1_000 for price in asset.prices), asset
        assert (asset.basis == "demo") == (asset.key in {row.id for row in tables.models()})


def test_another_version_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "version", lambda _name: "0.2.4")
    with pytest.raises(prices.WrongPackage, match=r"pinned to genai-prices==0\.2\.3, 0\.2\.4 is installed"):
        prices.entries.__wrapped__()


@given(micro=st.integers(0, 10**9), noise=st.integers(-4, 4))
def test_a_rate_of_six_decimals_is_exact_and_noise_behind_it_is_rounded_away(micro: int, noise: int) -> None:
    rate = Decimal(micro * 10**12 + noise) / Decimal(10**18) if micro else Decimal(0)
    assert prices._micro(rate) == (micro, micro > 0 and noise != 0)


@pytest.mark.parametrize(
    ("text", "micro"), [("0.0000005", 0), ("0.0000015", 2), ("0.00000051", 1), ("2E+1", 20_000_000)]
)
def test_halves_are_rounded_to_even(text: str, micro: int) -> None:
    assert prices._micro(Decimal(text))[0] == micro


def test_a_tiered_price_counts_with_its_base_and_a_missing_side_with_nothing() -> None:
    tiered = ModelPrice(input_mtok=TieredPrices(base=Decimal("1.5"), tiers=[]))
    assert list(prices._list_price("2026-01-01", tiered)) == [ListPrice("2026-01-01", 1_500_000, 0, rounded=False)]
    assert list(prices._list_price(None, ModelPrice(requests_kcount=Decimal(5)))) == []


@pytest.mark.parametrize(
    ("rates", "size"),
    [([(5_000_000, 30_000_000)], 1), ([(422_472, 844_944)], 1_000), ([(100_000, 200_000), (5_000, 10_000)], 1_000)],
)
def test_a_pack_is_the_smallest_that_makes_whole_cents_above_the_least(rates: list[tuple[int, int]], size: int) -> None:
    assert prices.pack_size(tuple(ListPrice(None, *rate, rounded=False) for rate in rates)) == size


@pytest.mark.parametrize(
    ("parameters", "class_of_license", "minor"),
    [
        ("7B", "Permissive", 1_700),
        ("6.85B", "Permissive", 1_690),
        ("", "Permissive", 2_000),
        ("178B", "Commercial", 37_600),
    ],
)
def test_a_demo_price_follows_its_stated_rule(parameters: str, class_of_license: str, minor: int) -> None:
    assert market.demo_price_minor(parameters, class_of_license) == minor


@pytest.mark.parametrize(
    ("model", "maker"),
    [
        ("~anthropic/claude-opus-latest", "anthropic"),
        ("global.openai.gpt-5.6-sol", "openai"),
        ("@cf/cloudflare/clef-flash", "cloudflare"),
        ("Qwen/Qwen3.5-9B", "alibaba-qwen"),
        ("GLM-5.3-Flash", "z-ai"),
    ],
)
def test_the_maker_of_a_listed_model_is_read_off_its_name(model: str, maker: str) -> None:
    assert market.maker_of(model) == maker
