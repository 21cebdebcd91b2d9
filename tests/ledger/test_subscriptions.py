"""Following a log: nothing is missed, memory is bounded by bytes, other processes are woken."""

import contextlib
import multiprocessing
import queue
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import Notification
from sqlalchemy import create_engine, text

from ledger.recorder import READ_BYTES_MAX, Entry, LogRecorder, LogSubscription, LogUnavailable, migrate
from ledger.signals import SocketSignals

SOON = 10.0


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/log.db" if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    migrate(url)
    return str(url)


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogRecorder]:
    if request.param == "memory":
        recorder = LogRecorder("sqlite://")
    else:
        url = f"sqlite:///{tmp_path}/log.db"
        if request.param == "postgres":
            url = request.getfixturevalue("postgres_database")
        migrate(url)
        recorder = LogRecorder(url)
    yield recorder
    recorder.close()


@pytest.fixture
def without_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower that only a signal can wake within the test's patience."""
    monkeypatch.setattr(LogSubscription, "POLL_SECONDS", 3600.0)


def entry(number: int, topic: str = "t", size: int = 1) -> Entry:
    return ("s", number, topic, bytes(size))


class Follower:
    """A subscription in a thread of its own, and what it has seen."""

    def __init__(self, recorder: LogRecorder, **where: Any) -> None:
        self.subscription = recorder.subscribe(**where)
        self.seen: queue.Queue[Notification | BaseException | None] = queue.Queue()
        self.thread = threading.Thread(target=self._follow)
        self.thread.start()

    def _follow(self) -> None:
        try:
            with self.subscription:
                for notification in self.subscription:
                    self.seen.put(notification)
            self.seen.put(None)
        except LogUnavailable as error:
            self.seen.put(error)

    def positions(self, count: int) -> list[int]:
        found = [self.seen.get(timeout=SOON) for _ in range(count)]
        return [notification.id for notification in found if isinstance(notification, Notification)]

    def stop(self) -> None:
        self.subscription.stop()
        self.thread.join(SOON)
        assert not self.thread.is_alive()


@pytest.mark.usefixtures("without_polling")
def test_a_follower_is_woken_by_every_way_of_writing(recorder: LogRecorder) -> None:
    recorder.append([entry(1)])
    follower = Follower(recorder)
    assert follower.positions(1) == [1]
    recorder.append([entry(2), entry(3)])
    assert follower.positions(2) == [2, 3]
    with recorder.transaction() as transaction:
        transaction.append([entry(4)])
        transaction.append([entry(5)])
    assert follower.positions(2) == [4, 5]
    follower.stop()


@pytest.mark.usefixtures("without_polling")
def test_stopping_ends_a_waiting_follower_at_once(recorder: LogRecorder) -> None:
    follower = Follower(recorder)
    follower.stop()
    assert follower.seen.get(timeout=SOON) is None


@pytest.mark.usefixtures("without_polling")
def test_followers_start_where_they_are_told_and_see_only_their_topics(recorder: LogRecorder) -> None:
    recorder.append([entry(1, "a"), entry(2, "b"), entry(3, "a"), entry(4, "b")])
    after_two, only_b = Follower(recorder, gt=2), Follower(recorder, topics=["b"])
    assert after_two.positions(2) == [3, 4]
    assert only_b.positions(2) == [2, 4]
    recorder.append([entry(5, "a")])
    recorder.append([entry(6, "b")])
    assert after_two.positions(2) == [5, 6]
    assert only_b.positions(1) == [6]
    after_two.stop()
    only_b.stop()


def test_many_followers_leave_connections_for_readers_and_the_writer(recorder: LogRecorder) -> None:
    with contextlib.ExitStack() as stack:
        subscriptions = [stack.enter_context(recorder.subscribe()) for _ in range(20)]
        recorder.append([entry(1)])
        assert [next(subscription).id for subscription in subscriptions] == [1] * 20


def test_what_waits_in_a_subscription_is_bounded_by_bytes(recorder: LogRecorder) -> None:
    block = 6 << 20
    for number in range(1, 7):
        recorder.append([entry(number, size=block)])
    largest = 0
    with recorder.subscribe() as subscription:
        for notification in subscription:
            held = len(notification.state) + sum(len(e.state) for e in subscription._waiting)
            largest = max(largest, held)
            if notification.id == 6:
                break
    assert block < largest <= READ_BYTES_MAX


def test_without_a_signal_a_follower_finds_the_entry_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SocketSignals, "announce", lambda _: None)
    migrate(f"sqlite:///{tmp_path}/log.db")
    with LogRecorder(f"sqlite:///{tmp_path}/log.db") as recorder:
        follower = Follower(recorder)
        recorder.append([entry(1)])
        assert follower.positions(1) == [1]
        follower.stop()


def test_a_path_too_long_for_a_socket_leaves_polling(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 60) / ("b" * 60)
    folder.mkdir(parents=True)
    migrate(f"sqlite:///{folder}/log.db")
    with LogRecorder(f"sqlite:///{folder}/log.db") as recorder:
        follower = Follower(recorder)
        recorder.append([entry(1)])
        assert follower.positions(1) == [1]
        follower.stop()


def _write(url: str, go_on: Any) -> None:
    with LogRecorder(url) as recorder:
        recorder.lock_writer()
        for number in range(1, 4):
            assert go_on.acquire(timeout=SOON)
            recorder.append([entry(number)])


@pytest.mark.usefixtures("without_polling")
def test_a_follower_is_woken_by_another_process(url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    go_on = spawn.Semaphore(0)
    writer = spawn.Process(target=_write, args=(url, go_on))
    writer.start()
    with LogRecorder(url) as recorder:
        follower = Follower(recorder)
        for number in range(1, 4):
            go_on.release()
            assert follower.positions(1) == [number]
        follower.stop()
    writer.join(SOON)
    assert writer.exitcode == 0


@pytest.mark.skipif(
    sys.platform != "linux", reason="a dead socket is seen the same way elsewhere, but not tested there"
)
def test_the_socket_of_a_follower_that_died_is_cleared_away(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/log.db")
    with LogRecorder(f"sqlite:///{tmp_path}/log.db") as recorder:
        with recorder.subscribe() as subscription:
            (left_over,) = (tmp_path / "log.db.signals").iterdir()
            subscription._listener._socket.close()  # type: ignore[attr-defined]
            recorder.append([entry(1)])
            assert not left_over.exists()
        assert recorder.append([entry(2)]) == 2


def test_a_slow_follower_never_delays_the_writer(tmp_path: Path) -> None:
    migrate(f"sqlite:///{tmp_path}/log.db")
    with LogRecorder(f"sqlite:///{tmp_path}/log.db") as recorder, recorder.subscribe() as subscription:
        # More signals than its socket's queue can hold, and it never listens.
        for number in range(1, 400):
            recorder.append([entry(number)])
        assert [next(subscription).id for _ in range(399)] == list(range(1, 400))


def test_a_follower_whose_database_goes_away_hears_of_it(postgres_database: str) -> None:
    migrate(postgres_database)
    with LogRecorder(postgres_database) as recorder:
        follower = Follower(recorder)
        recorder.append([entry(1)])
        assert follower.positions(1) == [1]
        engine = create_engine(postgres_database)
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        assert isinstance(follower.seen.get(timeout=SOON), LogUnavailable)
        follower.thread.join(SOON)
