"""How the two databases under the log are opened, written and read.

What differs between SQLite and PostgreSQL is here and nowhere else: settings that make a commit durable, the one
connection that writes, reading a page of bounded size, and the lock against a second writer. The figures behind the
settings are in docs/decisions/0003-log-storage.md.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.pool import StaticPool

from ledger.copy_binary import CopySink, CopySource, Entry, RecordedEntry
from ledger.outages import LogLocked, SchemaMissing
from ledger.signals import LocalSignals, NotifySignals, Signals, SocketSignals

PAGE_BYTES = 16 * 1024
CHECKPOINT_BYTES = 8 * 1024 * 1024
# After one very long transaction the WAL file gives back what it took beyond this.
WAL_BYTES_KEPT = 64 * 1024 * 1024
BUSY_MS = 10_000
# Below, one INSERT saves COPY's second round trip; above, the escaped text of INSERT costs more than that.
COPY_FROM_BYTES = 4096

WRITER_ROLE = "tallystick_writer"
WRITER_LOCK = 0x7461_6C6C_7973_7469  # The key of the advisory lock, which is per database: "tallysti".

# The writer and every follower keep a connection, so readers must not wait for one to come back.
_ANY_NUMBER = -1

# More than any piece has, so that the driver takes each piece as it comes.
_WHOLE_PIECES = 1 << 30

# From PostgreSQL 16 on a member may be kept from becoming the role.
_SET_ROLE_IS_A_RIGHT = 160000

_INSERT = "INSERT INTO log (position, stream, version, topic, state) VALUES (?, ?, ?, ?, ?)"
_SELECT = "SELECT position, stream, version, topic, state FROM log"
_MAX_POSITION = "SELECT coalesce(max(position), 0) FROM log"
BLOCKS_PREFIX = "shard-"
"""Begins the names of streams whose versions are 1, 2, 3 ... in the order of the log: those of flow blocks."""
# The + keeps SQLite from the index: a log that was made when it held blocks too would sort all of them.
_FIRST_FROM = "SELECT position, version FROM log WHERE position >= ? AND +stream = ? ORDER BY position LIMIT 1"
_LAST_BLOCK = f"{_SELECT} WHERE +stream = ? ORDER BY position DESC LIMIT 1"
IS_INDEXED = f"stream NOT GLOB '{BLOCKS_PREFIX}*'"
"""SQLite looks into the index of streams and versions only where this is asked, too."""


class Database(Protocol):
    """One open database that holds a log; the connection that writes is opened when first used."""

    engine: Engine
    signals: Signals
    in_memory: bool

    def begin(self) -> None: ...

    def insert(self, first_position: int, entries: Sequence[Entry]) -> None:
        """Insert into the open transaction, or, on its own, as one transaction where the database can."""

    def append(self, first_position: int, entries: Sequence[Entry]) -> None:
        """Begin, insert and commit, in as few round trips as the database allows."""

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def max_position(self) -> int:
        """The last position as the writing connection sees it; 0 for an empty log."""

    def committed_position(self) -> int:
        """The last position as any reader sees it; 0 for an empty log."""

    def page(self, start: int, stop: int, *, rows: int, max_bytes: int, topics: Sequence[str]) -> list[RecordedEntry]:
        """Entries of start..stop in order, at most `rows`, together at most `max_bytes` of state, but at least one."""

    def entry(self, stream: str, version: int) -> RecordedEntry | None:
        """The entry with that version in its stream."""

    def last_of_stream(self, stream: str) -> RecordedEntry | None:
        """The entry with the highest version of a stream."""

    def lock(self) -> None:
        """Hold the writer's lock until closed; raises LogLocked."""

    def close(self) -> None: ...


def open_database(url: str | URL) -> Database:
    """Open the database at `url`; raises SchemaMissing where a SQLite file does not exist."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not _is_in_memory(parsed) and not Path(str(parsed.database)).exists():
            raise SchemaMissing(f"no log at {parsed.database}: migrate it first")
        return SqliteDatabase(open_engine(parsed))
    return PostgresDatabase(open_engine(parsed))


def open_engine(url: str | URL, *, autocommit: bool = True) -> Engine:
    """An engine for a log, on `sqlite:///path`, `sqlite://` (in memory) or `postgresql://…`.

    With `autocommit` each statement stands alone unless it begins a transaction itself, and on PostgreSQL the session
    gives up every right but those of the writer's role, if there is one and it may.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite_engine(parsed)
        case "postgresql":
            return _postgres_engine(parsed, autocommit=autocommit)
        case other:
            raise ValueError(f"url: the database of a log must be sqlite or postgresql, got {other}")


@contextlib.contextmanager
def _reader(engine: Engine) -> Iterator[Any]:
    """The driver's cursor on a connection of the pool."""
    with (
        contextlib.closing(engine.raw_connection()) as connection,
        contextlib.closing(connection.cursor()) as cursor,
    ):
        yield cursor


def _entry(row: Sequence[Any] | None) -> RecordedEntry | None:
    return None if row is None else RecordedEntry._make((*row[:4], bytes(row[4])))


def _committed_position(engine: Engine) -> int:
    with _reader(engine) as cursor:
        cursor.execute(_MAX_POSITION)
        return int(cursor.fetchone()[0])


def _is_in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:")


# SQLite


def _sqlite_engine(url: URL) -> Engine:
    options: dict[str, Any] = {"max_overflow": _ANY_NUMBER}
    if _is_in_memory(url):
        # There is one connection, so giving it back must not roll back what the writer has begun on it.
        options = {
            "poolclass": StaticPool,
            "pool_reset_on_return": None,
            "isolation_level": "AUTOCOMMIT",
            "skip_autocommit_rollback": True,
        }
    engine = create_engine(
        url.set(drivername="sqlite"),
        module=sqlite,
        connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False},
        **options,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # The driver begins nothing by itself.
        for pragma in (
            f"page_size = {PAGE_BYTES}",  # Has an effect only on a file that is still empty.
            "journal_mode = WAL",
            # FULL is the promise: with less, a power cut loses acknowledged commits.
            "synchronous = FULL",
            f"wal_autocheckpoint = {CHECKPOINT_BYTES // PAGE_BYTES}",
            f"journal_size_limit = {WAL_BYTES_KEPT}",
            # INSERT OR REPLACE then also meets the trigger against DELETE.
            "recursive_triggers = ON",
            "trusted_schema = OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    return engine


class SqliteDatabase:
    """A log in one SQLite file, or in memory, where everybody shares one connection."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.in_memory = _is_in_memory(engine.url)
        self._path = "" if self.in_memory else os.path.realpath(str(engine.url.database))
        self.signals: Signals = LocalSignals() if self.in_memory else SocketSignals(Path(f"{self._path}.signals"))
        self._proxy: Any = None
        self._lock_file: int | None = None

    @property
    def _writer(self) -> Any:
        if self._proxy is None:
            self._proxy = self.engine.raw_connection()
        return self._proxy.driver_connection

    def begin(self) -> None:
        # IMMEDIATE: a second writer waits here, not in the middle, and then sees what the first one wrote.
        self._writer.execute("BEGIN IMMEDIATE")

    def insert(self, first_position: int, entries: Sequence[Entry]) -> None:
        self._writer.executemany(
            _INSERT,
            [(position, *entry) for position, entry in enumerate(entries, first_position)],
        )

    def append(self, first_position: int, entries: Sequence[Entry]) -> None:
        if len(entries) == 1:
            self._writer.execute(_INSERT, (first_position, *entries[0]))  # Without BEGIN a statement commits by itself.
            return
        self.begin()
        self.insert(first_position, entries)
        self.commit()

    def commit(self) -> None:
        self._writer.execute("COMMIT")

    def rollback(self) -> None:
        self._writer.rollback()

    def max_position(self) -> int:
        return int(self._writer.execute(_MAX_POSITION).fetchone()[0])

    def committed_position(self) -> int:
        return _committed_position(self.engine)

    def page(self, start: int, stop: int, *, rows: int, max_bytes: int, topics: Sequence[str]) -> list[RecordedEntry]:
        chosen = f" AND topic IN ({', '.join('?' * len(topics))})" if topics else ""
        statement = f"{_SELECT} WHERE position BETWEEN ? AND ?{chosen} ORDER BY position LIMIT ?"
        entries: list[RecordedEntry] = []
        size = 0
        # The statement ends with this block: one that stays open would keep the WAL from starting over.
        with _reader(self.engine) as cursor:
            cursor.execute(statement, (start, stop, *topics, rows))
            for row in cursor:
                size += len(row[4])
                if entries and size > max_bytes:
                    break
                entries.append(RecordedEntry._make(row))
        return entries

    def entry(self, stream: str, version: int) -> RecordedEntry | None:
        with _reader(self.engine) as cursor:
            if not stream.startswith(BLOCKS_PREFIX):
                cursor.execute(f"{_SELECT} WHERE stream = ? AND version = ? AND {IS_INDEXED}", (stream, version))
                return _entry(cursor.fetchone())
            # No index has them: they are found by bisection, since a later one has a greater version.
            cursor.execute(_MAX_POSITION)
            low, high = max(version, 1), int(cursor.fetchone()[0])
            while low <= high:
                middle = (low + high) // 2
                cursor.execute(_FIRST_FROM, (middle, stream))
                found = cursor.fetchone()
                if found is None or found[1] > version:
                    high = middle - 1
                elif found[1] < version:
                    low = found[0] + 1
                else:
                    cursor.execute(f"{_SELECT} WHERE position = ?", (found[0],))
                    return _entry(cursor.fetchone())
        return None

    def last_of_stream(self, stream: str) -> RecordedEntry | None:
        last_fact = f"{_SELECT} WHERE stream = ? AND {IS_INDEXED} ORDER BY version DESC LIMIT 1"
        with _reader(self.engine) as cursor:
            cursor.execute(_LAST_BLOCK if stream.startswith(BLOCKS_PREFIX) else last_fact, (stream,))
            return _entry(cursor.fetchone())

    def lock(self) -> None:
        if self.in_memory or self._lock_file is not None:
            return
        lock_file = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock_file)
            raise LogLocked(f"another writer holds {self._path}") from error
        self._lock_file = lock_file

    def close(self) -> None:
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None
        self.engine.dispose()
        if isinstance(self.signals, SocketSignals):
            self.signals.close()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None


# PostgreSQL


def _postgres_engine(url: URL, *, autocommit: bool) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg2"),
        isolation_level="AUTOCOMMIT" if autocommit else "READ COMMITTED",
        client_encoding="utf8",
        max_overflow=_ANY_NUMBER,
    )
    if autocommit:
        event.listen(engine, "connect", _take_writer_role)
    return engine


def _take_writer_role(connection: Any, _record: object) -> None:
    """Keep commits durable whatever the server's default, and lay down the rights that an append does not need."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute(
            "SELECT set_config('role', rolname, false) FROM pg_roles"
            " WHERE rolname = %s AND pg_has_role(current_user, oid, %s)",
            (WRITER_ROLE, "SET" if connection.server_version >= _SET_ROLE_IS_A_RIGHT else "MEMBER"),
        )


class PostgresDatabase:
    """A log in a PostgreSQL database."""

    in_memory = False

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.signals: Signals = NotifySignals(engine.raw_connection)
        self._proxy: Any = None

    @property
    def _writer(self) -> Any:
        if self._proxy is None:
            self._proxy = self.engine.raw_connection()
        return self._proxy

    def begin(self) -> None:
        self._execute("BEGIN")

    def insert(self, first_position: int, entries: Sequence[Entry]) -> None:
        with self._writer.cursor() as cursor:
            if sum(len(state) for _, _, _, state in entries) < COPY_FROM_BYTES:
                cursor.execute(
                    "INSERT INTO log (position, stream, version, topic, state) VALUES "  # noqa: S608 (placeholders)
                    + ", ".join(["(%s, %s, %s, %s, %s)"] * len(entries)),
                    [value for position, entry in enumerate(entries, first_position) for value in (position, *entry)],
                )
                return
            cursor.copy_expert(
                "COPY log (position, stream, version, topic, state) FROM STDIN (FORMAT BINARY)",
                CopySource(first_position, entries),
                size=_WHOLE_PIECES,
            )

    def append(self, first_position: int, entries: Sequence[Entry]) -> None:
        # Outside a transaction a statement is one by itself, and either way there is one statement.
        self.insert(first_position, entries)

    def commit(self) -> None:
        self._execute("COMMIT")

    def rollback(self) -> None:
        self._execute("ROLLBACK")

    def max_position(self) -> int:
        return int(self._execute(_MAX_POSITION)[0])

    def committed_position(self) -> int:
        return _committed_position(self.engine)

    def page(self, start: int, stop: int, *, rows: int, max_bytes: int, topics: Sequence[str]) -> list[RecordedEntry]:
        sink = CopySink()
        with _reader(self.engine) as cursor:
            # The lengths are known without reading the payloads, so the server sends no byte too many.
            statement = cursor.mogrify(
                """
                COPY (
                    SELECT position, stream, version, topic, state
                    FROM (
                        SELECT *, octet_length(state) AS size,
                               sum(octet_length(state)) OVER (ORDER BY position) AS total
                        FROM log
                        WHERE position BETWEEN %s AND %s AND (%s OR topic = ANY(%s))
                        ORDER BY position LIMIT %s
                    ) AS page
                    WHERE total <= %s OR total = size
                    ORDER BY position
                ) TO STDOUT (FORMAT BINARY)
                """,
                (start, stop, not topics, list(topics), rows, max_bytes),
            )
            cursor.copy_expert(statement, sink)
        return sink.entries

    def entry(self, stream: str, version: int) -> RecordedEntry | None:
        return self._read_one("stream = %s AND version = %s", stream, version)

    def last_of_stream(self, stream: str) -> RecordedEntry | None:
        return self._read_one("stream = %s ORDER BY version DESC LIMIT 1", stream)

    def _read_one(self, which: str, *values: object) -> RecordedEntry | None:
        with _reader(self.engine) as cursor:
            cursor.execute(f"{_SELECT} WHERE {which}", values)
            return _entry(cursor.fetchone())

    def lock(self) -> None:
        if not self._execute(f"SELECT pg_try_advisory_lock({WRITER_LOCK})")[0]:
            raise LogLocked(f"another writer holds the log in database {self.engine.url.database}")

    def close(self) -> None:
        if self._proxy is not None:
            # The server notices some time later that a session ended; the next writer shall not have to wait for that.
            with contextlib.suppress(Exception):
                self._execute("SELECT pg_advisory_unlock_all()")
            # Closed, not given back: the lock lives as long as the session.
            self._proxy.invalidate()
            self._proxy = None
        self.engine.dispose()

    def _execute(self, statement: str) -> Any:
        with self._writer.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone() if cursor.description else None
