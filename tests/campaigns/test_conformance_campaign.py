"""The campaign over recorded days: what it prints, and what decides that a day fails."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns import conformance

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = """\
34200.1,1,11,100,1000,1
34200.2,1,12,100,1000,1
34200.3,4,12,60,1000,1
34200.4,4,11,60,1000,1
"""
BOOKS = """\
9999999999,0,1000,100
9999999999,0,1000,200
9999999999,0,1000,140
9999999999,0,1000,80
"""


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A day in which the second order of a level is served before the first."""
    (tmp_path / "X_message_1.csv").write_text(MESSAGES)
    (tmp_path / "X_orderbook_1.csv.gz").write_bytes(gzip.compress(BOOKS.encode()))
    return tmp_path / "X_message_1.csv"


def campaign(*arguments: str | Path) -> tuple[int, Any]:
    command = [sys.executable, "-m", "tests.campaigns.conformance", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, json.loads(done.stdout)


def test_an_execution_that_passes_over_an_earlier_order_fails_the_day(day: Path) -> None:
    code, found = campaign("--format", "lobster", day)
    assert (code, found["campaign"], found["passed"], found["failed"]) == (1, "conformance", 0, 1)
    columns = found["details"]["files"]["X_message_1.csv"]
    names = ("executions", "first", "first_of_named", "not_rankable", "unknown", "not_at_best", "other_ahead")
    assert [columns[name] for name in names] == [2, 1, 0, 0, 0, 0, 1]
    assert columns["which"] == {"other_ahead": [3]}


@pytest.mark.usefixtures("day")
def test_known_and_allowed_exceptions_do_not_fail_a_day(tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    known.write_text(json.dumps({"X_message_1.csv": [3]}))
    assert campaign("--format", "lobster", "--known", known, tmp_path)[0] == 0
    code, found = campaign("--format", "lobster", "--max-exceptions", "1", tmp_path / "X_orderbook_1.csv.gz")
    assert (code, found["passed"], list(found["details"]["files"])) == (0, 1, ["X_message_1.csv"])


def test_half_a_pair_is_named(tmp_path: Path) -> None:
    (tmp_path / "X_message_1.csv").write_text(MESSAGES)
    with pytest.raises(FileNotFoundError, match=r"X_orderbook_1\.csv"):
        conformance.days_of([tmp_path], conformance.FORMATS["lobster"].marks)


def test_each_days_files_are_found_once_by_either_name(tmp_path: Path) -> None:
    for name in ("a_orders.csv", "a_trades.csv.gz", "b_orders.csv", "b_trades.csv", "notes.json"):
        (tmp_path / name).touch()
    days = conformance.days_of([tmp_path, tmp_path / "a_trades.csv.gz"], conformance.FORMATS["bitstamp"].marks)
    assert [[file.name for file in day] for day in days] == [
        ["a_orders.csv", "a_trades.csv.gz"],
        ["b_orders.csv", "b_trades.csv"],
    ]


def test_pairs_with_names_of_their_own_are_taken_as_named(day: Path) -> None:
    books = day.with_name("X_orderbook_1.csv.gz").rename(day.with_name("book.csv.gz"))
    code, found = campaign("--format", "lobster", "--max-exceptions", "1", day.rename(day.with_name("msgs.csv")), books)
    assert (code, list(found["details"]["files"])) == (0, ["msgs.csv"])
    with pytest.raises(FileNotFoundError, match="the other half"):
        conformance.days_of([books], conformance.FORMATS["lobster"].marks)
