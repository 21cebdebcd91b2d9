"""Models, their versions and training runs, and where they come from."""

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
    ModelId,
    ModelVersionId,
    Note,
    Out,
    PartyId,
    Ppb,
    Source,
    TrainingRunId,
    digest_of,
    number,
    numbers,
    shaped,
)
from domain.commands import RecordTrainingRun, RegisterModel, RegisterModelVersion, WithdrawModelVersion
from domain.values import BaseRelation, DigestBasis, LineageRole, VersionState, WithdrawalKind

Semver = Annotated[
    str,
    shaped(
        r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$",
        64,
        "Semantic version.",
        "1.0.0",
    ),
]


class NewModel(In):
    developer: PartyId | None = Field(default=None, description="The asking party where absent.")
    key: Key
    title: Line
    family: Line | None = None
    modality: Line | None = None
    license: Line | None = None
    source: Source

    def command(self, actor: int) -> RegisterModel:
        return RegisterModel(
            developer=actor if self.developer is None else number(wire.PARTY, self.developer, "developer"),
            key=self.key,
            title=self.title,
            family=self.family,
            modality=self.modality,
            license=self.license,
            source=self.source,
        )


class NewTrainingRun(In):
    dataset_versions: list[DatasetVersionId] = Field(max_length=256)
    params_digest: Digest | None = None
    started_day: Day | None = None
    ended_day: Day | None = None

    def command(self, model: int) -> RecordTrainingRun:
        return RecordTrainingRun(
            model=model,
            dataset_versions=numbers(wire.DATASET_VERSION, self.dataset_versions, "dataset_versions"),
            params_digest=None if self.params_digest is None else digest_of(self.params_digest, "params_digest"),
            started_day=self.started_day,
            ended_day=self.ended_day,
        )


class DatasetUse(In):
    dataset_version: DatasetVersionId
    weight_ppb: Ppb
    role: Annotated[LineageRole, LAX]


class BaseUse(In):
    model_version: ModelVersionId
    weight_ppb: Ppb
    relation: Annotated[BaseRelation, LAX]


class NewModelVersion(In):
    semver: Semver
    digest: Digest
    digest_basis: Annotated[DigestBasis, LAX] = DigestBasis.ARTIFACT
    training_run: TrainingRunId | None = None
    datasets: list[DatasetUse] = Field(default_factory=list, max_length=256)
    bases: list[BaseUse] = Field(default_factory=list, max_length=64)

    def command(self, model: int) -> RegisterModelVersion:
        dataset_versions = numbers(wire.DATASET_VERSION, [use.dataset_version for use in self.datasets], "datasets")
        base_versions = numbers(wire.MODEL_VERSION, [use.model_version for use in self.bases], "bases")
        run = self.training_run
        return RegisterModelVersion(
            model=model,
            semver=self.semver,
            digest=digest_of(self.digest, "digest"),
            digest_basis=self.digest_basis,
            training_run=None if run is None else number(wire.TRAINING_RUN, run, "training_run"),
            datasets=tuple(
                (version, use.weight_ppb, use.role)
                for version, use in zip(dataset_versions, self.datasets, strict=True)
            ),
            bases=tuple(
                (version, use.weight_ppb, use.relation) for version, use in zip(base_versions, self.bases, strict=True)
            ),
        )


class WithdrawingModel(In):
    """Takes a published version back, or says something about it; only `withdrawn` stops its use."""

    kind: Annotated[WithdrawalKind, LAX]
    effective_day: Day
    note: Note | None = None

    def command(self, model_version: int) -> WithdrawModelVersion:
        return WithdrawModelVersion(
            model_version=model_version, kind=self.kind, effective_day=self.effective_day, note=self.note
        )


class Model(Out):
    id: ModelId
    developer: PartyId
    key: Key
    title: str
    family: str | None
    modality: str | None
    license: str | None
    source: str
    position: Counter


class ModelVersion(Out):
    id: ModelVersionId
    model: ModelId
    semver: Semver
    digest: Digest
    digest_basis: DigestBasis
    training_run: TrainingRunId | None
    state: VersionState
    notice: WithdrawalKind | None
    position: Counter


class TrainingRun(Out):
    id: TrainingRunId
    model: ModelId
    dataset_versions: list[DatasetVersionId]
    params_digest: Digest | None
    started_day: Day | None
    ended_day: Day | None
    position: Counter


class LineageModelVersion(Out):
    id: ModelVersionId
    model: ModelId
    key: Key
    title: str
    semver: Semver
    state: VersionState


class LineageDatasetVersion(Out):
    id: DatasetVersionId
    dataset: DatasetId
    key: Key
    title: str
    label: str
    state: VersionState


class LineageEdge(Out):
    """One step: what was made, and of what."""

    made: ModelVersionId | DatasetVersionId
    source: ModelVersionId | DatasetVersionId
    relation: str
    weight_ppb: Ppb | None = Field(description="Absent between data sets, which carry no weights.")


class Lineage(Out):
    """The versions that were met, and the steps between them."""

    model_versions: list[LineageModelVersion]
    dataset_versions: list[LineageDatasetVersion]
    edges: list[LineageEdge]
    whole: bool = Field(description="False where there are more steps than one answer holds.")
