"""Runs all scenarios of a folder through an engine and counts, by topic, what passed, failed and does not apply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.conformance.engine import Engine
from tests.conformance.scenarios.runner import faults, scenarios_in, settings_for


@dataclass(slots=True)
class Tally:
    """What came out of a folder's scenarios."""

    passed: Counter[str] = field(default_factory=Counter)
    """By topic."""
    failed: Counter[str] = field(default_factory=Counter)
    not_applicable: dict[str, str] = field(default_factory=dict)
    """Rule by scenario."""
    topics: dict[str, str] = field(default_factory=dict)
    """By scenario."""
    profiles: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By profile and outcome."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """Of each failed scenario."""

    def table(self) -> list[str]:
        """One line per topic, and one per rule that keeps a scenario from applying."""
        topics = sorted(set(self.topics.values()))
        lines = [f"{'topic':<24}{'passed':>8}{'not applicable':>16}{'failed':>8}"]
        for topic in topics:
            outside = sum(self.topics[name] == topic for name in self.not_applicable)
            lines.append(f"{topic:<24}{self.passed[topic]:>8}{outside:>16}{self.failed[topic]:>8}")
        for rule in sorted(set(self.not_applicable.values())):
            names = sorted(name for name, found in self.not_applicable.items() if found == rule)
            lines.append(f"not applicable by {rule}: {', '.join(names)}")
        return lines


def run_all(folder: Path, engine: Callable[[], Engine]) -> Tally:
    """Run every scenario on a market of its own."""
    tally = Tally()
    for scenario in scenarios_in(folder):
        name, topic, profile = scenario["id"], scenario["topic"], scenario["profile"]
        tally.topics[name] = topic
        settings = settings_for(scenario)
        if isinstance(settings, str):
            tally.not_applicable[name] = settings
            tally.profiles[profile, "not applicable"] += 1
            continue
        found = faults(scenario, engine(), settings)
        if found:
            tally.failed[topic] += 1
            tally.faults[name] = found
        else:
            tally.passed[topic] += 1
        tally.profiles[profile, "failed" if found else "passed"] += 1
    return tally
