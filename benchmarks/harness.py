"""What every bench does alike: its arguments, where its files lie, how rounds become a figure, how figures are printed.

A bench prints progress to stderr. With `--json` it prints one object to stdout and nothing else:
`{"bench", "machine", "results": [{"case", "value", "unit", "against", "ratio", "runs"}]}`. `value` is the median of
`runs`, one figure per round; `ratio` is the median over the rounds of ours to `against` in the same round, and
both are null where there is nothing to measure against.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numba
import numpy as np
from pysqlite3 import dbapi2 as sqlite
from rich.console import Console
from rich.table import Table

from api.bootstrap import House, places
from benchmarks.market import START_NS
from ledger.keys import MemoryKeyStore
from ledger.requests import Requests
from ledger.sequencer import Sequencer

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Result:
    """One figure of one case."""

    case: str
    value: float
    unit: str
    against: str | None
    ratio: float | None
    runs: list[float]

    @classmethod
    def of(
        cls, case: str, unit: str, runs: Sequence[float], *, against: str | None = None, peer: Sequence[float] = ()
    ) -> Result:
        """The medians of rounds; `peer` are the figures of `against` in the same rounds."""
        ratio = None
        if against is not None:
            ratio = _rounded(median(ours / theirs for ours, theirs in zip(runs, peer, strict=True)))
        return cls(case, _rounded(median(runs)), unit, against, ratio, [_rounded(run) for run in runs])


def _rounded(value: float) -> float:
    """To four digits, which is more than a noisy machine can tell."""
    return float(f"{value:.4g}")


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest of the values that at least `percent` of them do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def parser(bench: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with what every bench understands."""
    found = argparse.ArgumentParser(prog=f"./dev bench {bench}", description=description)
    found.add_argument("--json", action="store_true", help="print one JSON object to stdout")
    return found


def at_least_one(text: str) -> int:
    """A count among the arguments."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return count


def say(bench: str, what: str) -> None:
    print(f"{bench}: {what}", file=sys.stderr, flush=True)


def machine(*, postgres: str | None = None) -> dict[str, Any]:
    """What the figures depend on besides the code; `postgres` is the version of the server that was measured."""
    found: dict[str, Any] = {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numba": numba.__version__,
        "sqlite": sqlite.sqlite_version,
    }
    if postgres is not None:
        found["postgres"] = postgres
    return found


def _cpu() -> str:
    """The model as the kernel names it, else as Python does; some virtual machines have no name for it."""
    known = {}
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = known.get("model name", "unknown")
    if name != "unknown":
        return name
    if "cpu family" in known:
        return f"{known['vendor_id']} family {known['cpu family']} model {known['model']}"
    return platform.processor() or platform.machine()


def emit(bench: str, machine: dict[str, Any], results: Sequence[Result], *, as_json: bool) -> None:
    """Print the figures to stdout."""
    if as_json:
        print(json.dumps({"bench": bench, "machine": machine, "results": [asdict(result) for result in results]}))
        return
    table = Table(title=f"{bench} on {', '.join(f'{name} {value}' for name, value in machine.items())}")
    for name in ("case", "median", "min – max", "unit", "against", "ratio", "runs"):
        table.add_column(name, justify="left" if name in {"case", "unit", "against"} else "right")
    for result in results:
        table.add_row(
            result.case,
            f"{result.value:,.6g}",
            f"{min(result.runs):,.6g} – {max(result.runs):,.6g}",
            result.unit,
            result.against or "",
            "" if result.ratio is None else f"{result.ratio:.3g}",
            str(len(result.runs)),
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder on the disk of the checkout, never in memory; it is gone after the block."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=build))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        with suppress(OSError):  # Others may have something there.
            build.rmdir()


@contextmanager
def fresh_house(folder: Path, url: str | None = None) -> Iterator[Sequencer]:
    """The writer of an empty log, which is a SQLite file in `folder` or the database at `url`.

    Its clock advances by a microsecond at every look. Its keys are in memory: a commit for the key of each party is
    not what a bench measures.
    """
    ticks = iter(range(START_NS, 2**63, 1_000))
    entropy = np.random.default_rng(1)
    with House(places(folder, url), clock=lambda: next(ticks)) as house:
        keys = MemoryKeyStore(entropy.bytes)
        yield Sequencer(house.store, house.state, Requests(), keys, lambda: next(ticks))
