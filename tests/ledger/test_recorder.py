"""The recorder on both databases: the library's contract, the store's road, outages and the lock."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import AggregateRecorder, IntegrityError, StoredEvent
from eventsourcing.tests import persistence as contract
from pysqlite3.dbapi2 import OperationalError
from sqlalchemy import create_engine, make_url, text

from ledger.recorder import (
    Entry,
    LogConflict,
    LogFull,
    LogLocked,
    LogRecorder,
    LogUnavailable,
    RecordedEntry,
    migrate,
)


class _OnSqlite:
    @pytest.fixture(autouse=True)
    def _at(self, tmp_path: Path) -> None:
        self.url = f"sqlite:///{tmp_path}/log.db"


class _OnPostgres:
    @pytest.fixture(autouse=True)
    def _at(self, postgres_database: str) -> None:
        self.url = postgres_database


class _Contract:
    url: str

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> LogRecorder:
        migrate(self.url)
        recorder = LogRecorder(self.url)
        self.addCleanup(recorder.close)  # type: ignore[attr-defined]
        return recorder


class _ApplicationContract(_Contract, contract.ApplicationRecorderTestCase[LogRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationContractOnSqlite(_OnSqlite, _ApplicationContract):
    pass


class TestApplicationContractOnPostgres(_OnPostgres, _ApplicationContract):
    pass


class TestApplicationContractInMemory(_ApplicationContract):
    def create_recorder(self) -> LogRecorder:
        return LogRecorder("sqlite://")


class _Aggregates(AggregateRecorder):
    """The recorder seen as one that knows streams but no positions."""

    def __init__(self, recorder: LogRecorder) -> None:
        self.recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        self.recorder.insert_events(stored_events, **kwargs)

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[StoredEvent]:
        return self.recorder.select_events(originator_id, **kwargs)


class _AggregateContract(_Contract, contract.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:  # type: ignore[override]
        return _Aggregates(super().create_recorder())


class TestAggregateContractOnSqlite(_OnSqlite, _AggregateContract):
    pass


class TestAggregateContractOnPostgres(_OnPostgres, _AggregateContract):
    pass


del _ApplicationContract, _AggregateContract  # Not cases by themselves.


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def recorder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LogRecorder]:
    if request.param == "memory":
        recorder = LogRecorder("sqlite://")
    else:
        url = _url(request, tmp_path)
        migrate(url)
        recorder = LogRecorder(url)
    yield recorder
    recorder.close()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = _url(request, tmp_path)
    migrate(url)
    return url


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/log.db"
    database: str = request.getfixturevalue("postgres_database")
    return database


def blocks(first: int, *sizes: int) -> list[Entry]:
    return [("shard-0", first + i, "flow.v1", bytes([first + i]) * size) for i, size in enumerate(sizes)]


def test_append_returns_the_first_position_and_every_byte_comes_back(recorder: LogRecorder) -> None:
    every_byte = bytes(range(256)) * 300
    facts: list[Entry] = [
        ("party-1", 1, "PartyRegistered.v1", b'{"name":"Zo\xc3\xab"}'),
        ("pärty", 1, "PartyRegistered.v1", b""),
        ("shard-0", 1, "flow.v1", memoryview(every_byte)),
        ("shard-0", 2, "flow.v1", bytearray(every_byte)),
        ("shard-0", 3, "flow.v1", memoryview(every_byte)[:256]),
        ("shard-0", 4, "flow.v1", bytearray(every_byte[:256])),
    ]
    assert recorder.append(facts[:1]) == 1
    assert recorder.append(facts[1:4]) == 2
    assert recorder.append(facts[4:]) == 5
    assert recorder.max_position() == 6
    assert list(recorder.read()) == [
        RecordedEntry(1, "party-1", 1, "PartyRegistered.v1", b'{"name":"Zo\xc3\xab"}'),
        RecordedEntry(2, "pärty", 1, "PartyRegistered.v1", b""),
        RecordedEntry(3, "shard-0", 1, "flow.v1", every_byte),
        RecordedEntry(4, "shard-0", 2, "flow.v1", every_byte),
        RecordedEntry(5, "shard-0", 3, "flow.v1", every_byte[:256]),
        RecordedEntry(6, "shard-0", 4, "flow.v1", every_byte[:256]),
    ]


def test_entries_of_many_megabytes_stream_into_one_transaction(recorder: LogRecorder) -> None:
    with recorder.transaction() as transaction:
        assert transaction.append(blocks(1, 8 << 20)) == 1
        assert transaction.append(blocks(2, 8 << 20, 1)) == 2
    assert [(e.position, len(e.state)) for e in recorder.read()] == [(1, 8 << 20), (2, 8 << 20), (3, 1)]


def test_nothing_of_an_open_transaction_is_seen_by_another_reader(url: str) -> None:
    with LogRecorder(url) as writer, LogRecorder(url) as reader:
        with writer.transaction() as transaction:
            transaction.append(blocks(1, 10, 10))
            assert reader.max_position() == 0
        assert reader.max_position() == 2


def test_a_block_that_raises_takes_everything_back_and_the_positions_go_on_without_a_gap(recorder: LogRecorder) -> None:
    recorder.append(blocks(1, 5))

    def append_and_fail() -> None:
        with recorder.transaction() as transaction:
            transaction.append(blocks(2, 5, 5))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_fail()
    assert recorder.max_position() == 1
    assert recorder.append(blocks(2, 5)) == 2


def test_reading_is_bounded_by_count_and_by_bytes_but_always_advances(recorder: LogRecorder) -> None:
    recorder.append(blocks(1, 100, 100, 100, 1000, 100))

    def positions(*args: Any, **kwargs: Any) -> list[int]:
        return [entry.position for entry in recorder.read(*args, **kwargs)]

    assert positions() == [1, 2, 3, 4, 5]
    assert positions(3) == [3, 4, 5]
    assert positions(1, 2) == [1, 2]
    assert positions(1, None, 250) == [1, 2]
    assert positions(1, None, 300) == [1, 2, 3]
    assert positions(1, None, 1299) == [1, 2, 3]
    assert positions(4, None, 10) == [4]
    assert positions(2, stop_position=3) == [2, 3]
    assert positions(6) == []


def test_reading_goes_on_over_many_pages(recorder: LogRecorder) -> None:
    recorder.append([("s", i, "t", b"x") for i in range(2500)])
    assert [e.version for e in recorder.read()] == list(range(2500))
    assert [e.version for e in recorder.read(1, 1700, 1600)] == list(range(1600))


def test_entries_are_found_by_topic_by_stream_and_by_version(recorder: LogRecorder) -> None:
    recorder.append([("a", 1, "x.v1", b"1"), ("b", 1, "y.v1", b"2"), ("a", 2, "y.v1", b"3"), ("a", 10, "x.v1", b"4")])
    assert [e.state for e in recorder.entries_of_topic("x.v1")] == [b"1", b"4"]
    assert recorder.last_of_stream("a") == RecordedEntry(4, "a", 10, "x.v1", b"4")
    assert recorder.last_of_stream("nobody") is None
    assert recorder.entry("a", 2) == RecordedEntry(3, "a", 2, "y.v1", b"3")
    assert recorder.entry("a", 3) is None


def test_a_second_writer_collides_and_stops_while_the_first_goes_on(url: str) -> None:
    with LogRecorder(url) as first, LogRecorder(url) as second:
        first.append(blocks(1, 5))
        second.append(blocks(2, 5))
        with pytest.raises(LogConflict) as conflict:
            first.append(blocks(2, 5))
        assert conflict.value.code == "log_conflict"
        assert isinstance(conflict.value, IntegrityError)
        with pytest.raises(LogUnavailable):
            first.append(blocks(3, 5))
        assert second.append(blocks(3, 5)) == 3
        assert [e.version for e in first.read()] == [1, 2, 3]


def test_a_taken_stream_and_version_is_refused_at_a_free_position(url: str) -> None:
    with LogRecorder(url) as recorder:
        recorder.append(blocks(1, 5))
        with pytest.raises(LogConflict):
            recorder.append(blocks(1, 5))
        assert recorder.max_position() == 1


def test_nothing_of_a_transaction_remains_when_its_last_entry_is_refused(url: str) -> None:
    with LogRecorder(url) as recorder:
        recorder.append(blocks(1, 5))
        transaction = recorder.transaction()
        opened = transaction.__enter__()
        opened.append(blocks(2, 5))
        with pytest.raises(LogConflict) as conflict:
            opened.append(blocks(1, 5))
        assert not transaction.__exit__(LogConflict, conflict.value, None)
        assert recorder.max_position() == 1
        with pytest.raises(LogUnavailable), recorder.transaction():
            pass


def test_the_lock_admits_one_writer_until_it_is_closed(url: str) -> None:
    with LogRecorder(url) as first, LogRecorder(url) as second:
        first.lock_writer()
        first.lock_writer()
        with pytest.raises(LogLocked) as locked:
            second.lock_writer()
        assert locked.value.code == "log_locked"
        assert second.max_position() == 0
        first.close()
        second.lock_writer()


def test_a_full_disk_is_named_and_stops_the_writer_but_not_the_reader(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    migrate(url)
    with LogRecorder(url) as recorder:
        recorder.append(blocks(1, 5))
        recorder._database._writer.execute("PRAGMA max_page_count = 20")  # type: ignore[attr-defined]
        with pytest.raises(LogFull) as full:
            recorder.append(blocks(2, 1 << 20))
        assert full.value.code == "log_full"
        assert full.value.__cause__ is not None
        with pytest.raises(LogUnavailable):
            recorder.append(blocks(2, 5))
        assert recorder.max_position() == 1
    with LogRecorder(url) as recorder:
        assert recorder.append(blocks(2, 5)) == 2


@pytest.mark.parametrize("moment", ["before", "within"])
def test_a_lost_connection_stops_the_writer_and_loses_nothing_committed(postgres_database: str, moment: str) -> None:
    migrate(postgres_database)
    with LogRecorder(postgres_database) as recorder:
        recorder.lock_writer()
        recorder.append(blocks(1, 5))
        if moment == "before":
            _terminate_writer(postgres_database)
            with pytest.raises(LogUnavailable) as lost:
                recorder.append(blocks(2, 5))
        else:
            transaction = recorder.transaction()
            transaction.__enter__().append(blocks(2, 5))
            _terminate_writer(postgres_database)
            with pytest.raises(LogUnavailable) as lost:
                transaction.__exit__(None, None, None)
        assert lost.value.code == "log_unavailable"
        with pytest.raises(LogUnavailable):
            recorder.insert_events([StoredEvent("shard-0", 2, "flow.v1", b"")])
    with LogRecorder(postgres_database) as recorder:
        recorder.lock_writer()
        assert recorder.append(blocks(2, 5)) == 2


def _terminate_writer(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'"))
    engine.dispose()


def test_after_a_failed_commit_nothing_more_is_appended_until_the_log_is_opened_anew(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LogRecorder(url) as recorder:

        def commit_and_fail() -> None:
            commit()
            raise OperationalError("disk I/O error")

        commit = recorder._database.commit
        monkeypatch.setattr(recorder._database, "commit", commit_and_fail)
        transaction = recorder.transaction()
        transaction.__enter__().append(blocks(1, 5))
        with pytest.raises(LogUnavailable):
            transaction.__exit__(None, None, None)
        monkeypatch.setattr(recorder._database, "commit", commit)
        with pytest.raises(LogUnavailable):
            recorder.append(blocks(2, 5))
    with LogRecorder(url) as recorder:
        # The failure came after the commit: only the log itself can tell.
        assert recorder.max_position() == 1
        assert recorder.append(blocks(2, 5)) == 2


def test_a_database_that_is_not_there_is_an_outage(postgres_database: str) -> None:
    missing = make_url(postgres_database).set(database="no_such_database")
    with pytest.raises(LogUnavailable):
        LogRecorder(missing)


def test_readers_never_keep_the_writer_waiting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    migrate(url)
    with LogRecorder(url) as writer, LogRecorder(url) as reader:
        writer.append(blocks(1, 1 << 20))
        half_read = reader.read()
        next(half_read)
        for number in range(2, 30):
            writer.append(blocks(number, 1 << 20))
        # The log starts over in its WAL although the reader is not done: 28 MiB went through 8 MiB of it.
        assert (tmp_path / "log.db-wal").stat().st_size < 16 << 20


def test_appends_of_many_threads_get_different_positions_without_a_gap(recorder: LogRecorder) -> None:
    numbers = itertools.count(1)
    firsts: list[int] = []

    def append() -> None:
        for _ in range(10):
            number = next(numbers)
            firsts.append(recorder.append([(f"s-{number}", 1, "t", b"")]))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(firsts) == list(range(1, 41))
