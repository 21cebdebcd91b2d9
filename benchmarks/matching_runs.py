"""What one process of the matching bench runs: it sets up, starts the clock, and gives what it took and what came out.

Each function is called in a fresh process, so that no run finds a cache, a heap or a branch predictor that another one
left behind.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from ledger.snapshots import load
from ledger.state import State
from matching.book import new_book, with_indexes_grown
from matching.kernel import match
from matching.layout import FILL, LEG, Book, Section
from matching.simulator import FLOW_RECORD, FlowTally, commands_of

ORDERS_MAX, LEVELS_MAX = 1 << 25, 1 << 22
"""Reserved address space of a book's pools; only rows that were used occupy memory."""


P = ParamSpec("P")
T = TypeVar("T")


def fresh(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


class Run(NamedTuple):
    """What a process measured."""

    took_ns: int
    """CPU time, so that nothing counts that the core did for other processes meanwhile."""
    tally: FlowTally


def commands_in(flow: Path) -> Any:
    """The COMMAND rows of a file of FLOW_RECORD rows."""
    return commands_of(np.fromfile(flow, FLOW_RECORD))


def book_for(series: int) -> Book:
    """An empty book for so many series."""
    return new_book(series_max=series, orders_max=ORDERS_MAX, levels_max=LEVELS_MAX)


def fills_for(commands: Any) -> Any:
    """Room for every fill that `commands` can cause (each ends a maker or its taker), already in memory."""
    fills = np.zeros(2 * len(commands), FILL)
    fills.view(np.int64).fill(0)
    return fills


def run_alone(flow: Path, call: int | None) -> Run:
    """Matching alone over a flow, `call` commands a call of the kernel (None: all in one)."""
    commands = commands_in(flow)
    series = int(commands["series"].max())
    book, fills = book_for(series), fills_for(commands)
    # Machine code is loaded at its first call.
    match(with_indexes_grown(book_for(series)), commands[:1], fills)
    size = call or len(commands)
    written = 0
    start = process_time_ns()
    for at in range(0, len(commands), size):
        book, _, more, _ = match(book, commands[at : at + size], fills[written:])
        written += more
    took_ns = process_time_ns() - start
    traded = fills[:written]
    return Run(
        took_ns,
        FlowTally(
            fills=written,
            lots=int(traded["lots"].sum()),
            price_lots=int((traded["price"] * traded["lots"]).sum()),
            resting=int(book.tally["open_orders"][0]),
            levels=int(book.tally["levels_open"][0]),
        ),
    )


class House(NamedTuple):
    """A house before a flow, on disk."""

    snapshot: Path
    commands: Path
    """COMMAND rows (.npy) with the order numbers of that house."""

    def state(self) -> State:
        """The state from the snapshot."""
        replay = load(self.snapshot)
        assert replay is not None, self.snapshot
        return replay.state


def run_core(house: House, call: int | None) -> Run:
    """The whole pass over a flow: hold, match, settle, rows out, block by block, `call` commands a call.

    Rows stay in memory, where the next block overwrites them. The tally has no lots: they are spread over the blocks.
    """
    state = house.state()
    commands, legs = np.load(house.commands), np.zeros(0, LEG)
    book = state.tables.book.tally[0]
    resting, levels = int(book["open_orders"]), int(book["levels_open"])
    state.execute(commands[:0], legs, 0, 0)  # Machine code is loaded at its first call.
    size = call or len(commands)
    at = fills = 0
    start = process_time_ns()
    while at < len(commands):
        at, _, _ = state.execute(commands[: at + size], legs, at, 0)
        fills += int(state.out.used[Section.FILLS])
    took_ns = process_time_ns() - start
    book = state.tables.book.tally[0]
    return Run(took_ns, FlowTally(fills, 0, 0, int(book["open_orders"]) - resting, int(book["levels_open"]) - levels))


def latencies_alone(flow: Path, every_ns: int, first: int, until: int) -> Any:
    """Latencies (ns, [n] i8) of single commands through the matching kernel; the first ones only fill the book."""
    commands = commands_in(flow)[:until]
    fills = fills_for(commands)
    book, _, _, _ = match(book_for(int(commands["series"].max())), commands[:first], fills)

    def one(at: int) -> None:
        nonlocal book
        book, _, _, _ = match(book, commands[at : at + 1], fills)

    return latencies(one, first, until, every_ns)


def latencies_core(house: House, every_ns: int, first: int, until: int) -> Any:
    """Latencies (ns, [n] i8) of single commands through the whole pass."""
    state = house.state()
    commands, legs = np.load(house.commands), np.zeros(0, LEG)
    at = 0
    while at < first:
        at, _, _ = state.execute(commands[:first], legs, at, 0)

    def one(at: int) -> None:
        state.execute(commands[at : at + 1], legs, 0, 0)

    return latencies(one, first, until, every_ns)


def latencies(
    one: Callable[[int], None], first: int, end: int, every_ns: int, clock: Callable[[], int] = perf_counter_ns
) -> Any:
    """What each command took, counted from when it was due, whether or not the one before it was done by then.

    A command is due every `every_ns`; one that waits for a slow one before it is charged with the wait.
    """
    took = np.zeros(end - first, np.int64)
    due = clock() + every_ns
    for at in range(first, end):
        while clock() < due:
            pass
        one(at)
        took[at - first] = clock() - due
        due += every_ns
    return took
