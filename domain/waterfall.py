"""Compiles revenue agreements and lineage into one table of payees and weights.

The whole revenue of a model version is 1. By the agreement of its model, the platform and each agent get their share;
the data share is split over the version's data sets by weight, to their providers; the upstream share is split over its
base versions by weight, and each base's part is split on by the agreement in force of *its* model, where the platform
takes no second share. The developer gets what is left: the remainder, and every share that has nobody to go to (no
weighted data set, no weighted base, a base's platform share). A base without an agreement belongs to its developer.

A version that was withdrawn keeps its share: what was made from it goes on earning for it. All of it is exact in
fractions; several ways to one payee are added; only the end is rounded, by largest remainder to 10^9 parts per billion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from domain.catalogue import Agreement, Catalogue
from domain.rejections import Reason, Refusal, refuse
from domain.values import HOUSE, PAYEES_MAX, PPB, largest_remainder


@dataclass(frozen=True, slots=True)
class Waterfall:
    rows: tuple[tuple[int, int], ...]
    """(party, weight in ppb), by party; the weights add up to 10^9."""
    derivation: tuple[tuple[int, str, str], ...]
    """(party, way, exact share of the whole)."""


@dataclass(frozen=True, slots=True)
class _Part:
    party: int
    way: str
    share: Fraction


def compile_waterfall(
    catalogue: Catalogue, model_version: int, agreements: Mapping[int, Agreement]
) -> Waterfall | Refusal:
    """The waterfall of a series of the model version, under `agreements`: the one in force by model.

    One pass over the versions it is made from, oldest first: a base always has a smaller number. Refuses more than 64
    payees with a weight.
    """
    splits: dict[int, dict[int, Fraction]] = {}
    for number in sorted(ancestry(catalogue, model_version) - {model_version}):
        splits[number] = _by_party(_parts(catalogue, number, agreements, splits))
    parts = list(_parts(catalogue, model_version, agreements, splits, platform=True))
    weights_ppb = _round(_by_party(parts))
    if len(weights_ppb) > PAYEES_MAX:
        return refuse(
            Reason.TOO_MANY_PAYEES,
            "agreement",
            f"must split the revenue of model version {model_version} among at most {PAYEES_MAX} payees",
            len(weights_ppb),
        )
    return Waterfall(rows=weights_ppb, derivation=tuple((part.party, part.way, str(part.share)) for part in parts))


def ancestry(catalogue: Catalogue, model_version: int) -> set[int]:
    """The version and every version that it was made from, directly or through others."""
    found = {model_version}
    waiting = [model_version]
    while waiting:
        for base, _, _ in catalogue.model_versions[waiting.pop()].bases:
            if base not in found:
                found.add(base)
                waiting.append(base)
    return found


def _parts(
    catalogue: Catalogue,
    model_version: int,
    agreements: Mapping[int, Agreement],
    splits: dict[int, dict[int, Fraction]],
    *,
    platform: bool = False,
) -> Iterator[_Part]:
    """Who gets which share of the version's revenue and why: adds up to 1, without shares of 0."""
    version = catalogue.model_versions[model_version]
    agreement = agreements.get(version.model)
    left = Fraction(1)
    if agreement is not None:
        direct = [(party, "agent", share_ppb) for party, share_ppb in agreement.agents]
        if platform:
            direct.insert(0, (HOUSE, "platform", agreement.platform_ppb))
        for party, way, share_ppb in direct:
            if share_ppb:
                left -= Fraction(share_ppb, PPB)
                yield _Part(party, way, Fraction(share_ppb, PPB))

        for number, share in _over_edges(agreement.data_ppb, version.datasets):
            left -= share
            dataset_version = catalogue.dataset_versions[number]
            dataset = catalogue.datasets[dataset_version.dataset]
            yield _Part(dataset.provider, f"data {dataset.key}@{dataset_version.label}", share)

        for number, share in _over_edges(agreement.upstream_ppb, version.bases):
            left -= share
            base = catalogue.model_versions[number]
            way = f"upstream {catalogue.models[base.model].key}@{base.semver}"
            for party, part in splits[number].items():
                yield _Part(party, way, share * part)
    if left:
        yield _Part(catalogue.models[version.model].developer, "developer", left)


def _over_edges(share_ppb: int, edges: tuple[tuple[int, int, object], ...]) -> Iterator[tuple[int, Fraction]]:
    """The share split over edges by weight; nothing where no edge has a weight."""
    whole = sum(weight_ppb for _, weight_ppb, _ in edges)
    for number, weight_ppb, _ in edges:
        if weight_ppb and share_ppb:
            yield number, Fraction(share_ppb * weight_ppb, PPB * whole)


def _by_party(parts: Iterable[_Part]) -> dict[int, Fraction]:
    shares: dict[int, Fraction] = {}
    for part in parts:
        shares[part.party] = shares.get(part.party, Fraction(0)) + part.share
    return dict(sorted(shares.items()))


def _round(shares: dict[int, Fraction]) -> tuple[tuple[int, int], ...]:
    """Weights in ppb by party: largest remainder, the smaller party number first among equals, zeros dropped."""
    assert sum(shares.values()) == 1, shares
    denominator = lcm(*(share.denominator for share in shares.values()))
    numerators = [share.numerator * (denominator // share.denominator) for share in shares.values()]
    weights_ppb = largest_remainder(numerators, PPB)
    return tuple((party, weight) for party, weight in zip(shares, weights_ppb, strict=True) if weight)
