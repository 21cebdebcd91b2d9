"""The compiled waterfall against an independent twin that walks every path from a sale to a payee, one by one."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.catalogue import Catalogue
from domain.rejections import Refusal
from domain.revenue import agreements_in_force
from domain.values import HOUSE, PPB, Role
from domain.waterfall import Waterfall, compile_waterfall
from tests.domain.house import PERCENT, House


def by_every_path(catalogue: Catalogue, version_number: int, *, sold: bool = True) -> list[tuple[int, Fraction]]:
    """(payee, share) of each path: slow, recursive, and written from the rulebook alone."""
    version = catalogue.model_versions[version_number]
    model = catalogue.models[version.model]
    if model.agreement is None:
        return [(model.developer, Fraction(1))]
    agreement = catalogue.agreements[model.agreement]
    paths = [(party, Fraction(share, PPB)) for party, share in agreement.agents]
    if sold:
        paths.append((HOUSE, Fraction(agreement.platform_ppb, PPB)))
    data_whole = sum(weight for _, weight, _ in version.datasets)
    for number, weight, _ in version.datasets:
        if data_whole:
            provider = catalogue.datasets[catalogue.dataset_versions[number].dataset].provider
            paths.append((provider, Fraction(agreement.data_ppb, PPB) * Fraction(weight, data_whole)))
    base_whole = sum(weight for _, weight, _ in version.bases)
    for number, weight, _ in version.bases:
        if base_whole:
            edge = Fraction(agreement.upstream_ppb, PPB) * Fraction(weight, base_whole)
            paths += [(party, edge * share) for party, share in by_every_path(catalogue, number, sold=False)]
    paths.append((model.developer, 1 - sum((share for _, share in paths), Fraction(0))))
    return paths


def slowly(catalogue: Catalogue, version: int) -> tuple[tuple[int, int], ...]:
    """Rows of the waterfall by handing out one part per billion at a time after the whole parts."""
    exact: dict[int, Fraction] = {}
    for party, share in by_every_path(catalogue, version):
        exact[party] = exact.get(party, Fraction(0)) + share * PPB
    parts = {party: int(share) for party, share in exact.items()}
    while sum(parts.values()) < PPB:
        neediest = max(exact, key=lambda party: (exact[party] - parts[party], -party))
        parts[neediest] += 1
    return tuple(sorted((party, part) for party, part in parts.items() if part))


@st.composite
def markets(draw: st.DrawFn) -> tuple[House, int]:
    """Up to eight model versions on each other and on data sets, some with agreements; the last version is sold."""
    house = House()
    parties = [house.party(Role.DEVELOPER, Role.PROVIDER, Role.AGENT) for _ in range(draw(st.integers(1, 6)))]
    weight = st.one_of(st.just(0), st.integers(1, 9), st.integers(0, PPB // 8))
    data = [
        house.dataset_version(draw(st.sampled_from(parties)), f"data-{index}")
        for index in range(draw(st.integers(0, 4)))
    ]
    versions: list[int] = []
    for index in range(draw(st.integers(1, 8))):
        model = house.model(draw(st.sampled_from(parties)), f"model-{index}")
        datasets = draw(st.dictionaries(st.sampled_from(data), weight, max_size=4)) if data else {}
        bases = draw(st.dictionaries(st.sampled_from(versions), weight, max_size=4)) if versions else {}
        versions.append(house.model_version(model, datasets=datasets, bases=bases))
        if draw(st.booleans()):
            cuts = sorted(draw(st.lists(st.integers(0, PPB), min_size=4, max_size=4)))
            agent = draw(st.sampled_from(parties))
            house.agreement(
                model,
                platform_ppb=cuts[0],
                agents=((agent, cuts[1] - cuts[0]),) if cuts[1] > cuts[0] else (),
                data_ppb=cuts[2] - cuts[1],
                upstream_ppb=cuts[3] - cuts[2],
            )
    return house, versions[-1]


def compiled(house: House, version: int) -> Waterfall:
    waterfall = compile_waterfall(house.catalogue, version, agreements_in_force(house.catalogue))
    assert isinstance(waterfall, Waterfall), waterfall
    return waterfall


@settings(max_examples=150)
@given(markets())
def test_the_compiled_waterfall_equals_the_walk_over_every_path(market: tuple[House, int]) -> None:
    house, version = market
    waterfall = compiled(house, version)
    assert waterfall.rows == slowly(house.catalogue, version)
    assert sum(weight for _, weight in waterfall.rows) == PPB
    assert [party for party, _ in waterfall.rows] == sorted({party for party, _ in waterfall.rows})
    # The derivation explains the whole, exactly.
    assert sum(Fraction(share) for _, _, share in waterfall.derivation) == 1


def test_each_way_to_a_payee_is_named() -> None:
    house = House()
    developer, provider, agent, upstream = (
        house.party(role) for role in (Role.DEVELOPER, Role.PROVIDER, Role.AGENT, Role.DEVELOPER)
    )
    data = house.dataset_version(provider, "laion-5b")
    base = house.model_version(house.model(upstream, "lab/base"))
    model = house.model(developer, "acme/tuned")
    version = house.model_version(model, datasets={data: 7}, bases={base: 3})
    house.agreement(
        model,
        platform_ppb=20 * PERCENT,
        agents=((agent, 5 * PERCENT),),
        data_ppb=10 * PERCENT,
        upstream_ppb=15 * PERCENT,
    )
    waterfall = compiled(house, version)
    assert waterfall.derivation == (
        (HOUSE, "platform", "1/5"),
        (agent, "agent", "1/20"),
        (provider, "data laion-5b@v1", "1/10"),
        (upstream, "upstream lab/base@1.0.0", "3/20"),
        (developer, "developer", "1/2"),
    )
    assert waterfall.rows == (
        (HOUSE, 20 * PERCENT),
        (developer, 50 * PERCENT),
        (provider, 10 * PERCENT),
        (agent, 5 * PERCENT),
        (upstream, 15 * PERCENT),
    )


def test_shares_with_nobody_to_go_to_are_the_developers() -> None:
    house = House()
    developer, provider = house.party(Role.DEVELOPER), house.party(Role.PROVIDER)
    model = house.model(developer)
    house.agreement(model, data_ppb=30 * PERCENT, upstream_ppb=30 * PERCENT)
    unweighted = house.model_version(model, datasets={house.dataset_version(provider): 0})
    assert compiled(house, unweighted).rows == ((HOUSE, 20 * PERCENT), (developer, 80 * PERCENT))


def test_the_platform_shares_once_however_long_the_lineage() -> None:
    house = House()
    first, second = house.party(Role.DEVELOPER), house.party(Role.DEVELOPER)
    base_model, model = house.model(first, "lab/base"), house.model(second, "acme/tuned")
    base = house.model_version(base_model)
    version = house.model_version(model, bases={base: PPB})
    house.agreement(base_model, platform_ppb=90 * PERCENT)
    house.agreement(model, platform_ppb=10 * PERCENT, upstream_ppb=50 * PERCENT)
    assert compiled(house, version).rows == ((HOUSE, 10 * PERCENT), (first, 50 * PERCENT), (second, 40 * PERCENT))


def test_odd_parts_go_to_the_smaller_party_among_equals() -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    providers = [house.party(Role.PROVIDER) for _ in range(3)]
    data = {house.dataset_version(provider, f"data-{provider}"): 1 for provider in providers}
    model = house.model(developer)
    house.agreement(model, platform_ppb=0, data_ppb=PPB)
    version = house.model_version(model, datasets=data)
    assert compiled(house, version).rows == (
        (providers[0], 333_333_334),
        (providers[1], 333_333_333),
        (providers[2], 333_333_333),
    )


def test_a_deep_lineage_with_very_many_paths_compiles_in_one_pass() -> None:
    house = House()
    developers = [house.party(Role.DEVELOPER), house.party(Role.DEVELOPER)]
    models = [house.model(developers[index % 2], f"model-{index}") for index in range(42)]
    layer: list[int] = []
    for index in range(0, 42, 2):
        bases = dict.fromkeys(layer, 1)
        layer = [house.model_version(models[index + side], bases=bases) for side in (0, 1)]
    for model in models:
        house.agreement(model, platform_ppb=0, upstream_ppb=PPB // 2)
    # 2^20 ways lead to the first layer.
    assert compiled(house, layer[0]).rows == (
        (developers[0], 750_000_000),
        (developers[1], 250_000_000),
    )


@pytest.mark.parametrize("providers", [63, 64])
def test_at_most_sixty_four_payees(providers: int) -> None:
    house = House()
    developer = house.party(Role.DEVELOPER)
    data = {
        house.dataset_version(provider, f"data-{provider}"): 1
        for provider in [house.party(Role.PROVIDER) for _ in range(providers)]
    }
    model = house.model(developer)
    version = house.model_version(model, datasets=data)
    house.agreement(model, platform_ppb=0, data_ppb=PPB // 2)
    waterfall = compile_waterfall(house.catalogue, version, agreements_in_force(house.catalogue))
    if providers == 63:
        assert isinstance(waterfall, Waterfall) and len(waterfall.rows) == 64
    else:
        assert isinstance(waterfall, Refusal)
        assert (waterfall.code, waterfall.field, waterfall.value) == ("too_many_payees", "agreement", "65")
