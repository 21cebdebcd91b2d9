"""Other people's situations: every scenario of a folder through every engine that follows the rulebook.

Prints, by topic, what passed, what does not apply and by which rule, and what failed. A scenario that applies and comes
out otherwise fails the campaign.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.campaigns.harness import Report, parser, run
from tests.conformance.engine import ENGINES
from tests.conformance.scenarios.tally import run_all

NAME = "scenarios"


def main() -> int:
    arguments = parser(NAME, __doc__)
    arguments.add_argument("folder", type=Path, help="folder of scenario files")
    arguments.add_argument("--engine", choices=[*ENGINES], help="only this engine (default: all)")
    return run(NAME, arguments.parse_args(), work)


def work(report: Report, arguments: argparse.Namespace) -> None:
    for name in [arguments.engine] if arguments.engine else ENGINES:
        tally = run_all(arguments.folder, ENGINES[name])
        if not tally.topics:
            report.fail(f"no scenarios in {arguments.folder}", replay=str(arguments.folder))
            return
        for line in tally.table():
            report.say(f"{name}: {line}")
        report.passed += tally.passed.total()
        report.skipped += len(tally.not_applicable)
        for scenario, found in tally.faults.items():
            replay = f"{arguments.folder} --engine {name}"
            report.fail(f"{name}: {scenario} ({tally.topics[scenario]}): {'; '.join(found)}", replay=replay)
        report.details[name] = {
            "by_topic": {
                topic: {
                    "passed": tally.passed[topic],
                    "not_applicable": sum(tally.topics[other] == topic for other in tally.not_applicable),
                    "failed": tally.failed[topic],
                }
                for topic in sorted(set(tally.topics.values()))
            },
            "by_profile": {f"{profile} {outcome}": n for (profile, outcome), n in sorted(tally.profiles.items())},
            "not_applicable": dict(sorted(tally.not_applicable.items())),
        }


if __name__ == "__main__":
    sys.exit(main())
