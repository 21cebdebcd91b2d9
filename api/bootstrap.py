"""The composition root: the only place that builds and wires the house, and the only one that knows the outside.

Clock, randomness and file locations enter here and are passed down.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url

from domain.commands import OpenHouse, RecordStateRoot
from domain.values import HOUSE
from ledger.keys import KeyStore, SqliteKeyStore
from ledger.recorder import LogRecorder
from ledger.recovery import recover
from ledger.replay import Replay
from ledger.requests import Requests
from ledger.schema import migrate
from ledger.sequencer import Answer, Ask, Item, Sequencer
from ledger.shadow import Shadow
from ledger.snapshots import Snapshots
from ledger.state import State
from ledger.store import Appended, Store
from ledger.tables import LIMITS, Limits
from ledger.writer import Writer


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


def places(data: Path, log_url: str | None = None) -> Places:
    """The places below a data folder; without a URL the log is a SQLite file in it."""
    url = make_url(log_url) if log_url else URL.create("sqlite", database=str(data / "log.sqlite"))
    return Places(data, url)


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
        """Open, migrate if new, recover, and be ready to decide. Raises the outages and refusals of the log."""
        assert __debug__, "the invariants are assertions: do not run with -O"
        where.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.where = where
        migrate(where.log_url.render_as_string(hide_password=False))
        self.recorder = LogRecorder(where.log_url)
        try:
            self.recorder.lock_writer()
            self.keys: KeyStore = SqliteKeyStore(where.keys, entropy)
            self.store = Store(self.recorder)
            self.snapshots = Snapshots(where.snapshots)
            replay = recover(self.store, self.snapshots, limits, on_entry)
            self.sequencer = Sequencer(self.store, replay.state, replay.requests or Requests(), self.keys, clock)
        except BaseException:
            self.recorder.close()
            raise
        self._clock = clock
        if not self.state.catalogue.opened:
            self.process([Ask(OpenHouse(**{f"{name}_max": size for name, size in limits._asdict().items()}), HOUSE)])

    @property
    def state(self) -> State:
        return self.sequencer.state

    def process(self, items: list[Item]) -> list[Answer]:
        """Decide items in this thread."""
        return self.sequencer.process(items)

    def writer(self) -> Writer:
        """The writer thread, not yet started. From its start on only it may process."""
        return Writer(self.sequencer, self._clock)

    def close(self) -> None:
        self.recorder.close()


def follow_as_shadow(where: Places, submit: Callable[[RecordStateRoot], None]) -> None:
    """Execute the log as it grows, hand state roots to `submit`, write snapshots. Ends with what `submit` raises, or
    with Disagreement.
    """
    snapshots = Snapshots(where.snapshots)
    with LogRecorder(where.log_url) as recorder:
        replay = snapshots.newest(at_most=recorder.max_position()) or Replay(State(), Requests())
        shadow = Shadow(replay, snapshots, submit)
        with recorder.subscribe(gt=replay.position) as subscription:
            for told in subscription:
                stream = str(told.originator_id)
                shadow.feed(Appended(told.id, stream, told.originator_version, told.topic, told.state))
