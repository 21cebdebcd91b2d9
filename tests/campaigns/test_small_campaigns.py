"""Each campaign in small, and what all of them print."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaigns import crash_images, kill
from tests.campaigns.harness import Report, Skipped, run

ROOT = Path(__file__).resolve().parents[2]


def test_a_campaign_prints_one_object_and_nothing_else_to_stdout() -> None:
    command = [sys.executable, "-m", "tests.campaigns.recut", "--commands", "300", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    found = json.loads(done.stdout)
    assert list(found) == ["campaign", "passed", "failed", "skipped", "details"]
    assert (found["campaign"], found["passed"], found["failed"], found["skipped"]) == ("recut", 2, 0, 0)
    assert found["details"]["commands"] >= 250


def test_a_failure_makes_the_exit_code_1_and_says_how_to_see_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    def work(report: Report, _: argparse.Namespace) -> None:
        report.passed += 1
        report.fail("seed 7: one row differs", replay="--seed 7")

    assert run("recut", argparse.Namespace(json=True), work) == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["passed"], found["failed"]) == (1, 1)
    assert found["details"]["failures"] == [
        {"what": "seed 7: one row differs", "replay": "./dev campaign recut --seed 7"}
    ]
    assert "seed 7: one row differs" in printed.err
    assert "./dev campaign recut --seed 7" in printed.err


def test_a_campaign_that_cannot_run_says_why_and_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Report, __: argparse.Namespace) -> None:
        raise Skipped("no C compiler found")

    assert run("crash-images", argparse.Namespace(json=True), work) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["skipped"], found["details"]["skipped"]) == (1, "no C compiler found")


def test_200_crash_images_recover_and_those_without_syncs_do_not() -> None:
    report = Report("crash-images")
    try:
        crash_images.work(report, argparse.Namespace(count=200, seed=1, image=None))
    except Skipped as reason:
        pytest.skip(str(reason))
    assert (report.failed, report.passed) == (0, 201), report.details
    assert report.details["full"]["commands_lost"] == 0
    assert report.details["full"]["verified_and_written_to"] >= 4
    assert report.details["normal"]["commands_lost"] > 0


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_writer_killed_three_times_loses_and_doubles_nothing(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = None if database == "sqlite" else request.getfixturevalue("postgres_database")
    report = Report("kill")
    found = kill.kill_and_reconcile(
        report, database, tmp_path, url, argparse.Namespace(cycles=3, seed=1, database=database)
    )
    assert (report.failed, report.passed) == (0, 3), report.details
    assert found["commands_acknowledged"] > 0
    assert found["batches_asked_again"] > 0
