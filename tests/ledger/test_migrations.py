"""Making a log and refusing one that this release does not know."""

from argparse import Namespace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import create_engine, inspect, text

import ledger.schema
from ledger.engines import CHECKPOINT_BYTES, PAGE_BYTES, open_engine
from ledger.recorder import LogRecorder, SchemaMissing, SchemaUnknown, migrate
from ledger.schema import REVISION, log


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    database: str = request.getfixturevalue("postgres_database")
    return database


def test_migrating_twice_changes_nothing(url: str) -> None:
    migrate(url)
    with LogRecorder(url) as recorder:
        recorder.append([("s", 1, "t", b"x")])
    migrate(url)
    with LogRecorder(url) as recorder:
        assert recorder.max_position() == 1


def test_the_table_made_is_the_table_described(url: str) -> None:
    migrate(url)
    engine = create_engine(url)
    columns = inspect(engine).get_columns("log")
    unique = [index["column_names"] for index in inspect(engine).get_indexes("log") if index["unique"]]
    engine.dispose()
    assert [(c["name"], c["nullable"]) for c in columns] == [(c.name, c.nullable) for c in log.columns]
    assert unique == [["stream", "version"]]


def test_the_expected_revision_is_the_newest_migration() -> None:
    assert ScriptDirectory(str(_folder())).get_heads() == [REVISION]


def _folder() -> Path:
    return Path(ledger.schema.__file__).parent / "migrations"


def test_the_command_line_migrates_the_url_it_is_given(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.cmd_opts = _options(url)
    command.upgrade(config, "head")
    with LogRecorder(url) as recorder:
        assert recorder.max_position() == 0


def _options(url: str) -> Namespace:
    return Namespace(x=[f"url={url}"])


def test_a_log_is_never_taken_back_to_an_older_schema(url: str) -> None:
    migrate(url)
    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.cmd_opts = _options(url)
    with pytest.raises(NotImplementedError):
        command.downgrade(config, "base")
    LogRecorder(url).close()


def test_a_log_that_was_never_migrated_is_refused(postgres_database: str) -> None:
    with pytest.raises(SchemaMissing) as missing:
        LogRecorder(postgres_database)
    assert missing.value.code == "log_schema_missing"


def test_a_file_that_does_not_exist_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(SchemaMissing):
        LogRecorder(f"sqlite:///{tmp_path}/log.db")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_schema_is_refused_by_opening_and_by_migrating(url: str) -> None:
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE log_schema SET version_num = '0999'"))
    engine.dispose()
    for attempt in (LogRecorder, migrate):
        with pytest.raises(SchemaUnknown) as unknown:
            attempt(url)
        assert (unknown.value.code, unknown.value.found, unknown.value.expected) == (
            "log_schema_unknown",
            "0999",
            REVISION,
        )


def test_a_sqlite_log_is_durable_and_has_the_measured_sizes(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/log.db")
    engine = open_engine(f"sqlite:///{tmp_path}/log.db")
    with engine.connect() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
            for pragma in ("page_size", "journal_mode", "synchronous", "wal_autocheckpoint")
        }
    engine.dispose()
    full = 2
    assert found == {
        "page_size": PAGE_BYTES,
        "journal_mode": "wal",
        "synchronous": full,
        "wal_autocheckpoint": CHECKPOINT_BYTES // PAGE_BYTES,
    }


def test_a_postgres_log_waits_for_the_disk_whatever_the_servers_default(postgres_database: str) -> None:
    migrate(postgres_database)
    owner = create_engine(postgres_database, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    owner.dispose()
    engine = open_engine(postgres_database)
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        storage = text(
            "SELECT attstorage::text FROM pg_attribute WHERE attrelid = 'log'::regclass AND attname = 'state'"
        )
        assert connection.execute(storage).scalar_one() == "e"
    engine.dispose()


def test_the_sqlite_library_is_one_without_the_wal_reset_defect() -> None:
    assert sqlite.sqlite_version_info >= (3, 51, 3)
