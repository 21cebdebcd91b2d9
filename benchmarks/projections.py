"""How fast readers learn what the order flow did: folded from arrays, committed as rows, built anew from the log.

*flow fold* takes decoded blocks and gives the rows that every read model is fed from, in memory. *order rows* commits
the life of each order that a block touched to the `orders` table with all its indexes, one transaction a block, as the
follower does; what it is measured against inserts the same values into a bare table, also block by block. *rebuild*
is the follower with all read models over the flow's blocks, into a new generation; against it stands reading the same
bytes of the log. *single orders* is the follower over blocks of one order each, caught up with or one at a time. Where
the work is this process's alone its processor time is given as well, which a busy machine disturbs less. Building the
house before the flow is not measured, nor is the check that a rebuild ends with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, Final, NamedTuple

import numpy as np
from eventsourcing.persistence import Tracking
from sqlalchemy import Engine, make_url

from benchmarks.harness import Result, at_least_one, emit, fresh_house, machine, parser, say, workspace
from benchmarks.market import build, flow_commands, submit
from ledger.blocks import Block, decode_block
from ledger.sequencer import Sequencer
from projections.bulk import Columns, upsert
from projections.database import Generations, generations_at
from projections.flow import FlowFold, FlowRows
from projections.models import read_models
from projections.runner import BATCH_ENTRIES, Follower, feed, new_generation
from projections.tracking import LOG, advance
from projections.traders import orders
from tests.postgres import throwaway_server

BENCH: Final = "projections"
FLOWS: Final = ("f1", "f1000")
COMMANDS: Final = 500_000
"""Of each flow that is folded; the orders of the first one are committed."""
ROWS: Final = 10_000_000
"""Rows of the log that are built anew."""
TENTHS_OF_ROWS: Final = 39
"""Rows of all sections that a command of the flow has, in tenths, roughly; the rows there are get counted."""
SINGLES: Final = 2_000
"""Blocks of one order."""
ROUNDS: Final = 5
BATCH: Final = 10_000
DATABASES: Final = ("sqlite", "postgres")
NS: Final = 1_000_000_000


class Took(NamedTuple):
    """Seconds that work took."""

    wall: float
    processor: float
    """Of this process."""


class Flow:
    """A log that ends with a flow, and the fold as it is before that."""

    def __init__(self, sequencer: Sequencer, name: str, commands: int, batch: int = BATCH) -> None:
        self.recorder = sequencer.store.recorder
        rows = build(sequencer, flow_commands(name, commands))
        self.position = sequencer.store.position
        submit(sequencer, rows, batch)
        fold = FlowFold()
        for entry in self.recorder.read(1, stop_position=self.position):
            feed(fold, entry)
        self._arrays = {name: array.copy() for name, array in fold.arrays()}

    def fold(self) -> FlowFold:
        """A fold that goes on from there."""
        return FlowFold.restored(self._arrays)


def measure_folds(commands: int, rounds: int) -> list[Result]:
    """Command rows, and rows of all sections, a second."""
    results = []
    for name in FLOWS:
        say(BENCH, f"flow fold {name}: {rounds} rounds of {commands:,} commands")
        with workspace() as folder, fresh_house(folder / "house") as sequencer:
            flow = Flow(sequencer, name, commands)
            blocks = list(_decoded(flow))
            took = [_took(_fold_all, flow.fold(), blocks).wall for _ in range(rounds + 1)][1:]
        rows = sum(map(_rows, blocks))
        results += [
            Result.of(f"flow fold {name}", "rows/s", [rows / seconds for seconds in took]),
            Result.of(f"flow fold {name} commands", "commands/s", [commands / seconds for seconds in took]),
        ]
    return results


def measure_orders(databases: Sequence[str], commands: int, rounds: int) -> list[Result]:
    """Rows of `orders` a second, committed."""
    results = []
    with ExitStack() as stack:
        folder = stack.enter_context(workspace())
        flow = Flow(stack.enter_context(fresh_house(folder / "house")), FLOWS[0], commands)
        rows = _fold_all(flow.fold(), list(_decoded(flow)))
        batches = [_columns(lives, position) for position, lives in enumerate((part.orders for part in rows), 1)]
        count = sum(len(batch["order_number"]) for batch in batches)
        for database in databases:
            say(BENCH, f"order rows {database}: {rounds} rounds of {count:,} rows")
            ours, bare, processor = [], [], []
            with ExitStack() as server:
                place = _place(server, database, folder / "orders")
                for _ in range(rounds):
                    took = _committing(place, batches, _upsert)
                    ours.append(count / took.wall)
                    processor.append(count / took.processor)
                    bare.append(count / _committing(place, batches, _bare).wall)
            if database == "sqlite":
                results.append(Result.of(f"order rows {database} processor", "rows/processor s", processor))
            results.append(Result.of(f"order rows {database}", "rows/s", ours, against="bare insert", peer=bare))
    return results


def measure_rebuild(rows: int) -> list[Result]:
    """Rows a second of the follower, and of reading the log; it takes long and is done once."""
    say(BENCH, f"rebuild: building a log of about {rows:,} rows")
    with workspace() as folder, fresh_house(folder / "house") as sequencer:
        flow = Flow(sequencer, FLOWS[0], max(1, rows * 10 // TENTHS_OF_ROWS))
        count = sum(map(_rows, _decoded(flow)))
        place = generations_at(folder / "rebuilt")
        with new_generation(place, read_models()) as database:
            follower = Follower(flow.recorder, database, read_models())
            follower.catch_up(flow.position)
            say(BENCH, f"rebuild: {count:,} rows")
            built = _took(follower.catch_up)
            assert database.position() == flow.recorder.max_position()
        read = count / _took(_read_all, flow).wall
    return [
        Result.of("rebuild", "rows/s", [count / built.wall], against="read", peer=[read]),
        Result.of("rebuild processor", "rows/processor s", [count / built.processor]),
        Result.of("rebuild read", "rows/s", [read]),
    ]


def measure_singles(blocks: int, rounds: int) -> list[Result]:
    """Processor time of the follower for a block of one order, with all read models."""
    say(BENCH, f"single orders: {rounds} rounds of {blocks:,} blocks")
    runs: dict[str, list[float]] = {"caught up": [], "one at a time": []}
    with workspace() as folder, fresh_house(folder / "house") as sequencer:
        flow = Flow(sequencer, FLOWS[0], blocks, batch=1)
        place = generations_at(folder / "singles")
        for _ in range(rounds):
            for how, entries in (("caught up", BATCH_ENTRIES), ("one at a time", 1)):
                with new_generation(place, read_models()) as database:
                    follower = Follower(flow.recorder, database, read_models())
                    follower.catch_up(flow.position)
                    took = _took(lambda: follower.catch_up(entries=entries))  # noqa: B023  (called at once)
                    runs[how].append(took.processor / blocks * 1e6)
                place.drop(database.generation)
    return [Result.of(f"single orders {how}", "us/block", took) for how, took in runs.items()]


def _read_all(flow: Flow) -> int:
    return sum(len(entry.state) for entry in flow.recorder.read(flow.position + 1))


def _decoded(flow: Flow) -> Iterator[Block]:
    return (decode_block(entry.state) for entry in flow.recorder.read(flow.position + 1))


def _rows(block: Block) -> int:
    return sum(len(rows) for rows in block.sections.values())


def _took(work: Callable[..., Any], *args: Any) -> Took:
    start, processor = perf_counter_ns(), process_time_ns()
    work(*args)
    return Took((perf_counter_ns() - start) / NS, (process_time_ns() - processor) / NS)


def _fold_all(fold: FlowFold, blocks: Sequence[Block]) -> list[FlowRows]:
    return [fold.apply_block(block) for block in blocks]


def _columns(lives: Any, position: int) -> Columns:
    """The columns of `orders` for the lives of a block."""
    given = {"order_number": lives["order"], "position": np.full(len(lives), position)}
    return {
        column.name: given[column.name] if column.name in given else lives[column.name] for column in orders.columns
    }


def _place(stack: ExitStack, database: str, folder: Path) -> Generations:
    if database == "sqlite":
        return generations_at(folder)
    url = stack.enter_context(throwaway_server(durable=True))
    place = generations_at(make_url(url))
    stack.callback(place.close)
    return place


def _committing(
    place: Generations, batches: Sequence[Columns], write: Callable[[Engine, Sequence[Columns]], None]
) -> Took:
    """What writing all batches into a fresh generation takes."""
    with place.create([orders]) as made:
        took = _took(write, made.engine, batches)
    place.drop(made.generation)
    return took


def _upsert(engine: Engine, batches: Sequence[Columns]) -> None:
    for position, columns in enumerate(batches, 1):
        with engine.begin() as connection:
            upsert(connection, orders, columns)
            advance(connection, Tracking(LOG, position))


def _bare(engine: Engine, batches: Sequence[Columns]) -> None:
    """The driver alone, into a table without a key."""
    names = list(batches[0])
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    statement = f"INSERT INTO bare VALUES ({', '.join([mark] * len(names))})"  # noqa: S608  (placeholders)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE bare ({', '.join(f'{name} bigint' for name in names)})")
    for columns in batches:
        with engine.begin() as connection:
            cursor: Any = connection.connection.cursor()
            cursor.executemany(statement, zip(*(values.tolist() for values in columns.values()), strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(BENCH, __doc__)
    options.add_argument(
        "--commands", type=at_least_one, default=COMMANDS, help="commands folded (default %(default)s)"
    )
    options.add_argument("--rows", type=at_least_one, default=ROWS, help="rows built anew (default %(default)s)")
    options.add_argument(
        "--singles", type=at_least_one, default=SINGLES, help="blocks of one order (default %(default)s)"
    )
    options.add_argument("--rounds", type=at_least_one, default=ROUNDS, help="rounds (default %(default)s)")
    options.add_argument("--database", choices=(*DATABASES, "both"), default="sqlite", help="where order rows go")
    chosen: Any = options.parse_args(arguments)
    databases = DATABASES if chosen.database == "both" else (chosen.database,)
    results = [
        *measure_folds(chosen.commands, chosen.rounds),
        *measure_orders(databases, chosen.commands, chosen.rounds),
        *measure_rebuild(chosen.rows),
        *measure_singles(chosen.singles, chosen.rounds),
    ]
    emit(BENCH, machine(), results, as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
