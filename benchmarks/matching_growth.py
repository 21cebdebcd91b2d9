"""What a command costs as the book grows, in orders that rest and in series, and what an order takes in memory."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time_ns
from typing import Final, NamedTuple

import numpy as np

from benchmarks.harness import Result, say
from benchmarks.matching_runs import book_for, fresh
from matching.book import bytes_in_use
from matching.kernel import match
from matching.layout import COMMAND, FILL, NONE, Kind, Side

BENCH: Final = "matching"
GROWTH: Final = [
    *((1, 10**power) for power in range(3, 8)),
    *((10**power, 200_000) for power in range(1, 6)),
]
"""(series, orders resting) of every point: more orders in one series, then more series for as many orders."""
CHANGES: Final = 1_000_000
GAP: Final = 50
"""Ticks on either side of the middle at which orders rest."""


class Point(NamedTuple):
    """One point of a growth curve."""

    levels: int
    took_ns: float
    """Per command."""
    bytes_an_order: float


def run_growth(series: int, resting: int, changes: int) -> Point:
    """Fill a book, then, `changes` times, cancel one of its orders, whatever its age, and rest another instead."""
    random = np.random.default_rng(20260101)
    commands = np.zeros(resting + 2 * changes, COMMAND)
    commands["command"] = 1 + np.arange(len(commands))
    cancels = commands[resting::2]
    cancels["kind"] = Kind.CANCEL
    live = np.arange(1, resting + 1).tolist()
    for at, place in enumerate(random.integers(0, resting, changes).tolist()):
        cancels[at]["target"] = live[place]
        live[place] = resting + 1 + at
    for new in (commands[:resting], commands[resting + 1 :: 2]):
        new["kind"] = Kind.NEW
        new["side"] = random.integers(0, 2, len(new))
        away = random.integers(0, GAP, len(new))
        new["price"] = np.where(new["side"] == Side.BUY, GAP - away, GAP + 1 + away)
        new["series"] = random.integers(1, series + 1, len(new))
        new["lots"] = 1

    fills = np.zeros(1, FILL)
    book, _, written, left = match(book_for(series), commands[:resting], fills)
    start = process_time_ns()
    book, _, more, left = match(book, commands[resting:], fills)
    took_ns = process_time_ns() - start
    tally = book.tally[0]
    assert (written, more, left, tally["open_orders"]) == (0, 0, NONE, resting), "nothing trades"
    return Point(int(tally["levels_open"]), took_ns / (2 * changes), bytes_in_use(book) / resting)


def growth_results(points: Sequence[tuple[int, int]]) -> Iterator[Result]:
    """Cost of a command, against that of the first point of its curve, and memory of an order."""
    first: dict[str, float] = {}
    for series, resting in points:
        curve = "resting" if series == 1 else "series"
        say(BENCH, f"growth: {resting:,} orders over {series:,} series")
        point = fresh(run_growth, series, resting, CHANGES)
        against, start = f"first of {curve}", first.setdefault(curve, point.took_ns)
        name = f"growth {series} series {resting} resting"
        yield Result.of(name, "ns/command", [point.took_ns], against=against, peer=[start])
        yield Result.of(f"{name} memory", "bytes/order", [point.bytes_an_order])


def growth_page(results: Sequence[Result]) -> str:
    """The growth curves as a table in Markdown."""
    memory = {result.case.removesuffix(" memory"): result.value for result in results}
    lines = ["| series | orders resting | ns a command | of the first | bytes an order |", "|---|---|---|---|---|"]
    for result in results:
        if result.unit == "ns/command":
            series, resting = _place(result)
            lines.append(
                f"| {int(series):,} | {int(resting):,} | {result.value:.3g} | {result.ratio:.2f} "
                f"| {memory[result.case]:.0f} |"
            )
    return "\n".join(lines) + "\n"


def _place(result: Result) -> tuple[str, str]:
    """Series and resting orders of a point."""
    _, series, _, resting, _ = result.case.split()
    return series, resting


def plot(results: Sequence[Result], file: Path) -> None:
    """The growth curves as a picture, where matplotlib is installed."""
    try:
        pyplot = importlib.import_module("matplotlib.pyplot")
    except ImportError:
        say(BENCH, "matplotlib is not installed, so there is no picture")
        return
    curves: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        if result.unit == "ns/command":
            series, resting = _place(result)
            curve = "orders resting in 1 series" if series == "1" else "series"
            curves.setdefault(curve, []).append((int(resting if series == "1" else series), result.value))
    for curve, points in curves.items():
        pyplot.semilogx(*zip(*points, strict=True), marker="o", label=curve)
    pyplot.ylim(bottom=0)
    pyplot.ylabel("ns a command")
    pyplot.legend()
    pyplot.savefig(file)
