"""The composition root: the only place that builds and wires the house, and the only one that knows the outside.

Clock, randomness and file locations enter here and are passed down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from sqlalchemy import URL, make_url

from api.metrics import MeteredSequencer, MeteredWriter, Metrics
from domain.commands import OpenHouse, RecordStateRoot
from domain.values import HOUSE
from ledger.blocks import decode_block
from ledger.copy_binary import RecordedEntry
from ledger.engines import open_engine
from ledger.keys import KeyStore, SqliteKeyStore
from ledger.outages import LogConflict
from ledger.recorder import Entry, LogRecorder, LogTransaction
from ledger.recovery import recover
from ledger.replay import Replay
from ledger.requests import Requests
from ledger.schema import migrate
from ledger.sequencer import Answer, Ask, Item, Sequencer, Tick
from ledger.shadow import Shadow
from ledger.snapshots import Snapshots
from ledger.state import State
from ledger.store import SHARD_STREAM, Appended, Store
from ledger.tables import LIMITS, Limits
from matching.layout import Kind, Section
from projections.database import Generations, generations_at
from projections.models import read_models
from projections.runner import Following

PRIVATE_FOLDER: Final = 0o700
SHADOW_PAUSE_SECONDS: Final = 0.01
"""Between two looks of the shadow at a busy log, so that it takes many entries at once."""
_COPY_LOG: Final = (
    "COPY (SELECT position, stream, version, topic, state FROM log ORDER BY position) TO STDOUT (FORMAT BINARY)"
)
_LAST_ENTRY: Final = "SELECT position, stream, version, topic, state FROM log ORDER BY position DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Places:
    """Where one house keeps its log, keys and snapshots."""

    data: Path
    log_url: URL

    @property
    def keys(self) -> Path:
        return self.data / "keys.sqlite"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshots"

    @property
    def projections(self) -> Path:
        """Folder of the generations of the read models, where the log is a file."""
        return self.data / "projections"

    @property
    def log_path(self) -> Path:
        """The file of a log that is one."""
        assert not self.is_postgres
        return Path(str(self.log_url.database))

    @property
    def is_postgres(self) -> bool:
        return self.log_url.get_backend_name() == "postgresql"

    @property
    def socket(self) -> Path:
        return self.data / "writer.sock"

    @property
    def shown_url(self) -> str:
        """The log's URL without its password."""
        return self.log_url.render_as_string(hide_password=True)


def places(data: Path, log_url: str | None = None) -> Places:
    """The places below a data folder; without a URL the log is a SQLite file in it. Raises ArgumentError for no URL."""
    url = make_url(log_url) if log_url else URL.create("sqlite", database=str(data / "log.sqlite"))
    return Places(data, url)


def make_log(where: Places) -> None:
    """Make the data folder and the log's table, or bring it to this release's schema; twice changes nothing."""
    where.data.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    migrate(where.log_url.render_as_string(hide_password=False))


@contextmanager
def log_for_reading(where: Places) -> Iterator[LogRecorder]:
    """The log as it is, beside whoever writes it. Raises SchemaMissing, SchemaUnknown or LogUnavailable."""
    with LogRecorder(where.log_url) as recorder:
        yield recorder


def snapshot_of_log(where: Places, out: IO[bytes]) -> RecordedEntry | None:
    """Write the rows of a log in PostgreSQL as binary COPY to `out`, all of one moment; returns the last of them.

    Nobody waits for it: it reads a snapshot. Raises SchemaMissing, SchemaUnknown or LogUnavailable.
    """
    with log_for_reading(where):  # It is a log, and one that this release knows.
        pass
    engine = open_engine(where.log_url)
    try:
        with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as lent:
            cursor: Any = lent  # The driver's own: COPY is no part of the common interface.
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.copy_expert(_COPY_LOG, out)
            cursor.execute(_LAST_ENTRY)
            row = cursor.fetchone()
            cursor.execute("COMMIT")
    finally:
        engine.dispose()
    return None if row is None else RecordedEntry._make((*row[:4], bytes(row[4])))


def copy_into_log(where: Places, entries: Iterable[RecordedEntry]) -> None:
    """Append the entries of another log to the empty one at `where`, as they are and in one transaction.

    Raises LogConflict where their positions are not 1, 2, 3 …, and the outages of the log.
    """
    with LogRecorder(where.log_url) as recorder:
        recorder.lock_writer()
        with recorder.transaction() as transaction:
            for entry in entries:
                first = transaction.append([(entry.stream, entry.version, entry.topic, entry.state)])
                if first != entry.position:
                    raise LogConflict(f"the entry at position {entry.position} would get position {first}")


def key_store(where: Places, entropy: Callable[[int], bytes] = os.urandom) -> KeyStore:
    """The keys of the data folder, made if there are none."""
    return SqliteKeyStore(where.keys, entropy)


class ShadowFailed(RuntimeError):
    """The shadow disagrees with the log or the writer, or does not answer."""

    code: Final = "shadow_failed"


class Roots(Protocol):
    """Where the roots of a shadow process arrive."""

    def root(self, at_command: int) -> RecordStateRoot:
        """The root after a command, waited for. Raises ShadowFailed."""
        ...


class House:
    """A running writer with everything it needs."""

    def __init__(
        self,
        where: Places,
        *,
        clock: Callable[[], int] = time.time_ns,
        entropy: Callable[[int], bytes] = os.urandom,
        limits: Limits = LIMITS,
        on_entry: Callable[[int], None] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """Open, migrate if new, recover, and be ready to decide. Raises the outages and refusals of the log.

        `on_entry(position)` is called after each entry that is replayed.
        """
        if not __debug__:
            raise RuntimeError("the invariants of the house are assertions: do not run Python with -O")
        make_log(where)
        self.where = where
        self.shadow: Roots | None = None
        """Where the roots of the shadow process arrive, if one follows this house."""
        self.metrics = metrics
        self.recorder = LogRecorder(where.log_url) if metrics is None else _MeteredRecorder(where.log_url, metrics)
        try:
            self.recorder.lock_writer()
            self.keys = key_store(where, entropy)
            self.store = Store(self.recorder)
            self.snapshots = Snapshots(where.snapshots)
            replay = recover(self.store, self.snapshots, limits, on_entry)
            requests = replay.requests or Requests()
            self.sequencer = (
                Sequencer(self.store, replay.state, requests, self.keys, clock)
                if metrics is None
                else MeteredSequencer(self.store, replay.state, requests, self.keys, clock, metrics=metrics)
            )
            if not self.state.catalogue.opened:
                opening = OpenHouse(orders_max=limits.orders, levels_max=limits.levels, accounts_max=limits.accounts)
                self.process([Ask(opening, HOUSE)])
        except BaseException:
            self.recorder.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def state(self) -> State:
        return self.sequencer.state

    def process(self, items: Sequence[Item]) -> list[Answer]:
        """Decide items in this thread."""
        return self.sequencer.process(items)

    def end_of_day(self, at_ns: int) -> None:
        """Ask the shadow, if there is one, for the state root at `at_ns`, compare it with the writer's, record it.

        Raises ShadowFailed; the house then accepts nothing more.
        """
        if self.shadow is None:
            return
        if not self._root_is_awaited():
            self.process([Tick(at_ns, root_wanted=True)])
        try:
            recorded = self.shadow.root(self.state.next_command - 1)
            if recorded.root != self.state.root():
                raise ShadowFailed(f"state root after command {recorded.at_command} differs from the writer's")
        except ShadowFailed:
            self.sequencer.stop()
            raise
        self.process([Ask(recorded, HOUSE, at_ns=at_ns)])

    def _root_is_awaited(self) -> bool:
        """Whether the log ends with a tick that asked for a root, because the house was stopped before it came."""
        last = self.recorder.last_of_stream(SHARD_STREAM)
        if last is None or last.position != self.store.position:
            return False
        commands = decode_block(last.state).rows(Section.COMMANDS)
        return bool(len(commands) and commands[-1]["kind"] == Kind.TICK and commands[-1]["target"])

    @property
    def clock(self) -> Callable[[], int]:
        """What gives the house its time."""
        return self.sequencer.clock

    def go_by(self, clock: Callable[[], int]) -> None:
        """Let another clock give the time from here on; only before the writer is started."""
        self.sequencer.clock = clock

    def writer(self) -> MeteredWriter:
        """The writer thread, not yet started. From its start on only it may process."""
        return MeteredWriter(self.sequencer, self.clock)

    def close(self) -> None:
        self.recorder.close()


class _MeteredRecorder(LogRecorder):
    """A recorder that says how long each append took."""

    def __init__(self, url: URL, metrics: Metrics) -> None:
        super().__init__(url)
        self._metrics = metrics

    def append(self, entries: Sequence[Entry], *, announce: bool = True) -> int:
        with self._metrics.append_seconds.time():
            return super().append(entries, announce=announce)

    @contextmanager
    def transaction(self) -> Iterator[LogTransaction]:
        with self._metrics.append_seconds.time(), super().transaction() as transaction:
            yield transaction


def continuing(clock: Callable[[], int], at_ns: int) -> Callable[[], int]:
    """A clock that shows at least `at_ns` now and runs as the other one does: a house's time never goes back."""
    ahead_ns = max(0, at_ns - clock())
    return (lambda: clock() + ahead_ns) if ahead_ns else clock


def follow_as_shadow(
    where: Places,
    submit: Callable[[RecordStateRoot], None],
    on_entry: Callable[[int], None] = lambda _position: None,
) -> None:
    """Execute the log as it grows, hand state roots to `submit`, write snapshots.

    `on_entry(position)` is called when that much is executed. Ends with what `submit` raises, or with Disagreement.
    """
    snapshots = Snapshots(where.snapshots)
    with log_for_reading(where) as recorder:
        replay = snapshots.newest(at_most=recorder.max_position()) or Replay(State(), Requests())
        replay.redecide()
        shadow = Shadow(replay, snapshots, submit)
        shadow.announce()
        on_entry(replay.position)
        with recorder.subscribe(gt=replay.position, pause_seconds=SHADOW_PAUSE_SECONDS) as subscription:
            for told in subscription:
                stream = str(told.originator_id)
                shadow.feed(Appended(told.id, stream, told.originator_version, told.topic, told.state))
                on_entry(told.id)


def generations(where: Places) -> Generations:
    """The generations of the read models: beside a log that is a file in a folder, else in the log's database."""
    return generations_at(where.log_url if where.is_postgres else where.projections)


def keep_projections(where: Places) -> None:
    """Fold the log into the read models as it grows, with whatever generation is current. Ends with an outage."""
    with log_for_reading(where) as recorder, closing(generations(where)) as place:
        Following(recorder, place, read_models, key_store(where).unseal).run()
