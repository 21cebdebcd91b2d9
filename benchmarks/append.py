"""What a durable append of order commands costs, end to end in process, at three sizes of the backlog.

Ours is the sequencer over rows of flow f1: hold, match, settle, one synced append, replies as slices of arrays. With a
backlog of one each command waits for the one before it; with larger ones more is always waiting, and as in the writer
the next batch is decided while one is on its way to the disk. Latency is from taking a batch to its answer.
What it wrote is then written again, append by append, by two peers in the same round: *raw*, the bytes appended to a
plain growing file on the same disk and synced with fdatasync, and *bare*, one row in a table without triggers or
further indexes, committed by the same driver with the same settings.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any, Final, TypeAlias

from sqlalchemy import Engine

from benchmarks.harness import Result, at_least_one, emit, fresh_house, machine, parser, percentile, say, workspace
from benchmarks.market import build, flow_commands, submit
from ledger.engines import COPY_FROM_BYTES, open_engine
from ledger.sequencer import Orders, Sequencer
from ledger.writer import Committer
from tests.postgres import throwaway_server

BENCH: Final = "append"
FLOW: Final = "f1"
APPENDS: Final = {1: 200, 100: 100, 10_000: 15}
"""Appends of a round, by the size of the backlog."""
DATABASES: Final = ("sqlite", "postgres")
ROUNDS: Final = 7
PREFILL: Final = 10_000
"""The flow begins with this many orders that fill the book; they are not measured."""
WARM_APPENDS: Final = 5
NS: Final = 1_000_000_000

Append: TypeAlias = list[bytes]
"""The entries of one append."""
Peer: TypeAlias = Callable[[Append], None]
"""Makes the entries of an append durable."""


@dataclass(slots=True)
class Rounds:
    """What one way of writing took for one size of the backlog."""

    rates: list[float] = field(default_factory=list)
    """Commands a second, a figure per round."""
    medians_ms: list[float] = field(default_factory=list)
    """Of one append, a figure per round."""
    appends_ms: list[float] = field(default_factory=list)
    """Each append of every round, since one round has too few of the large ones for a p99."""

    def add(self, commands: int, took_ns: Sequence[int], whole_ns: int | None = None) -> None:
        """`took_ns`: of each append; `whole_ns`: of all of them, where they overlap."""
        self.rates.append(commands * NS / (whole_ns or sum(took_ns)))
        self.medians_ms.append(median(took_ns) / 1e6)
        self.appends_ms += [took / 1e6 for took in took_ns]

    @property
    def p99_ms(self) -> list[float]:
        return [percentile(self.appends_ms, 99)]


@dataclass(frozen=True, slots=True)
class Case:
    """One database with one size of the backlog."""

    database: str
    backlog: int
    ours: Rounds = field(default_factory=Rounds)
    raw: Rounds = field(default_factory=Rounds)
    bare: Rounds = field(default_factory=Rounds)
    bytes_a_command: list[float] = field(default_factory=list)

    def results(self) -> Iterator[Result]:
        name = f"{self.database} backlog {self.backlog}"
        for against, peer in (("raw append", self.raw), ("bare commit", self.bare)):
            yield Result.of(name, "commands/s", self.ours.rates, against=against, peer=peer.rates)
        yield Result.of(f"{name} bytes", "bytes/command", self.bytes_a_command)
        latency = f"{name} latency"
        ours, bare = self.ours, self.bare
        yield Result.of(f"{latency} median", "ms/append", ours.medians_ms, against="bare commit", peer=bare.medians_ms)
        yield Result.of(f"{latency} p99", "ms/append", ours.p99_ms, against="bare commit", peer=bare.p99_ms)
        for against, peer in (("raw append", self.raw), ("bare commit", self.bare)):
            yield Result.of(f"{name} {against}", "commands/s", peer.rates)


class Bed:
    """One database with a house on it and its two peers beside it."""

    def __init__(self, database: str, sequencer: Sequencer, flow: Any, raw: Peer, bare: Peer) -> None:
        self._sequencer = sequencer
        self._flow = flow
        self._at = 0
        self._raw = raw
        self._bare = bare
        self.cases = [Case(database, backlog) for backlog in APPENDS]
        submit(sequencer, self._take(PREFILL))
        for backlog in APPENDS:
            self._append(backlog, WARM_APPENDS)

    def round(self) -> None:
        """Measure every size of the backlog once, ours and both peers."""
        for case in self.cases:
            appends, took_ns, whole_ns = self._append(case.backlog, APPENDS[case.backlog])
            commands = case.backlog * len(appends)
            case.ours.add(commands, took_ns, whole_ns)
            case.bytes_a_command.append(sum(len(state) for append in appends for state in append) / commands)
            peers = [(case.raw, self._raw), (case.bare, self._bare)]
            # Neither peer always comes right after us, when the disk is still busy.
            for rounds, peer in peers if len(case.ours.rates) % 2 else reversed(peers):
                rounds.add(commands, [_timed(peer, append)[0] for append in appends])

    def _append(self, backlog: int, count: int) -> tuple[list[Append], list[int], int]:
        """Process `count` backlogs; returns the entries of each append, what each took and what all took together."""
        sequencer = self._sequencer
        batches = [[Orders(self._take(backlog))] for _ in range(count)]
        start = sequencer.store.position
        before = perf_counter_ns()
        ends, took_ns, answers = one_by_one(sequencer, batches) if backlog == 1 else overlapping(sequencer, batches)
        whole_ns = perf_counter_ns() - before
        assert not any(answer.results["code"].any() for answer in answers), "every command of the flow is accepted"
        states = [entry.state for entry in sequencer.store.read(start + 1)]
        starts = [start, *ends[:-1]]
        appends = [states[first - start : end - start] for first, end in zip(starts, ends, strict=True)]
        return appends, took_ns, whole_ns

    def _take(self, count: int) -> Any:
        self._at += count
        assert self._at <= len(self._flow), self._at
        return self._flow[self._at - count : self._at]


Processed: TypeAlias = tuple[list[int], list[int], list[Any]]
"""Position after each append, what each took from being taken to its answer, and the answers."""


def one_by_one(sequencer: Sequencer, batches: Sequence[Sequence[Orders]]) -> Processed:
    """Nothing waits while a batch is on its way to the disk, so nothing can be done meanwhile."""
    ends, took_ns, answers = [], [], []
    for batch in batches:
        took, answer = _timed(sequencer.process, batch)
        took_ns.append(took)
        ends.append(sequencer.store.position)
        answers += answer
    return ends, took_ns, answers


def overlapping(sequencer: Sequencer, batches: Sequence[Sequence[Orders]]) -> Processed:
    """As the writer does when more is waiting: the next batch is decided while one is on its way to the disk."""
    committer = Committer()
    sequencer.store.wait_for_commits = committer.wait
    committer.start()
    ends: list[int] = []
    taken_ns: list[int] = []
    answered_ns: list[int] = []
    futures: list[Future[Any]] = []
    for batch in batches:
        taken_ns.append(perf_counter_ns())
        for decided in sequencer.decide(batch):
            future: Future[Any] = Future()
            future.add_done_callback(lambda _future: answered_ns.append(perf_counter_ns()))
            ends.append(sequencer.store.position)
            futures.append(future)
            committer.take(decided, [(batch[0], future)])
    committer.wait()
    committer.close()
    took_ns = [answered - taken for taken, answered in zip(taken_ns, answered_ns, strict=True)]
    return ends, took_ns, [future.result() for future in futures]


def _timed(work: Callable[[Any], Any], what: Any) -> tuple[int, Any]:
    """What it took, in ns, and what came out."""
    before = perf_counter_ns()
    done = work(what)
    return perf_counter_ns() - before, done


def flow_length(rounds: int) -> int:
    """Commands that a bed takes from the flow."""
    warm = sum(backlog * WARM_APPENDS for backlog in APPENDS)
    return PREFILL + warm + rounds * sum(backlog * count for backlog, count in APPENDS.items())


# -- the peers ---------------------------------------------------------------------------------------------------------


@contextmanager
def raw_file(path: Path) -> Iterator[Peer]:
    """A plain file that grows, synced after each append."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def append(states: Append) -> None:
        written = os.writev(descriptor, states)
        assert written == sum(map(len, states)), written
        os.fdatasync(descriptor)

    try:
        yield append
    finally:
        os.close(descriptor)


@contextmanager
def bare_sqlite(path: Path) -> Iterator[Peer]:
    """A row a commit into a table of its own file, with the driver and the pragmas of the log."""
    engine = open_engine(f"sqlite:///{path}")
    with _driver_connection(engine) as connection:
        connection.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, state BLOB NOT NULL)")
        insert = "INSERT INTO bare (state) VALUES (?)"

        def append(states: Append) -> None:
            if len(states) == 1:
                connection.execute(insert, states)  # Without BEGIN a statement commits by itself.
                return
            connection.execute("BEGIN")
            connection.executemany(insert, [(state,) for state in states])
            connection.execute("COMMIT")

        yield append


@contextmanager
def bare_postgres(url: str) -> Iterator[Peer]:
    """A row a commit into a table of the same database: INSERT for small rows, binary COPY for large ones."""
    engine = open_engine(url, autocommit=False)
    with _driver_connection(engine) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(
            "CREATE TABLE bare (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state bytea NOT NULL)"
        )
        cursor.execute("ALTER TABLE bare ALTER COLUMN state SET STORAGE EXTERNAL")

        def append(states: Append) -> None:
            if sum(map(len, states)) < COPY_FROM_BYTES:
                values = ", ".join(["(%s)"] * len(states))
                cursor.execute(f"INSERT INTO bare (state) VALUES {values}", states)  # noqa: S608 (placeholders)
                return
            source = io.BytesIO(binary_copy(states))
            cursor.copy_expert("COPY bare (state) FROM STDIN (FORMAT BINARY)", source, size=len(source.getbuffer()))

        yield append


@contextmanager
def _driver_connection(engine: Engine) -> Iterator[Any]:
    connection = engine.raw_connection()
    try:
        yield connection.driver_connection
    finally:
        connection.close()
        engine.dispose()


def binary_copy(states: Append) -> bytes:
    """Rows of one bytea in PostgreSQL's binary COPY format."""
    rows = (part for state in states for part in (struct.pack(">hi", 1, len(state)), state))
    return b"".join((b"PGCOPY\n\xff\r\n\0", bytes(8), *rows, b"\xff\xff"))


# -- the bench ---------------------------------------------------------------------------------------------------------


@contextmanager
def sqlite_bed(folder: Path, commands: Any) -> Iterator[Bed]:
    with (
        fresh_house(folder / "house") as sequencer,
        raw_file(folder / "raw") as raw,
        bare_sqlite(folder / "bare.sqlite") as bare,
    ):
        yield Bed("sqlite", sequencer, build(sequencer, commands), raw, bare)


@contextmanager
def postgres_bed(folder: Path, url: str, commands: Any) -> Iterator[Bed]:
    """`folder` is on the disk of the server, so that the raw limit is that of the same disk."""
    with fresh_house(folder / "house", url) as sequencer, raw_file(folder / "raw") as raw, bare_postgres(url) as bare:
        yield Bed("postgres", sequencer, build(sequencer, commands), raw, bare)


def version_of(url: str) -> str:
    """Version of the server."""
    with _driver_connection(open_engine(url)) as connection:
        version = int(connection.server_version)
    return f"{version // 10_000}.{version % 10_000}"


def measure(databases: Sequence[str], rounds: int) -> tuple[list[Result], str | None]:
    """The figures, and the version of PostgreSQL if it was measured."""
    commands = flow_commands(FLOW, flow_length(rounds))
    postgres = None
    with ExitStack() as stack:
        folder = stack.enter_context(workspace())
        beds = []
        if "sqlite" in databases:
            say(BENCH, "setting up a house on SQLite")
            beds.append(stack.enter_context(sqlite_bed(folder, commands)))
        if "postgres" in databases:
            say(BENCH, "setting up a house on a PostgreSQL of its own")
            url = stack.enter_context(throwaway_server(durable=True))
            postgres = version_of(url)
            beside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tallystick-bench-")))
            if beside.stat().st_dev != folder.stat().st_dev:
                say(
                    BENCH,
                    f"PostgreSQL and its raw limit are on the disk of {beside.parent}, not on that of the checkout",
                )
            beds.append(stack.enter_context(postgres_bed(beside, url, commands)))
        for number in range(1, rounds + 1):
            say(BENCH, f"round {number} of {rounds}")
            for bed in beds:
                bed.round()
    return [result for bed in beds for case in bed.cases for result in case.results()], postgres


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(BENCH, __doc__)
    options.add_argument("--database", choices=[*DATABASES, "both"], default="both")
    options.add_argument("--rounds", type=at_least_one, default=ROUNDS, help=f"rounds of each case (default {ROUNDS})")
    chosen = options.parse_args(arguments)
    databases = DATABASES if chosen.database == "both" else (chosen.database,)
    results, postgres = measure(databases, chosen.rounds)
    emit(BENCH, machine(postgres=postgres), results, as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
