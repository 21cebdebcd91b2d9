"""Data sets and their versions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api import wire
from api.schemas.base import (
    LAX,
    Counter,
    DatasetId,
    DatasetVersionId,
    Day,
    Digest,
    In,
    Key,
    Line,
    Note,
    Out,
    PartyId,
    Source,
    digest_of,
    number,
    numbers,
    shaped,
)
from domain.commands import RegisterDataset, RegisterDatasetVersion, WithdrawDatasetVersion
from domain.values import Classification, DigestBasis, PersonalData, VersionState, WithdrawalKind

Label = Annotated[str, shaped("^[A-Za-z0-9][A-Za-z0-9._+-]*$", 64, "Name of a version.", "2026-11")]
Tag = Annotated[str, shaped("^[a-z0-9][a-z0-9._+-]*$", 40, "A word to find it by.", "text")]


class NewDataset(In):
    provider: PartyId | None = Field(default=None, description="The asking party where absent.")
    key: Key
    title: Line
    license: Line | None = None
    classification: Annotated[Classification, LAX]
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    personal_data: Annotated[PersonalData, LAX]
    source: Source

    def command(self, actor: int) -> RegisterDataset:
        return RegisterDataset(
            provider=actor if self.provider is None else number(wire.PARTY, self.provider, "provider"),
            key=self.key,
            title=self.title,
            license=self.license,
            classification=self.classification,
            tags=tuple(self.tags),
            personal_data=self.personal_data,
            source=self.source,
        )


class NewDatasetVersion(In):
    label: Label
    digest: Digest
    digest_basis: Annotated[DigestBasis, LAX] = DigestBasis.ARTIFACT
    parents: list[DatasetVersionId] = Field(default_factory=list, max_length=256)

    def command(self, dataset: int) -> RegisterDatasetVersion:
        return RegisterDatasetVersion(
            dataset=dataset,
            label=self.label,
            digest=digest_of(self.digest, "digest"),
            digest_basis=self.digest_basis,
            parents=numbers(wire.DATASET_VERSION, self.parents, "parents"),
        )


class Withdrawing(In):
    """Takes a published version back, or says something about it; only `withdrawn` stops its use."""

    kind: Annotated[WithdrawalKind, LAX]
    effective_day: Day
    note: Note | None = None

    def command(self, dataset_version: int) -> WithdrawDatasetVersion:
        return WithdrawDatasetVersion(
            dataset_version=dataset_version, kind=self.kind, effective_day=self.effective_day, note=self.note
        )


class Dataset(Out):
    id: DatasetId
    provider: PartyId
    key: Key
    title: str
    license: str | None
    classification: Classification
    tags: list[str]
    personal_data: PersonalData
    source: str
    position: Counter


class DatasetVersion(Out):
    id: DatasetVersionId
    dataset: DatasetId
    label: Label
    digest: Digest
    digest_basis: DigestBasis
    state: VersionState
    notice: WithdrawalKind | None = Field(description="The last notice or withdrawal.")
    position: Counter
