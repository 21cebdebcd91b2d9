"""The shadow executes the log as it grows, reports roots, writes snapshots, and notices what does not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from domain.commands import RecordStateRoot
from domain.events import StateRootRecorded
from domain.values import HOUSE
from ledger.disagreement import Disagreement
from ledger.recovery import recover
from ledger.replay import Replay
from ledger.requests import Requests
from ledger.sequencer import Ask, Reply, Tick
from ledger.shadow import Shadow
from ledger.snapshots import Snapshots, load
from ledger.state import State
from ledger.store import Appended, LogIncomplete
from ledger.verifier import verify
from matching.layout import Side
from tests.simulation.market import FIRST_TRADER, LIMITS, MONEY, START_NS, Desk, new_orders, requests_of


class Watch:
    """A desk and a shadow that reads its log."""

    def __init__(self, folder: Path, *, root_every: int = 10**9, snapshot_every: int = 10**9) -> None:
        self.desk = Desk()
        self.roots: list[RecordStateRoot] = []
        self.snapshots = Snapshots(folder)
        self.shadow = Shadow(
            Replay(State(LIMITS), Requests()),
            self.snapshots,
            self.roots.append,
            root_every=root_every,
            snapshot_every=snapshot_every,
        )

    def catch_up(self) -> None:
        for entry in self.desk.store.read(self.shadow.replay.position + 1):
            self.shadow.feed(entry)

    def tick(self) -> int:
        """A tick that asks for a root; returns its command."""
        self.desk.process(Tick(at_ns=START_NS, root_wanted=True))
        return self.desk.state.next_command - 1


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "snapshots")


def test_a_tick_asks_for_a_root_and_the_root_is_that_of_the_writer(watch: Watch) -> None:
    watch.desk.set_up()
    asked = watch.tick()
    watch.catch_up()
    assert watch.roots == [RecordStateRoot(at_command=asked, root=watch.desk.state.root())]


def test_roots_are_recorded_as_ordinary_commands_and_verified(watch: Watch) -> None:
    watch.desk.set_up()
    watch.tick()
    watch.catch_up()
    answer = watch.desk.process(Ask(watch.roots[0], HOUSE, at_ns=START_NS))[0]
    assert isinstance(answer, Reply)
    assert answer.facts == (StateRootRecorded(at_command=watch.roots[0].at_command, root=watch.roots[0].root),)
    assert verify(watch.desk.store, LIMITS).roots == 1


def test_a_wrong_recorded_root_is_found_at_its_position(watch: Watch) -> None:
    watch.desk.set_up()
    asked = watch.tick()
    answer = watch.desk.process(Ask(RecordStateRoot(at_command=asked, root=bytes(32)), HOUSE, at_ns=START_NS))[0]
    assert isinstance(answer, Reply)
    with pytest.raises(Disagreement) as caught:
        verify(watch.desk.store, LIMITS)
    assert caught.value.position == answer.position
    assert caught.value.field == "root"


def test_a_root_leaves_recorded_roots_out_so_recording_one_changes_nothing(watch: Watch) -> None:
    watch.desk.set_up()
    before = watch.desk.state.root()
    watch.desk.process(Ask(RecordStateRoot(at_command=1, root=bytes(32)), HOUSE, at_ns=START_NS))
    assert watch.desk.state.root() == before


def test_a_root_is_due_after_so_many_commands(tmp_path: Path) -> None:
    watch = Watch(tmp_path, root_every=50)
    watch.desk.set_up()
    watch.catch_up()
    before = len(watch.roots)
    for _ in range(2):
        watch.desk.orders(new_orders(50, party=FIRST_TRADER, side=Side.BUY, price=3))
        watch.catch_up()
    assert len(watch.roots) == before + 2
    assert watch.roots[-1].root == watch.desk.state.root()


def test_a_snapshot_restores_the_state_the_requests_and_the_place_in_the_log(tmp_path: Path) -> None:
    watch = Watch(tmp_path, snapshot_every=100)
    watch.desk.set_up()
    ids = list(range(1, 201))
    watch.desk.orders(new_orders(200, party=FIRST_TRADER, side=Side.BUY, price=3), requests_of(ids, ids))
    watch.catch_up()
    restored = watch.snapshots.newest(at_most=watch.desk.store.position)
    assert restored is not None
    assert restored.position == watch.desk.store.position
    assert restored.running_hash == watch.desk.store.running_hash
    assert restored.versions == watch.desk.store.versions
    assert restored.state.root() == watch.desk.state.root()
    assert restored.state.next_command == watch.desk.state.next_command
    assert restored.state.limits == LIMITS
    assert restored.requests is not None
    again = restored.requests.admit(requests_of(ids, ids), START_NS)
    assert (again.verdicts >= 0).all()
    assert int(again.answer(199)["position"]) == watch.desk.store.position

    # And it goes on where the writer goes on.
    watch.desk.orders(new_orders(10, party=FIRST_TRADER, side=Side.BUY, price=4))
    for entry in watch.desk.store.read(restored.position + 1):
        restored.feed(entry)
    assert restored.state.root() == watch.desk.state.root()


def test_a_damaged_snapshot_is_passed_over(tmp_path: Path) -> None:
    watch = Watch(tmp_path, snapshot_every=8)
    watch.desk.set_up()
    watch.catch_up()
    files = sorted(tmp_path.glob("*.snapshot"))
    assert len(files) >= 2
    random = np.random.default_rng(5)
    whole = files[-1].read_bytes()
    for _ in range(200):
        at = int(random.integers(len(whole)))
        files[-1].write_bytes(whole[:at] + bytes([whole[at] ^ 1 << int(random.integers(8))]) + whole[at + 1 :])
        assert load(files[-1]) is None
    files[-1].write_bytes(whole[: len(whole) // 2])
    found = watch.snapshots.newest(at_most=watch.desk.store.position)
    assert found is not None
    assert found.position == int(files[-2].stem)


def test_the_shadow_stops_at_an_entry_that_executing_does_not_give(watch: Watch) -> None:
    watch.desk.set_up()
    watch.catch_up()
    watch.desk.orders(new_orders(3, party=FIRST_TRADER, side=Side.BUY, price=3))
    entry = next(watch.desk.store.read(watch.shadow.replay.position + 1))
    altered = Appended(*entry[:4], entry.state[:-1] + bytes([entry.state[-1] ^ 1]))
    with pytest.raises(Disagreement):
        watch.shadow.feed(altered)


def test_a_snapshot_of_another_log_is_passed_over(tmp_path: Path) -> None:
    first = Watch(tmp_path, snapshot_every=8)
    first.desk.set_up()
    first.catch_up()
    other = Desk()
    other.set_up(money=MONEY + 1)
    assert other.store.position >= first.desk.store.position
    recovered = recover(other.store, first.snapshots, LIMITS)
    assert recovered.state.root() == other.state.root()


def test_a_log_that_ends_before_its_snapshot_does_not_start(tmp_path: Path) -> None:
    watch = Watch(tmp_path, snapshot_every=8)
    watch.desk.set_up()
    watch.catch_up()
    shorter = Desk()
    shorter.process(Tick(START_NS))
    with pytest.raises(LogIncomplete, match="ends at"):
        recover(shorter.store, watch.snapshots, LIMITS)
