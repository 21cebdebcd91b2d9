"""The log refuses to be changed: by trigger on both databases, and by rights on PostgreSQL."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from ledger.engines import _FIRST_FROM, _LAST_BLOCK
from ledger.recorder import LogRecorder, migrate

ENTRIES = [("shard-0", 1, "flow.v1", b"one"), ("shard-0", 2, "flow.v1", b"two")]
ROWS = [(1, "shard-0", 1, "flow.v1", b"one"), (2, "shard-0", 2, "flow.v1", b"two")]


@pytest.fixture
def sqlite_log(tmp_path: Path) -> Iterator[Any]:
    """A foreign connection, with the settings of no recorder, to a log of two entries."""
    migrate(f"sqlite:///{tmp_path}/log.db")
    with LogRecorder(f"sqlite:///{tmp_path}/log.db") as recorder:
        recorder.append(ENTRIES)
    with contextlib.closing(sqlite.connect(f"{tmp_path}/log.db", isolation_level=None)) as connection:
        yield connection


CHANGES = {
    "update": "UPDATE log SET state = x'00' WHERE position = 2",
    "update of the key": "UPDATE log SET position = 3 WHERE position = 2",
    "update or replace": "UPDATE OR REPLACE log SET position = 1 WHERE position = 2",
    "delete": "DELETE FROM log WHERE position = 2",
    "delete of everything": "DELETE FROM log",
    "replace at a taken position": "INSERT OR REPLACE INTO log VALUES (2, 'shard-0', 2, 'flow.v1', x'00')",
    "replace at a taken position, free version": "REPLACE INTO log VALUES (2, 'shard-0', 3, 'flow.v1', x'00')",
    "replace of a taken version": "INSERT OR REPLACE INTO log VALUES (3, 'shard-0', 2, 'flow.v1', x'00')",
    "upsert": "INSERT INTO log VALUES (2, 'x', 1, 't', x'00') ON CONFLICT DO UPDATE SET state = x'00'",
    "upsert of a block": "INSERT INTO log VALUES (3, 'shard-0', 2, 't', x'00') ON CONFLICT DO UPDATE SET state = x'00'",
    "block after a gap": "INSERT INTO log VALUES (3, 'shard-0', 4, 'flow.v1', x'00')",
    "first block of a stream that is not the first": "INSERT INTO log VALUES (3, 'shard-1', 2, 'flow.v1', x'00')",
    "replace of a block at the next position": "REPLACE INTO log VALUES (3, 'shard-0', 1, 'flow.v1', x'00')",
    "gap": "INSERT INTO log VALUES (4, 'shard-0', 3, 'flow.v1', x'00')",
    "no position": "INSERT INTO log (stream, version, topic, state) VALUES ('shard-0', 3, 'flow.v1', x'00')",
    "position before the first": "INSERT INTO log VALUES (0, 'shard-0', 0, 'flow.v1', x'00')",
    "ignored insert after a gap": "INSERT OR IGNORE INTO log VALUES (9, 'shard-0', 9, 'flow.v1', x'00')",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_sqlite_refuses_every_change_but_the_next_entry(sqlite_log: Any, change: str) -> None:
    with pytest.raises(sqlite.IntegrityError, match=r"^log: "):
        sqlite_log.execute(change)
    assert sqlite_log.execute("SELECT * FROM log ORDER BY position").fetchall() == ROWS


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO log VALUES (4, 'series-1', 1, 't', x'00')",
        "INSERT OR REPLACE INTO log VALUES (4, 'series-1', 1, 't', x'00')",
        "INSERT INTO log VALUES (4, 'series-1', 1, 't', x'00') ON CONFLICT DO UPDATE SET state = x'00'",
    ],
)
def test_sqlite_takes_no_version_of_a_stream_of_facts_twice(sqlite_log: Any, change: str) -> None:
    sqlite_log.execute("INSERT INTO log VALUES (3, 'series-1', 1, 't', x'01')")
    with pytest.raises(sqlite.IntegrityError, match=r"^log: "):
        sqlite_log.execute(change)
    # A fact may leave versions out, as the library's own tests do.
    sqlite_log.execute("INSERT INTO log VALUES (4, 'series-1', 7, 't', x'02')")
    assert sqlite_log.execute("SELECT count(*) FROM log").fetchone() == (4,)


@pytest.mark.parametrize("made_before", [False, True], ids=["made now", "made when the index held blocks"])
def test_blocks_are_found_without_sorting_them(tmp_path: Path, made_before: bool) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    migrate(url)
    with contextlib.closing(sqlite.connect(f"{tmp_path}/log.db", isolation_level=None)) as connection:
        if made_before:
            connection.execute("DROP INDEX log_stream_version")
            connection.execute("CREATE UNIQUE INDEX log_stream_version ON log (stream, version)")
        for statement in (_FIRST_FROM, _LAST_BLOCK):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement}", (1, "x")[-statement.count("?") :]).fetchall()
            assert not any("TEMP B-TREE" in row[3] for row in plan), plan
    streams = [("shard-0", 1), ("a", 1), ("shard-1", 1), ("shard-0", 2), ("a", 5), ("shard-0", 3), ("shard-1", 2)]
    with LogRecorder(url) as recorder:
        recorder.append([(stream, version, "t", b"") for stream, version in streams])
        for position, (stream, version) in enumerate(streams, 1):
            found = recorder.entry(stream, version)
            assert found is not None and found.position == position
        for stream, position in (("shard-0", 6), ("shard-1", 7), ("a", 5)):
            last = recorder.last_of_stream(stream)
            assert last is not None and last.position == position
        missing = [("shard-0", 4), ("shard-0", 0), ("shard-1", 3), ("shard-2", 1), ("a", 2), ("b", 1)]
        assert [recorder.entry(*each) for each in missing] == [None] * len(missing)


def test_sqlite_takes_the_next_entry_from_any_connection(sqlite_log: Any) -> None:
    sqlite_log.execute("INSERT INTO log VALUES (3, 'shard-0', 3, 'flow.v1', x'00')")
    assert sqlite_log.execute("SELECT count(*) FROM log").fetchone() == (3,)


@pytest.fixture
def postgres_log(postgres_database: str) -> Iterator[Connection]:
    """A connection of the log's owner, a superuser, to a log of two entries."""
    migrate(postgres_database)
    with LogRecorder(postgres_database) as recorder:
        recorder.append(ENTRIES)
    engine = create_engine(postgres_database, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def _rows(connection: Connection) -> list[Any]:
    selected = connection.execute(text("SELECT position, stream, version, topic, state FROM log ORDER BY position"))
    return [(*row[:4], bytes(row[4])) for row in selected]


OWNER_CHANGES = {
    "update": "UPDATE log SET state = '' WHERE position = 2",
    "delete": "DELETE FROM log WHERE position = 2",
    "truncate": "TRUNCATE log",
    "gap": "INSERT INTO log VALUES (4, 'shard-0', 3, 'flow.v1', '')",
    "taken position": "INSERT INTO log VALUES (2, 'shard-0', 3, 'flow.v1', '')",
    "taken version": "INSERT INTO log VALUES (3, 'shard-0', 2, 'flow.v1', '')",
    "upsert of a version": (
        "INSERT INTO log VALUES (3, 'shard-0', 2, 't', '') ON CONFLICT (stream, version) DO UPDATE SET state = ''"
    ),
    "two entries out of order": "INSERT INTO log VALUES (4, 'shard-0', 4, 't', ''), (3, 'shard-0', 3, 't', '')",
}


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("change", OWNER_CHANGES.values(), ids=OWNER_CHANGES.keys())
def test_postgres_refuses_every_change_even_to_the_owner(postgres_log: Connection, change: str, role: str) -> None:
    postgres_log.exec_driver_sql(f"SET session_replication_role = {role}")
    with pytest.raises(IntegrityError):
        postgres_log.execute(text(change))
    assert _rows(postgres_log) == ROWS


def test_a_temporary_table_cannot_stand_in_for_the_log(postgres_log: Connection) -> None:
    postgres_log.exec_driver_sql("CREATE TEMPORARY TABLE log (position BIGINT)")
    postgres_log.exec_driver_sql("INSERT INTO pg_temp.log VALUES (7)")
    with pytest.raises(IntegrityError, match="position must be the next one, got 8"):
        postgres_log.exec_driver_sql("INSERT INTO public.log VALUES (8, 'shard-0', 8, 'flow.v1', '')")


ROLE_CHANGES = {
    **{name: OWNER_CHANGES[name] for name in ("update", "delete", "truncate")},
    "drop": "DROP TABLE log",
    "alter": "ALTER TABLE log ADD COLUMN more TEXT",
    "drop a constraint": "ALTER TABLE log DROP CONSTRAINT log_stream_version",
    "disable the triggers": "ALTER TABLE log DISABLE TRIGGER ALL",
    "drop a trigger": "DROP TRIGGER log_refuses_change ON log",
    "replace a trigger's function": (
        "CREATE OR REPLACE FUNCTION public.log_refuses() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    ),
    "pretend to replicate": "SET session_replication_role = replica",
    "change the schema's revision": "UPDATE log_schema SET version_num = '9999'",
    "lock out everybody": "BEGIN; LOCK TABLE log IN ACCESS EXCLUSIVE MODE",
}


@pytest.mark.parametrize("change", ROLE_CHANGES.values(), ids=ROLE_CHANGES.keys())
@pytest.mark.parametrize("role", ["tallystick_writer", "tallystick_reader"])
def test_the_roles_of_the_application_have_no_right_to_change(postgres_log: Connection, role: str, change: str) -> None:
    postgres_log.exec_driver_sql(f"SET ROLE {role}")
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        postgres_log.execute(text(change))
    postgres_log.exec_driver_sql("ROLLBACK")
    assert _rows(postgres_log) == ROWS


def test_only_the_writer_may_append(postgres_log: Connection) -> None:
    statement = text("INSERT INTO log VALUES (3, 'shard-0', 3, 'flow.v1', '')")
    postgres_log.exec_driver_sql("SET ROLE tallystick_reader")
    with pytest.raises(ProgrammingError, match="permission denied"):
        postgres_log.execute(statement)
    postgres_log.exec_driver_sql("SET ROLE tallystick_writer")
    postgres_log.execute(statement)
    assert len(_rows(postgres_log)) == 3


def test_a_recorder_lays_down_the_owners_rights(postgres_database: str) -> None:
    migrate(postgres_database)
    with LogRecorder(postgres_database) as recorder:
        recorder.lock_writer()
        recorder.append(ENTRIES)
        with recorder._database.engine.connect() as connection:
            assert connection.execute(text("SELECT current_user")).scalar_one() == "tallystick_writer"
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text("DELETE FROM log"))
        assert [tuple(entry) for entry in recorder.read()] == ROWS
