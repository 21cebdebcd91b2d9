"""A tiny run of the append bench on both databases, and that its peers write what they say they write."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import make_url

from benchmarks import append
from benchmarks.append import Append, bare_postgres, bare_sqlite, binary_copy, raw_file
from ledger.engines import COPY_FROM_BYTES
from tests.benchmarks.conftest import SmallMarket

APPENDS: list[Append] = [[b"one"], [b"two", b"", bytes(range(256))], [bytes(COPY_FROM_BYTES)], [b"x" * 9_000, b"y"]]


def test_the_raw_limit_writes_the_very_bytes(tmp_path: Path) -> None:
    with raw_file(tmp_path / "raw") as peer:
        for states in APPENDS:
            peer(states)
    assert (tmp_path / "raw").read_bytes() == b"".join(state for states in APPENDS for state in states)


def test_the_bare_commit_of_sqlite_is_one_row_an_entry_with_the_settings_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "bare.sqlite"
    rows: list[tuple[bytes]] = []
    with bare_sqlite(path) as peer:
        for states in APPENDS:
            peer(states)
            other = sqlite.connect(str(path))  # Sees only what is committed.
            rows = other.execute("SELECT state FROM bare ORDER BY number").fetchall()
            assert [state for (state,) in rows[-len(states) :]] == states
            assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert other.execute("PRAGMA page_size").fetchone() == (16_384,)
            other.close()
    assert len(rows) == sum(map(len, APPENDS))


def test_the_bare_commit_of_postgresql_is_one_row_an_entry(postgres_database: str) -> None:
    url = make_url(postgres_database).set(drivername="postgresql").render_as_string(hide_password=False)
    other = psycopg2.connect(url)
    other.autocommit = True
    rows: list[bytes] = []
    with bare_postgres(postgres_database) as peer, other.cursor() as cursor:
        for states in APPENDS:
            peer(states)
            cursor.execute("SELECT state FROM bare ORDER BY number")
            rows = [bytes(state) for (state,) in cursor]
            assert rows[-len(states) :] == states
    other.close()
    assert len(rows) == sum(map(len, APPENDS))


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_a_binary_copy_ends_with_its_trailer_and_holds_each_row_once(states: Append) -> None:
    copied = binary_copy(states)
    assert len(copied) == 19 + sum(6 + len(state) for state in states) + 2
    assert copied.startswith(b"PGCOPY\n\xff\r\n\0") and copied.endswith(b"\xff\xff")


def test_a_tiny_run_measures_both_databases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_market: SmallMarket
) -> None:
    small_market(append)
    monkeypatch.setattr(append, "APPENDS", {1: 3, 100: 2})
    monkeypatch.setattr(append, "PREFILL", 300)
    assert append.main(["--json", "--rounds", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "append"
    assert {"sqlite", "postgres"} <= set(printed["machine"])
    cases = [f"{database} backlog {backlog}" for database in ("sqlite", "postgres") for backlog in (1, 100)]
    for case in cases:
        found = [result for result in printed["results"] if result["case"] == case]
        assert [(result["unit"], result["against"]) for result in found] == [
            ("commands/s", "raw append"),
            ("commands/s", "bare commit"),
        ]
        names = {result["case"] for result in printed["results"]}
        assert {f"{case} bytes", f"{case} latency median", f"{case} latency p99"} <= names
    for result in printed["results"]:
        assert result["value"] > 0 and len(result["runs"]) == (1 if result["case"].endswith("p99") else 2)
        assert (result["against"] is None) == (result["ratio"] is None)
        assert result["ratio"] is None or result["ratio"] > 0


def test_one_database_alone_is_measured_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_market: SmallMarket
) -> None:
    small_market(append)
    monkeypatch.setattr(append, "APPENDS", {1: 1})
    monkeypatch.setattr(append, "PREFILL", 10)
    assert append.main(["--database", "sqlite", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert "sqlite backlog 1" in printed and "postgres" not in printed


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--database", "oracle"], ["--fast"]])
def test_a_wrong_argument_is_a_usage_error(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        append.main(arguments)
    assert caught.value.code == 2
