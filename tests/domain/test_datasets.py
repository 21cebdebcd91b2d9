"""Data sets: register, publish, withdraw, never back."""

from dataclasses import replace

import pytest

from domain.commands import PublishDatasetVersion, WithdrawDatasetVersion
from domain.rejections import Reason
from domain.values import Role, VersionState, WithdrawalKind
from tests.domain.house import TODAY, House, a_dataset, a_dataset_version


def withdraw(version: int, kind: WithdrawalKind = WithdrawalKind.WITHDRAWN, day: str = TODAY) -> WithdrawDatasetVersion:
    return WithdrawDatasetVersion(dataset_version=version, kind=kind, effective_day=day)


def test_a_data_set_is_registered_by_its_provider() -> None:
    house = House()
    provider, other, trader = house.party(Role.PROVIDER), house.party(Role.PROVIDER), house.party(Role.TRADER)
    assert house.refuses(a_dataset(provider), actor=trader).reason is Reason.ROLE_REQUIRED
    assert house.refuses(a_dataset(provider), actor=other).reason is Reason.NOT_THE_OWNER
    assert house.refuses(a_dataset(trader)).field == "provider"
    assert house.refuses(a_dataset(77)).reason is Reason.UNKNOWN_PARTY
    assert house.do(a_dataset(provider), actor=provider).dataset == 1


def test_the_key_of_a_data_set_is_unique_and_so_is_the_label_of_its_version() -> None:
    house = House()
    provider = house.party(Role.PROVIDER)
    dataset, other = house.dataset(provider, "laion-5b"), house.dataset(provider, "pile")
    taken = house.refuses(a_dataset(provider, "laion-5b"), actor=provider)
    assert (taken.code, taken.field, taken.value) == ("dataset_key_taken", "key", "'laion-5b'")
    house.do(a_dataset_version(dataset), actor=provider)
    assert house.refuses(a_dataset_version(dataset), actor=provider).reason is Reason.DATASET_LABEL_TAKEN
    house.do(a_dataset_version(other), actor=provider)


def test_a_version_goes_from_registered_to_published_to_withdrawn_and_never_back() -> None:
    house = House()
    provider = house.party(Role.PROVIDER)
    version = house.dataset_version(provider, published=False)
    assert house.refuses(withdraw(version)).reason is Reason.DATASET_VERSION_NOT_PUBLISHED
    publish = PublishDatasetVersion(dataset_version=version)
    house.do(publish, actor=provider)
    assert house.refuses(publish).reason is Reason.DATASET_VERSION_ALREADY_PUBLISHED
    house.do(withdraw(version), actor=provider)
    assert house.catalogue.dataset_versions[version].state is VersionState.WITHDRAWN
    assert house.refuses(publish).reason is Reason.DATASET_VERSION_WITHDRAWN
    assert house.refuses(withdraw(version)).reason is Reason.DATASET_VERSION_WITHDRAWN


@pytest.mark.parametrize("kind", [kind for kind in WithdrawalKind if kind is not WithdrawalKind.WITHDRAWN])
def test_a_notice_does_not_stop_the_use_of_a_version(kind: WithdrawalKind) -> None:
    house = House()
    provider = house.party(Role.PROVIDER)
    version = house.dataset_version(provider)
    house.do(withdraw(version, kind), actor=provider)
    assert house.catalogue.dataset_versions[version].notice is kind
    house.do(a_dataset_version(house.dataset(provider, "derived"), parents=(version,)), actor=provider)


def test_a_withdrawal_is_dated_today_or_before() -> None:
    house = House()
    version = house.dataset_version(house.party(Role.PROVIDER))
    refusal = house.refuses(withdraw(version, day="2026-08-15"))
    assert refusal.message == "effective_day: must be at most 2026-08-14; got '2026-08-15'"
    house.do(withdraw(version, day="2020-02-29"))


def test_parents_are_published_and_not_withdrawn() -> None:
    house = House()
    provider = house.party(Role.PROVIDER)
    usable, gone = house.dataset_version(provider, "usable"), house.dataset_version(provider, "gone")
    draft = house.dataset_version(provider, "draft", published=False)
    house.do(withdraw(gone))
    derived = house.dataset(provider, "derived")
    for parent, reason in (
        (99, Reason.UNKNOWN_DATASET_VERSION),
        (draft, Reason.DATASET_VERSION_NOT_PUBLISHED),
        (gone, Reason.DATASET_VERSION_WITHDRAWN),
    ):
        refusal = house.refuses(a_dataset_version(derived, parents=(usable, parent)))
        assert (refusal.reason, refusal.field, refusal.value) == (reason, "parents[1]", str(parent))


def test_a_version_is_not_published_on_a_parent_that_was_withdrawn_since() -> None:
    house = House()
    provider = house.party(Role.PROVIDER)
    parent = house.dataset_version(provider, "parent")
    child = house.do(a_dataset_version(house.dataset(provider, "child"), parents=(parent,))).dataset_version
    house.do(withdraw(parent))
    assert house.refuses(PublishDatasetVersion(dataset_version=child)).reason is Reason.DATASET_VERSION_WITHDRAWN


def test_only_the_provider_changes_its_data_set() -> None:
    house = House()
    provider, other = house.party(Role.PROVIDER), house.party(Role.PROVIDER)
    version = house.dataset_version(provider)
    for command in (a_dataset_version(1, "v2"), PublishDatasetVersion(dataset_version=version), withdraw(version)):
        assert house.refuses(command, actor=other).reason is Reason.NOT_THE_OWNER
    assert house.refuses(a_dataset_version(5)).reason is Reason.UNKNOWN_DATASET
    assert house.refuses(replace(withdraw(version), dataset_version=0)).reason is Reason.UNKNOWN_DATASET_VERSION
