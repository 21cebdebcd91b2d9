"""The recorder: the log as a table, and the only code that writes to it.

It keeps the `ApplicationRecorder` contract of the event sourcing library, and beside it the short road that the store
takes. What must always hold: positions run 1, 2, 3 … without a gap in the order of the commits, (stream, version) is
taken once, an entry is never changed, and what an append returned is durable.

The writer is fail-stop: after a failed append nobody knows what the database kept, so the recorder refuses every
further append until the log is opened anew. Reading goes on.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar
from uuid import UUID

from eventsourcing import persistence
from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from sqlalchemy import URL, Row, Select, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger.copy_binary import Entry, RecordedEntry
from ledger.engines import BLOCKS_PREFIX, IS_INDEXED, open_database
from ledger.outages import LogConflict, LogFull, LogLocked, LogOutage, LogUnavailable, SchemaMissing, SchemaUnknown
from ledger.schema import check, log, migrate
from ledger.signals import Listener, LocalSignals
from ledger.tail import Tail

__all__ = [
    "Entry",
    "LogConflict",
    "LogFull",
    "LogLocked",
    "LogOutage",
    "LogRecorder",
    "LogSubscription",
    "LogTransaction",
    "LogUnavailable",
    "RecordedEntry",
    "SchemaMissing",
    "SchemaUnknown",
    "migrate",
]

READ_BYTES_MAX = 16 * 1024 * 1024
READ_ROWS_MAX = 1000
_FIRST_READ_ROWS = 16

_SQLITE_FULL = 13
_POSTGRES_DISK_FULL = "53100"

P = ParamSpec("P")
R = TypeVar("R")

_ENTRY = (log.c.position, log.c.stream, log.c.version, log.c.topic, log.c.state)


class LogRecorder(ApplicationRecorder):
    """One log, open for reading and, by one writer at a time, for appending; any thread may call any method."""

    def __init__(self, url: str | URL) -> None:
        """Open the log at `url`; raises SchemaMissing, SchemaUnknown or LogUnavailable.

        `sqlite://` is a new, empty log in memory; its readers wait while a transaction is open.
        """
        self._writing = threading.RLock()
        self._last: int | None = None
        self._failure: BaseException | None = None
        self._is_writer = False
        """Whether nobody else appends: then the log ends where this recorder's last append ended."""
        self._tail = Tail()
        self._local = LocalSignals()
        self._database = open_database(url)
        # In memory there is one connection, so a reader must not come between the statements of a transaction.
        self._reading: contextlib.AbstractContextManager[Any] = (
            self._writing if self._database.in_memory else contextlib.nullcontext()
        )
        try:
            if self._database.in_memory:
                migrate(self._database.engine)
            with _outages(), self._database.engine.connect() as connection:
                check(connection)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections and the writer's lock."""
        with self._writing:
            self._database.close()

    # Writing

    def lock_writer(self) -> None:
        """Become the log's one writer until closed; raises LogLocked if another process or recorder is.

        The lock only gives the friendlier message: without it the second writer still collides on a position or on a
        (stream, version).
        """
        with self._writing, _outages():
            self._database.lock()
            self._last = self._database.max_position()
            self._is_writer = True

    def append(self, entries: Sequence[Entry], *, announce: bool = True) -> int:
        """Append `entries` in one durable transaction and return the position of the first; they are not empty.

        Without `announce` whoever calls it announces when there is time.

        Raises LogConflict if another writer was here first, LogFull or LogUnavailable if the database failed. After
        any of them the recorder refuses to append.
        """
        assert entries, "an append has at least one entry"
        with self._writing:
            first = self._next_position()
            self._attempt(self._database.append, first, entries)
            self._committed(first + len(entries) - 1, entries)
        if announce:
            self.announce()
        return first

    def announce(self) -> None:
        """Wake those in other processes who follow the log."""
        self._database.signals.announce()

    @contextlib.contextmanager
    def transaction(self) -> Iterator["LogTransaction"]:
        """One durable transaction over several appends: all are in the log when the block ends, or none.

        Entries stream into the open transaction, so that only those of one append are in memory. Errors are those of
        `append`. An exception of the block's own takes everything back and leaves the recorder usable.
        """
        with self._writing:
            first = self._next_position()
            self._attempt(self._database.begin)
            transaction = LogTransaction(first, self._attempt_insert)
            try:
                yield transaction
            except BaseException:
                if self._failure is None:
                    self._attempt(self._database.rollback)
                raise
            self._refuse_if_failed()
            self._attempt(self._database.commit)
            self._committed(transaction.next_position - 1)
        self.announce()

    def _committed(self, last: int, entries: Sequence[Entry] = ()) -> None:
        """Know where the log ends now, and tell this recorder's own followers. `entries`: all of the last append."""
        if self._local.has_listeners and entries:
            self._tail.keep(last - len(entries) + 1, entries)
        else:
            self._tail.forget()
        self._last = last
        self._local.announce()

    def _next_position(self) -> int:
        self._refuse_if_failed()
        if self._last is None:
            self._last = self._attempt(self._database.max_position)
        return self._last + 1

    def _attempt_insert(self, first: int, entries: Sequence[Entry]) -> None:
        self._refuse_if_failed()
        self._attempt(self._database.insert, first, entries)

    def _attempt(self, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Take one step towards a commit; if it fails, whatever the reason, no other is taken."""
        try:
            return step(*args, **kwargs)
        except BaseException as error:
            self._failure = error
            with contextlib.suppress(Exception):
                self._database.rollback()
            translated = _translated(error)
            if translated is None:
                raise
            raise translated from error

    def _refuse_if_failed(self) -> None:
        if self._failure is not None:
            raise LogUnavailable("an earlier append failed; the log must be opened anew") from self._failure

    # The library's contract

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Append events whose originator ids are the names of streams; returns their positions.

        Unlike `append` it asks the database for the last position each time and survives a conflict.
        """
        if not stored_events:
            return None
        entries = [(_stream_name(e.originator_id), e.originator_version, e.topic, e.state) for e in stored_events]
        with self._writing:
            self._refuse_if_failed()
            try:
                self._database.begin()
                first = self._database.max_position() + 1
                self._database.insert(first, entries)
                self._database.commit()
            except BaseException as error:
                self._recover(error)
                raise
            self._committed(first + len(entries) - 1)
        self.announce()
        return list(range(first, first + len(entries)))

    def _recover(self, error: BaseException) -> None:
        """Take back a refused insert, and raise what the library promises for it; anything worse stops the writer."""
        translated = _translated(error)
        self._failure = None if isinstance(translated, LogConflict | persistence.DataError) else error
        self._last = None
        try:
            self._database.rollback()
        except Exception as second:  # noqa: BLE001 (whatever it is, the transaction may still be open)
            self._failure = second
        if translated is not None:
            raise translated from error

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        stream = _stream_name(originator_id)
        statement = select(*_ENTRY).where(log.c.stream == stream)
        if self._database.engine.dialect.name == "sqlite" and not stream.startswith(BLOCKS_PREFIX):
            statement = statement.where(text(IS_INDEXED))
        if gt is not None:
            statement = statement.where(log.c.version > gt)
        if lte is not None:
            statement = statement.where(log.c.version <= lte)
        statement = statement.order_by(log.c.version.desc() if desc else log.c.version).limit(limit)
        return [StoredEvent(row.stream, row.version, row.topic, row.state) for row in self._rows(statement)]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> list[Notification]:
        """All of them are in memory at once, and an entry may have megabytes: who follows a log subscribes or reads."""
        statement = select(*_ENTRY).order_by(log.c.position).limit(limit)
        if start is not None:
            statement = statement.where(log.c.position >= start if inclusive_of_start else log.c.position > start)
        if stop is not None:
            statement = statement.where(log.c.position <= stop)
        if topics:
            statement = statement.where(log.c.topic.in_(topics))
        return [_notification(RecordedEntry._make(row)) for row in self._rows(statement)]

    def max_notification_id(self) -> int | None:
        return self.max_position() or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = (), *, pause_seconds: float = 0.0
    ) -> "LogSubscription":
        """Entries after a position as they come.

        After a look that found some the next one waits for `pause_seconds`: who follows a busy log takes many at once.
        """
        # Listening begins before the first look, so no commit falls between them.
        with _outages():
            listener = self._local.listen() if self._is_writer else self._database.signals.listen()
        return LogSubscription(self, gt, topics, listener, pause_seconds)

    # Reading

    def max_position(self) -> int:
        """Position of the last entry, 0 for an empty log."""
        last = self._last
        if self._is_writer and self._failure is None and last is not None:
            return last
        with self._reading, _outages():
            return self._database.committed_position()

    def read(
        self,
        start_position: int = 1,
        limit: int | None = None,
        max_bytes: int | None = None,
        *,
        stop_position: int | None = None,
        topics: Sequence[str] = (),
    ) -> Iterator[RecordedEntry]:
        """Entries from `start_position` on, in order, to the log's end, `limit` entries or `max_bytes` of state.

        The first entry comes whatever its size. Memory holds at most READ_BYTES_MAX or one larger entry, and no
        statement stays open while the caller works.
        """
        end = self.max_position() if stop_position is None else stop_position
        rows_left, bytes_left = limit, max_bytes
        rows = _FIRST_READ_ROWS
        at = start_position
        while at <= end and rows_left != 0 and (bytes_left is None or bytes_left > 0):
            entries = self.page(
                at,
                end,
                rows=rows if rows_left is None else min(rows, rows_left),
                max_bytes=READ_BYTES_MAX if bytes_left is None else min(bytes_left, READ_BYTES_MAX),
                topics=topics,
            )
            if not entries:
                return
            size = sum(len(entry.state) for entry in entries)
            if bytes_left is not None and size > bytes_left and at > start_position:
                return
            yield from entries
            at = entries[-1].position + 1
            rows_left = None if rows_left is None else rows_left - len(entries)
            bytes_left = None if bytes_left is None else bytes_left - size
            rows = READ_ROWS_MAX
            del entries  # Else two pages would be in memory while the next one is read.

    def page(
        self,
        start_position: int,
        stop_position: int,
        *,
        rows: int = READ_ROWS_MAX,
        max_bytes: int = READ_BYTES_MAX,
        topics: Sequence[str] = (),
    ) -> list[RecordedEntry]:
        """Entries from start to stop, inclusive: at most `rows`, at most `max_bytes` of state, but at least one."""
        if not topics and (kept := self._tail.page(start_position, stop_position, rows, max_bytes)) is not None:
            return kept
        with self._reading, _outages():
            return self._database.page(start_position, stop_position, rows=rows, max_bytes=max_bytes, topics=topics)

    def news(self, position: int, topics: Sequence[str] = ()) -> tuple[list[RecordedEntry], int]:
        """A page of what came after a position, and the position up to which nothing is missing in it."""
        if topics or self._is_writer:
            end = self.max_position()
            if end <= position:
                return [], position
            entries = self.page(position + 1, end, topics=topics)
            # An empty page means that nothing up to the end has the topics.
            return entries, entries[-1].position if entries else end
        entries = self.page(position + 1, position + READ_ROWS_MAX)
        return entries, entries[-1].position if entries else position

    def entries_of_topic(self, topic: str, start_position: int = 1) -> Iterator[RecordedEntry]:
        """All entries of one topic in order; passes over the others without reading their state."""
        return self.read(start_position, topics=(topic,))

    def entry(self, stream: str, version: int) -> RecordedEntry | None:
        """The entry with that version in its stream."""
        with self._reading, _outages():
            return self._database.entry(stream, version)

    def last_of_stream(self, stream: str) -> RecordedEntry | None:
        """The entry with the highest version of a stream."""
        with self._reading, _outages():
            return self._database.last_of_stream(stream)

    def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        with self._reading, _outages(), self._database.engine.connect() as connection:
            return connection.execute(statement).all()


class LogTransaction:
    """An open transaction; what is appended becomes visible and durable when its block ends."""

    def __init__(self, first_position: int, insert: Callable[[int, Sequence[Entry]], None]) -> None:
        self.next_position = first_position
        self._insert = insert

    def append(self, entries: Sequence[Entry]) -> int:
        """Add `entries` and return the position of the first; raises as `LogRecorder.append` does."""
        first = self.next_position
        if entries:
            self._insert(first, entries)
            self.next_position += len(entries)
        return first


class LogSubscription(Subscription[LogRecorder]):
    """Follows the log from a position on; holds at most READ_BYTES_MAX of entries or one larger entry."""

    POLL_SECONDS = 0.25

    def __init__(
        self,
        recorder: LogRecorder,
        gt: int | None,
        topics: Sequence[str],
        listener: Listener,
        pause_seconds: float,
    ) -> None:
        super().__init__(recorder, gt, topics)
        self._looked_at = gt or 0
        self._waiting: deque[RecordedEntry] = deque()
        self._listener = listener
        self._pause_seconds = pause_seconds
        self._found_some = False
        self._stopping = threading.Event()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._waiting:
                return _notification(self._waiting.popleft())
            self._look()
        self._waiting.clear()
        raise StopIteration

    def _look(self) -> None:
        if self._found_some and self._pause_seconds:
            self._stopping.wait(self._pause_seconds)
        before = self._looked_at
        entries, self._looked_at = self._recorder.news(before, self._topics)
        self._waiting.extend(entries)
        self._found_some = bool(entries)
        if self._looked_at == before:
            with _outages():
                self._listener.wait(self.POLL_SECONDS)

    def stop(self) -> None:
        super().stop()
        self._stopping.set()
        self._listener.interrupt()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        super().__exit__(*args, **kwargs)
        self._listener.close()


def _notification(entry: RecordedEntry) -> Notification:
    return Notification(entry.stream, entry.version, entry.topic, entry.state, entry.position)


def _stream_name(originator_id: UUID | str) -> str:
    if not isinstance(originator_id, str):
        raise persistence.ProgrammingError(f"originator_id: must be the name of a stream, got {originator_id!r}")
    return originator_id


@contextlib.contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except LogOutage:
        raise
    except Exception as error:
        translated = _translated(error)
        if translated is None:
            raise
        raise translated from error


def _translated(error: BaseException) -> persistence.PersistenceError | None:
    """The library's exception for one of a driver's or SQLAlchemy's; None for an error that is neither's."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if getattr(cause, "pgcode", None) == _POSTGRES_DISK_FULL or getattr(cause, "sqlite_errorcode", 0) == _SQLITE_FULL:
        return LogFull(f"no room left for the log: {cause}")
    # PEP 249 gives every driver's exceptions these names; a driver's own subclass is found by its bases.
    names = {base.__name__ for base in type(cause).__mro__ if base.__module__.startswith(_DRIVERS)}
    if "IntegrityError" in names:
        return LogConflict(f"the log refused an entry: {cause}")
    if "DataError" in names:
        return persistence.DataError(str(cause))
    if "ProgrammingError" in names:
        return persistence.ProgrammingError(str(cause))
    if names or isinstance(error, SQLAlchemyError):
        return LogUnavailable(f"the log's database failed: {cause}")
    return None


_DRIVERS = ("pysqlite3", "psycopg2", "sqlite3")
