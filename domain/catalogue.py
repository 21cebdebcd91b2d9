"""The writer's domain state: everything that a later decision may depend on, and nothing else.

Tables are dictionaries by dense number, from 1 without gaps, so the next number is the length plus one. No text of a
person is in it. Every field can be encoded canonically, except those marked `derived`: indexes that are rebuilt from
the tables and are no part of the fingerprint. A catalogue is owned by the one fold that evolves it, in place.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from domain.fields import AgentShares, BaseUses, DatasetUses
from domain.values import PartyKind, Role, SeriesPhase, TermKind, VersionState, WithdrawalKind


@dataclass(slots=True, kw_only=True)
class Party:
    kind: PartyKind
    country: str
    roles: Role
    frozen: bool = False
    owner: int | None = None
    """Declared beneficial owner."""


@dataclass(slots=True, kw_only=True)
class Dataset:
    provider: int
    key: str


@dataclass(slots=True, kw_only=True)
class DatasetVersion:
    dataset: int
    label: str
    parents: tuple[int, ...]
    state: VersionState = VersionState.REGISTERED
    notice: WithdrawalKind | None = None
    """The last notice or withdrawal."""


@dataclass(slots=True, kw_only=True)
class Model:
    developer: int
    key: str
    agreement: int | None = None
    """The one in force."""
    last_signed: int | None = None


@dataclass(slots=True, kw_only=True)
class TrainingRun:
    model: int
    dataset_versions: tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class ModelVersion:
    model: int
    semver: str
    datasets: DatasetUses
    bases: BaseUses
    state: VersionState = VersionState.REGISTERED
    notice: WithdrawalKind | None = None


@dataclass(slots=True, kw_only=True)
class Terms:
    developer: int
    term: TermKind
    term_ends_ns: int | None
    transferable: bool
    resale_royalty_ppm: int


@dataclass(slots=True, kw_only=True)
class Currency:
    code: str
    exponent: int


@dataclass(slots=True, kw_only=True)
class Series:
    symbol: str
    model_version: int
    terms: int
    currency: int
    issuer: int
    tick_minor: int
    max_notional_minor: int
    ends_ns: int | None
    phase: SeriesPhase = SeriesPhase.OPEN
    waterfall_version: int = 0


@dataclass(slots=True, kw_only=True)
class FeeSchedule:
    maker_ppm: int
    taker_ppm: int


@dataclass(slots=True, kw_only=True)
class Payment:
    currency: int
    amount_minor: int
    effective_day: str
    command: int
    """The command that recorded it."""


@dataclass(slots=True, kw_only=True)
class Agreement:
    model: int
    effective_at_ns: int
    platform_ppb: int
    agents: AgentShares
    data_ppb: int
    upstream_ppb: int
    took_effect: bool = False


class DueKind(IntEnum):
    """What happens because time has passed, in the order in which it happens at one moment."""

    END_SERIES = 1
    APPLY_AGREEMENT = 2


class Due(NamedTuple):
    due_ns: int
    kind: DueKind
    number: int
    """Of the series or the agreement."""


_DERIVED: Final = {"derived": True}


@dataclass(slots=True)
class Catalogue:
    opened: bool = False
    """Whether the log's first fact has stated the limits of the house."""
    parties: dict[int, Party] = field(default_factory=dict)
    datasets: dict[int, Dataset] = field(default_factory=dict)
    dataset_versions: dict[int, DatasetVersion] = field(default_factory=dict)
    models: dict[int, Model] = field(default_factory=dict)
    training_runs: dict[int, TrainingRun] = field(default_factory=dict)
    model_versions: dict[int, ModelVersion] = field(default_factory=dict)
    terms: dict[int, Terms] = field(default_factory=dict)
    currencies: dict[int, Currency] = field(default_factory=dict)
    series: dict[int, Series] = field(default_factory=dict)
    fee_schedules: dict[int, FeeSchedule] = field(default_factory=dict)
    tax_rates: dict[str, int] = field(default_factory=dict)
    """Parts per million by country."""
    deposits: dict[int, dict[str, Payment]] = field(default_factory=dict)
    """By party and external reference."""
    withdrawals: dict[int, dict[str, Payment]] = field(default_factory=dict)
    refunded_lots: dict[tuple[int, int], int] = field(default_factory=dict)
    """By command and fill of the trade."""
    agreements: dict[int, Agreement] = field(default_factory=dict)

    dataset_by_key: dict[str, int] = field(init=False, compare=False, metadata=_DERIVED)
    dataset_version_by_label: dict[tuple[int, str], int] = field(init=False, compare=False, metadata=_DERIVED)
    model_by_key: dict[str, int] = field(init=False, compare=False, metadata=_DERIVED)
    model_version_by_semver: dict[tuple[int, str], int] = field(init=False, compare=False, metadata=_DERIVED)
    currency_by_code: dict[str, int] = field(init=False, compare=False, metadata=_DERIVED)
    series_by_symbol: dict[str, int] = field(init=False, compare=False, metadata=_DERIVED)
    dues: list[Due] = field(init=False, compare=False, metadata=_DERIVED)
    """A heap; entries that no longer hold are dropped when they come up."""

    def __post_init__(self) -> None:
        self.dataset_by_key = {row.key: number for number, row in self.datasets.items()}
        self.dataset_version_by_label = {
            (row.dataset, row.label): number for number, row in self.dataset_versions.items()
        }
        self.model_by_key = {row.key: number for number, row in self.models.items()}
        self.model_version_by_semver = {(row.model, row.semver): number for number, row in self.model_versions.items()}
        self.currency_by_code = {row.code: number for number, row in self.currencies.items()}
        self.series_by_symbol = {row.symbol: number for number, row in self.series.items()}
        self.dues = []
        for number, series in self.series.items():
            if series.ends_ns is not None:
                self.add_due(Due(series.ends_ns, DueKind.END_SERIES, number))
        for number, agreement in self.agreements.items():
            self.add_due(Due(agreement.effective_at_ns, DueKind.APPLY_AGREEMENT, number))

    def add_due(self, due: Due) -> None:
        if self._holds(due):
            heapq.heappush(self.dues, due)

    def next_due(self) -> Due | None:
        """What comes first, or None; amortized constant time."""
        while self.dues and not self._holds(self.dues[0]):
            heapq.heappop(self.dues)
        return self.dues[0] if self.dues else None

    def _holds(self, due: Due) -> bool:
        match due.kind:
            case DueKind.END_SERIES:
                return self.series[due.number].phase != SeriesPhase.ENDED
            case DueKind.APPLY_AGREEMENT:
                return not self.agreements[due.number].took_effect


def next_number(table: Mapping[int, object]) -> int:
    """The dense number that the next row of the table gets."""
    return len(table) + 1
