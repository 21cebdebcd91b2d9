"""A catalogue is registered through ordinary commands, row by row, once; what is refused is said with file and line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import pytest

from api.catalogue_import import (
    PROVIDER_NOT_KNOWN,
    WEIGHTS_ASSUMED,
    Existing,
    ImportPlan,
    RefusedRow,
    dry_run,
    equal_weights_ppb,
    existing_in,
    plan,
    row_digest,
    run,
    stated_day,
)
from domain.canonical import fingerprint
from domain.catalogue import Catalogue
from domain.commands import Command, RegisterParty
from domain.decisions import decide, evolve
from domain.events import (
    DatasetRegistered,
    DatasetVersionWithdrawn,
    Fact,
    ModelRegistered,
    ModelVersionRegistered,
    PartyRegistered,
)
from domain.rejections import Refusal
from domain.values import HOUSE, PPB, BaseRelation, LineageRole, PartyKind, Role, VersionState, WithdrawalKind

FactT = TypeVar("FactT", bound=Fact)

TODAY = "2026-11-14"
AT_NS = 1_794_700_000 * 10**9

LICENSE = {
    "license": "MIT",
    "name": "MIT License",
    "spdx_id": "MIT",
    "spdx_licenseref": "",
    "category": "Permissive",
    "permitted_use": "any",
    "attribution": "yes",
    "share_alike": "no",
    "models": "1",
    "datasets": "1",
}
OWN_LICENSE = LICENSE | {"license": "odd terms", "name": "", "spdx_id": "", "permitted_use": "unknown"}
DATASET = {
    "id": "letters",
    "name": "Letters",
    "provider": "Library",
    "license": "MIT",
    "size": "",
    "modality": "text+image",
    "has_personal_data": "no",
    "personal_data_basis": "",
    "year": "2020",
    "withdrawn": "",
    "withdrawal_note": "",
    "derived_from": "",
    "source": "a list",
}
MODEL = {
    "id": "lab/reader",
    "name": "Reader",
    "family": "",
    "developer": "Lab",
    "provider": "",
    "release_date": "2021-05",
    "open_weights": "1",
    "license": "MIT",
    "context_tokens": "",
    "input_usd_per_mtok": "",
    "output_usd_per_mtok": "",
    "domain": "general",
    "modality": "text->text",
    "parameters": "7B",
    "base_model_id": "",
    "base_relation": "",
    "source": "a paper (version 2.1.0)",
}
EDGE = {
    "model_id": "lab/reader",
    "dataset_id": "letters",
    "role": "fine-tuning",
    "confidence": "medium",
    "source": "it",
}


class House:
    """Decides what is submitted, and remembers the facts."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.facts: list[Fact] = []

    def submit(self, command: Command) -> int | Refusal:
        decided = decide(self.catalogue, command, actor=HOUSE, at_ns=AT_NS)
        if isinstance(decided, Refusal):
            return decided
        for fact in decided.facts:
            self.facts.append(fact)
            evolve(self.catalogue, fact, at_ns=AT_NS, command=len(self.facts))
        return int(next(iter(asdict(decided.facts[0]).values())))  # type: ignore[call-overload]

    def existing(self) -> Existing:
        names = {str(fact.legal_name): fact.party for fact in self.of(PartyRegistered)}
        return existing_in(self.catalogue, names)

    def of(self, kind: type[FactT]) -> list[FactT]:
        return [fact for fact in self.facts if isinstance(fact, kind)]


def tables(
    folder: Path,
    *,
    datasets: Iterable[Mapping[str, str]] = (DATASET,),
    models: Iterable[Mapping[str, str]] = (MODEL,),
    edges: Iterable[Mapping[str, str]] = (EDGE,),
) -> ImportPlan:
    """The plan of small tables written to the folder."""
    for name, columns, rows in (
        ("licenses.csv", LICENSE, (LICENSE, OWN_LICENSE)),
        ("datasets.csv", DATASET, datasets),
        ("models.csv", MODEL, models),
        ("lineage.csv", EDGE, edges),
    ):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return plan(folder, country="NL", today=TODAY)


def nothing(_thing: object, _key: str) -> None:
    return None


# -- the real catalogue ------------------------------------------------------------------------------------------------


def test_the_real_catalogue_is_registered_whole_and_a_second_time_changes_nothing(test_data: Path) -> None:
    house = House()
    planned = plan(test_data / "catalogue", country="NL", today=TODAY)
    assert planned.refused == ()
    assert planned.rows_read == {"licenses.csv": 84, "datasets.csv": 480, "models.csv": 1196, "lineage.csv": 627}

    forecast = dry_run(planned, house.existing())
    report = run(planned, house.submit, house.existing())

    assert report.refused == () and report.existing == {}
    assert report.submitted == forecast.submitted
    assert dict(report.submitted) | {"party": 0} == {
        "party": 0,
        "dataset": 480,
        "dataset_version": 480,
        "dataset_publication": 480,
        "model": 1196,
        "training_run": 395,
        "model_version": 1196,
        "model_publication": 1196,
        "dataset_withdrawal": 18,
    }
    assert sum(len(version.datasets) for version in house.catalogue.model_versions.values()) == 627

    before = fingerprint(house.catalogue)
    again = run(planned, house.submit, house.existing())
    assert again.submitted == {} and again.refused == ()
    assert fingerprint(house.catalogue) == before
    assert dry_run(planned, house.existing()).submitted == {}


def test_data_sets_of_the_real_catalogue_are_withdrawn_after_the_models_that_used_them(test_data: Path) -> None:
    house = House()
    run(plan(test_data / "catalogue", country="NL", today=TODAY), house.submit, nothing)
    withdrawn = {
        house.catalogue.datasets[fact.dataset].key: (fact.kind, fact.effective_day)
        for fact in house.of(DatasetVersionWithdrawn)
    }
    assert withdrawn["the-pile"] == (WithdrawalKind.WITHDRAWN, "2023-08-19")
    assert withdrawn["books3"] == (WithdrawalKind.WITHDRAWN, "2023-08-31")
    assert withdrawn["laion-5b"] == (WithdrawalKind.PAUSED, "2023-12-31")
    assert withdrawn["bookcorpus"] == (WithdrawalKind.WITHDRAWN, TODAY)
    pile = house.catalogue.dataset_by_key["the-pile"]
    users = [
        version
        for version in house.catalogue.model_versions.values()
        if any(house.catalogue.dataset_versions[number].dataset == pile for number, _, _ in version.datasets)
    ]
    assert len(users) == 29 and all(version.state is VersionState.PUBLISHED for version in users)


# -- what a row becomes ------------------------------------------------------------------------------------------------


def test_a_model_is_registered_with_its_run_lineage_digest_and_stated_version(tmp_path: Path) -> None:
    house = House()
    child = MODEL | {
        "id": "lab/child",
        "base_model_id": "lab/reader",
        "base_relation": "quantisation",
        "license": "MIT AND odd terms",
        "source": "a page",
    }
    run(tables(tmp_path, models=(child, MODEL)), house.submit, nothing)

    reader, derived = house.of(ModelVersionRegistered)
    assert (reader.semver, derived.semver) == ("2.1.0", "1.0.0")
    assert reader.training_run == 1 and reader.datasets == ((1, PPB, LineageRole.FINE_TUNING),)
    assert derived.training_run is None and derived.bases == ((1, PPB, BaseRelation.QUANTIZATION),)
    assert reader.digest == row_digest(MODEL)
    model = house.of(ModelRegistered)[1]
    assert model.license == "MIT AND LicenseRef-odd-terms"
    dataset = house.of(DatasetRegistered)[0]
    assert dataset.tags == ("text", "image", "year-2020")


def test_several_weights_are_equal_add_up_to_the_whole_and_are_marked_assumed(tmp_path: Path) -> None:
    house = House()
    names = ("a", "b", "c")
    run(
        tables(
            tmp_path,
            datasets=[DATASET | {"id": name} for name in names],
            edges=[EDGE | {"dataset_id": name} for name in names],
        ),
        house.submit,
        nothing,
    )
    weights = [weight for _, weight, _ in house.of(ModelVersionRegistered)[0].datasets]
    assert weights == [333_333_334, 333_333_333, 333_333_333] == equal_weights_ppb(3)
    assert house.of(ModelRegistered)[0].source.endswith(f"; lineage of confidence medium{WEIGHTS_ASSUMED}")


def test_a_provider_that_is_not_known_is_said_to_be_not_known(tmp_path: Path) -> None:
    house = House()
    run(tables(tmp_path, datasets=[DATASET | {"provider": ""}]), house.submit, nothing)
    assert [fact.legal_name for fact in house.of(PartyRegistered)] == [PROVIDER_NOT_KNOWN, "Lab"]


def test_a_party_that_exists_without_the_role_is_granted_it_and_not_registered_again(tmp_path: Path) -> None:
    house = House()
    house.submit(RegisterParty(kind=PartyKind.COMPANY, legal_name="Lab", country="DE", roles=Role.PROVIDER))
    planned = tables(tmp_path, datasets=[DATASET | {"provider": "Lab"}])

    report = run(planned, house.submit, house.existing())

    assert report.existing == {"party": 1, "provider_role": 1} and report.submitted["developer_role"] == 1
    assert house.catalogue.parties[1].roles == Role.PROVIDER | Role.DEVELOPER and len(house.catalogue.parties) == 1


@pytest.mark.parametrize(
    ("note", "day"),
    [
        ("disabled after a takedown notice of 2025-01-02", "2025-01-02"),
        ("removed it after a notice, July/August 2023; later more in March 2024", "2023-08-31"),
        ("taken down February 2024", "2024-02-29"),
        ("retired by its authors", None),
        ("version 2023-13-40 of it", None),
    ],
)
def test_the_day_of_a_withdrawal_is_the_one_that_its_note_states(note: str, day: str | None) -> None:
    assert stated_day(note) == day


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (
            {"datasets": [DATASET | {"year": "20"}]},
            ("datasets.csv", 2, "year", "20", "malformed_row"),
        ),
        (
            {"models": [MODEL | {"input_usd_per_mtok": "1e3"}]},
            ("models.csv", 2, "input_usd_per_mtok", "1e3", "malformed_row"),
        ),
        ({"models": [MODEL, MODEL]}, ("models.csv", 3, "id", "lab/reader", "duplicate_row")),
        (
            {"models": [MODEL | {"license": "MIT AND unheard of"}]},
            ("models.csv", 2, "license", "unheard of", "unknown_license"),
        ),
        (
            {"datasets": [DATASET | {"derived_from": "nowhere"}]},
            ("datasets.csv", 2, "derived_from", "nowhere", "dangling_reference"),
        ),
        (
            {"edges": [EDGE, EDGE | {"dataset_id": "nowhere"}]},
            ("lineage.csv", 3, "dataset_id", "nowhere", "dangling_reference"),
        ),
        (
            {
                "models": [
                    MODEL | {"id": "lab/egg", "base_model_id": "lab/hen"},
                    MODEL | {"id": "lab/hen", "base_model_id": "lab/egg"},
                ]
            },
            ("models.csv", 2, "base_model_id", "lab/hen", "dangling_reference"),
        ),
        (
            {"models": [MODEL | {"id": "lab//reader"}], "edges": []},
            ("models.csv", 2, "key", "'lab//reader'", "malformed_key"),
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused_with_file_line_field_and_value(
    tmp_path: Path, changed: dict[str, list[dict[str, str]]], expected: tuple[str, int, str, str, str]
) -> None:
    first = tables(tmp_path, **changed).refused[0]
    assert (first.file, first.line, first.field, first.value, first.code) == expected and first.rule


def test_what_depends_on_a_refused_row_is_refused_once_per_row_and_the_rest_goes_in(tmp_path: Path) -> None:
    house = House()
    bad = DATASET | {"id": "bad", "name": " padded "}
    planned = tables(tmp_path, datasets=[bad, DATASET], edges=[EDGE | {"dataset_id": "bad"}], models=[MODEL])
    assert [(row.file, row.line, row.code) for row in planned.refused] == [
        ("datasets.csv", 2, "malformed_text"),
        ("models.csv", 2, "dangling_reference"),
    ]
    report = run(planned, house.submit, nothing)
    assert report.submitted["dataset"] == 1 and report.refused == planned.refused


def test_what_the_house_refuses_is_reported_with_its_code_and_the_import_goes_on(tmp_path: Path) -> None:
    house = House()
    planned = tables(tmp_path)
    run(planned, house.submit, nothing)

    report = run(planned, house.submit, nothing)  # As if nothing of it were known.

    assert [(row.file, row.line, row.code) for row in report.refused] == [
        ("datasets.csv", 2, "dataset_key_taken"),
        ("models.csv", 2, "model_key_taken"),
    ]


def test_a_dry_run_submits_nothing_and_a_report_is_json(tmp_path: Path) -> None:
    planned = tables(tmp_path, datasets=[DATASET, DATASET | {"id": "x", "year": "?"}])
    report = dry_run(planned, nothing).as_json()
    assert json.loads(json.dumps(report)) == report
    assert report["dry_run"] is True and report["submitted"]["model"] == 1
    assert report["refused"] == [
        {
            "file": "datasets.csv",
            "line": 3,
            "field": "year",
            "rule": report["refused"][0]["rule"],
            "value": "?",
            "code": "malformed_row",
        }
    ]


def test_progress_counts_every_step_to_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    planned = tables(tmp_path)
    run(planned, House().submit, nothing, lambda done, total: seen.append((done, total)))
    assert seen == [(number, len(planned.steps)) for number in range(1, len(planned.steps) + 1)]


def test_a_missing_table_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"licenses\.csv"):
        plan(tmp_path, country="NL", today=TODAY)


def test_a_row_with_a_field_too_many_is_refused(tmp_path: Path) -> None:
    tables(tmp_path)
    with (tmp_path / "lineage.csv").open("a", encoding="utf-8") as file:
        file.write("lab/reader,letters,training,high,it,extra\n")
    refused = plan(tmp_path, country="NL", today=TODAY).refused
    assert [(row.file, row.line, row.code) for row in refused] == [("lineage.csv", 3, "malformed_row")]
    assert isinstance(refused[0], RefusedRow)
