"""The end of the log in memory says what the database would say, or nothing."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ledger.recorder import Entry, LogRecorder, migrate
from ledger.tail import APPEND_BYTES_MAX, TAIL_BYTES, TAIL_ENTRIES, Tail

SIZES = st.lists(st.lists(st.integers(0, APPEND_BYTES_MAX // 3), min_size=1, max_size=4), max_size=12)


@given(appends=SIZES, start=st.integers(1, 50), length=st.integers(0, 50), rows=st.integers(1, 9))
def test_a_page_of_the_tail_is_the_log_or_none(appends: list[list[int]], start: int, length: int, rows: int) -> None:
    tail = Tail()
    log: list[Entry] = []
    for sizes in appends:
        first = len(log) + 1
        log += [("s", first + at, "t", bytes(size)) for at, size in enumerate(sizes)]
        tail.keep(first, log[first - 1 :])
    max_bytes = APPEND_BYTES_MAX // 2

    page = tail.page(start, start + length, rows, max_bytes)

    if page is not None:
        assert 1 <= len(page) <= min(rows, length + 1)
        assert [entry[1:] for entry in page] == log[start - 1 : start - 1 + len(page)]
        assert [entry.position for entry in page] == list(range(start, start + len(page)))
        assert len(page) == 1 or sum(len(entry.state) for entry in page) <= max_bytes
    elif log and start == len(log) and sum(appends[-1]) <= APPEND_BYTES_MAX:
        raise AssertionError("the last entry is not there")


def test_the_tail_is_bounded_by_bytes_and_by_entries() -> None:
    tail = Tail()
    for number in range(1, TAIL_ENTRIES + 3):
        tail.keep(number, [("s", number, "t", b"")])
    assert tail.page(2, 2, 1, 1) is None
    assert tail.page(3, 3, 1, 1) is not None
    for number in range(TAIL_ENTRIES + 3, TAIL_ENTRIES + 9):
        tail.keep(number, [("s", number, "t", bytes(APPEND_BYTES_MAX))])
    assert tail.page(TAIL_ENTRIES + 3, TAIL_ENTRIES + 3, 1, TAIL_BYTES) is None


def test_what_an_append_brought_is_not_changed_by_its_writer_later() -> None:
    tail = Tail()
    state = bytearray(b"block")
    tail.keep(1, [("s", 1, "t", state)])
    state[0] = 0
    page = tail.page(1, 1, 1, 10)
    assert page is not None
    assert page[0].state == b"block"


def test_the_writer_s_own_follower_reads_no_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    migrate(url)
    with LogRecorder(url) as recorder:
        recorder.append([("s", 1, "t", b"before")])
        recorder.lock_writer()
        with recorder.subscribe(gt=1) as subscription:
            database = recorder._database.page
            recorder._database.page = None  # type: ignore[assignment, method-assign]
            recorder.append([("s", 2, "t", b"one"), ("s", 3, "t", b"two")])
            assert [next(subscription).state for _ in range(2)] == [b"one", b"two"]
            assert recorder.max_position() == 3
            recorder._database.page = database  # type: ignore[method-assign]
            with recorder.transaction() as transaction:
                transaction.append([("s", 4, "t", b"three")])
            assert next(subscription).state == b"three"
            assert [entry.state for entry in recorder.read(1)] == [b"before", b"one", b"two", b"three"]
