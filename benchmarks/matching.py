"""How many commands a second the matching core takes on one core, alone and within the whole pass.

*alone* is `matching.kernel`: orders against books, nothing else. *core* is `ledger.execution`: hold, match, settle with
a waterfall of eight payees, rows out in memory. Both run the published flows, regenerated here and checked against
their SHA-256, beside the C++ ladder of `peers/ladder.cpp` in the same rounds, each run in a fresh process and all on
one core. A run whose fills do not add up to what the flow's generator says ends the bench.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness import Result, at_least_one, emit, fresh_house, machine, parser, say, workspace
from benchmarks.market import build, flow_commands
from benchmarks.matching_growth import GROWTH, growth_page, growth_results, plot
from benchmarks.matching_runs import House, Run, fresh, latencies_alone, latencies_core, run_alone, run_core
from benchmarks.peers import ladder
from benchmarks.peers.packages import PEERS, run_peer
from benchmarks.replay import one_core
from ledger.replay import Replay
from ledger.snapshots import Snapshots
from ledger.state import State
from ledger.tables import LIMITS
from matching.simulator import FLOWS, RESTING_TARGET, FlowTally, generate_flow

BENCH: Final = "matching"
COMMANDS: Final = 2_000_000
"""Of each flow; the published SHA-256 is of so many."""
ROUNDS: Final = 5
CALL: Final = 256
PEER_COMMANDS: Final = 50_000
"""The packages are called once a command and are slow, so they get the first ones of f1."""
LATENCY_COMMANDS: Final = 200_000
LATENCY_EVERY_NS: Final = 20_000
NS: Final = 1_000_000_000


@dataclass(slots=True)
class Case:
    """One way to run one flow."""

    name: str
    run: Callable[[], Run]
    tally: FlowTally
    commands: int
    whole: str | None = None
    """The case that does the same in one call."""
    rates: list[float] = field(default_factory=list)
    """Commands a second, round by round."""
    trade_rates: list[float] = field(default_factory=list)

    def round(self) -> None:
        took_ns, tally = self.run()
        assert tally == self.tally, f"{self.name}: {tally}, but the flow's generator says {self.tally}"
        self.rates.append(self.commands * NS / took_ns)
        self.trade_rates.append(tally.fills * NS / took_ns)


class Bed:
    """One flow with everything that runs it."""

    def __init__(self, name: str, folder: Path, commands: int, program: Path | None, *, core: bool) -> None:
        self._name = name
        flow = FLOWS[name]
        records, tally = generate_flow(flow, commands)
        if commands == COMMANDS:
            found = hashlib.sha256(records.tobytes()).hexdigest()
            assert found == flow.sha256, f"{name} is not the published flow: {found}"
        self.file = folder / f"{name}.bin"
        records.tofile(self.file)
        self.house = house_before(name, folder, commands) if core else None
        self._peer: Case | None = None
        self.cases: list[Case] = []
        if program is not None:
            self._peer = Case(f"{name} ladder", lambda: ladder.run(program, self.file, flow.series), tally, commands)
            self.cases.append(self._peer)
        self._add("alone", lambda call: fresh(run_alone, self.file, call), tally, commands)
        if self.house is not None:
            house = self.house
            self._add("core", lambda call: fresh(run_core, house, call), tally._replace(lots=0, price_lots=0), commands)

    def _add(self, way: str, run: Callable[[int | None], Run], tally: FlowTally, commands: int) -> None:
        whole = f"{self._name} {way}"
        self.cases.append(Case(whole, lambda: run(None), tally, commands))
        if self._name == "f1":
            name = f"f1 call {CALL}" if way == "alone" else f"f1 {way} call {CALL}"
            self.cases.append(Case(name, lambda: run(CALL), tally, commands, whole))

    def results(self) -> Iterator[Result]:
        """Every case against the ladder, one of many calls also against that of one, and the quoted books."""
        for case in self.cases:
            if case is self._peer or self._peer is None:
                yield Result.of(case.name, "commands/s", case.rates)
            else:
                yield Result.of(case.name, "commands/s", case.rates, against="C++ ladder", peer=self._peer.rates)
            if case.whole is not None:
                whole = next(other.rates for other in self.cases if other.name == case.whole)
                yield Result.of(case.name, "commands/s", case.rates, against="one large call", peer=whole)
            if case.name == "fill1 core":
                yield Result.of(f"{case.name} trades", "trades/s", case.trade_rates)
            if self._peer is not None and case.name in {f"{self._name} alone", f"{self._name} core"}:
                for quoted, part in ladder.QUOTED.get(self._name, {}).items():
                    rates = [part * rate for rate in self._peer.rates]
                    yield Result.of(case.name, "commands/s", case.rates, against=f"{quoted}, quoted", peer=rates)


def house_before(name: str, folder: Path, commands: int) -> House:
    """A house as it is before the first command of a flow, every one of which it accepts."""
    say(BENCH, f"{name}: building a house")
    with fresh_house(folder / f"{name}-house") as sequencer:
        rows = build(sequencer, flow_commands(name, commands))
        rows["command"] += sequencer.state.next_command - 1
        rows["at_ns"] = sequencer.state.at_ns
        replay = Replay(State(LIMITS))
        for entry in sequencer.store.read(1):
            replay.feed(entry)
    kept = folder / f"{name}.npy"
    np.save(kept, rows)
    return House(Snapshots(folder / f"{name}-before").save(replay), kept)


def latency_results(bed: Bed, commands: int, rounds: int) -> Iterator[Result]:
    """Percentiles of single commands, run by run. The first commands fill the book and are not measured."""
    first = min(RESTING_TARGET, commands // 2)
    until = min(commands, first + LATENCY_COMMANDS)
    runs: dict[str, Callable[[], Any]] = {
        "f1 alone": lambda: fresh(latencies_alone, bed.file, LATENCY_EVERY_NS, first, until)
    }
    if bed.house is not None:
        house = bed.house
        runs["f1 core"] = lambda: fresh(latencies_core, house, LATENCY_EVERY_NS, first, until)
    for name, run in runs.items():
        took = [run() for _ in range(rounds)]
        for percent in (50, 99, 99.9):
            values = [float(np.percentile(each, percent, method="inverted_cdf")) for each in took]
            yield Result.of(f"{name} latency p{percent:g}", "ns/command", values)


def package_results(folder: Path, commands: int, rounds: int) -> Iterator[Result]:
    """The packages that are installed, one call a command, and ours over the same commands in one call."""
    records, tally = generate_flow(FLOWS["f1"], min(commands, PEER_COMMANDS))
    file = folder / "first.bin"
    records.tofile(file)
    case = f"f1 first {len(records)}"
    for name in PEERS:
        ours, theirs = [], []
        for _ in range(rounds):
            measured = fresh(run_peer, name, file)
            if measured is None:
                say(BENCH, f"{name} is not installed, so there is no figure of it")
                break
            took_ns, fills = measured
            assert fills is None or fills == tally.fills, f"{name}: {fills} fills, but {tally.fills} are right"
            theirs.append(len(records) * NS / took_ns)
            ours.append(len(records) * NS / fresh(run_alone, file, None).took_ns)
        else:
            yield Result.of(f"{case} alone", "commands/s", ours, against=name, peer=theirs)
            yield Result.of(f"{case} {name}", "commands/s", theirs)


def throughput(names: Sequence[str], folder: Path, commands: int, rounds: int, *, core: bool) -> list[Bed]:
    """Run every case of the flows in each round."""
    program = ladder.compiled(folder)
    if program is None:
        say(BENCH, "there is no C++ compiler, so there is no ladder and no ratio to it")
    beds = [Bed(name, folder, commands, program, core=core) for name in names]
    cases = [case for bed in beds for case in bed.cases]
    for number in range(rounds):
        say(BENCH, f"round {number + 1} of {rounds}")
        # None always comes right after the same other one.
        for case in cases if number % 2 == 0 else reversed(cases):
            case.round()
    return beds


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(BENCH, __doc__)
    options.add_argument("--commands", type=at_least_one, default=COMMANDS, help=f"of each flow (default {COMMANDS:,})")
    options.add_argument("--rounds", type=at_least_one, default=ROUNDS, help=f"rounds of each case (default {ROUNDS})")
    options.add_argument("--flows", nargs="+", choices=list(FLOWS), default=list(FLOWS), help="default: all three")
    options.add_argument("--no-core", action="store_true", help="matching alone, which needs no house")
    options.add_argument("--growth", type=Path, metavar="FOLDER", help="also the growth curves, as a table and a PNG")
    chosen: Any = options.parse_args(arguments)
    with one_core(), workspace() as folder:
        beds = throughput(chosen.flows, folder, chosen.commands, chosen.rounds, core=not chosen.no_core)
        results = [result for bed in beds for result in bed.results()]
        if "f1" in chosen.flows:
            say(BENCH, "latency of single commands, then the packages")
            bed = beds[chosen.flows.index("f1")]
            results += latency_results(bed, chosen.commands, chosen.rounds)
            results += package_results(folder, chosen.commands, chosen.rounds)
        if chosen.growth:
            grown = list(growth_results(GROWTH))
            results += grown
            chosen.growth.mkdir(parents=True, exist_ok=True)
            (chosen.growth / "matching-growth.md").write_text(growth_page(grown))
            plot(grown, chosen.growth / "matching-growth.png")
    emit(BENCH, machine(), results, as_json=chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
