"""A tiny run of the bench of the doors, and what its clients make of what they are sent."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import api
from benchmarks.load import Watched, Worker
from tests.benchmarks.conftest import SmallMarket

TINY = api.Sizes(
    rounds=1,
    orders=100,
    batches=4,
    reads=100,
    subscribers=3,
    fanout_batches=4,
    steady_requests=20,
    batch_orders=50,
    resting=200,
)


def test_a_tiny_run_measures_every_case(capsys: pytest.CaptureFixture[str], small_market: SmallMarket) -> None:
    small_market(api)
    assert api.main(["--json"], TINY) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["bench"] == "api"
    results = {result["case"]: result for result in printed["results"]}
    assert len(results) == len(printed["results"])
    assert all(result["value"] > 0 for result in results.values())
    units = {
        "single order": "commands/s",
        "batch orders": "orders/s",
        "book read": "reads/s",
        "websocket fanout": "deltas/s",
    }
    for case, unit in units.items():
        assert results[case]["unit"] == unit
        assert results[f"{case} latency median"]["unit"] == results[f"{case} latency p99"]["unit"] == "ms"
    for case in ("single order", "book read"):
        assert results[case]["against"] == "bare route"
        assert results[case]["ratio"] > 0
        assert results[f"{case} bare route"]["against"] is None


def test_an_append_is_told_with_the_first_message_that_reaches_its_position() -> None:
    told = Watched(np.array([3, 6, 9]), np.array([100, 250, 400]), np.array([1, 1, 1]), 1)
    appends = np.array([[2, 80], [3, 90], [5, 200], [6, 230], [9, 390], [12, 500]])
    assert api._since_append([told], appends).tolist() == [50, 20, 10]


def test_what_fails_in_a_worker_is_raised_where_it_was_asked_for() -> None:
    with Worker() as worker, pytest.raises(RuntimeError, match=r"^ValueError: invalid literal"):
        worker.run(_fail)


def _fail(_connection: object) -> int:
    return int("no number")
