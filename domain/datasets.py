"""Data sets and their versions: registered, published, withdrawn, in this order and never back."""

from __future__ import annotations

from domain.catalogue import Catalogue, Dataset, DatasetVersion, next_number
from domain.commands import PublishDatasetVersion, RegisterDataset, RegisterDatasetVersion, WithdrawDatasetVersion
from domain.events import DatasetRegistered, DatasetVersionPublished, DatasetVersionRegistered, DatasetVersionWithdrawn
from domain.outcomes import Decided
from domain.permissions import must_hold, must_own, not_in_future
from domain.rejections import Reason, Refusal, refuse
from domain.values import Role, VersionState, WithdrawalKind


def register_dataset(catalogue: Catalogue, command: RegisterDataset, actor: int, at_ns: int) -> Decided | Refusal:
    refusal = must_hold(catalogue, command.provider, Role.PROVIDER, "provider") or must_own(
        command.provider, actor, "data set"
    )
    if refusal is not None:
        return refusal
    taken = catalogue.dataset_by_key.get(command.key)
    if taken is not None:
        return refuse(Reason.DATASET_KEY_TAKEN, "key", "must be unique", command.key, f"data set {taken} has it")
    return Decided(
        (
            DatasetRegistered(
                dataset=next_number(catalogue.datasets),
                provider=command.provider,
                key=command.key,
                title=command.title,
                license=command.license,
                classification=command.classification,
                tags=command.tags,
                personal_data=command.personal_data,
                source=command.source,
            ),
        )
    )


def register_dataset_version(
    catalogue: Catalogue, command: RegisterDatasetVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    dataset = catalogue.datasets.get(command.dataset)
    if dataset is None:
        return refuse(Reason.UNKNOWN_DATASET, "dataset", "must be a registered data set", command.dataset)
    refusal = must_own(dataset.provider, actor, "data set")
    if refusal is not None:
        return refusal
    taken = catalogue.dataset_version_by_label.get((command.dataset, command.label))
    if taken is not None:
        return refuse(
            Reason.DATASET_LABEL_TAKEN,
            "label",
            "must be unique in the data set",
            command.label,
            f"version {taken} has it",
        )
    for index, parent in enumerate(command.parents):
        refusal = usable_dataset_version(catalogue, parent, f"parents[{index}]")
        if refusal is not None:
            return refusal
    return Decided(
        (
            DatasetVersionRegistered(
                dataset_version=next_number(catalogue.dataset_versions),
                dataset=command.dataset,
                label=command.label,
                digest=command.digest,
                digest_basis=command.digest_basis,
                parents=command.parents,
            ),
        )
    )


def publish_dataset_version(
    catalogue: Catalogue, command: PublishDatasetVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    version = _owned_version(catalogue, command.dataset_version, actor)
    if isinstance(version, Refusal):
        return version
    if version.state is VersionState.WITHDRAWN:
        return _withdrawn(command.dataset_version, "dataset_version")
    if version.state is VersionState.PUBLISHED:
        return refuse(
            Reason.DATASET_VERSION_ALREADY_PUBLISHED,
            "dataset_version",
            "must not be published yet",
            command.dataset_version,
        )
    for parent in version.parents:
        refusal = usable_dataset_version(catalogue, parent, "dataset_version.parents")
        if refusal is not None:
            return refusal
    return Decided((DatasetVersionPublished(dataset_version=command.dataset_version, dataset=version.dataset),))


def withdraw_dataset_version(
    catalogue: Catalogue, command: WithdrawDatasetVersion, actor: int, at_ns: int
) -> Decided | Refusal:
    version = _owned_version(catalogue, command.dataset_version, actor)
    if isinstance(version, Refusal):
        return version
    refusal = usable_dataset_version(catalogue, command.dataset_version, "dataset_version") or not_in_future(
        command.effective_day, at_ns, "effective_day"
    )
    if refusal is not None:
        return refusal
    return Decided(
        (
            DatasetVersionWithdrawn(
                dataset_version=command.dataset_version,
                dataset=version.dataset,
                kind=command.kind,
                effective_day=command.effective_day,
                note=command.note,
            ),
        )
    )


def usable_dataset_version(catalogue: Catalogue, number: int, field: str) -> Refusal | None:
    """The version exists, is published and not withdrawn."""
    version = catalogue.dataset_versions.get(number)
    if version is None:
        return refuse(Reason.UNKNOWN_DATASET_VERSION, field, "must be a registered data set version", number)
    if version.state is VersionState.WITHDRAWN:
        return _withdrawn(number, field)
    if version.state is not VersionState.PUBLISHED:
        return refuse(Reason.DATASET_VERSION_NOT_PUBLISHED, field, "must be published", number)
    return None


def _withdrawn(number: int, field: str) -> Refusal:
    return refuse(Reason.DATASET_VERSION_WITHDRAWN, field, "must not be withdrawn", number)


def _owned_version(catalogue: Catalogue, number: int, actor: int) -> DatasetVersion | Refusal:
    version = catalogue.dataset_versions.get(number)
    if version is None:
        return refuse(
            Reason.UNKNOWN_DATASET_VERSION, "dataset_version", "must be a registered data set version", number
        )
    return must_own(catalogue.datasets[version.dataset].provider, actor, "data set") or version


# -- the fold ----------------------------------------------------------------------------------------------------------


def dataset_registered(catalogue: Catalogue, fact: DatasetRegistered, at_ns: int, command: int) -> None:
    assert fact.dataset == next_number(catalogue.datasets), fact
    catalogue.datasets[fact.dataset] = Dataset(provider=fact.provider, key=fact.key)
    catalogue.dataset_by_key[fact.key] = fact.dataset


def dataset_version_registered(catalogue: Catalogue, fact: DatasetVersionRegistered, at_ns: int, command: int) -> None:
    assert fact.dataset_version == next_number(catalogue.dataset_versions), fact
    catalogue.dataset_versions[fact.dataset_version] = DatasetVersion(
        dataset=fact.dataset, label=fact.label, parents=fact.parents
    )
    catalogue.dataset_version_by_label[fact.dataset, fact.label] = fact.dataset_version


def dataset_version_published(catalogue: Catalogue, fact: DatasetVersionPublished, at_ns: int, command: int) -> None:
    catalogue.dataset_versions[fact.dataset_version].state = VersionState.PUBLISHED


def dataset_version_withdrawn(catalogue: Catalogue, fact: DatasetVersionWithdrawn, at_ns: int, command: int) -> None:
    version = catalogue.dataset_versions[fact.dataset_version]
    version.notice = fact.kind
    if fact.kind is WithdrawalKind.WITHDRAWN:
        version.state = VersionState.WITHDRAWN
