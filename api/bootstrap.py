"""The composition root: the only place that builds and wires the house, and the only one that knows the outside.

Clock, randomness and file locations enter here and are passed down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from sqlalchemy import URL, make_url

from domain.commands import OpenHouse, RecordStateRoot
from domain.values import HOUSE
from ledger.blocks import decode_block
from ledger.keys import KeyStore, SqliteKeyStore
from ledger.recorder import LogRecorder
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
from ledger.writer import Writer
from matching.layout import Kind, Section

PRIVATE_FOLDER: Final = 0o700


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
        self.recorder = LogRecorder(where.log_url)
        try:
            self.recorder.lock_writer()
            self.keys = key_store(where, entropy)
            self.store = Store(self.recorder)
            self.snapshots = Snapshots(where.snapshots)
            replay = recover(self.store, self.snapshots, limits, on_entry)
            self.sequencer = Sequencer(self.store, replay.state, replay.requests or Requests(), self.keys, clock)
            self._clock = clock
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

    def writer(self) -> Writer:
        """The writer thread, not yet started. From its start on only it may process."""
        return Writer(self.sequencer, self._clock)

    def close(self) -> None:
        self.recorder.close()


def follow_as_shadow(where: Places, submit: Callable[[RecordStateRoot], None]) -> None:
    """Execute the log as it grows, hand state roots to `submit`, write snapshots.

    Ends with what `submit` raises, or with Disagreement.
    """
    snapshots = Snapshots(where.snapshots)
    with log_for_reading(where) as recorder:
        replay = snapshots.newest(at_most=recorder.max_position()) or Replay(State(), Requests())
        replay.redecide()
        shadow = Shadow(replay, snapshots, submit)
        shadow.announce()
        with recorder.subscribe(gt=replay.position) as subscription:
            for told in subscription:
                stream = str(told.originator_id)
                shadow.feed(Appended(told.id, stream, told.originator_version, told.topic, told.state))
