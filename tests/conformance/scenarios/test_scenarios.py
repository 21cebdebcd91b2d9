"""The shared scenarios through every engine: all that apply come out as written, and few do not apply."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from matching.reference_settings import Settings
from tests.conformance.engine import ENGINES, Engine
from tests.conformance.scenarios.runner import FIXED, SETTABLE, faults, scenarios_in, settings_for
from tests.conformance.scenarios.tally import run_all

OTHER_VENUES = {
    "AU-033": "auction_market_remainder",
    "AU-034": "auction_market_remainder",
    "IB-009": "iceberg_hidden_match",
    "IB-010": "iceberg_hidden_match",
}
"""Variants with a rule that no series can set here."""


@pytest.fixture(scope="session")
def folder(test_data: Path) -> Path:
    return test_data / "scenarios"


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_every_scenario_that_applies_comes_out_as_written(folder: Path, engine: Callable[[], Engine]) -> None:
    tally = run_all(folder, engine)
    sys.stdout.write("\n".join([*tally.table(), ""]))
    assert tally.faults == {}
    assert tally.not_applicable == OTHER_VENUES
    assert tally.profiles["core", "passed"] == 167
    assert tally.profiles["choice", "passed"] == 33
    assert tally.profiles["variant", "passed"] == 10


def test_every_rule_of_the_table_is_a_setting_or_settled(folder: Path) -> None:
    schema = json.loads((folder / "schema.json").read_bytes())
    rules = set(schema["$defs"]["scenario"]["properties"]["rules"]["properties"])
    assert rules == {*FIXED, *SETTABLE, "auction_pressure_cap_bps"}


def _a_scenario() -> dict[str, object]:
    sell = {"op": "submit", "id": "a", "owner": "x", "side": "sell", "type": "limit", "price": 100, "lots": 2}
    buy = {"op": "submit", "id": "b", "owner": "y", "side": "buy", "type": "limit", "price": 100, "lots": 1}
    fill = {"maker": "a", "taker": "b", "price": 100, "lots": 1}
    return {
        "rules": {},
        "instrument": {"tick": "1", "lot": "1"},
        "steps": [sell, buy],
        "expect": [{"result": "accepted", "fills": []}, {"result": "accepted", "fills": [fill], "resting": 0}],
        "final_book": {"bids": [], "asks": [[100, 1, ["a"]]]},
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("expect", 1, "fills", 0, "price"), 101),
        (("expect", 1, "fills", 0, "maker"), "b"),
        (("expect", 1, "resting"), 1),
        (("expect", 1, "canceled"), [{"id": "b", "lots": 1, "reason": "ioc"}]),
        (("expect", 1, "phase"), "halted"),
        (("expect", 0, "result"), "refused"),
        (("final_book", "asks"), []),
        (("final_book", "hidden"), {"a": 1}),
    ],
)
def test_a_scenario_with_one_other_outcome_fails(path: tuple[str | int, ...], value: object) -> None:
    scenario = _a_scenario()
    assert faults(scenario, ENGINES["reference"](), Settings()) == []
    place: object = scenario
    for step in path[:-1]:
        place = place[step]  # type: ignore[index]
    place[path[-1]] = value  # type: ignore[index]
    assert len(faults(scenario, ENGINES["reference"](), Settings())) == 1


def test_a_rule_without_the_wanted_value_is_named() -> None:
    scenario = _a_scenario() | {"rules": {"self_trade": "decrement", "iceberg_hidden_match": "pro_rata"}}
    assert settings_for(scenario) == "iceberg_hidden_match"
    scenario |= {"also": {"iceberg_hidden_match": ["by_peak"]}}
    assert isinstance(settings_for(scenario), Settings)


def test_files_without_scenarios_are_passed_over(folder: Path) -> None:
    assert len(list(scenarios_in(folder))) == 214
