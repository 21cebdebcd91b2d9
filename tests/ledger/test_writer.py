"""The writer thread: what waits is one batch, answers come after the append, and a failure stops everything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait

import pytest

from ledger.outages import LogUnavailable
from ledger.recorder import Entry
from ledger.sequencer import Answer, Ask, OrderReplies, Orders, Reply, SequencerStopped
from ledger.writer import Writer
from matching.layout import Side
from tests.simulation.market import DAY, FIRST_TRADER, START_NS, Desk, a_deposit, a_series, new_orders, request_id

PATIENCE = 20.0


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Desk:
    desk = Desk(clock=clock)
    desk.set_up()
    return desk


@pytest.fixture
def writer(desk: Desk, clock: Clock) -> Iterator[Writer]:
    writer = Writer(desk.sequencer, clock)
    writer.start()
    yield writer
    writer.close()


def test_every_item_gets_its_own_answer_in_order(writer: Writer) -> None:
    futures = [
        writer.submit(Orders(new_orders(count, party=FIRST_TRADER, side=Side.BUY, price=3))) for count in range(1, 40)
    ]
    done, _ = wait(futures, timeout=PATIENCE)
    assert len(done) == len(futures)
    replies = [future.result() for future in futures]
    assert [len(reply.results) for reply in replies if isinstance(reply, OrderReplies)] == list(range(1, 40))
    commands = [
        int(number) for reply in replies if isinstance(reply, OrderReplies) for number in reply.results["command"]
    ]
    assert commands == list(range(commands[0], commands[0] + len(commands)))


def test_what_waits_while_the_thread_is_not_running_becomes_one_append(desk: Desk, clock: Clock) -> None:
    writer = Writer(desk.sequencer, clock)
    blocks = desk.store.blocks
    futures = [writer.submit(Orders(new_orders(5, party=FIRST_TRADER, side=Side.BUY, price=3))) for _ in range(100)]
    writer.start()
    wait(futures, timeout=PATIENCE)
    writer.close()
    assert desk.store.blocks == blocks + 1
    replies = [future.result() for future in futures]
    assert {int(at) for reply in replies if isinstance(reply, OrderReplies) for at in reply.positions} == {
        desk.store.position
    }


def test_an_answer_names_a_position_that_is_in_the_log(writer: Writer, desk: Desk) -> None:
    answer = writer.submit(Ask(a_deposit(FIRST_TRADER, 5, "late"), actor=1)).result(PATIENCE)
    assert isinstance(answer, Reply)
    assert answer.position <= desk.recorder.max_position()
    assert DAY in {getattr(fact, "effective_day", None) for fact in answer.facts}


def test_what_is_due_happens_although_nobody_asks(writer: Writer, desk: Desk, clock: Clock) -> None:
    answer = writer.submit(Ask(a_series(9, ends_ns=START_NS + 1_000), actor=2)).result(PATIENCE)
    assert isinstance(answer, Reply)
    clock.now_ns += 1_000
    deadline = time.monotonic() + PATIENCE
    while (last := desk.recorder.last_of_stream("series-2")) is None or last.topic != "SeriesEnded.1":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_failed_append_stops_the_writer_and_every_later_request(
    writer: Writer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_entries: object, **_: object) -> int:
        raise LogUnavailable("the database is gone")

    monkeypatch.setattr(desk.recorder, "append", gone)
    with pytest.raises(LogUnavailable):
        writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3))).result(PATIENCE)
    with pytest.raises(SequencerStopped):
        writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3))).result(PATIENCE)
    assert isinstance(writer.failure, LogUnavailable)


def test_closing_answers_what_waits_and_refuses_what_comes_later(desk: Desk, clock: Clock) -> None:
    writer = Writer(desk.sequencer, clock)
    waiting = writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3)))
    writer.start()
    writer.close()
    assert isinstance(waiting.result(0), OrderReplies)
    with pytest.raises(SequencerStopped):
        writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3))).result(0)


def test_a_request_whose_client_went_away_harms_nobody(desk: Desk, clock: Clock) -> None:
    writer = Writer(desk.sequencer, clock)
    gone = writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3)))
    stays = writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=4)))
    assert gone.cancel()
    writer.start()
    assert isinstance(stays.result(PATIENCE), OrderReplies)
    later = writer.submit(Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=5)))
    assert isinstance(later.result(PATIENCE), OrderReplies)
    writer.close()
    assert desk.state.tables.book.tally["open_orders"][0] == 2


class SlowDisk:
    """Holds every append back until the test lets it go, one at a time."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.under_way = threading.Semaphore(0)
        self._go = threading.Semaphore(0)
        self.failure: Exception | None = None
        self._append = desk.recorder.append
        monkeypatch.setattr(desk.recorder, "append", self._slowly)

    def _slowly(self, entries: Sequence[Entry], *, announce: bool) -> int:
        self.under_way.release()
        assert self._go.acquire(timeout=PATIENCE)
        if self.failure is not None:
            raise self.failure
        return self._append(entries, announce=announce)

    def let_go(self) -> None:
        self._go.release()


def a_bid() -> Orders:
    return Orders(new_orders(1, party=FIRST_TRADER, side=Side.BUY, price=3))


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def three_batches(writer: Writer, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> tuple[SlowDisk, list[Future[Answer]]]:
    """The first batch is committed by the writer itself, the second is under way, the third is decided meanwhile."""
    disk = SlowDisk(desk, monkeypatch)
    first = writer.submit(a_bid())
    assert disk.under_way.acquire(timeout=PATIENCE)
    monkeypatch.setattr("ledger.writer.BATCH_ROWS", 1)
    later = [writer.submit(a_bid()) for _ in range(3)]
    decided = desk.state.next_command
    disk.let_go()
    assert disk.under_way.acquire(timeout=PATIENCE)
    wait_until(lambda: desk.state.next_command >= decided + 2)
    return disk, [first, *later]


def test_the_next_batch_is_decided_while_one_is_under_way(
    three_batches: tuple[SlowDisk, list[Future[Answer]]], desk: Desk
) -> None:
    disk, futures = three_batches
    assert [future.done() for future in futures] == [True, False, False, False]
    assert desk.recorder.max_position() < desk.store.position, "decided, not durable, not answered"
    for _ in range(3):
        disk.let_go()
    replies = [future.result(PATIENCE) for future in futures]
    positions = [int(reply.positions[0]) for reply in replies if isinstance(reply, OrderReplies)]
    assert positions == list(range(positions[0], positions[0] + 4))
    assert desk.recorder.max_position() == desk.store.position


def test_what_was_decided_behind_a_failed_append_fails_with_it(
    three_batches: tuple[SlowDisk, list[Future[Answer]]], writer: Writer, desk: Desk
) -> None:
    disk, futures = three_batches
    disk.failure = LogUnavailable("the database is gone")
    for _ in range(3):
        disk.let_go()
    assert isinstance(futures[0].result(PATIENCE), OrderReplies)
    for future in futures[1:3]:
        with pytest.raises(LogUnavailable):
            future.result(PATIENCE)
    with pytest.raises((LogUnavailable, SequencerStopped)):
        futures[3].result(PATIENCE)
    with pytest.raises(SequencerStopped):
        writer.submit(a_bid()).result(PATIENCE)
    assert isinstance(writer.failure, LogUnavailable)
    again = Desk(desk.recorder, keys=desk.keys)
    assert again.state.next_command == int(futures[0].result().results["command"][0]) + 1  # type: ignore[union-attr]


def test_a_repeat_of_a_rare_command_waits_for_what_it_reads(
    writer: Writer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(desk, monkeypatch)
    first = writer.submit(a_bid())
    assert disk.under_way.acquire(timeout=PATIENCE)
    monkeypatch.setattr("ledger.writer.BATCH_ROWS", 1)
    deposit = Ask(a_deposit(FIRST_TRADER, 5, "twice"), actor=1, request_id=request_id(1))
    asked, again = writer.submit(deposit), writer.submit(deposit)
    for _ in range(3):
        disk.let_go()
    assert isinstance(first.result(PATIENCE), OrderReplies)
    told, repeated = asked.result(PATIENCE), again.result(PATIENCE)
    assert isinstance(told, Reply) and isinstance(repeated, Reply)
    assert repeated == told._replace(repeated=True)
