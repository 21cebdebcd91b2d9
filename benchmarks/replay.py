"""How fast `verify` goes over the order flow of a log, on one core.

Ours is the fold of the verifier over the flow's blocks: read, execute every command again, compare every section byte
for byte, hash. What it is measured against reads and hashes the same bytes in the same round. Building the house before
the flow is not measured, and each round begins from a copy of the state after it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any, Final, ParamSpec

import numpy as np

from benchmarks.harness import Result, at_least_one, emit, fresh_house, machine, parser, say, workspace
from benchmarks.market import build, flow_commands, submit
from ledger.blocks import chain, decode_block
from ledger.comparison import expected_words, same_so_far, words_of
from ledger.replay import SLICE, Replay
from ledger.snapshots import Snapshots, load
from ledger.state import State
from ledger.store import Appended, Store
from ledger.tables import LIMITS
from matching.layout import Section

BENCH: Final = "replay"
COMMANDS: Final = {"f1": 2_000_000, "f1000": 1_000_000}
"""Commands of each flow that are verified."""
BATCH: Final = 10_000
ROUNDS: Final = 5
NS: Final = 1_000_000_000

P = ParamSpec("P")


class Before:
    """The house as it is before the flow, found by replaying the log up to there and kept in a snapshot."""

    def __init__(self, store: Store, position: int, folder: Path) -> None:
        self.position = position
        replay = Replay(State(LIMITS))
        for entry in store.read(1, position):
            replay.feed(entry)
        self._file = Snapshots(folder).save(replay)

    def replay(self) -> Replay:
        """A replay that goes on from that moment, as the verifier's does: it learns no requests and asks the rules."""
        replay = load(self._file)
        assert replay is not None, self._file
        replay.requests = None
        replay.redecide()
        return replay


def measure(flow: str, commands: int, rounds: int) -> list[Result]:
    """The figures of one flow."""
    say(BENCH, f"{flow}: building a house and a log of {commands:,} commands")
    with workspace() as folder, fresh_house(folder / "house") as sequencer:
        store = sequencer.store
        rows = build(sequencer, flow_commands(flow, commands))
        position = store.position
        submit(sequencer, rows, BATCH)
        before = Before(store, position, folder / "before")
        say(BENCH, f"{flow}: {rounds} rounds over {store.position - position} blocks")
        return rates(flow, store, before, commands, rounds)


def rates(flow: str, store: Store, before: Before, commands: int, rounds: int) -> list[Result]:
    """Command rows a second of each way to go over the flow, round by round."""
    at_hand = list(store.read(before.position + 1))
    size = sum(len(entry.state) for entry in at_hand)
    verified, verified_at_hand, read, hashed = [], [], [], []
    shares: dict[str, list[float]] = {"execute": [], "compare": [], "hash": []}
    for _ in range(rounds):
        replay = before.replay()
        verified.append(_rate(commands, _feed, replay, store.read(before.position + 1)))
        assert replay.commands == commands, replay.commands
        read.append(_rate(commands, _hash, store.read(before.position + 1)))
        verified_at_hand.append(_rate(commands, _feed, before.replay(), at_hand))
        hashed.append(_rate(commands, _hash, at_hand))
        for name, share in _shares(before, at_hand).items():
            shares[name].append(share)
    case = f"verify {flow}"
    return [
        Result.of(case, "commands/s", verified, against="read and hash", peer=read),
        Result.of(f"{case} in memory", "commands/s", verified_at_hand, against="hash", peer=hashed),
        Result.of(f"{case} read and hash", "commands/s", read),
        Result.of(f"{case} hash", "commands/s", hashed),
        *(Result.of(f"{case} share {name}", "of CPU time", share) for name, share in shares.items()),
        Result.of(f"{case} bytes", "bytes/command", [size / commands]),
    ]


def _rate(commands: int, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> float:
    """Commands a second of one call."""
    start = perf_counter_ns()
    work(*args, **kwargs)
    return commands * NS / (perf_counter_ns() - start)


def _feed(replay: Replay, entries: Iterable[Appended]) -> None:
    for entry in entries:
        replay.feed(entry)


def _hash(entries: Iterable[Appended]) -> None:
    for entry in entries:
        hashlib.sha256(entry.state).digest()


def _shares(before: Before, entries: Sequence[Appended]) -> dict[str, float]:
    """What executing, comparing and hashing each take of the three, by CPU time and one block at a time."""
    state = before.replay().state
    words = words_of(state.out)
    spent = {"execute": 0, "compare": 0, "hash": 0}
    running_hash = bytes(32)
    for entry in entries:
        block = decode_block(entry.state)
        commands, legs = block.rows(Section.COMMANDS), block.rows(Section.LEGS)
        expected, done = expected_words(block), np.zeros(len(words), np.int64)
        at = leg_at = 0
        while at < len(commands):
            start = process_time_ns()
            at, leg_at, _ = state.execute(commands[: at + SLICE], legs, at, leg_at)
            executed = process_time_ns()
            assert same_so_far(words, state.out.used, expected, done)
            spent["execute"] += executed - start
            spent["compare"] += process_time_ns() - executed
        compared = process_time_ns()
        running_hash = chain(running_hash, *entry)
        hashed = process_time_ns()
        spent["hash"] += hashed - compared
    return {name: took / sum(spent.values()) for name, took in spent.items()}


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core for the length of the block, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        say(BENCH, "this system cannot keep a process on one core")
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(BENCH, __doc__)
    options.add_argument("--commands", type=at_least_one, help=f"commands of each flow (default {_defaults()})")
    options.add_argument("--rounds", type=at_least_one, default=ROUNDS, help=f"rounds of each flow (default {ROUNDS})")
    chosen: Any = options.parse_args(arguments)
    with one_core():
        results = [
            result
            for flow, commands in COMMANDS.items()
            for result in measure(flow, chosen.commands or commands, chosen.rounds)
        ]
    emit(BENCH, machine(), results, as_json=chosen.json)
    return 0


def _defaults() -> str:
    return ", ".join(f"{commands:,} of {flow}" for flow, commands in COMMANDS.items())


if __name__ == "__main__":
    sys.exit(main())
