"""Every fact, past tense, grouped by area.

A fact carries every input of its decision and every dense number it assigns, so that history can be decided again from
facts alone. Numbers are dense from 1 per kind; 0 is the house. A fact's topic is a bare name with a version; a changed
fact gets the next version and one pure upcast in `domain.upcasts`.

Fields whose metadata say `sealed_for` are personal or free text: they are encrypted under the key of the party that the
named field (or the envelope's actor) gives, and no decision reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

from domain.fields import AgentShares, BaseUses, DatasetUses, Territory
from domain.rejections import Reason
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

ACTOR: Final = "actor"
"""`sealed_for` of a field that is encrypted for the actor of the envelope."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Text of a subject, encrypted: nonce (12 bytes), ciphertext, tag (16 bytes)."""

    ciphertext: bytes


Personal: TypeAlias = str | Sealed
"""Text that the log holds only encrypted; `str` where the key was at hand, `Sealed` where it was not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a fact came from."""

    command: int
    """Dense number of the command over the whole log."""
    at_ns: int
    actor: int
    request_id: bytes | None = None
    """16 bytes."""
    body_hash: bytes | None = None
    """16 bytes."""
    cause: int | None = None
    """Number of the command that made this one due."""


class Fact:
    """One rare thing that happened."""

    __slots__ = ()


_FOR_PARTY: Final = {"sealed_for": "party"}
_FOR_ACTOR: Final = {"sealed_for": ACTOR}


# -- parties -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyRegistered(Fact):
    party: int
    kind: PartyKind
    legal_name: Personal = field(metadata=_FOR_PARTY)
    country: str
    roles: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGranted(Fact):
    party: int
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRevoked(Fact):
    party: int
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipDeclared(Fact):
    owner: int
    owned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyFrozen(Fact):
    party: int
    note: Personal | None = field(default=None, metadata=_FOR_ACTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyUnfrozen(Fact):
    party: int
    note: Personal | None = field(default=None, metadata=_FOR_ACTOR)


# -- data sets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRegistered(Fact):
    dataset: int
    provider: int
    key: str
    title: str
    license: str | None = None
    """Identity of the license, absent where not known."""
    classification: Classification
    tags: tuple[str, ...]
    personal_data: PersonalData
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionRegistered(Fact):
    dataset_version: int
    dataset: int
    label: str
    digest: bytes
    digest_basis: DigestBasis
    parents: tuple[int, ...]
    """Data set versions that it contains or was made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionPublished(Fact):
    dataset_version: int
    dataset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersionWithdrawn(Fact):
    """Withdrawn, or a notice that does not stop its use: see `WithdrawalKind`."""

    dataset_version: int
    dataset: int
    kind: WithdrawalKind
    effective_day: str
    note: Personal | None = field(default=None, metadata=_FOR_ACTOR)


# -- models ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegistered(Fact):
    model: int
    developer: int
    key: str
    title: str
    family: str | None = None
    modality: str | None = None
    license: str | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRunRecorded(Fact):
    training_run: int
    model: int
    dataset_versions: tuple[int, ...]
    params_digest: bytes | None = None
    started_day: str | None = None
    ended_day: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionRegistered(Fact):
    model_version: int
    model: int
    semver: str
    digest: bytes
    digest_basis: DigestBasis
    training_run: int | None = None
    datasets: DatasetUses
    bases: BaseUses


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionPublished(Fact):
    model_version: int
    model: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionWithdrawn(Fact):
    model_version: int
    model: int
    kind: WithdrawalKind
    effective_day: str
    note: Personal | None = field(default=None, metadata=_FOR_ACTOR)


# -- licensing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsAdopted(Fact):
    terms: int
    developer: int
    purpose: Purpose
    territory: Territory
    term: TermKind
    term_ends_ns: int | None = None
    """Only of a fixed end."""
    term_days: int | None = None
    """Only of days from activation."""
    unit: UnitKind
    transferable: bool
    derivatives_allowed: bool
    resale_royalty_ppm: int
    text_digest: bytes
    license: str


# -- venue -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyRegistered(Fact):
    currency: int
    code: str
    exponent: int
    """Decimals of the minor unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesListed(Fact):
    series: int
    symbol: str
    model_version: int
    terms: int
    currency: int
    issuer: int
    tick_minor: int
    """Minor units of one tick of the price of one lot."""
    lot_size: str
    """Units of one lot, a plain decimal."""
    unit_name: str
    supply_cap_lots: int
    max_order_lots: int
    max_notional_minor: int
    resale_allowed: bool
    royalty_ppm: int
    """Of each resale; 0 where resale is not allowed."""
    ends_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHalted(Fact):
    series: int
    reason: HaltReason
    note: Personal | None = field(default=None, metadata=_FOR_ACTOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesResumed(Fact):
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEnded(Fact):
    series: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPriceRecorded(Fact):
    series: int
    price_ticks: int
    basis: PriceBasis
    source: str
    effective_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeScheduleAdopted(Fact):
    """Applies to every order accepted after it."""

    fee_schedule: int
    maker_ppm: int
    """Negative for a rebate."""
    taker_ppm: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRateSet(Fact):
    """Applies to buyers of the country in every order accepted after it."""

    country: str
    tax_ppm: int


# -- payments ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositRecorded(Fact):
    party: int
    currency: int
    amount_minor: int
    reference: str
    effective_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalRecorded(Fact):
    party: int
    currency: int
    amount_minor: int
    reference: str
    effective_day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleRefunded(Fact):
    """A negative sale through the waterfall version that was frozen in the sale."""

    trade_command: int
    trade_fill: int
    trade_lots: int
    """Lots of the whole trade."""
    series: int
    buyer: int
    lots: int
    """Lots returned by this refund."""
    price_ticks: int
    waterfall_version: int
    amount_minor: int
    reason: Personal = field(metadata=_FOR_ACTOR)


# -- revenue -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementSigned(Fact):
    """How revenue of a model is split; the developer gets what the shares leave."""

    agreement: int
    model: int
    effective_at_ns: int
    platform_ppb: int
    agents: AgentShares
    data_ppb: int
    """Split over the data sets of the version by their weights."""
    upstream_ppb: int
    """Split over the base versions by their weights, and on by their own agreements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementTookEffect(Fact):
    agreement: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallCompiled(Fact):
    series: int
    version: int
    """From 1 in each series."""
    agreement: int
    developer: int
    """Takes over the carries of payees that leave."""
    rows: tuple[tuple[int, int], ...]
    """(party, weight in ppb), by party; the weights add up to 10^9."""
    derivation: tuple[tuple[int, str, str], ...]
    """(party, way to it, exact share of the whole as a fraction in lowest terms): why the weights are what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterfallCompilationFailed(Fact):
    """An agreement took effect but the series keeps its waterfall."""

    series: int
    agreement: int
    reason: Reason


# -- governance --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseOpened(Fact):
    """The first fact of a log: how large the pools of this house may grow, so that a replay refuses what it refused."""

    orders_max: int
    levels_max: int
    accounts_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRootRecorded(Fact):
    """Hash of the whole state after a command, found by executing the log a second time."""

    at_command: int
    root: bytes


TOPICS: Final[dict[str, type[Fact]]] = {
    "PartyRegistered.1": PartyRegistered,
    "RoleGranted.1": RoleGranted,
    "RoleRevoked.1": RoleRevoked,
    "OwnershipDeclared.1": OwnershipDeclared,
    "PartyFrozen.1": PartyFrozen,
    "PartyUnfrozen.1": PartyUnfrozen,
    "DatasetRegistered.2": DatasetRegistered,
    "DatasetVersionRegistered.1": DatasetVersionRegistered,
    "DatasetVersionPublished.1": DatasetVersionPublished,
    "DatasetVersionWithdrawn.1": DatasetVersionWithdrawn,
    "ModelRegistered.1": ModelRegistered,
    "TrainingRunRecorded.1": TrainingRunRecorded,
    "ModelVersionRegistered.1": ModelVersionRegistered,
    "ModelVersionPublished.1": ModelVersionPublished,
    "ModelVersionWithdrawn.1": ModelVersionWithdrawn,
    "TermsAdopted.1": TermsAdopted,
    "CurrencyRegistered.1": CurrencyRegistered,
    "SeriesListed.1": SeriesListed,
    "SeriesHalted.1": SeriesHalted,
    "SeriesResumed.1": SeriesResumed,
    "SeriesEnded.1": SeriesEnded,
    "ListPriceRecorded.1": ListPriceRecorded,
    "FeeScheduleAdopted.1": FeeScheduleAdopted,
    "TaxRateSet.1": TaxRateSet,
    "DepositRecorded.1": DepositRecorded,
    "WithdrawalRecorded.1": WithdrawalRecorded,
    "SaleRefunded.1": SaleRefunded,
    "AgreementSigned.1": AgreementSigned,
    "AgreementTookEffect.1": AgreementTookEffect,
    "WaterfallCompiled.1": WaterfallCompiled,
    "WaterfallCompilationFailed.1": WaterfallCompilationFailed,
    "HouseOpened.1": HouseOpened,
    "StateRootRecorded.1": StateRootRecorded,
}
"""Topic of each fact as it is written today; older topics are in `domain.upcasts`."""

TOPIC_OF: Final[dict[type[Fact], str]] = {cls: topic for topic, cls in TOPICS.items()}
