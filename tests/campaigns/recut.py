"""Law 9: batch boundaries influence nothing. A long random history, told again in random cuttings.

The history mixes order commands with deposits, refunds, halts, agreements that take effect later, series that end,
repeated requests and ticks. Each other cutting must give byte-equal sections and facts, the same answers and the same
state root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from ledger.tables import Limits
from ledger.verifier import verify
from tests.campaigns.harness import Report, parser, run
from tests.simulation.market import Desk, quick_log
from tests.simulation.story import Story, Trace, recut, room

NAME = "recut"
LIMITS = Limits(orders=1 << 20, levels=1 << 14, accounts=1 << 18)
STORY_COMMANDS = 125_000
"""Commands of one history; longer campaigns tell several, so that no log outgrows the memory."""


class Cutting(NamedTuple):
    """How a history is cut into batches."""

    rows_mean: int
    """Of a piece of an item."""
    items_mean: int
    """Of a batch."""
    tight: bool
    """Whether a block has room for hardly more than one fill, so that many commands go over several."""


CUTTINGS = (Cutting(40, 4, tight=True), Cutting(4_000, 40, tight=False))


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("--commands", type=int, default=200_000, help="order commands in all (default 200000)")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    left, seed = arguments.commands, arguments.seed
    while left > 0:
        count = min(left, STORY_COMMANDS)
        with tempfile.TemporaryDirectory() as folder:
            _tell_and_recut(report, Path(folder), seed, count)
        left -= count
        seed += 1


def _tell_and_recut(report: Report, folder: Path, seed: int, count: int) -> None:
    report.say(f"history {seed} of {count} commands")
    story = Story(seed, Desk(quick_log(folder / "told.db"), limits=LIMITS), traders=50, series=10, chunk=400)
    story.tell(count)
    verify(story.desk.store, LIMITS)
    expected = Trace()
    expected.read(story.desk.store)
    expected.hear(story.answers)
    details = report.details
    details["commands"] = details.get("commands", 0) + expected.rows_of_commands
    for number, cutting in enumerate(CUTTINGS):
        started = time.monotonic()
        desk = Desk(
            quick_log(folder / f"recut-{number}.db"), limits=LIMITS, out_rows=room(seed) if cutting.tight else None
        )
        different = differences(story, expected, desk, cutting, seed + number)
        desk.recorder.close()
        details["recut_s"] = details.get("recut_s", 0.0) + time.monotonic() - started
        details["recut_commands"] = details.get("recut_commands", 0) + expected.rows_of_commands
        details["recut_blocks"] = details.get("recut_blocks", 0) + desk.store.blocks
        if different:
            what = f"seed {seed}, cutting {number}: differs in {', '.join(different)}"
            report.fail(what, replay=f"--commands {count} --seed {seed}")
        else:
            report.passed += 1
    story.desk.recorder.close()
    details["recut_commands_per_s"] = round(details["recut_commands"] / details["recut_s"])


def differences(story: Story, expected: Trace, desk: Desk, cutting: Cutting, seed: int) -> list[str]:
    """What the cutting changed, by name."""
    found = Trace()
    for batch in recut(story.told, seed, rows_mean=cutting.rows_mean, items_mean=cutting.items_mean):
        found.hear(desk.process(*batch))
    found.read(desk.store)
    ours, theirs = found.digests(), expected.digests()
    different = [name for name in theirs if ours[name] != theirs[name]]
    return different if desk.state.root() == story.desk.state.root() else [*different, "the state root"]


if __name__ == "__main__":
    sys.exit(main())
