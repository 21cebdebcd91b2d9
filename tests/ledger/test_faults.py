"""What may go wrong under and around the writer: full disks, lost databases, altered logs, second writers, repeats."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psycopg2
import pytest
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import make_url

from api.bootstrap import House, places
from domain.commands import RecordWithdrawal, RegisterParty
from domain.rejections import Reason, Refusal
from domain.values import HOUSE, PartyKind, Role
from ledger.blocks import BlockUnreadable
from ledger.disagreement import Disagreement
from ledger.mapper import LogEntryUnreadable
from ledger.recorder import LogConflict, LogFull, LogLocked, LogRecorder, LogUnavailable, SchemaMissing, migrate
from ledger.requests import Requests
from ledger.sequencer import Ask, Item, OrderReplies, Orders, Reply, SequencerStopped
from ledger.store import LogIncomplete, Store
from ledger.verifier import Verified, verify
from matching.layout import Side
from tests.simulation.market import (
    DAY,
    FIRST_TRADER,
    LIMITS,
    MONEY,
    OFFICER,
    START_NS,
    Desk,
    a_deposit,
    new_orders,
    quick_log,
    request_id,
    requests_of,
    writing_connection,
)
from tests.simulation.story import Story


def some_orders(count: int = 1, *, price: int = 10) -> Any:
    return new_orders(count, party=FIRST_TRADER, side=Side.BUY, price=price)


def deposit_and_orders(count: int, reference: str) -> list[Item]:
    """A batch with a fact and a block that fills many pages."""
    return [
        Ask(a_deposit(FIRST_TRADER, 5, reference), OFFICER, at_ns=START_NS),
        Orders(some_orders(count), stamped=True),
        Ask(a_deposit(FIRST_TRADER, 6, f"{reference}-after"), OFFICER, at_ns=START_NS),
    ]


@contextlib.contextmanager
def a_desk(file: Path) -> Iterator[Desk]:
    """A market on a log in a file."""
    with quick_log(file) as recorder:
        desk = Desk(recorder)
        if not desk.state.catalogue.parties:
            desk.set_up()
        yield desk


def assert_stopped_but_readable(desk: Desk, end: int) -> None:
    """Nothing of the failed batch is in the log, nothing more is accepted, and readers go on."""
    with pytest.raises(SequencerStopped) as stopped:
        desk.orders(some_orders())
    assert stopped.value.code == "writer_stopped"
    assert desk.recorder.max_position() == end
    assert [entry.position for entry in desk.store.read()] == list(range(1, end + 1))


# -- full disk ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flush_bytes", [1 << 24, 64], ids=["in one insert", "after entries of the batch were inserted"]
)
def test_a_full_disk_leaves_nothing_half_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flush_bytes: int
) -> None:
    monkeypatch.setattr("ledger.store.FLUSH_BYTES", flush_bytes)
    with a_desk(tmp_path / "log.db") as desk:
        acknowledged = desk.orders(some_orders(3)).results
        writer = writing_connection(desk.recorder)
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages + 1}")
        end, root = desk.recorder.max_position(), desk.state.root()
        with pytest.raises(LogFull) as full:
            desk.process(*deposit_and_orders(5_000, "full"))
        assert full.value.code == "log_full"
        assert_stopped_but_readable(desk, end)
    with a_desk(tmp_path / "log.db") as desk:
        assert desk.state.root() == root
        assert desk.orders(some_orders()).results[0]["command"] == acknowledged[-1]["command"] + 1
        assert isinstance(desk.process(*deposit_and_orders(5_000, "full"))[0], Reply)
        verify(desk.store, LIMITS)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small file system here; the limit on pages stands in for it above")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full_stops_the_writer_until_there_is_room(small_disk: Path) -> None:
    filler = small_disk / "filler"
    with a_desk(small_disk / "log.db") as desk:
        desk.orders(some_orders(3))
        end, root = desk.recorder.max_position(), desk.state.root()
        filler.write_bytes(
            bytes(max(0, os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize - (64 << 10)))
        )
        with pytest.raises(LogFull) as full:
            desk.process(*deposit_and_orders(3_000, "full"))
        assert full.value.code == "log_full"
        assert_stopped_but_readable(desk, end)
    filler.unlink()
    with a_desk(small_disk / "log.db") as desk:
        assert desk.state.root() == root
        assert isinstance(desk.process(*deposit_and_orders(1_000, "full"))[0], Reply)
        verify(desk.store, LIMITS)


# -- the database is gone ----------------------------------------------------------------------------------------------


def test_a_log_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SchemaMissing) as missing:
        LogRecorder(f"sqlite:///{tmp_path}/log.db")
    assert missing.value.code == "log_schema_missing"


def test_a_file_that_is_no_database_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_bytes(b"no database" * 1_000)
    with pytest.raises(LogUnavailable) as unavailable:
        LogRecorder(f"sqlite:///{tmp_path}/log.db")
    assert unavailable.value.code == "log_unavailable"


def test_a_server_that_does_not_answer_is_an_outage() -> None:
    with pytest.raises(LogUnavailable) as unavailable:
        LogRecorder("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    assert unavailable.value.code == "log_unavailable"


def test_a_lost_connection_stops_the_writer_and_loses_nothing_acknowledged(postgres_database: str) -> None:
    migrate(postgres_database)
    with LogRecorder(postgres_database) as recorder:
        desk = Desk(recorder)
        desk.set_up()
        acknowledged = desk.orders(some_orders(3), requests_of([1, 2, 3], [7, 7, 7])).results
        end = recorder.max_position()
        terminate_backends(postgres_database)
        with pytest.raises(LogUnavailable) as lost:
            desk.process(*deposit_and_orders(10, "lost"))
        assert lost.value.code == "log_unavailable"
        with pytest.raises(SequencerStopped):
            desk.orders(some_orders())
    with LogRecorder(postgres_database) as recorder:
        assert recorder.max_position() == end
        desk = Desk(recorder)
        again = desk.orders(some_orders(3), requests_of([1, 2, 3], [7, 7, 7]))
        assert again.results.tolist() == acknowledged.tolist()
        assert isinstance(desk.process(*deposit_and_orders(10, "lost"))[0], Reply)
        verify(desk.store, LIMITS)


def terminate_backends(url: str) -> None:
    """End every other connection to the database, as an operator would."""
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with contextlib.closing(psycopg2.connect(plain)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


# -- second writers ----------------------------------------------------------------------------------------------------


def test_a_second_house_on_the_same_log_is_told_that_it_is_locked(tmp_path: Path) -> None:
    first = House(places(tmp_path), limits=LIMITS)
    try:
        with pytest.raises(LogLocked) as locked:
            House(places(tmp_path), limits=LIMITS)
        assert locked.value.code == "log_locked"
    finally:
        first.close()
    House(places(tmp_path), limits=LIMITS).close()


def log_urls(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    return f"sqlite:///{tmp_path}/log.db" if database == "sqlite" else request.getfixturevalue("postgres_database")


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_without_the_lock_the_fence_stops_whoever_appends_second(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = log_urls(database, tmp_path, request)
    migrate(url)
    with LogRecorder(url) as one, LogRecorder(url) as other:
        first = Desk(one)
        first.set_up()
        second = Desk(other)
        assert second.store.epoch == first.store.epoch + 1
        second.orders(some_orders())
        end = other.max_position()
        with pytest.raises(LogConflict) as conflict:
            first.process(*deposit_and_orders(1, "late"))
        assert conflict.value.code == "log_conflict"
        assert_stopped_but_readable(first, end)
        second.orders(some_orders())
        verify(second.store, LIMITS)
    with LogRecorder(url) as recorder:
        assert Store(recorder).epoch == second.store.epoch + 1


# -- altered logs ------------------------------------------------------------------------------------------------------

TAMPERED = (Disagreement, LogEntryUnreadable, BlockUnreadable, LogIncomplete)


class Altered:
    """A log that somebody can write to who owns the file; every change is taken back."""

    def __init__(self, file: Path, recorder: LogRecorder) -> None:
        self.recorder = recorder
        self.raw = sqlite.connect(str(file), isolation_level=None)
        for (name,) in self.raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self.raw.execute(f"DROP TRIGGER {name}")
        self.entries = self.raw.execute("SELECT position, stream, version, topic, state FROM log").fetchall()
        self.end = len(self.entries)
        self.whole = verify(Store(recorder), LIMITS)

    def verify_with(self, changed: dict[int, tuple[Any, ...] | None]) -> Exception | Verified:
        """What verifying says of the log with these entries instead, None for none."""
        self._write(changed)
        try:
            return verify(Store(self.recorder), LIMITS)
        except Exception as error:  # noqa: BLE001 - what it may be is for each test to say
            return error
        finally:
            self._write({position: self.entries[position - 1] for position in changed})

    def _write(self, entries: dict[int, tuple[Any, ...] | None]) -> None:
        self.raw.execute("BEGIN")
        self.raw.executemany("DELETE FROM log WHERE position = ?", [(position,) for position in entries])
        written = [entry for entry in entries.values() if entry is not None]
        self.raw.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?)", written)
        self.raw.execute("COMMIT")

    def seal_of(self, position: int) -> int:
        """Position of the first block after an entry, whose running hash covers it."""
        return next(int(entry[0]) for entry in self.entries[position:] if entry[1] == "shard-0")


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Altered]:
    file = tmp_path_factory.mktemp("altered") / "log.db"
    with quick_log(file) as recorder:
        story = Story(4, Desk(recorder), traders=3, series=1, chunk=8)
        story.tell(60)
        log = Altered(file, recorder)
        yield log
        log.raw.close()


def flipped(entry: tuple[Any, ...], draw: np.random.Generator) -> tuple[Any, ...]:
    state = bytearray(entry[4])
    state[draw.integers(len(state))] ^= 1 << int(draw.integers(8))
    return (*entry[:4], bytes(state))


def renamed(entry: tuple[Any, ...], draw: np.random.Generator) -> tuple[Any, ...]:
    """With another stream, version or topic."""
    place = int(draw.integers(1, 4))
    changed = 10**9 if place == 2 else f"{entry[place]}x"
    return (*entry[:place], changed, *entry[place + 1 :])


Change = dict[int, tuple[Any, ...] | None]


def changes(log: Altered, seed: int) -> Iterator[tuple[str, int, Change]]:
    """A few hundred changes of anything but the last entry: what it is, the first position it touches, the entries."""
    draw = np.random.default_rng(seed)
    for _ in range(200):
        entry = log.entries[draw.integers(log.end - 1)]
        yield "flipped bit", entry[0], {entry[0]: flipped(entry, draw)}
    for _ in range(20):
        entry = log.entries[draw.integers(log.end - 1)]
        yield "renamed entry", entry[0], {entry[0]: renamed(entry, draw)}
    for position in draw.integers(1, log.end, 20).tolist():
        yield "missing entry", position, {position: None}
    for _ in range(20):
        first, second = sorted(draw.choice(np.arange(1, log.end), 2, replace=False).tolist())
        one, other = log.entries[first - 1], log.entries[second - 1]
        yield "two entries swapped", first, {first: (first, *other[1:]), second: (second, *one[1:])}


class Verdict(NamedTuple):
    """What verifying said of one change."""

    change: str
    first: int
    last: int
    """The positions at which it may be reported: from the change to the block that seals it."""
    found: Exception | Verified


@pytest.fixture(scope="module")
def verdicts(altered: Altered) -> list[Verdict]:
    return [
        Verdict(
            f"seed 1: {what} at {position}",
            position,
            position + 1 if what == "missing entry" else altered.seal_of(position),
            altered.verify_with(change),
        )
        for what, position, change in changes(altered, seed=1)
    ]


def test_no_altered_log_passes(verdicts: list[Verdict]) -> None:
    assert len(verdicts) == 260
    assert [verdict.change for verdict in verdicts if isinstance(verdict.found, Verified)] == []


def test_an_altered_log_is_reported_at_the_change_or_at_the_block_that_seals_it(verdicts: list[Verdict]) -> None:
    for change, first, last, found in verdicts:
        assert isinstance(found, TAMPERED), f"{change}: {found!r}"
        assert found.code in {"log_disagrees", "log_entry_unreadable"}
        assert first <= (getattr(found, "position", None) or 0) <= last, f"{change}: {found!r}"


def test_a_missing_entry_is_reported_as_a_gap_at_the_next_one(altered: Altered) -> None:
    for position in (1, 7, altered.end // 2, altered.end - 1):
        found = altered.verify_with({position: None})
        assert isinstance(found, Disagreement)
        assert (found.what, found.position) == ("gap in the log", position + 1)
        assert (found.expected, found.found) == (position, position + 1)


def test_a_flipped_bit_of_the_last_block_is_found_or_changes_the_running_hash(altered: Altered) -> None:
    """Nothing in a log seals its last entry: that takes the hash that was printed when the log was last verified."""
    draw = np.random.default_rng(3)
    for _ in range(40):
        found = altered.verify_with({altered.end: flipped(altered.entries[-1], draw)})
        assert not isinstance(found, Verified) or found.running_hash != altered.whole.running_hash


def test_a_log_cut_within_an_append_is_incomplete(altered: Altered) -> None:
    cut = max(position for position, stream, *_ in altered.entries if stream != "shard-0")
    found = altered.verify_with(dict.fromkeys(range(cut + 1, altered.end + 1)))
    assert isinstance(found, LogIncomplete)
    assert found.code == "log_truncated"
    assert f"entry {cut} " in str(found)


def test_a_log_cut_between_two_appends_is_shorter_than_it_was(altered: Altered) -> None:
    """It is whole as far as it goes: only who remembers its last position and hash can tell."""
    last = max(position for position, stream, *_ in altered.entries[:-1] if stream == "shard-0")
    found = altered.verify_with(dict.fromkeys(range(last + 1, altered.end + 1)))
    assert isinstance(found, Verified)
    assert found.position == last
    assert found.running_hash != altered.whole.running_hash


# -- repeated requests -------------------------------------------------------------------------------------------------


def ask_deposit(request: int, amount_minor: int, reference: str) -> Ask:
    return Ask(a_deposit(FIRST_TRADER, amount_minor, reference), OFFICER, request_id(request), START_NS)


def ask_register(request: int, country: str) -> Ask:
    party = RegisterParty(kind=PartyKind.INDIVIDUAL, legal_name="Jo Doe", country=country, roles=Role.TRADER)
    return Ask(party, HOUSE, request_id(request), START_NS)


def ask_order(request: int, body: int) -> Orders:
    return Orders(some_orders(), requests_of([request], [body]), stamped=True)


def restarted(desk: Desk) -> Desk:
    """Recovered from the log; the keys are kept elsewhere."""
    return Desk(desk.recorder, keys=desk.keys)


PAIRS: dict[str, tuple[Item, Item]] = {
    "an order": (ask_order(1, 7), ask_order(1, 8)),
    "a deposit": (ask_deposit(1, 5, "one"), ask_deposit(1, 6, "one")),
    "a registration": (ask_register(1, "DE"), ask_register(1, "US")),
    "an order, then a deposit": (ask_order(1, 7), ask_deposit(1, 5, "one")),
    "a deposit, then an order": (ask_deposit(1, 5, "one"), ask_order(1, 7)),
}


def code_of(answer: Any) -> int:
    if isinstance(answer, OrderReplies):
        return int(answer.results[0]["code"])
    return int(answer.reason) if isinstance(answer, Refusal) else 0


@pytest.mark.parametrize("when", ["same batch", "later batch", "after a restart"])
@pytest.mark.parametrize("asked", PAIRS)
def test_the_same_request_id_with_another_body_is_refused(asked: str, when: str, tmp_path: Path) -> None:
    first, other = PAIRS[asked]
    with a_desk(tmp_path / "log.db") as desk:
        if when == "same batch":
            answers = desk.process(first, other)
        else:
            answers = desk.process(first)
            now = restarted(desk) if when == "after a restart" else desk
            root = now.state.root()
            answers += now.process(other)
            assert now.state.root() == root
        assert code_of(answers[0]) == 0
        assert code_of(answers[1]) == Reason.REQUEST_ID_REUSED
        if isinstance(answers[1], Refusal):
            assert answers[1].field == "request_id"
            assert answers[1].value == request_id(1).hex()
        verify(desk.store, LIMITS)


@pytest.mark.parametrize("when", ["same batch", "later batch", "after a restart"])
@pytest.mark.parametrize("asked", ["an order", "a deposit"])
def test_the_same_request_again_gets_the_same_reply_and_does_nothing(asked: str, when: str, tmp_path: Path) -> None:
    item = PAIRS[asked][0]
    with a_desk(tmp_path / "log.db") as desk:
        if when == "same batch":
            answers = desk.process(item, item)
        else:
            answers = desk.process(item)
            now = restarted(desk) if when == "after a restart" else desk
            command = now.state.next_command
            answers += now.process(item, Orders(some_orders(), stamped=True))
            assert now.state.next_command == command + 1  # The order that came along.
        first, again = answers[:2]
        if isinstance(first, OrderReplies):
            assert isinstance(again, OrderReplies)
            assert again.results.tolist() == first.results.tolist()
            assert again.positions.tolist() == first.positions.tolist()
        else:
            assert isinstance(first, Reply)
            assert again == first._replace(repeated=True)
        verify(desk.store, LIMITS)


@pytest.mark.parametrize("when", ["same batch", "later batch", "after a restart"])
def test_a_refused_movement_is_refused_again_although_it_could_now_succeed(when: str, tmp_path: Path) -> None:
    withdrawal = RecordWithdrawal(
        party=FIRST_TRADER, currency=1, amount_minor=MONEY + 1, reference="too-much", effective_day=DAY
    )
    asked = Ask(withdrawal, OFFICER, request_id(1), START_NS)
    enough = Ask(a_deposit(FIRST_TRADER, MONEY, "enough"), OFFICER, at_ns=START_NS)
    with a_desk(tmp_path / "log.db") as desk:
        if when == "same batch":
            first, _, again = desk.process(asked, enough, asked)
        else:
            first, _ = desk.process(asked, enough)
            again = (restarted(desk) if when == "after a restart" else desk).process(asked)[0]
        assert isinstance(first, Refusal)
        assert first.reason == Reason.INSUFFICIENT_FUNDS
        assert again == first


def test_a_reused_request_id_names_the_command_that_had_it_in_the_same_batch(tmp_path: Path) -> None:
    with a_desk(tmp_path / "log.db") as desk:
        command = desk.state.next_command
        refusal = desk.process(ask_order(1, 7), ask_deposit(1, 5, "one"))[1]
        assert isinstance(refusal, Refusal)
        assert f"command {command}," in refusal.rule


def test_request_ids_that_count_up_cost_hardly_more_than_random_ones() -> None:
    scattered = requests_of(np.arange(20_000), np.zeros(20_000, np.int64))
    counted = scattered.copy()
    words = np.ones((20_000, 2), np.int64)
    words[:, 0] = np.arange(20_000)
    counted["request_id"] = words.view("V16")[:, 0]
    Requests().admit(scattered, 0)  # Compiles.
    seconds = []
    for asked in (scattered, counted):
        started = time.process_time()
        Requests().admit(asked, 0)
        seconds.append(time.process_time() - started)
    assert seconds[1] < 20 * max(seconds[0], 0.002)


def test_a_repeated_registration_is_answered_with_the_name_that_was_registered(tmp_path: Path) -> None:
    with a_desk(tmp_path / "log.db") as desk:
        first = desk.process(ask_register(1, "DE"))[0]
        again = desk.process(ask_register(1, "DE"))[0]
        assert isinstance(first, Reply)
        assert again == first._replace(repeated=True)


def test_a_batch_of_nothing_but_repeats_writes_nothing_that_matters(tmp_path: Path) -> None:
    with a_desk(tmp_path / "log.db") as desk:
        desk.process(ask_order(1, 7), ask_deposit(2, 5, "one"))
        root, command = desk.state.root(), desk.state.next_command
        desk.process(ask_order(1, 7), ask_deposit(2, 5, "one"))
        assert (desk.state.root(), desk.state.next_command) == (root, command)
        assert Desk(desk.recorder).state.root() == root
