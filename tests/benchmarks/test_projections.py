"""A tiny run of the projections bench."""

from __future__ import annotations

import json

import pytest

from benchmarks import projections
from tests.benchmarks.conftest import SmallMarket


def test_a_tiny_run_folds_commits_and_builds_anew(
    capsys: pytest.CaptureFixture[str], small_market: SmallMarket
) -> None:
    small_market(projections)
    assert projections.main(["--json", "--commands", "500", "--rows", "2000", "--rounds", "2", "--singles", "20"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "projections"
    results = {result["case"]: result for result in printed["results"]}
    assert len(results) == len(printed["results"])
    for flow in ("f1", "f1000"):
        rows, commands = results[f"flow fold {flow}"], results[f"flow fold {flow} commands"]
        assert rows["unit"] == "rows/s" and rows["value"] > commands["value"] > 0
        assert len(rows["runs"]) == 2
    assert results["order rows sqlite"]["against"] == "bare insert"
    assert results["order rows sqlite"]["ratio"] > 0
    assert results["rebuild"]["against"] == "read"
    assert results["order rows sqlite processor"]["value"] > 0
    assert results["single orders caught up"]["value"] < results["single orders one at a time"]["value"]
    assert 0 < results["rebuild"]["value"] < results["rebuild read"]["value"]
