"""Generations, tracking and bulk writes, on both databases."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from eventsourcing.persistence import TrackingRecorder
from eventsourcing.tests.persistence import TrackingRecorderTestCase
from sqlalchemy import MetaData, Table, select

from projections.bulk import COPY_FROM_ROWS, SQLITE_VALUES, columns_of, delete, insert, upsert
from projections.database import GenerationMissing, Generations
from projections.hashes import rows_hash, table_hash
from projections.rows import blob
from projections.schema import constant, integer, table, words


def a_table(*columns: Any, name: str) -> Table:
    """A table of this file alone: the read models' MetaData forgets it at once."""
    made = table(name, *columns)
    made.metadata.remove(made)
    return made


NUMBERS = a_table(integer("a", key=True), integer("b", key=True), integer("value"), name="test_numbers")
SINGLE = a_table(integer("number", key=True), integer("value"), name="test_single")
NUMBERED = a_table(integer("number", key=True), integer("owner"), integer("value"), name="test_numbered")
constant(NUMBERED, "owner")
MIXED = a_table(
    words("name", key=True),
    integer("number", nullable=True),
    words("note", nullable=True),
    blob("digest", nullable=True),
    name="test_mixed",
)


def rows_of(database: Any, of: Table) -> Sequence[tuple[Any, ...]]:
    with database.engine.connect() as connection:
        found = connection.execute(select(of).order_by(*of.primary_key)).all()
    return [tuple(bytes(value) if isinstance(value, memoryview) else value for value in row) for row in found]


@pytest.fixture
def database(generations: Generations, monkeypatch: pytest.MonkeyPatch) -> Any:
    # SQLAlchemy makes only tables that belong to the MetaData.
    with monkeypatch.context() as patch:
        patch.setattr("projections.database.metadata", _Both())
        made = generations.create([NUMBERS, SINGLE, NUMBERED, MIXED])
    yield made
    made.close()


class _Both:
    """Makes tables of any MetaData."""

    def create_all(self, connection: Any, *, tables: Sequence[Table], checkfirst: bool) -> None:  # noqa: ARG002
        for one in tables:
            one.to_metadata(MetaData()).create(connection)


# -- generations -------------------------------------------------------------------------------------------------------


def test_generations_stand_beside_each_other_and_one_is_current(generations: Generations) -> None:
    assert generations.current() is None
    assert generations.all() == []
    for number in (1, 2, 3):
        with generations.create([]) as made:
            assert made.generation == number
            assert made.position() == 0
    assert generations.current() is None
    generations.make_current(2)
    assert generations.current() == 2
    with generations.open() as current:
        assert current.generation == 2
    generations.make_current(3)
    generations.drop(1)
    assert (generations.all(), generations.current()) == ([2, 3], 3)


def test_a_generation_that_is_not_there_is_named_in_the_error(generations: Generations) -> None:
    with pytest.raises(GenerationMissing, match="generation current does not exist"):
        generations.open()
    with pytest.raises(GenerationMissing, match="generation 7 does not exist"):
        generations.open(7)


def test_who_only_reads_cannot_write(generations: Generations) -> None:
    generations.create([]).close()
    with generations.open(1, read_only=True) as reader, pytest.raises(Exception, match=r"read.?only"):  # noqa: SIM117
        with reader.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO tracking (name, position) VALUES ('log', 1)")


# -- tracking ----------------------------------------------------------------------------------------------------------


class _TrackingRecorderCase(TrackingRecorderTestCase):
    __test__ = False
    recorder: TrackingRecorder

    def create_recorder(self) -> TrackingRecorder:
        return self.recorder


@pytest.mark.parametrize("name", ["test_insert_tracking", "test_wait"])
def test_tracking_keeps_the_librarys_contract(generations: Generations, name: str) -> None:
    case = _TrackingRecorderCase(name)
    with generations.create([]) as made:
        case.recorder = made.tracking
        getattr(case, name)()


# -- bulk --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, COPY_FROM_ROWS + 50, 2 * SQLITE_VALUES])
def test_upsert_inserts_new_rows_and_changes_known_ones(database: Any, count: int) -> None:
    expected: dict[tuple[int, int], int] = {}
    random_numbers = random.Random(count)
    for _ in range(3):
        # Keys come again within one call too; the last of them counts.
        keys = [(random_numbers.randrange(30), random_numbers.randrange(30) - 15) for _ in range(count)]
        values = [random_numbers.randrange(-(2**63), 2**63) for _ in keys]
        a, b = (np.array(part, np.int32) for part in zip(*keys, strict=True))
        with database.engine.begin() as connection:
            upsert(connection, NUMBERS, {"a": a, "b": b, "value": np.array(values)})
        expected |= dict(zip(keys, values, strict=True))
    assert rows_of(database, NUMBERS) == [(*key, value) for key, value in sorted(expected.items())]


@pytest.mark.parametrize("count", [3, COPY_FROM_ROWS + 50])
def test_texts_bytes_and_nothing_come_back_as_they_went(database: Any, count: int) -> None:
    notes = [None, "", "tab\tnew\nline\\N", "\\", "Ω 許可 \r", "{}", "'\""]
    rows = [
        (f"name {number}", number if number % 3 else None, notes[number % 7], bytes([number % 256, 0]))
        for number in range(count)
    ]
    names = [column.name for column in MIXED.columns]
    with database.engine.begin() as connection:
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        upsert(connection, MIXED, columns)
        upsert(connection, MIXED, columns)
    assert rows_of(database, MIXED) == sorted(rows)


@pytest.mark.parametrize("count", [3, COPY_FROM_ROWS + 50])
def test_a_constant_column_keeps_its_first_value(database: Any, count: int) -> None:
    with database.engine.begin() as connection:
        for first in (10, 20):
            numbers = np.arange(count)
            upsert(connection, NUMBERED, {"number": numbers, "owner": numbers + first, "value": numbers + first})
    assert rows_of(database, NUMBERED) == [(number, number + 10, number + 20) for number in range(count)]


def test_no_rows_are_nothing_to_do(database: Any) -> None:
    none = np.zeros(0, np.int64)
    with database.engine.begin() as connection:
        upsert(connection, SINGLE, {"number": none, "value": none})
        insert(connection, SINGLE, {"number": none, "value": none})
        delete(connection, SINGLE, {"number": none})
    assert rows_of(database, SINGLE) == []


@pytest.mark.parametrize("count", [2, COPY_FROM_ROWS + 1])
def test_insert_refuses_a_known_key_and_delete_passes_over_an_unknown_one(database: Any, count: int) -> None:
    numbers = np.arange(count)
    with database.engine.begin() as connection:
        insert(connection, SINGLE, {"number": numbers, "value": numbers})
    with pytest.raises(Exception, match=r"(?i)unique"), database.engine.begin() as connection:
        insert(connection, SINGLE, {"number": numbers, "value": numbers})
    with database.engine.begin() as connection:
        delete(connection, SINGLE, {"number": np.append(numbers[1:], 10**9)})
    assert rows_of(database, SINGLE) == [(0, 0)]


def test_rows_are_written_in_a_transaction_only(database: Any) -> None:
    with database.engine.connect() as connection, pytest.raises(AssertionError, match="in a transaction"):
        upsert(connection, SINGLE, {"number": [1], "value": [1]})


def test_a_hash_is_that_of_the_rows_in_the_order_of_the_key(database: Any) -> None:
    rows = [("B", 1, None, None), ("a", None, "x", b"\1"), ("É", 2, "", b"")]
    with database.engine.begin() as connection:
        upsert(connection, MIXED, {name: [row[at] for row in rows] for at, name in enumerate(MIXED.c.keys())})
    with database.engine.connect() as connection:
        assert table_hash(connection, MIXED) == rows_hash(rows)
    assert rows_hash(rows) != rows_hash(rows[:2])


def test_columns_leave_out_what_is_unused() -> None:
    rows = np.array([(1, 2, 3)], [("a", "<i4"), ("unused", "<i4"), ("b", "<i8")])
    assert list(columns_of(rows)) == ["a", "b"]
    assert list(columns_of(rows, ["b"])) == ["b"]
