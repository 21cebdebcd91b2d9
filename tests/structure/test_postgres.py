"""The throwaway PostgreSQL is a real one, and ends with its owner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event

from sqlalchemy import create_engine, make_url, text

from tests.postgres import named_server

OWNER = """
import sys
from tests.postgres import throwaway_server
with throwaway_server(durable=False) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def answers(url: str, question: str) -> object:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return connection.execute(text(question)).scalar()
    finally:
        engine.dispose()


def test_a_fresh_database_is_empty_and_speaks_through_psycopg2(postgres_database: str) -> None:
    assert make_url(postgres_database).drivername == "postgresql+psycopg2"
    assert answers(postgres_database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    assert str(answers(postgres_database, "SHOW server_encoding")) == "UTF8"


def test_each_test_gets_a_database_of_its_own(postgres_url: str, postgres_database: str) -> None:
    name = make_url(postgres_database).database
    assert name != make_url(postgres_url).database
    assert answers(postgres_database, "SELECT current_database()") == name


def test_a_named_server_is_always_spoken_to_through_psycopg2() -> None:
    assert (
        named_server("postgresql://me:pw@db:5433/x?host=%2Frun") == "postgresql+psycopg2://me:pw@db:5433/x?host=%2Frun"
    )


def test_the_throwaway_server_ends_when_its_owner_is_killed() -> None:
    root = Path(__file__).resolve().parents[2]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout:
        folder = Path(str(make_url(owner.stdout.readline().strip()).query["host"]))
        assert (folder / "data" / "postmaster.pid").exists()
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    pause = Event()
    for _ in range(200):
        if not folder.exists():
            return
        pause.wait(0.05)
    raise AssertionError(f"the server of a killed owner still runs in {folder}")
