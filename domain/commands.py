"""Every rare command, imperative: what is asked, not what follows from it. The fields' rules are in their types."""

from __future__ import annotations

from dataclasses import dataclass

from domain.fields import (
    AgentShares,
    AmountMinor,
    AtNs,
    BaseUses,
    Capacity,
    Country,
    CurrencyCode,
    DatasetUses,
    Day,
    Days,
    Digest,
    Exponent,
    Key,
    Label,
    Line,
    Lots,
    LotSize,
    MakerPpm,
    Note,
    NotionalMinor,
    Number,
    Ppb,
    Ppm,
    Reference,
    Semver,
    Source,
    Symbol,
    Tags,
    Territory,
    Ticks,
    Versions,
)
from domain.values import (
    Classification,
    DigestBasis,
    HaltReason,
    PartyKind,
    PersonalData,
    PriceBasis,
    Purpose,
    Role,
    TermKind,
    UnitKind,
    WithdrawalKind,
)


class Command:
    """Something asked of the house that is decided by the domain."""

    __slots__ = ()


# -- parties -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterParty(Command):
    kind: PartyKind
    legal_name: Line
    country: Country
    roles: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRole(Command):
    party: Number
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeRole(Command):
    party: Number
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclareOwnership(Command):
    owner: Number
    owned: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeParty(Command):
    party: Number
    note: Note | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfreezeParty(Command):
    party: Number
    note: Note | None = None


# -- data sets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterDataset(Command):
    provider: Number
    key: Key
    title: Line
    license: Line | None = None
    classification: Classification
    tags: Tags
    personal_data: PersonalData
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterDatasetVersion(Command):
    dataset: Number
    label: Label
    digest: Digest
    digest_basis: DigestBasis
    parents: Versions = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishDatasetVersion(Command):
    dataset_version: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawDatasetVersion(Command):
    dataset_version: Number
    kind: WithdrawalKind
    effective_day: Day
    note: Note | None = None


# -- models ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterModel(Command):
    developer: Number
    key: Key
    title: Line
    family: Line | None = None
    modality: Line | None = None
    license: Line | None = None
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordTrainingRun(Command):
    model: Number
    dataset_versions: Versions
    params_digest: Digest | None = None
    started_day: Day | None = None
    ended_day: Day | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterModelVersion(Command):
    model: Number
    semver: Semver
    digest: Digest
    digest_basis: DigestBasis
    training_run: Number | None = None
    datasets: DatasetUses = ()
    bases: BaseUses = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishModelVersion(Command):
    model_version: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawModelVersion(Command):
    model_version: Number
    kind: WithdrawalKind
    effective_day: Day
    note: Note | None = None


# -- licensing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptTerms(Command):
    developer: Number
    purpose: Purpose
    territory: Territory
    term: TermKind
    term_ends_ns: AtNs | None = None
    term_days: Days | None = None
    unit: UnitKind
    transferable: bool
    derivatives_allowed: bool
    resale_royalty_ppm: Ppm
    text_digest: Digest
    license: Line


# -- venue -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterCurrency(Command):
    code: CurrencyCode
    exponent: Exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSeries(Command):
    """The issuer is the model's developer; resale and royalty are those of the terms."""

    symbol: Symbol
    model_version: Number
    terms: Number
    currency: Number
    tick_minor: NotionalMinor
    lot_size: LotSize
    unit_name: Line
    supply_cap_lots: Lots
    max_order_lots: Lots
    max_notional_minor: NotionalMinor
    ends_ns: AtNs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltSeries(Command):
    series: Number
    reason: HaltReason
    note: Note | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeSeries(Command):
    series: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordListPrice(Command):
    series: Number
    price_ticks: Ticks
    basis: PriceBasis
    source: Source
    effective_day: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptFeeSchedule(Command):
    maker_ppm: MakerPpm
    taker_ppm: Ppm


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTaxRate(Command):
    country: Country
    tax_ppm: Ppm


# -- payments ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDeposit(Command):
    party: Number
    currency: Number
    amount_minor: AmountMinor
    reference: Reference
    effective_day: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWithdrawal(Command):
    party: Number
    currency: Number
    amount_minor: AmountMinor
    reference: Reference
    effective_day: Day


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSale(Command):
    """The trade's own columns are read from the log by whoever asks; the lots may be a part of it."""

    trade_command: Number
    trade_fill: Number
    trade_lots: Lots
    series: Number
    buyer: Number
    lots: Lots
    price_ticks: Ticks
    waterfall_version: Number
    reason: Note


# -- revenue -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignAgreement(Command):
    """Without `effective_at_ns` it takes effect at the time of the command."""

    model: Number
    effective_at_ns: AtNs | None = None
    platform_ppb: Ppb
    agents: AgentShares = ()
    data_ppb: Ppb
    upstream_ppb: Ppb


# -- governance --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHouse(Command):
    """Only into an empty log."""

    orders_max: Capacity
    levels_max: Capacity
    accounts_max: Capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStateRoot(Command):
    at_command: Number
    root: Digest
