"""The writer thread: what waits is one batch, answers come after the append, and a failure stops everything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from ledger.outages import LogUnavailable
from ledger.sequencer import Ask, OrderReplies, Orders, Reply, SequencerStopped
from ledger.writer import Writer
from matching.layout import Side
from tests.simulation.market import DAY, FIRST_TRADER, START_NS, Desk, a_deposit, a_series, new_orders

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
    def gone(_entries: object) -> int:
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
