"""A tiny run of the matching bench, its ladder and its growth curves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import matching, matching_growth
from benchmarks.matching_growth import growth_page, growth_results, run_growth
from benchmarks.matching_runs import latencies, run_alone
from benchmarks.peers import ladder
from matching.simulator import FLOWS, generate_flow


def test_a_tiny_run_measures_every_flow_beside_the_ladder(capsys: pytest.CaptureFixture[str]) -> None:
    assert matching.main(["--json", "--no-core", "--commands", "2000", "--rounds", "1"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "matching"
    against = {(result["case"], result["against"]): result for result in printed["results"]}
    assert len(against) == len(printed["results"])
    peer = "C++ ladder" if ladder.compiler() else None
    for case in ("f1 alone", "f1000 alone", "fill1 alone", "f1 call 256"):
        assert against[case, peer]["value"] > 0 and against[case, peer]["unit"] == "commands/s"
    assert against["f1 call 256", "one large call"]["ratio"] > 0
    percentiles = [against[f"f1 alone latency p{percent}", None]["value"] for percent in ("50", "99", "99.9")]
    assert percentiles == sorted(percentiles) and percentiles[0] > 0


@pytest.mark.skipif(ladder.compiler() is None, reason="there is no C++ compiler")
@pytest.mark.parametrize("name", FLOWS)
def test_the_ladder_ends_as_the_generator_of_the_flow_says(name: str, tmp_path: Path) -> None:
    program = ladder.compiled(tmp_path)
    assert program is not None
    records, tally = generate_flow(FLOWS[name], 50_000)
    records.tofile(tmp_path / name)
    assert ladder.run(program, tmp_path / name, FLOWS[name].series).tally == tally


def test_a_run_in_many_calls_ends_as_one_in_a_single_call(tmp_path: Path) -> None:
    records, tally = generate_flow(FLOWS["f1"], 3_000)
    records.tofile(tmp_path / "f1")
    assert run_alone(tmp_path / "f1", 7).tally == run_alone(tmp_path / "f1", None).tally == tally


def test_a_run_that_trades_otherwise_ends_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: object) -> object:
        run = run_alone(*arguments)  # type: ignore[arg-type]
        return run._replace(tally=run.tally._replace(fills=run.tally.fills + 1))

    monkeypatch.setattr(matching, "fresh", lambda _function, *arguments: wrong(*arguments))
    with pytest.raises(AssertionError, match="f1 alone"):
        matching.main(["--no-core", "--commands", "12000", "--rounds", "1", "--flows", "f1"])


def test_a_command_that_waits_for_a_slow_one_is_charged_with_the_wait() -> None:
    now = iter([0, 100, 350, 350, 360, 400, 410])
    took = latencies(lambda _at: None, 0, 3, 100, clock=lambda: next(now))
    # The first was due at 100 and done at 350; the second, due at 200, could only begin then.
    assert took.tolist() == [250, 160, 110]


def test_growth_says_what_an_order_costs_and_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching_growth, "CHANGES", 500)
    monkeypatch.setattr(matching_growth, "fresh", lambda function, *arguments: function(*arguments))
    results = list(growth_results([(1, 1_000), (10, 2_000)]))
    page = growth_page(results)
    assert [line.split("|")[1:3] for line in page.splitlines()[2:]] == [[" 1 ", " 1,000 "], [" 10 ", " 2,000 "]]
    point = run_growth(1, 20_000, 10)
    assert 0 < point.levels <= 100
    assert 64 < point.bytes_an_order <= 128
    assert np.isfinite(point.took_ns)
