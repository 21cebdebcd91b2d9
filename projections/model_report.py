"""The report of one model: what it is, what it was made of, who holds licenses to it, and what it earned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row

from projections import assets, revenue, traders

Found = Row[Any]
VERSIONS_MAX: Final = 1_000
SERIES_MAX: Final = 1_000


class SeriesReport(NamedTuple):
    series: Found
    """As of `assets.series_row`, with the newest list price."""
    units: traders.Units
    waterfall: Sequence[Found]
    """The weights in force, by payee."""
    suspense_minor: int


class ModelReport(NamedTuple):
    model: Found
    versions: Sequence[Found]
    """Oldest first."""
    lineage: assets.Lineage | None
    """Of the newest version that was published; None where none was."""
    descendants: assets.Lineage | None
    """What was made from that version."""
    series: Sequence[SeriesReport]
    agreements: Sequence[Found]
    """In the order of signing."""
    earned: Sequence[Found]
    """By currency, of all payees together."""
    earned_by_payee: Sequence[Found]
    """By (period, series, payee): months."""


def model_report(
    connection: Connection, number: int, *, first_day: int | None = None, last_day: int | None = None
) -> ModelReport | None:
    """The report of a model; the days (YYYYMMDD) narrow what was earned. None where there is no such model."""
    model = assets.model(connection, number)
    if model is None:
        return None
    versions = assets.versions_of_model(connection, number, limit=VERSIONS_MAX)
    published = [version.model_version for version in versions if version.state == "published"]
    asked = revenue.Asked(model=number, first_day=first_day, last_day=last_day)
    suspense = {row.series: row.suspense_minor for row in revenue.suspense_by_series(connection, model=number)}
    return ModelReport(
        model=model,
        versions=versions,
        lineage=assets.lineage_of(connection, assets.MODEL, published[-1]) if published else None,
        descendants=(
            assets.lineage_of(connection, assets.MODEL, published[-1], descendants=True) if published else None
        ),
        series=[
            SeriesReport(
                series=row,
                units=traders.units(connection, row.series),
                waterfall=revenue.waterfall(connection, row.series),
                suspense_minor=suspense[row.series],
            )
            for row in assets.all_series(connection, model=number, limit=SERIES_MAX)
        ],
        agreements=revenue.all_agreements(connection, model=number, limit=VERSIONS_MAX),
        earned=revenue.earned(connection, asked),
        earned_by_payee=revenue.by_payee(connection, asked),
    )
