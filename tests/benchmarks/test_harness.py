"""What every bench prints, and how rounds become figures."""

from __future__ import annotations

import argparse
import json
import os
import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness import ROOT, Result, at_least_one, emit, fresh_house, machine, percentile, workspace
from ledger.sequencer import Tick

FIGURES = [
    Result.of("sqlite backlog 10000", "commands/s", [500_123.4, 400_000, 600_000], against="raw", peer=[1e6, 1e6, 2e6]),
    Result.of("sqlite backlog 10000 bytes", "bytes/command", [163.7]),
]


def test_a_figure_is_the_median_of_its_rounds_and_a_ratio_the_median_of_the_ratios_of_each_round() -> None:
    assert FIGURES[0] == Result(
        "sqlite backlog 10000", 500_100.0, "commands/s", "raw", 0.4, [500_100.0, 400_000.0, 600_000.0]
    )


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    assert FIGURES[1] == Result("sqlite backlog 10000 bytes", 163.7, "bytes/command", None, None, [163.7])


def test_each_round_needs_its_peer() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Result.of("case", "commands/s", [1, 2], against="raw", peer=[1])


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[int], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_with_json_stdout_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    emit("append", {"cpu": "a", "cores": 2}, FIGURES, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "append" and printed["machine"] == {"cpu": "a", "cores": 2}
    assert [list(result) for result in printed["results"]] == [
        ["case", "value", "unit", "against", "ratio", "runs"]
    ] * 2
    assert printed["results"][1] == {
        "case": "sqlite backlog 10000 bytes",
        "value": 163.7,
        "unit": "bytes/command",
        "against": None,
        "ratio": None,
        "runs": [163.7],
    }


def test_without_json_stdout_is_a_table_with_the_spread(capsys: pytest.CaptureFixture[str]) -> None:
    emit("append", {"cpu": "a", "cores": 2}, FIGURES, as_json=False)
    printed = capsys.readouterr().out
    assert "append on cpu a, cores 2" in printed
    row = next(line for line in printed.splitlines() if "raw" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["sqlite backlog 10000", "500,100", "400,000 – 600,000", "commands/s", "raw", "0.4", "3"]


def test_the_machine_names_what_figures_depend_on() -> None:
    found = machine(postgres="18.6")
    assert list(found) == ["cpu", "cores", "python", "numba", "sqlite", "postgres"]
    assert found["cpu"] and found["cores"] == os.cpu_count() and found["python"] == platform.python_version()
    assert found["postgres"] == "18.6" and "postgres" not in machine()


def test_files_of_a_bench_lie_on_the_disk_of_the_checkout_and_go_away() -> None:
    with workspace() as folder:
        assert folder.stat().st_dev == ROOT.stat().st_dev and folder.is_relative_to(ROOT)
        (folder / "inside").mkdir()
        (folder / "inside" / "file").write_bytes(b"x")
    assert not folder.exists()


def test_files_of_a_bench_go_away_when_it_fails() -> None:
    with pytest.raises(RuntimeError, match="failed"), workspace() as folder:
        raise RuntimeError("failed")
    assert not folder.exists()


def test_a_fresh_house_writes_to_a_log_of_its_own() -> None:
    with workspace() as folder, fresh_house(folder) as sequencer:
        opened = sequencer.store.position
        at_ns = sequencer.state.at_ns
        sequencer.process([Tick()])
        assert sequencer.store.position == opened + 1 and sequencer.state.at_ns > at_ns
        assert (folder / "log.sqlite").stat().st_size > 0


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", ""])
def test_a_count_is_at_least_one(text: str) -> None:
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        at_least_one(text)
    assert at_least_one("1") == 1
