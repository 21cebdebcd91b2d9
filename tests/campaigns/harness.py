"""What every campaign does alike: its arguments, its progress, and one object that says what came out.

A campaign prints progress and failures to stderr. With `--json` it prints one object to stdout and nothing else:
`{"campaign", "passed", "failed", "skipped", "details"}`; the three numbers count cases.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PROGRESS_S = 5.0


class Skipped(Exception):
    """The campaign cannot run on this machine; the message says what is missing."""


@dataclass(slots=True)
class Report:
    """What a campaign found so far."""

    campaign: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    details: dict[str, Any] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)

    def fail(self, what: str, *, replay: str) -> None:
        """Count a failed case, and say how to see it again; `replay` are the arguments of this campaign for that."""
        self.failed += 1
        command = f"./dev campaign {self.campaign} {replay}"
        self.details.setdefault("failures", []).append({"what": what, "replay": command})
        print(f"FAILED {what}\n  again: {command}", file=sys.stderr)

    def say(self, what: str) -> None:
        print(f"{self.campaign}: {what}", file=sys.stderr)

    def progress(self, what: str) -> None:
        """Say something, but not too often."""
        if time.monotonic() - self._said > PROGRESS_S:
            self._said = time.monotonic()
            self.say(what)

    def seconds(self) -> float:
        """Since the campaign began."""
        return time.monotonic() - self._started


def parser(campaign: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with what every campaign understands."""
    found = argparse.ArgumentParser(prog=f"./dev campaign {campaign}", description=description)
    found.add_argument("--json", action="store_true", help="print one JSON object to stdout")
    found.add_argument("--seed", type=int, default=1, help="what everything random follows from (default 1)")
    return found


def run(campaign: str, arguments: argparse.Namespace, work: Callable[[Report, argparse.Namespace], None]) -> int:
    """Do the work and print the report; returns the exit code, 1 when anything failed."""
    report = Report(campaign)
    try:
        work(report, arguments)
    except Skipped as reason:
        report.skipped += 1
        report.details["skipped"] = str(reason)
        report.say(f"skipped: {reason}")
    report.details["seconds"] = round(report.seconds(), 1)
    if arguments.json:
        found = {name: getattr(report, name) for name in ("campaign", "passed", "failed", "skipped", "details")}
        print(json.dumps(found))
    else:
        print(f"{campaign}: {report.passed} passed, {report.failed} failed, {report.skipped} skipped")
        for name, value in report.details.items():
            print(f"  {name}: {value}")
    return 1 if report.failed else 0
