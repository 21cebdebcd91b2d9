"""Every field of every command: its type is taken exactly and its rule is kept, whoever asks."""

from __future__ import annotations

from dataclasses import fields, replace
from enum import Enum
from typing import Any

import pytest

from domain.canonical import fingerprint
from domain.commands import Command, RegisterParty
from domain.decisions import DECISIONS
from domain.fields import COUNTRIES, check
from domain.rejections import Reason, Refusal
from domain.values import PartyKind, Role
from tests.domain.house import House, a_dataset, a_model_version
from tests.domain.samples import COMMANDS


class Text(str):
    """A subclass: not a str taken exactly."""

    __slots__ = ()


class Number(int):
    pass


def test_every_command_has_a_well_formed_sample() -> None:
    assert {type(command) for command in COMMANDS} == set(DECISIONS)
    assert [check(command) for command in COMMANDS] == [None] * len(COMMANDS)


def every_field() -> list[Any]:
    return [
        pytest.param(command, field.name, id=f"{type(command).__name__}.{field.name}")
        for command in COMMANDS
        for field in fields(command)  # type: ignore[arg-type]
    ]


def wrong_values(good: object) -> list[object]:
    """Values that are near to a good one but not of its type."""
    match good:
        case bool():
            return [0, 1, "true"]
        case Enum():
            return [good.value, Text("x"), 0.5]
        case int():
            return [True, Number(good), float(good), str(good), 2**63, -(2**63) - 1]
        case str():
            return [Text(good), good.encode(), 1, "", "\ud800", f"{good}\x00", f" {good}", "x" * 5000]
        case bytes():
            return [bytearray(good), good.hex(), good[:-1], b""]
        case tuple():
            return [list(good), (*good, None), None, (object(),)]
        case _:
            return [object()]


@pytest.mark.parametrize(("command", "name"), every_field())
def test_a_field_of_the_wrong_type_or_against_its_rule_is_refused(command: Command, name: str) -> None:
    house = House()
    before = fingerprint(house.catalogue)
    for wrong in wrong_values(getattr(command, name)):
        bad: Any = replace(command, **{name: wrong})  # type: ignore[type-var]
        refusal = house.decide(bad)
        assert isinstance(refusal, Refusal), wrong
        assert refusal.field.startswith(name), (wrong, refusal)
        assert refusal.rule.startswith("must") and refusal.field in refusal.message
    assert fingerprint(house.catalogue) == before


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("key", "LAION", Reason.MALFORMED_KEY),
        ("key", "a//b", Reason.MALFORMED_KEY),
        ("key", "a b", Reason.MALFORMED_KEY),
        ("key", "ä", Reason.MALFORMED_KEY),
        ("key", "a\n", Reason.MALFORMED_KEY),
        ("key", "a" * 121, Reason.MALFORMED_KEY),
        ("title", "two\nlines", Reason.MALFORMED_TEXT),
        ("title", "bell\x07", Reason.MALFORMED_TEXT),
        ("title", "x" * 201, Reason.MALFORMED_TEXT),
        ("tags", ("a", "a"), Reason.DUPLICATE_ITEM),
        ("tags", ("Ä",), Reason.MALFORMED_KEY),
        ("tags", tuple(f"t{index}" for index in range(33)), Reason.TOO_MANY_ITEMS),
    ],
)
def test_rules_of_text(field: str, value: object, reason: Reason) -> None:
    changes: dict[str, Any] = {field: value}
    refusal = check(replace(a_dataset(1), **changes))
    assert refusal is not None and refusal.reason is reason


@pytest.mark.parametrize(
    "semver", ["1.0.0", "0.0.0", "10.20.30-rc.1+build.5", "1.0.0-alpha-a.b", "1.0.0+001", "1.2.3--"]
)
def test_semantic_versions(semver: str) -> None:
    assert check(a_model_version(1, semver)) is None


@pytest.mark.parametrize(
    "semver", ["1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0-a..b", "1.0.0 ", "1.0.٣"]
)
def test_what_is_no_semantic_version(semver: str) -> None:
    refusal = check(a_model_version(1, semver))
    assert refusal is not None and (refusal.code, refusal.field) == ("malformed_semver", "semver")


def test_items_of_a_list_are_named_by_place_and_part() -> None:
    command = a_model_version(1, datasets={1: 5, 2: 1_000_000_001})
    refusal = check(command)
    assert refusal is not None
    assert refusal.message == "datasets[1].weight_ppb: must be 0 to 1000000000; got 1000000001"


def test_there_are_as_many_countries_as_the_standard_assigns() -> None:
    assert len(COUNTRIES) == 249


@pytest.mark.parametrize("country", ["de", "XX", "UK", "EU", "DEU", "D\u0415"])
def test_a_country_is_an_assigned_code(country: str) -> None:
    refusal = check(RegisterParty(kind=PartyKind.COMPANY, legal_name="Acme", country=country, roles=Role(0)))
    assert refusal is not None and refusal.reason is Reason.MALFORMED_COUNTRY


def test_an_absent_optional_field_is_fine_and_an_absent_required_one_is_not() -> None:
    assert check(replace(a_dataset(1), license=None)) is None
    missing: Any = {"title": None}
    refusal = check(replace(a_dataset(1), **missing))
    assert refusal is not None and refusal.reason is Reason.WRONG_TYPE
