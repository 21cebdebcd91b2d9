"""Where read models live: generations beside each other, one of them current.

A generation is all read models together: a SQLite file `<n>.sqlite` in a folder, or a PostgreSQL schema
`projections_<n>`. The current one is named by the file `current` or the table `public.projection_generation`. What is
in a generation can always be built again, so commits need not reach the disk at once.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import URL, Engine, Table, create_engine, event, text

from projections.schema import HOUSEKEEPING, metadata
from projections.tracking import LOG, SqlTrackingRecorder

BUSY_MS: Final = 10_000
PAGE_BYTES: Final = 8192
CACHE_KIB: Final = 64 * 1024
CHECKPOINT_PAGES: Final = (16 << 20) // PAGE_BYTES
SCHEMA_PREFIX: Final = "projections_"


class GenerationMissing(LookupError):
    """No such generation, or none is current."""

    code: Final = "generation_missing"

    def __init__(self, wanted: int | None) -> None:
        super().__init__(f"no read models: generation {'current' if wanted is None else wanted} does not exist")


class ReadDatabase:
    """One generation, open; any thread may take connections of `engine`."""

    def __init__(self, engine: Engine, generation: int) -> None:
        self.engine = engine
        self.generation = generation
        self.tracking = SqlTrackingRecorder(engine)

    def position(self) -> int:
        """The last position of the log whose rows are committed; 0 before the first."""
        return self.tracking.max_tracking_id(LOG) or 0

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class Generations(Protocol):
    """The generations of one house."""

    def current(self) -> int | None:
        """The number of the generation that readers use; None before the first."""
        ...

    def all(self) -> list[int]:
        """Numbers of all generations, ascending."""
        ...

    def create(self, tables: Sequence[Table]) -> ReadDatabase:
        """A new generation with these tables, empty, numbered one above the highest; not yet current."""
        ...

    def open(self, generation: int | None = None, *, read_only: bool = False) -> ReadDatabase:
        """A generation, by default the current one. Raises GenerationMissing."""
        ...

    def make_current(self, generation: int) -> None:
        """From now on readers and followers use this one."""
        ...

    def drop(self, generation: int) -> None:
        """Remove a generation that is not current."""
        ...

    def close(self) -> None:
        """Give up what looking and choosing need; open generations stay open."""
        ...


def generations_at(place: Path | URL) -> Generations:
    """The generations in a folder (SQLite), or in the PostgreSQL database at a URL."""
    return FolderGenerations(place) if isinstance(place, Path) else SchemaGenerations(place)


def _create_tables(engine: Engine, tables: Sequence[Table]) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection, tables=[*HOUSEKEEPING, *tables], checkfirst=False)


# SQLite


class FolderGenerations:
    """Files in a folder, which is made when the first is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current(self) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return int((self._folder / "current").read_text())
        return None

    def all(self) -> list[int]:
        return sorted(int(file.stem) for file in self._folder.glob("*.sqlite") if file.stem.isdecimal())

    def create(self, tables: Sequence[Table]) -> ReadDatabase:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        generation = max(self.all(), default=0) + 1
        file = self._file(generation)
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        database = ReadDatabase(_sqlite_engine(file, read_only=False), generation)
        _create_tables(database.engine, tables)
        return database

    def open(self, generation: int | None = None, *, read_only: bool = False) -> ReadDatabase:
        chosen = self.current() if generation is None else generation
        if chosen is None or not self._file(chosen).exists():
            raise GenerationMissing(chosen)
        return ReadDatabase(_sqlite_engine(self._file(chosen), read_only=read_only), chosen)

    def make_current(self, generation: int) -> None:
        assert self._file(generation).exists(), generation
        fresh = self._folder / "current.new"
        fresh.write_text(f"{generation}\n")
        fresh.replace(self._folder / "current")

    def drop(self, generation: int) -> None:
        assert generation != self.current(), generation
        for suffix in ("", "-wal", "-shm"):
            self._file(generation).with_name(f"{generation}.sqlite{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is kept open."""

    def _file(self, generation: int) -> Path:
        return self._folder / f"{generation}.sqlite"


def _sqlite_engine(file: Path, *, read_only: bool) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(file)),
        module=sqlite,
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        max_overflow=-1,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # The driver begins nothing by itself.
        for pragma in (
            f"page_size = {PAGE_BYTES}",  # Has an effect only on a file that is still empty.
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"cache_size = -{CACHE_KIB}",
            f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "temp_store = MEMORY",
            *(("query_only = ON",) if read_only else ()),
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A reader's questions in one transaction see one moment; a writer waits here and not in the middle.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


# PostgreSQL


class SchemaGenerations:
    """Schemas of one database."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg2")
        self._engine = create_engine(self._url, pool_size=1, max_overflow=-1)

    def current(self) -> int | None:
        with self._engine.connect() as connection:
            if connection.scalar(text("SELECT to_regclass('public.projection_generation')")) is None:
                return None
            generation = connection.scalar(text("SELECT generation FROM public.projection_generation"))
            return None if generation is None else int(generation)

    def all(self) -> list[int]:
        with self._engine.connect() as connection:
            names = connection.scalars(text("SELECT nspname FROM pg_namespace")).all()
        found = (re.fullmatch(rf"{SCHEMA_PREFIX}(\d+)", name) for name in names)
        return sorted(int(match[1]) for match in found if match)

    def create(self, tables: Sequence[Table]) -> ReadDatabase:
        generation = max(self.all(), default=0) + 1
        with self._engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA_PREFIX}{generation}"))
        database = self._opened(generation, read_only=False)
        _create_tables(database.engine, tables)
        return database

    def open(self, generation: int | None = None, *, read_only: bool = False) -> ReadDatabase:
        chosen = self.current() if generation is None else generation
        if chosen is None or chosen not in self.all():
            raise GenerationMissing(chosen)
        return self._opened(chosen, read_only=read_only)

    def make_current(self, generation: int) -> None:
        assert generation in self.all(), generation
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "CREATE TABLE IF NOT EXISTS public.projection_generation"
                    " (single boolean PRIMARY KEY DEFAULT true CHECK (single), generation bigint NOT NULL)"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO public.projection_generation (generation) VALUES (:generation)"
                    " ON CONFLICT (single) DO UPDATE SET generation = excluded.generation"
                ),
                {"generation": generation},
            )

    def drop(self, generation: int) -> None:
        assert generation != self.current(), generation
        with self._engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA IF EXISTS {SCHEMA_PREFIX}{generation} CASCADE"))

    def close(self) -> None:
        self._engine.dispose()

    def _opened(self, generation: int, *, read_only: bool) -> ReadDatabase:
        settings = {"search_path": f"{SCHEMA_PREFIX}{generation}", "synchronous_commit": "off"}
        if read_only:
            settings["default_transaction_read_only"] = "on"
        engine = create_engine(
            self._url,
            max_overflow=-1,
            connect_args={"options": " ".join(f"-c{name}={value}" for name, value in settings.items())},
        )
        return ReadDatabase(engine, generation)
