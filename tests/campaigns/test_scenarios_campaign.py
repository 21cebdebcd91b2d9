"""The campaign of scenarios in small: what passes, what does not apply, what fails, and a folder without any."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tests.campaigns import scenarios
from tests.campaigns.harness import Report

SELL = {"op": "submit", "id": "a", "owner": "x", "side": "sell", "type": "limit", "price": 100, "lots": 2}


def a_scenario(name: str, **other: Any) -> dict[str, Any]:
    return {
        "id": name,
        "topic": "limit-priority",
        "profile": "core",
        "rules": {},
        "instrument": {"tick": "1", "lot": "1"},
        "steps": [SELL],
        "expect": [{"result": "accepted", "fills": [], "resting": 2}],
        "final_book": {"bids": [], "asks": [[100, 2, ["a"]]]},
    } | other


def run(folder: Path) -> Report:
    report = Report("scenarios")
    scenarios.work(report, argparse.Namespace(folder=folder, engine="reference"))
    return report


def test_outcomes_are_counted_by_topic(tmp_path: Path) -> None:
    told = [
        a_scenario("LP-001"),
        a_scenario("LP-002", final_book={"bids": [], "asks": []}),
        a_scenario("IB-001", topic="iceberg", profile="variant", rules={"iceberg_hidden_match": "pro_rata"}),
    ]
    (tmp_path / "some.json").write_text(json.dumps({"scenarios": told}))
    (tmp_path / "schema.json").write_text("{}")
    report = run(tmp_path)
    assert (report.passed, report.failed, report.skipped) == (1, 1, 1)
    found = report.details["reference"]
    assert found["by_topic"]["limit-priority"] == {"passed": 1, "not_applicable": 0, "failed": 1}
    assert found["by_topic"]["iceberg"] == {"passed": 0, "not_applicable": 1, "failed": 0}
    assert found["not_applicable"] == {"IB-001": "iceberg_hidden_match"}
    assert "LP-002" in report.details["failures"][0]["what"]
    assert f"{tmp_path} --engine reference" in report.details["failures"][0]["replay"]


def test_a_folder_without_scenarios_is_a_failure(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert (run(folder).failed, run(folder).passed) == (1, 0)
