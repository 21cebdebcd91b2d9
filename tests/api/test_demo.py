"""The demo: the same seed ends in the same state, however often it was interrupted and on whichever database."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite
from typer.testing import CliRunner, Result

from api import cli
from api.bootstrap import places
from api.demo.runner import open_house, play
from domain.commands import RegisterCurrency
from domain.values import HOUSE
from ledger.sequencer import Ask

DAYS = 2
REPOSITORY = Path(__file__).parents[2]


def demo(data: Path, *options: object) -> Result:
    arguments = ["demo", "--once", "--json", "--data", data, "--days", DAYS, *options]
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def found(result: Result, exit_code: int = 0) -> dict[str, Any]:
    assert result.exit_code == exit_code, (result.exit_code, result.stdout, result.stderr, result.exception)
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A demo that nobody interrupted: its folder, which tests only read, and what it printed."""
    data = tmp_path_factory.mktemp("whole")
    return data, found(demo(data))


def test_the_demo_prints_what_it_came_to(whole: tuple[Path, dict[str, Any]]) -> None:
    _, summary = whole
    assert summary["verified"] is True and summary["database"] == "sqlite" and summary["seed"] == cli.SEED
    assert summary["models"] == summary["series"] >= 300 and summary["datasets"] >= 60 and summary["parties"] >= 100
    assert summary["orders"] > summary["trades"] > 0 and summary["grants"] > 0 and summary["revenue_shared_minor"] > 0
    assert set(summary["seconds"]) == {"warm", "open", "history", "count", "verify"}


def test_its_figures_are_those_of_the_log(whole: tuple[Path, dict[str, Any]]) -> None:
    data, summary = whole
    runner = CliRunner()
    entries = [
        json.loads(line)
        for line in runner.invoke(
            cli.app, ["log", "--data", str(data), "--json", "--rows", "results"]
        ).stdout.splitlines()
    ]
    assert summary["position"] == len(entries) == entries[-1]["position"]
    topics = [entry["topic"] for entry in entries]
    for name, topic in (
        ("parties", "PartyRegistered.1"),
        ("models", "ModelRegistered.1"),
        ("series", "SeriesListed.1"),
    ):
        assert summary[name] == topics.count(topic)
    assert summary["trades"] == sum(entry.get("sections", {}).get("fills", 0) for entry in entries)
    orders = {row["order"] for entry in entries for row in entry.get("rows", {}).get("results", ()) if row["order"]}
    assert summary["orders"] == len(orders)
    report = json.loads(runner.invoke(cli.app, ["report", "revenue-share", "--data", str(data), "--json"]).stdout)
    assert report["reconciles"] is True
    assert summary["revenue_shared_minor"] == sum(
        row["shares_minor"] - row["reclaimed_minor"] for row in report["payees"]
    )


def test_running_a_finished_demo_again_changes_nothing(whole: tuple[Path, dict[str, Any]]) -> None:
    data, summary = whole
    result = CliRunner().invoke(cli.app, ["demo", "--once", "--data", str(data), "--days", str(DAYS)])
    assert result.exit_code == 0 and "went on from an earlier run" in result.stderr
    assert summary["state_hash"] in result.stdout and length_of(data) == summary["position"]


@pytest.mark.parametrize("options", [["--seed", 7], ["--days", 1]], ids=["seed", "days"])
def test_a_folder_with_another_history_is_refused_and_left_alone(
    whole: tuple[Path, dict[str, Any]], options: list[object]
) -> None:
    data, summary = whole
    assert found(demo(data, *options), 1)["error"]["code"] == "log_of_another_history"
    assert length_of(data) == summary["position"]


def test_a_log_that_is_used_otherwise_is_refused(tmp_path: Path) -> None:
    with open_house(places(tmp_path)) as house:
        house.process([Ask(RegisterCurrency(code="EUR", exponent=2), HOUSE)])
    error = found(demo(tmp_path), 1)["error"]
    assert error["code"] == "log_of_another_history" and "CurrencyRegistered" in error["message"]


class Stop(Exception):
    """The power is gone."""


def test_a_demo_that_stops_anywhere_ends_in_the_same_state(tmp_path: Path) -> None:
    """Wherever it stops, other commands share an append than without the stop: law 9 in passing. No shadow follows."""
    with open_house(places(tmp_path / "whole")) as house:
        assert play(house, cli.SEED, days=1) == 0
        root = house.state.root()
    stopped = places(tmp_path / "stopped")
    for stop_after in (0, 300, 2_700, 2_770):
        calls = iter(range(10**9))

        def on_day(_days: int, _what: str, calls: Iterator[int] = calls, stop_after: int = stop_after) -> None:
            if next(calls) >= stop_after:
                raise Stop

        with open_house(stopped) as house, pytest.raises(Stop):
            play(house, cli.SEED, days=1, on_day=on_day)
    with open_house(stopped) as house:
        assert play(house, cli.SEED, days=1) == 2_770
        assert house.state.root() == root


def test_a_killed_and_an_interrupted_demo_go_on_where_they_stopped(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    killed = started(tmp_path)
    wait_for_position(tmp_path, 1_000, killed)
    killed.kill()
    killed.wait()

    interrupted = started(tmp_path)
    wait_for_position(tmp_path, length_of(tmp_path) + 200, interrupted)
    interrupted.send_signal(signal.SIGINT)
    assert interrupted.wait() == 130, (tmp_path / "stderr").read_text()
    assert json.loads((tmp_path / "stdout").read_text())["error"]["code"] == "interrupted"
    assert "goes on from there" in (tmp_path / "stderr").read_text()

    result = demo(tmp_path)
    assert "went on from an earlier run" in result.stderr
    summary = found(result)
    assert summary["state_hash"] == whole[1]["state_hash"] and summary["steps_resumed"] > 1_000


def test_on_postgresql_the_state_is_the_same(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, postgres_database: str
) -> None:
    summary = found(demo(tmp_path, "--log-url", postgres_database))
    assert summary["database"] == "postgresql" and summary["verified"] is True
    for name in ("position", "state_hash", "orders", "trades", "revenue_shared_minor"):
        assert summary[name] == whole[1][name]


def started(data: Path) -> subprocess.Popen[bytes]:
    """The real command, on its way; what it says is in files, as a pipe would be held open by what it starts."""
    with (data / "stdout").open("w") as stdout, (data / "stderr").open("w") as stderr:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "api.cli", "demo", "--once", "--json", "--data", data, "--days", str(DAYS)],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            # A shell lets what it runs in the background ignore interrupts, and its children inherit that.
            preexec_fn=hears_interrupts,  # noqa: PLW1509  (no thread of this process holds a lock here)
        )


def hears_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def length_of(data: Path) -> int:
    """Last position of the log, 0 without one."""
    try:
        with closing(sqlite.connect(f"file:{data / 'log.sqlite'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()[0])
    except sqlite.OperationalError:
        return 0


def wait_for_position(data: Path, position: int, process: subprocess.Popen[bytes]) -> None:
    while length_of(data) < position:
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the demo ended too early: {(data / 'stderr').read_text()}")


def test_the_whole_history_ends_with_the_hash_that_the_readme_states(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "api.cli", "demo", "--once", "--json", "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    stated = re.search(r"^[0-9a-f]{64}$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert stated is not None
    assert summary["state_hash"] == stated[0]
    assert summary["verified"] is True
    assert summary["models"] >= 300
    assert summary["datasets"] >= 60
    assert summary["parties"] >= 100
