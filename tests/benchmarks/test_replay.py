"""A tiny run of the replay bench, and that what it measures is a verification."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks import market, replay
from benchmarks.harness import fresh_house
from benchmarks.market import build, submit
from benchmarks.replay import Before
from ledger.disagreement import Disagreement
from tests.benchmarks.conftest import SmallMarket


def test_a_tiny_run_measures_both_flows_on_one_core(
    capsys: pytest.CaptureFixture[str], small_market: SmallMarket
) -> None:
    small_market(replay)
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    assert replay.main(["--json", "--commands", "500", "--rounds", "2"]) == 0
    assert allowed is None or os.sched_getaffinity(0) == allowed
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "replay"
    results = {result["case"]: result for result in printed["results"]}
    assert len(results) == len(printed["results"])
    for flow in ("f1", "f1000"):
        verified = results[f"verify {flow}"]
        assert verified["unit"] == "commands/s" and verified["against"] == "read and hash"
        assert verified["value"] > 0 and verified["ratio"] > 0 and len(verified["runs"]) == 2
        shares = [results[f"verify {flow} share {what}"]["runs"] for what in ("execute", "compare", "hash")]
        assert [sum(round_) for round_ in zip(*shares, strict=True)] == pytest.approx([1, 1], abs=0.001)


def test_each_round_verifies_from_a_state_of_its_own_and_finds_what_was_altered(
    tmp_path: Path, small_market: SmallMarket
) -> None:
    small_market(market)
    with fresh_house(tmp_path / "house") as sequencer:
        store = sequencer.store
        rows = build(sequencer, market.flow_commands("f1", 400))
        position = store.position
        submit(sequencer, rows, 100)
        before = Before(store, position, tmp_path / "before")
        entries = list(store.read(position + 1))
    for _ in range(2):
        again = before.replay()
        for entry in entries:
            again.feed(entry)
        assert again.commands == 400 and again.state.root() == sequencer.state.root()
    altered = bytearray(entries[0].state)
    altered[-40] ^= 1
    with pytest.raises(Disagreement):
        before.replay().feed(entries[0]._replace(state=bytes(altered)))
