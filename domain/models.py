"""Models, their training runs and versions, and the lineage of a version.

Lineage has no circles by construction: a version names only versions that were published before it.
"""

from __future__ import annotations

from domain.catalogue import Catalogue, Model, ModelVersion, TrainingRun, next_number
from domain.commands import (
    PublishModelVersion,
    RecordTrainingRun,
    RegisterModel,
    RegisterModelVersion,
    WithdrawModelVersion,
)
from domain.datasets import usable_dataset_version
from domain.events import (
    ModelRegistered,
    ModelVersionPublished,
    ModelVersionRegistered,
    ModelVersionWithdrawn,
    TrainingRunRecorded,
)
from domain.outcomes import Decided
from domain.permissions import must_hold, must_own, not_in_future
from domain.rejections import Reason, Refusal, refuse
from domain.values import PPB, Role, VersionState, WithdrawalKind


def register_model(catalogue: Catalogue, command: RegisterModel, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = must_hold(catalogue, command.developer, Role.DEVELOPER, "developer") or must_own(
        command.developer, actor, "model"
    )
    if refusal is not None:
        return refusal
    taken = catalogue.model_by_key.get(command.key)
    if taken is not None:
        return refuse(Reason.MODEL_KEY_TAKEN, "key", "must be unique", command.key, f"model {taken} has it")
    return Decided(
        (
            ModelRegistered(
                model=next_number(catalogue.models),
                developer=command.developer,
                key=command.key,
                title=command.title,
                family=command.family,
                modality=command.modality,
                license=command.license,
                source=command.source,
            ),
        )
    )


def record_training_run(catalogue: Catalogue, command: RecordTrainingRun, actor: int, at_ns: int) -> Decided | Refusal:
    model = _owned_model(catalogue, command.model, actor)
    if isinstance(model, Refusal):
        return model
    for index, number in enumerate(command.dataset_versions):
        refusal = usable_dataset_version(catalogue, number, f"dataset_versions[{index}]")
        if refusal is not None:
            return refusal
    for field, day in (("started_day", command.started_day), ("ended_day", command.ended_day)):
        refusal = not_in_future(day, at_ns, field) if day is not None else None
        if refusal is not None:
            return refusal
    if command.started_day is not None and command.ended_day is not None and command.ended_day < command.started_day:
        return refuse(Reason.DAYS_REVERSED, "ended_day", f"must be at least {command.started_day}", command.ended_day)
    return Decided(
        (
            TrainingRunRecorded(
                training_run=next_number(catalogue.training_runs),
                model=command.model,
                dataset_versions=command.dataset_versions,
                params_digest=command.params_digest,
                started_day=command.started_day,
                ended_day=command.ended_day,
            ),
        )
    )


def register_model_version(
    catalogue: Catalogue, command: RegisterModelVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    model = _owned_model(catalogue, command.model, actor)
    if isinstance(model, Refusal):
        return model
    taken = catalogue.model_version_by_semver.get((command.model, command.semver))
    if taken is not None:
        return refuse(
            Reason.SEMVER_TAKEN, "semver", "must be unique in the model", command.semver, f"version {taken} has it"
        )
    refusal = (
        _whole("datasets", [weight_ppb for _, weight_ppb, _ in command.datasets])
        or _whole("bases", [weight_ppb for _, weight_ppb, _ in command.bases])
        or _usable_lineage(catalogue, command)
        or _covered_by_run(catalogue, command)
    )
    if refusal is not None:
        return refusal
    return Decided(
        (
            ModelVersionRegistered(
                model_version=next_number(catalogue.model_versions),
                model=command.model,
                semver=command.semver,
                digest=command.digest,
                digest_basis=command.digest_basis,
                training_run=command.training_run,
                datasets=command.datasets,
                bases=command.bases,
            ),
        )
    )


def publish_model_version(
    catalogue: Catalogue, command: PublishModelVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    version = _owned_version(catalogue, command.model_version, actor)
    if isinstance(version, Refusal):
        return version
    if version.state is VersionState.WITHDRAWN:
        return _withdrawn(command.model_version, "model_version")
    if version.state is VersionState.PUBLISHED:
        return refuse(
            Reason.MODEL_VERSION_ALREADY_PUBLISHED, "model_version", "must not be published yet", command.model_version
        )
    # What was usable at registration may have been withdrawn since.
    refusal = _usable_lineage(catalogue, version, "model_version.")
    if refusal is not None:
        return refusal
    return Decided((ModelVersionPublished(model_version=command.model_version, model=version.model),))


def withdraw_model_version(
    catalogue: Catalogue, command: WithdrawModelVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    """Nothing new may build on it or be listed from it; series that are listed go on until they are halted or end."""
    version = _owned_version(catalogue, command.model_version, actor)
    if isinstance(version, Refusal):
        return version
    refusal = usable_model_version(catalogue, command.model_version, "model_version") or not_in_future(
        command.effective_day, at_ns, "effective_day"
    )
    if refusal is not None:
        return refusal
    return Decided(
        (
            ModelVersionWithdrawn(
                model_version=command.model_version,
                model=version.model,
                kind=command.kind,
                effective_day=command.effective_day,
                note=command.note,
            ),
        )
    )


def usable_model_version(catalogue: Catalogue, number: int, field: str) -> Refusal | None:
    """The version exists, is published and not withdrawn."""
    version = catalogue.model_versions.get(number)
    if version is None:
        return refuse(Reason.UNKNOWN_MODEL_VERSION, field, "must be a registered model version", number)
    if version.state is VersionState.WITHDRAWN:
        return _withdrawn(number, field)
    if version.state is not VersionState.PUBLISHED:
        return refuse(Reason.MODEL_VERSION_NOT_PUBLISHED, field, "must be published", number)
    return None


def _withdrawn(number: int, field: str) -> Refusal:
    return refuse(Reason.MODEL_VERSION_WITHDRAWN, field, "must not be withdrawn", number)


def _usable_lineage(
    catalogue: Catalogue, lineage: RegisterModelVersion | ModelVersion, path: str = ""
) -> Refusal | None:
    for index, (number, _, _) in enumerate(lineage.datasets):
        refusal = usable_dataset_version(catalogue, number, f"{path}datasets[{index}].dataset_version")
        if refusal is not None:
            return refusal
    for index, (number, _, _) in enumerate(lineage.bases):
        refusal = usable_model_version(catalogue, number, f"{path}bases[{index}].model_version")
        if refusal is not None:
            return refusal
    return None


def _covered_by_run(catalogue: Catalogue, command: RegisterModelVersion) -> Refusal | None:
    if command.training_run is None:
        return None
    run = catalogue.training_runs.get(command.training_run)
    if run is None:
        return refuse(
            Reason.UNKNOWN_TRAINING_RUN, "training_run", "must be a recorded training run", command.training_run
        )
    if run.model != command.model:
        return refuse(
            Reason.TRAINING_RUN_OF_ANOTHER_MODEL,
            "training_run",
            f"must be of model {command.model}",
            command.training_run,
            f"it is of model {run.model}",
        )
    for index, (number, _, _) in enumerate(command.datasets):
        if number not in run.dataset_versions:
            return refuse(
                Reason.TRAINING_RUN_DOES_NOT_COVER,
                f"datasets[{index}].dataset_version",
                f"must be cited by training run {command.training_run}",
                number,
            )
    return None


def _whole(field: str, weights_ppb: list[int]) -> Refusal | None:
    if sum(weights_ppb) <= PPB:
        return None
    return refuse(Reason.WEIGHTS_ABOVE_WHOLE, field, f"weights must add up to at most {PPB} ppb", sum(weights_ppb))


def _owned_model(catalogue: Catalogue, number: int, actor: int) -> Model | Refusal:
    model = catalogue.models.get(number)
    if model is None:
        return refuse(Reason.UNKNOWN_MODEL, "model", "must be a registered model", number)
    return must_own(model.developer, actor, "model") or model


def _owned_version(catalogue: Catalogue, number: int, actor: int) -> ModelVersion | Refusal:
    version = catalogue.model_versions.get(number)
    if version is None:
        return refuse(Reason.UNKNOWN_MODEL_VERSION, "model_version", "must be a registered model version", number)
    return must_own(catalogue.models[version.model].developer, actor, "model") or version


# -- the fold ----------------------------------------------------------------------------------------------------------


def model_registered(catalogue: Catalogue, fact: ModelRegistered, at_ns: int, command: int) -> None:
    assert fact.model == next_number(catalogue.models), fact
    catalogue.models[fact.model] = Model(developer=fact.developer, key=fact.key)
    catalogue.model_by_key[fact.key] = fact.model


def training_run_recorded(catalogue: Catalogue, fact: TrainingRunRecorded, at_ns: int, command: int) -> None:
    assert fact.training_run == next_number(catalogue.training_runs), fact
    catalogue.training_runs[fact.training_run] = TrainingRun(model=fact.model, dataset_versions=fact.dataset_versions)


def model_version_registered(catalogue: Catalogue, fact: ModelVersionRegistered, at_ns: int, command: int) -> None:
    assert fact.model_version == next_number(catalogue.model_versions), fact
    catalogue.model_versions[fact.model_version] = ModelVersion(
        model=fact.model, semver=fact.semver, datasets=fact.datasets, bases=fact.bases
    )
    catalogue.model_version_by_semver[fact.model, fact.semver] = fact.model_version


def model_version_published(catalogue: Catalogue, fact: ModelVersionPublished, at_ns: int, command: int) -> None:
    catalogue.model_versions[fact.model_version].state = VersionState.PUBLISHED


def model_version_withdrawn(catalogue: Catalogue, fact: ModelVersionWithdrawn, at_ns: int, command: int) -> None:
    version = catalogue.model_versions[fact.model_version]
    version.notice = fact.kind
    if fact.kind is WithdrawalKind.WITHDRAWN:
        version.state = VersionState.WITHDRAWN
