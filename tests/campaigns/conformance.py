"""Recorded days of real exchanges, replayed: the exchange itself says which order was hit.

FILES are gzipped or plain, or folders of them; of a pair so named either file is enough:

    lobster   ..._message_L.csv and ..._orderbook_L.csv, L levels
    sse       a log of orders (192), trades (191) and snapshots (111)
    bitstamp  ..._orders.csv and ..._trades.csv

A case is a day. It fails when more than --max-exceptions of its executions contradict price-time priority (or, of an
auction or a snapshot, differ), those not counted whose rows the JSON file --known lists under the day's file name.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tests.campaigns.harness import Report, Skipped, parser, run
from tests.conformance.market_data import bitstamp, lobster, sse

NAME = "conformance"
KNOWN = Path(lobster.__file__).with_name("known.json")

Found = lobster.Found | sse.Found | bitstamp.Found


@dataclass(frozen=True, slots=True)
class Format:
    """How the files of a format are found, and how a day is replayed."""

    marks: tuple[str, ...]
    """What the names of the files of a day have in turn."""
    replay: Callable[..., Found]


FORMATS = {
    "lobster": Format(("message", "orderbook"), lambda *files: lobster.replay(lobster.load(*files))),
    "sse": Format(("",), lambda *files: sse.replay(sse.load(*files))),
    "bitstamp": Format(("orders", "trades"), lambda *files: bitstamp.replay(bitstamp.load(*files))),
}


def days_of(named: list[Path], marks: tuple[str, ...]) -> list[tuple[Path, ...]]:
    """The files of each day, in the order of the marks; raises FileNotFoundError for half a pair.

    Files whose names say nothing are taken in the order in which they are named.
    """
    days: list[tuple[Path, ...]] = []
    unmarked: list[Path] = []
    for name in named:
        for file in sorted(name.iterdir()) if name.is_dir() else [name]:
            mark = next((mark for mark in marks if mark in file.name), None)
            if mark is None:
                unmarked += [] if name.is_dir() else [sibling(file)]
            elif {".csv", ".log"} & set(file.suffixes) or not name.is_dir():
                day = tuple(sibling(file.with_name(file.name.replace(mark, other))) for other in marks)
                if day not in days:
                    days.append(day)
    if len(unmarked) % len(marks):
        raise FileNotFoundError(f"the other half of {unmarked[-1]}")
    return days + list(zip(*(unmarked[place :: len(marks)] for place in range(len(marks))), strict=True))


def sibling(file: Path) -> Path:
    """The file, or the same gzipped or plain."""
    other = file.with_suffix("") if file.suffix == ".gz" else file.with_name(file.name + ".gz")
    for candidate in (file, other):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(file)


def columns(found: Found) -> dict[str, Any]:
    """What was found: a number for each row of the table, and which rows some of them are."""
    shown = {field.name: getattr(found, field.name) for field in fields(found)}
    counts = {name: len(value) if isinstance(value, list) else value for name, value in shown.items()}
    return {**counts, "which": {name: value for name, value in shown.items() if name in LISTED and value}}


LISTED = {
    "first_of_named", "not_rankable", "unknown", "not_at_best", "other_ahead", "lots_differ", "best_differs",
    "auction_prices", "auction_differs", "certificate_flaws", "left_out",
}  # fmt: skip
"""Columns that are counted, and of which each row, price or order is printed too."""


def work(report: Report, arguments: argparse.Namespace) -> None:
    form = FORMATS[arguments.format]
    known: dict[str, list[int]] = json.loads(arguments.known.read_text())
    try:
        days = days_of(arguments.files, form.marks)
    except FileNotFoundError as missing:
        raise SystemExit(f"{NAME}: there is no file {missing}") from missing
    if not days:
        raise Skipped(f"no {arguments.format} files among {', '.join(map(str, arguments.files))}")
    report.details["files"] = {}
    for day in days:
        name = day[0].name.removesuffix(".gz")
        report.say(f"{day[0].name}")
        found = form.replay(*day)
        report.details["files"][day[0].name] = columns(found)
        unexpected = sorted(set(found.exceptions) - set(known.get(name, [])))
        exceptions = len(unexpected) + found.other_flaws
        if exceptions > arguments.max_exceptions:
            what = f"{name}: {exceptions} exceptions that are not known, first in rows {unexpected[:10]}"
            report.fail(what, replay=f"--format {arguments.format} {' '.join(map(str, day))}")
        else:
            report.passed += 1


def main() -> int:
    description, _, epilog = (__doc__ or "").partition("\n")
    found = parser(NAME, description)
    found.epilog, found.formatter_class = epilog, argparse.RawDescriptionHelpFormatter
    found.add_argument("--format", required=True, choices=sorted(FORMATS))
    found.add_argument("--max-exceptions", type=int, default=0, metavar="N", help="of a day (default 0)")
    found.add_argument("--known", type=Path, default=KNOWN, metavar="FILE", help="JSON: rows by file name")
    found.add_argument("files", nargs="+", type=Path, metavar="FILES")
    return run(NAME, found.parse_args(), work)


if __name__ == "__main__":
    sys.exit(main())
