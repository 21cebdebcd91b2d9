"""The C++ ladder of `ladder.cpp`: compiled where there is a compiler, run in a process of its own, and checked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.matching_runs import Run
from matching.simulator import FlowTally

SOURCE: Final = Path(__file__).resolve().with_suffix(".cpp")
COMPILERS: Final = ("g++", "c++", "clang++")

QUOTED: Final = {
    "f1": {"Kautenja": 0.24, "CppTrader": 0.17, "exchange-core direct": 0.13, "robaho": 0.05, "Liquibook": 0.007},
    "f1000": {"Kautenja": 0.26, "CppTrader": 0.23, "exchange-core direct": 0.09, "robaho": 0.04, "Liquibook": 0.07},
}
"""Order books that no package registry has, as measured once beside such a ladder on such a machine (matching alone;
C++ but for exchange-core, which is Java): their throughput in parts of the ladder's."""


def compiler() -> str | None:
    """The first C++ compiler there is."""
    return next(filter(None, map(shutil.which, COMPILERS)), None)


def compiled(folder: Path) -> Path | None:
    """The program, compiled into `folder` for this machine; None where there is no compiler."""
    found = compiler()
    if found is None:
        return None
    program = folder / "ladder"
    flags = ["-O3", "-march=native", "-std=c++17", "-Wall", "-Wextra"]
    subprocess.run([found, *flags, "-o", program, SOURCE], check=True)
    return program


def run(program: Path, flow: Path, series: int) -> Run:
    """What the ladder took over a file of FLOW_RECORD rows, in ns, and what its fills add up to."""
    done = subprocess.run([program, flow, str(series)], check=True, capture_output=True, text=True)
    took_ns, *tally = map(int, done.stdout.split())
    return Run(took_ns, FlowTally(*tally))
