"""The flows are the published bytes, fast or slow; the random commands are the same for the same seed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from matching.layout import COMMAND, LEG, Kind, TimeInForce
from matching.simulator import (
    ACCOUNTS,
    FLOWS,
    FlowTally,
    SplitMix64,
    commands_of,
    generate_flow,
    generate_flow_reference,
    random_commands,
)

Rows = np.ndarray[Any, np.dtype[np.void]]

PUBLISHED = {
    "f1": FlowTally(fills=196_017, lots=4_978_126, price_lots=10_084_758_449, resting=9_999, levels=101),
    "f1000": FlowTally(fills=151_915, lots=4_127_558, price_lots=8_447_265_785, resting=10_189, levels=5_648),
    "fill1": FlowTally(fills=1_464_899, lots=39_772_743, price_lots=80_782_154_494, resting=20_741, levels=134),
}


def test_splitmix64_gives_its_published_numbers() -> None:
    random = SplitMix64(1234567)
    assert [random.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize(("name", "count"), [("f1", 40_000), ("f1000", 15_000), ("fill1", 20_000)])
def test_the_fast_generator_writes_what_the_readable_one_does(name: str, count: int) -> None:
    slow, slow_tally = generate_flow_reference(FLOWS[name], count)
    fast, fast_tally = generate_flow(FLOWS[name], count)
    assert np.array_equal(slow, fast)
    assert slow_tally == fast_tally


@pytest.mark.parametrize("name", FLOWS)
def test_two_million_records_are_the_published_bytes(name: str) -> None:
    records, tally = generate_flow(FLOWS[name], 2_000_000)
    assert hashlib.sha256(records.tobytes()).hexdigest() == FLOWS[name].sha256
    assert tally == PUBLISHED[name]


def test_a_prefix_of_a_flow_is_the_flow_of_that_length() -> None:
    longer, _ = generate_flow(FLOWS["f1000"], 30_000)
    shorter, _ = generate_flow(FLOWS["f1000"], 20_000)
    assert longer[:20_000].tobytes() == shorter.tobytes()


def test_a_flow_becomes_commands_of_the_parties_that_sent_the_orders() -> None:
    records, _ = generate_flow(FLOWS["f1000"], 30_000)
    commands = commands_of(records, first_command=5)
    assert commands["command"].tolist() == list(range(5, 30_005))
    assert set(commands["kind"]) == {Kind.NEW, Kind.CANCEL, Kind.REDUCE}
    arrivals = commands[commands["kind"] == Kind.NEW]
    changes = commands[commands["kind"] != Kind.NEW]
    assert np.array_equal(changes["account"], arrivals["account"][changes["target"] - 1])
    assert np.array_equal(changes["price"], arrivals["price"][changes["target"] - 1])
    assert arrivals["account"].min() >= 1 and arrivals["account"].max() <= ACCOUNTS
    assert commands["series"].min() == 1 and commands["series"].max() == 1_000
    assert np.array_equal(commands["tif"] == TimeInForce.IOC, records["op"] == 4)


def test_random_commands_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    def draw(seed: int) -> tuple[Rows, Rows]:
        return random_commands(seed, 400, parties=5, series=2, accounts=(0, 3, 8, 9), asset=-1, kinds=(2, 3))

    commands, legs = draw(1)
    assert (commands.dtype, legs.dtype) == (COMMAND, LEG)
    assert commands.tobytes() == draw(1)[0].tobytes() and legs.tobytes() == draw(1)[1].tobytes()
    assert commands.tobytes() != draw(2)[0].tobytes()
    assert commands["command"].tolist() == list(range(1, 401))
    assert set(legs["command"]) <= set(commands["command"][commands["kind"] == Kind.JOURNAL])
    assert set(Kind) <= set(commands["kind"].tolist())
