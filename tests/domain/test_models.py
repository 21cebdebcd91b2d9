"""Models: versions, lineage with weights, the training run that cites it."""

from dataclasses import replace

import pytest

from domain.commands import (
    Command,
    PublishModelVersion,
    RecordTrainingRun,
    WithdrawDatasetVersion,
    WithdrawModelVersion,
)
from domain.rejections import Reason
from domain.values import PPB, Role, VersionState, WithdrawalKind
from tests.domain.house import TODAY, House, a_model, a_model_version


def a_house() -> tuple[House, int, int, int]:
    """A house with a provider, a developer and its model."""
    house = House()
    provider, developer = house.party(Role.PROVIDER), house.party(Role.DEVELOPER)
    return house, provider, developer, house.model(developer)


def withdraw(version: int) -> WithdrawModelVersion:
    return WithdrawModelVersion(model_version=version, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY)


def test_keys_and_semantic_versions_are_unique() -> None:
    house, _, developer, model = a_house()
    assert house.refuses(a_model(developer)).reason is Reason.MODEL_KEY_TAKEN
    house.model_version(model, "1.0.0-rc.1")
    taken = house.refuses(a_model_version(model, "1.0.0-rc.1"))
    assert (taken.code, taken.field) == ("semver_taken", "semver")
    other = house.model(developer, "acme/other")
    house.model_version(other, "1.0.0-rc.1")


def test_lineage_names_published_data_sets_that_were_not_withdrawn() -> None:
    house, provider, _, model = a_house()
    usable, gone = house.dataset_version(provider, "usable"), house.dataset_version(provider, "gone")
    draft = house.dataset_version(provider, "draft", published=False)
    house.do(
        WithdrawDatasetVersion(dataset_version=gone, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY), actor=provider
    )
    for number, reason in (
        (99, Reason.UNKNOWN_DATASET_VERSION),
        (draft, Reason.DATASET_VERSION_NOT_PUBLISHED),
        (gone, Reason.DATASET_VERSION_WITHDRAWN),
    ):
        refusal = house.refuses(a_model_version(model, datasets={usable: 1, number: 1}))
        assert (refusal.reason, refusal.field) == (reason, "datasets[1].dataset_version")


def test_lineage_names_published_base_versions_that_were_not_withdrawn() -> None:
    house, _, developer, model = a_house()
    gone = house.model_version(model, "0.1.0")
    draft = house.model_version(model, "0.2.0", published=False)
    house.do(withdraw(gone), actor=developer)
    for number, reason in (
        (99, Reason.UNKNOWN_MODEL_VERSION),
        (draft, Reason.MODEL_VERSION_NOT_PUBLISHED),
        (gone, Reason.MODEL_VERSION_WITHDRAWN),
    ):
        refusal = house.refuses(a_model_version(model, bases={number: 1}))
        assert (refusal.reason, refusal.field) == (reason, "bases[0].model_version")


def test_weights_add_up_to_the_whole_at_most() -> None:
    house, provider, _, model = a_house()
    first, second = house.dataset_version(provider, "first"), house.dataset_version(provider, "second")
    refusal = house.refuses(a_model_version(model, datasets={first: PPB, second: 1}))
    assert (refusal.code, refusal.field, refusal.value) == ("weights_above_whole", "datasets", "1000000001")
    base, other = house.model_version(model, "0.1.0"), house.model_version(model, "0.2.0")
    refusal = house.refuses(a_model_version(model, bases={base: PPB - 1, other: 2}))
    assert (refusal.code, refusal.field) == ("weights_above_whole", "bases")
    house.do(a_model_version(model, datasets={first: PPB - 1, second: 1}, bases={base: PPB, other: 0}))


def test_the_same_data_set_stands_in_the_lineage_once() -> None:
    house, provider, _, model = a_house()
    number = house.dataset_version(provider)
    command = a_model_version(model, datasets={number: 1})
    assert house.refuses(replace(command, datasets=command.datasets * 2)).reason is Reason.DUPLICATE_ITEM


def test_a_cited_training_run_is_of_the_model_and_covers_its_data_sets() -> None:
    house, provider, developer, model = a_house()
    covered, other = house.dataset_version(provider, "covered"), house.dataset_version(provider, "other")
    run = house.do(RecordTrainingRun(model=model, dataset_versions=(covered,)), actor=developer).training_run
    version = replace(a_model_version(model, datasets={covered: PPB}), training_run=run)
    assert house.refuses(replace(version, training_run=7)).reason is Reason.UNKNOWN_TRAINING_RUN
    foreign = replace(version, model=house.model(developer, "acme/other"))
    assert house.refuses(foreign).reason is Reason.TRAINING_RUN_OF_ANOTHER_MODEL
    uncovered = replace(a_model_version(model, datasets={other: PPB}), training_run=run)
    assert house.refuses(uncovered).reason is Reason.TRAINING_RUN_DOES_NOT_COVER
    assert house.do(version).training_run == run


def test_a_training_run_cites_usable_data_sets_and_ends_after_it_started() -> None:
    house, provider, _, model = a_house()
    draft = house.dataset_version(provider, published=False)
    run = RecordTrainingRun(model=model, dataset_versions=(draft,), started_day="2026-02-01", ended_day="2026-01-31")
    assert house.refuses(run).field == "dataset_versions[0]"
    refusal = house.refuses(replace(run, dataset_versions=()))
    assert refusal.message == "ended_day: must be at least 2026-02-01; got '2026-01-31'"
    future = replace(run, dataset_versions=(), started_day="2027-01-01", ended_day=None)
    assert house.refuses(future).reason is Reason.DAY_IN_FUTURE
    house.do(replace(run, dataset_versions=(), ended_day="2026-02-01"))


def test_a_version_is_not_published_on_lineage_that_was_withdrawn_since() -> None:
    house, provider, _, model = a_house()
    data, base = house.dataset_version(provider), house.model_version(model, "0.1.0")
    on_data = house.model_version(model, "1.0.0", datasets={data: 1}, published=False)
    on_base = house.model_version(model, "2.0.0", bases={base: 1}, published=False)
    house.do(WithdrawDatasetVersion(dataset_version=data, kind=WithdrawalKind.WITHDRAWN, effective_day=TODAY))
    house.do(withdraw(base))
    refusal = house.refuses(PublishModelVersion(model_version=on_data))
    assert (refusal.code, refusal.field) == ("dataset_version_withdrawn", "model_version.datasets[0].dataset_version")
    assert house.refuses(PublishModelVersion(model_version=on_base)).reason is Reason.MODEL_VERSION_WITHDRAWN


def test_a_version_goes_one_way_only() -> None:
    house, _, developer, model = a_house()
    version = house.model_version(model, published=False)
    assert house.refuses(withdraw(version)).reason is Reason.MODEL_VERSION_NOT_PUBLISHED
    house.do(PublishModelVersion(model_version=version), actor=developer)
    again = PublishModelVersion(model_version=version)
    assert house.refuses(again).reason is Reason.MODEL_VERSION_ALREADY_PUBLISHED
    house.do(withdraw(version), actor=developer)
    assert house.catalogue.model_versions[version].state is VersionState.WITHDRAWN
    assert house.refuses(again).reason is Reason.MODEL_VERSION_WITHDRAWN


@pytest.mark.parametrize(
    "command",
    [
        a_model_version(1),
        RecordTrainingRun(model=1, dataset_versions=()),
        PublishModelVersion(model_version=1),
        withdraw(1),
    ],
    ids=lambda command: type(command).__name__,
)
def test_only_the_developer_changes_its_model(command: Command) -> None:
    house, provider, _, model = a_house()
    house.model_version(model, "0.0.1", published=False)
    other = house.party(Role.DEVELOPER)
    assert house.refuses(command, actor=other).reason is Reason.NOT_THE_OWNER
    assert house.refuses(command, actor=provider).reason is Reason.ROLE_REQUIRED
    assert house.refuses(command, actor=50).reason is Reason.UNKNOWN_PARTY


def test_unknown_models_and_versions_are_refused() -> None:
    house, provider, _, _ = a_house()
    assert house.refuses(a_model_version(44)).reason is Reason.UNKNOWN_MODEL
    assert house.refuses(PublishModelVersion(model_version=44)).reason is Reason.UNKNOWN_MODEL_VERSION
    assert house.refuses(withdraw(44)).reason is Reason.UNKNOWN_MODEL_VERSION
    assert house.refuses(a_model(provider)).reason is Reason.ROLE_REQUIRED
