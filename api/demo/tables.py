"""The demo's facts on real models, data sets, organizations and licenses: the csv tables beside this module.

Each row names its source. Order matters: a base model stands before what was made from it, a data set before what
contains it. An empty field means not known. `country_basis` says whether a country is the organization's seat, as is
generally known, or only assumed. `withdrawal_day_basis` says what dates a withdrawal: `reported` on that day, the last
day of the `month` that is stated, or `recorded`, when the demo market took note, because no date is stated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    key: str
    name: str
    country: str
    country_basis: str
    kind: str
    model_prefixes: tuple[str, ...]
    """How names in price lists begin when the organization made the model."""
    source: str


@dataclass(frozen=True, slots=True)
class DatasetRow:
    id: str
    title: str
    provider: str
    license: str
    modality: str
    personal_data: str
    year: str
    derived_from: tuple[str, ...]
    withdrawal: str
    withdrawal_day: str
    withdrawal_day_basis: str
    source: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    id: str
    title: str
    developer: str
    family: str
    modality: str
    license: str
    semver: str
    release_date: str
    parameters: str
    base_models: tuple[str, ...]
    base_relation: str
    source: str


@dataclass(frozen=True, slots=True)
class EdgeRow:
    model: str
    dataset: str
    role: str
    confidence: str
    source: str


@dataclass(frozen=True, slots=True)
class LicenseRow:
    license: str
    name: str
    license_class: str
    permitted_use: str
    source: str


@cache
def organizations() -> tuple[OrganizationRow, ...]:
    return tuple(
        OrganizationRow(
            key=row["key"],
            name=row["name"],
            country=row["country"],
            country_basis=row["country_basis"],
            kind=row["kind"],
            model_prefixes=_items(row["model_prefixes"]),
            source=row["source"],
        )
        for row in _rows("organizations.csv")
    )


@cache
def datasets() -> tuple[DatasetRow, ...]:
    return tuple(
        DatasetRow(
            id=row["id"],
            title=row["title"],
            provider=row["provider"],
            license=row["license"],
            modality=row["modality"],
            personal_data=row["personal_data"],
            year=row["year"],
            derived_from=_items(row["derived_from"]),
            withdrawal=row["withdrawal"],
            withdrawal_day=row["withdrawal_day"],
            withdrawal_day_basis=row["withdrawal_day_basis"],
            source=row["source"],
        )
        for row in _rows("datasets.csv")
    )


@cache
def models() -> tuple[ModelRow, ...]:
    return tuple(
        ModelRow(
            id=row["id"],
            title=row["title"],
            developer=row["developer"],
            family=row["family"],
            modality=row["modality"],
            license=row["license"],
            semver=row["semver"],
            release_date=row["release_date"],
            parameters=row["parameters"],
            base_models=_items(row["base_models"]),
            base_relation=row["base_relation"],
            source=row["source"],
        )
        for row in _rows("models.csv")
    )


@cache
def lineage() -> tuple[EdgeRow, ...]:
    return tuple(
        EdgeRow(
            model=row["model"],
            dataset=row["dataset"],
            role=row["role"],
            confidence=row["confidence"],
            source=row["source"],
        )
        for row in _rows("lineage.csv")
    )


@cache
def own_licenses() -> tuple[LicenseRow, ...]:
    return tuple(
        LicenseRow(
            license=row["license"],
            name=row["name"],
            license_class=row["class"],
            permitted_use=row["permitted_use"],
            source=row["source"],
        )
        for row in _rows("licenses.csv")
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    with files(__package__).joinpath(name).open(encoding="utf-8") as file:
        yield from csv.DictReader(file, strict=True)


def _items(text: str) -> tuple[str, ...]:
    return tuple(text.split(";")) if text else ()
