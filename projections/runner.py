"""The follower: reads the log as it grows and keeps the read models of one generation up with it.

One transaction per batch holds the rows of all read models and the position, so every entry is folded into the tables
exactly once, and a crash at any moment loses nothing: what was not committed is read again. After a failure the
follower is not used again; a new one starts from what is committed.

The flow fold is too large to be written as rows at every commit, and it follows from the log. Its arrays are kept from
time to time, and at a start the blocks since then are folded again, without the read models.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
from eventsourcing.persistence import Notification, Tracking
from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError

from domain.events import Envelope, Fact
from ledger.blocks import TOPIC, Block, decode_block
from ledger.mapper import Unseal, from_entry
from projections.database import Generations, ReadDatabase
from projections.flow import FlowFold
from projections.projection import Batch, ReadModel
from projections.schema import FLOW_STATE, READ_MODELS
from projections.tracking import LOG, advance

BATCH_BYTES: Final = 16 << 20
"""A batch ends with the entry that takes it past this many bytes."""
BATCH_ENTRIES: Final = 2_000
KEEP_FLOW_EVERY: Final = 1_000_000
"""Commands after which the arrays of the flow fold are kept."""
PAUSE_SECONDS: Final = 0.05
"""Between two looks at a log that grows, since a commit costs milliseconds, however few rows are in it."""
WATCH_SECONDS: Final = 0.5
"""How often a follower looks whether another generation became current."""
FLOW: Final = "flow"
FLOW_VERSION: Final = 2
"""Of the flow fold, which every generation is made with."""
_PIECE_BYTES: Final = 4 << 20


class LogEntry(Protocol):
    """An entry of the log as it is read."""

    @property
    def position(self) -> int: ...

    @property
    def stream(self) -> str: ...

    @property
    def version(self) -> int: ...

    @property
    def topic(self) -> str: ...

    @property
    def state(self) -> bytes: ...


class Log(Protocol):
    """What is asked of the recorder of a log: to read it."""

    def max_position(self) -> int: ...

    def read(self, start_position: int = 1, *, stop_position: int | None = None) -> Iterator[Any]:
        """`LogEntry`s in order."""
        ...

    def subscribe(self, gt: int | None = None, *, pause_seconds: float = 0.0) -> Any:
        """A subscription of the event sourcing library: entries as they come; `stop` from another thread ends it.

        Between two looks that find entries it pauses.
        """
        ...


class GenerationOutdated(RuntimeError):
    """The generation was made by other read models than this program's."""

    code: Final = "generation_outdated"


class Follower:
    """Keeps one generation up with the log, in one thread."""

    def __init__(
        self,
        log: Log,
        database: ReadDatabase,
        models: Sequence[ReadModel],
        unseal: Unseal | None = None,
        *,
        keep_flow_every: int = KEEP_FLOW_EVERY,
    ) -> None:
        """Load what the generation knows. `models` are fresh. Raises GenerationOutdated, and what reading raises."""
        self._log = log
        self._database = database
        self._models = models
        self._unseal = unseal
        self._keep_flow_every = keep_flow_every
        self._subscription: Any = None
        self._stopped = threading.Event()
        self.position = database.position()
        """The last position whose rows are committed."""
        self.at_ns = 0
        """House time there; 0 until a batch was read."""
        with database.engine.begin() as connection:
            _check_versions(connection, models)
            kept, self._flow = kept_flow(connection)
            for model in models:
                model.load(connection)
        for entry in log.read(kept + 1, stop_position=self.position):
            feed(self._flow, entry)
        self._commands_since_kept = 0

    def catch_up(self, until: int | None = None, *, entries: int = BATCH_ENTRIES) -> None:
        """Fold what is in the log, up to a position; batches of at most so many entries."""
        end = self._log.max_position() if until is None else until
        waiting: list[Any] = []
        size = 0
        for entry in self._log.read(self.position + 1, stop_position=end):
            waiting.append(entry)
            size += len(entry.state)
            if len(waiting) >= entries or size >= BATCH_BYTES:
                self.take(waiting)
                waiting, size = [], 0
                if self._stopped.is_set():
                    return
        if waiting:
            self.take(waiting)

    def run(self) -> None:
        """Follow until `stop`."""
        self.catch_up()
        with self._log.subscribe(gt=self.position, pause_seconds=PAUSE_SECONDS) as subscription:
            self._subscription = subscription
            if self._stopped.is_set():
                return
            waiting: list[Any] = []
            size = 0
            end = 0
            for told in subscription:
                waiting.append(_Told(told))
                size += len(told.state)
                if told.id >= end:
                    # Whatever is in the log by now comes without waiting and belongs to the batch.
                    end = self._log.max_position()
                if told.id >= end or len(waiting) >= BATCH_ENTRIES or size >= BATCH_BYTES:
                    self.take(waiting)
                    waiting, size = [], 0

    def stop(self) -> None:
        """End `run` and `catch_up` after the batch at hand; from any thread."""
        self._stopped.set()
        if self._subscription is not None:
            self._subscription.stop()

    def take(self, entries: Sequence[LogEntry]) -> None:
        """Fold the next entries of the log and commit their rows with the position."""
        batch = self._batch(entries)
        for model in self._models:
            model.fold(batch)
        self._commands_since_kept += len(batch.flow.blocks.given.commands)
        with self._database.engine.begin() as connection:
            for model in self._models:
                model.write(connection)
            if self._commands_since_kept >= self._keep_flow_every:
                keep_flow(connection, self._flow, batch.last_position)
                self._commands_since_kept = 0
            advance(connection, Tracking(LOG, batch.last_position))
        self.position = batch.last_position
        self.at_ns = batch.last_at_ns

    def _batch(self, entries: Sequence[LogEntry]) -> Batch:
        """The entries decoded, and what the blocks changed."""
        facts: list[tuple[int, Envelope, Fact]] = []
        blocks: list[tuple[int, Block]] = []
        at_ns = self.at_ns
        for position, entry in enumerate(entries, self.position + 1):
            assert entry.position == position, (entry.position, position)
            if entry.topic == TOPIC:
                block = decode_block(entry.state)
                at_ns = max(at_ns, int(block.header["last_at_ns"]))
                blocks.append((position, block))
            else:
                envelope, fact = from_entry(
                    entry.stream, entry.version, entry.topic, entry.state, self._unseal, position=position
                )
                at_ns = max(at_ns, envelope.at_ns)
                facts.append((position, envelope, fact))
        return Batch(facts, blocks, self._flow.apply(blocks, facts), self.position + len(entries), at_ns)


class _Told:
    """A notification as an entry."""

    __slots__ = ("position", "state", "stream", "topic", "version")

    def __init__(self, told: Notification) -> None:
        self.position: int = told.id
        self.stream = str(told.originator_id)
        self.version = told.originator_version
        self.topic = told.topic
        self.state = told.state


class Following:
    """Follows with the current generation, made if there is none for these models, and with whatever is swapped in."""

    def __init__(
        self,
        log: Log,
        generations: Generations,
        models: Callable[[], Sequence[ReadModel]],
        unseal: Unseal | None = None,
    ) -> None:
        """`models` makes fresh read models."""
        self._log = log
        self._generations = generations
        self._models = models
        self._unseal = unseal
        self._stopped = threading.Event()
        self._follower: Follower | None = None

    @property
    def position(self) -> int:
        """The last position whose rows are committed in the generation at hand."""
        return 0 if self._follower is None else self._follower.position

    def run(self) -> None:
        """Follow until `stop`. Raises what reading the log and writing the rows raise."""
        while not self._stopped.is_set():
            with current_or_new(self._generations, self._models()) as database:
                self._follower = follower = Follower(self._log, database, self._models(), self._unseal)
                done = threading.Event()
                watch = threading.Thread(
                    target=self._watch, args=(follower, database.generation, done), name="projections-watch"
                )
                watch.start()
                try:
                    follower.run()
                finally:
                    done.set()
                    watch.join()

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._stopped.set()
        if self._follower is not None:
            self._follower.stop()

    def _watch(self, follower: Follower, generation: int, done: threading.Event) -> None:
        """Stop the follower when it shall stop, when another generation has become current, or when nobody can tell."""
        with contextlib.suppress(SQLAlchemyError, OSError):
            while not done.wait(WATCH_SECONDS):
                if self._stopped.is_set() or self._generations.current() != generation:
                    break
        follower.stop()


def current_or_new(generations: Generations, models: Sequence[ReadModel]) -> ReadDatabase:
    """The current generation, or a new one, made current, where there is none that these models can go on with."""
    current = generations.current()
    if current is not None:
        database = generations.open(current)
        if made_by(database) == versions_of(models):
            return database
        database.close()
    return new_generation(generations, models, make_current=True)


def new_generation(
    generations: Generations, models: Sequence[ReadModel], *, make_current: bool = False
) -> ReadDatabase:
    """A new, empty generation for these models."""
    database = generations.create([table for model in models for table in model.tables])
    with database.engine.begin() as connection:
        connection.execute(
            insert(READ_MODELS), [{"name": name, "version": version} for name, version in versions_of(models).items()]
        )
    if make_current:
        generations.make_current(database.generation)
    return database


def flow_at(log: Log, database: ReadDatabase) -> tuple[int, FlowFold]:
    """The flow fold as of the position that the generation has committed, and that position.

    For who wants to follow the flow with the whole life of open orders, from there on.
    """
    with database.engine.begin() as connection:
        kept, flow = kept_flow(connection)
    position = database.position()
    for entry in log.read(kept + 1, stop_position=position):
        feed(flow, entry)
    return position, flow


def keep_flow(connection: Connection, flow: FlowFold, position: int) -> None:
    """Replace the kept arrays by those of `flow`, which has folded everything up to `position`."""
    connection.execute(delete(FLOW_STATE))
    for name, array in flow.arrays():
        data = np.ascontiguousarray(array).tobytes()
        for piece, at in enumerate(range(0, max(len(data), 1), _PIECE_BYTES)):
            connection.execute(
                insert(FLOW_STATE).values(name=name, piece=piece, position=position, data=data[at : at + _PIECE_BYTES])
            )


def kept_flow(connection: Connection) -> tuple[int, FlowFold]:
    """The position of the kept arrays and the fold they make; 0 and a new fold where there are none."""
    flow = FlowFold()
    dtypes = {name: array.dtype for name, array in flow.arrays()}
    pieces: dict[str, list[bytes]] = {name: [] for name in dtypes}
    position = 0
    for row in connection.execute(select(FLOW_STATE).order_by(FLOW_STATE.c.name, FLOW_STATE.c.piece)):
        pieces[row.name].append(row.data)
        position = row.position
    if position == 0:
        return 0, flow
    return position, FlowFold.restored(
        {name: np.frombuffer(b"".join(parts), dtypes[name]) for name, parts in pieces.items()}
    )


def feed(flow: FlowFold, entry: LogEntry) -> None:
    """Let a flow fold take the next entry of the log."""
    if entry.topic == TOPIC:
        flow.apply_block(decode_block(entry.state))
    else:
        flow.apply_fact(*from_entry(entry.stream, entry.version, entry.topic, entry.state, position=entry.position))


def made_by(database: ReadDatabase) -> dict[str, int]:
    """What a generation was made by: versions by name, to be compared with `versions_of`."""
    with database.engine.connect() as connection:
        return _versions_found(connection)


def versions_of(models: Sequence[ReadModel]) -> dict[str, int]:
    """What a generation of these models is made by."""
    return {FLOW: FLOW_VERSION} | {model.name: model.version for model in models}


def _versions_found(connection: Connection) -> dict[str, int]:
    return {row.name: row.version for row in connection.execute(select(READ_MODELS))}


def _check_versions(connection: Connection, models: Sequence[ReadModel]) -> None:
    found, wanted = _versions_found(connection), versions_of(models)
    if found != wanted:
        raise GenerationOutdated(f"the generation was made by {found}, this program has {wanted}")
