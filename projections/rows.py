"""Rows on their way into a table: small tables that are kept in memory, and rows that are written once.

Integers of 64 bits, texts and bytes; None is NULL. A row of `KeptRows` is a dict by column name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from sqlalchemy import BigInteger, Column, ColumnElement, Connection, LargeBinary, Table, cast, func, select

from projections.bulk import insert, upsert
from projections.schema import integer, words

RowKey: TypeAlias = tuple[Any, ...]
"""Values of the primary key's columns, in their order."""

PAGE_ROWS: Final = 100
"""Rows of a page where nobody says how many."""


def key(name: str) -> Column[int]:
    """An integer of the primary key."""
    return integer(name, key=True)


def maybe(name: str) -> Column[Any]:
    """An integer that may be absent."""
    return integer(name, nullable=True)


def text(name: str) -> Column[str]:
    return words(name)


def maybe_text(name: str) -> Column[Any]:
    return words(name, nullable=True)


def blob(name: str, *, nullable: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=nullable)


def total_of(column: Any, name: str) -> Any:
    """A sum that is an integer on every database (PostgreSQL's own is a numeric); 0 of nothing."""
    return cast(func.coalesce(func.sum(column), 0), BigInteger).label(name)


def readable(value: object) -> str | None:
    """A personal text, or None where there is none or it is still sealed."""
    return value if isinstance(value, str) else None


class KeptRows:
    """All rows of a table, in memory by key; what was put or changed since the last write is written by `write`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._columns = [column.name for column in table.columns]
        self._key = [column.name for column in table.primary_key.columns]
        self._rows: dict[RowKey, dict[str, Any]] = {}
        self._changed: dict[RowKey, None] = {}

    def load(self, connection: Connection, *conditions: ColumnElement[bool]) -> None:
        """Read the rows; with conditions only those, where no other will be changed any more."""
        self._rows = {}
        for found in connection.execute(select(self._table).where(*conditions)).mappings():
            row = dict(found)
            self._rows[self._key_of(row)] = row
        self._changed = {}

    def __getitem__(self, at: RowKey) -> Mapping[str, Any]:
        return self._rows[at]

    def get(self, at: RowKey) -> Mapping[str, Any] | None:
        return self._rows.get(at)

    def values(self) -> list[Mapping[str, Any]]:
        return list(self._rows.values())

    def put(self, **values: Any) -> None:
        """A row with a value for every column; it replaces the one with its key."""
        assert values.keys() == set(self._columns), (self._table.name, set(self._columns) ^ values.keys())
        at = self._key_of(values)
        self._rows[at] = values
        self._changed[at] = None

    def change(self, at: RowKey, **values: Any) -> None:
        """New values for some columns of a row that exists."""
        row = self._rows[at]
        row.update(values)
        self._changed[at] = None

    def write(self, connection: Connection) -> None:
        if self._changed:
            rows = [self._rows[at] for at in self._changed]
            upsert(connection, self._table, {name: [row[name] for row in rows] for name in self._columns})
            self._changed = {}

    def forget(self, done: Callable[[Mapping[str, Any]], bool]) -> None:
        """Keep such rows no longer: they are written and will not change any more."""
        assert not self._changed, self._table.name
        self._rows = {at: row for at, row in self._rows.items() if not done(row)}

    def _key_of(self, row: Mapping[str, Any]) -> RowKey:
        return tuple(row[name] for name in self._key)


class WaitingRows:
    """Rows that wait to be written and are then forgotten: of a table too long to be kept."""

    def __init__(self, table: Table, *, again: bool = False) -> None:
        """`again`: rows come again with other values; of rows with the same key the last one stays."""
        self._table = table
        self._write = upsert if again else insert
        self._columns = [column.name for column in table.columns]
        self._rows: list[dict[str, Any]] = []
        self._arrays: list[Mapping[str, Any]] = []

    def put(self, **values: Any) -> None:
        assert values.keys() == set(self._columns), (self._table.name, set(self._columns) ^ values.keys())
        self._rows.append(values)

    def put_columns(self, count: int, **columns: Any) -> None:
        """`count` rows as arrays; a single integer stands for all of them."""
        if count:
            assert columns.keys() == set(self._columns), (self._table.name, set(self._columns) ^ columns.keys())
            self._arrays.append(
                {
                    name: np.full(count, values, np.int64) if np.ndim(values) == 0 else values
                    for name, values in columns.items()
                }
            )

    def write(self, connection: Connection) -> None:
        if self._rows:
            self._write(connection, self._table, {name: [row[name] for row in self._rows] for name in self._columns})
            self._rows = []
        if self._arrays:
            columns = {name: np.concatenate([part[name] for part in self._arrays]) for name in self._columns}
            self._write(connection, self._table, self._in_order(columns))
            self._arrays = []

    def _in_order(self, columns: dict[str, Any]) -> dict[str, Any]:
        """In the order of the key, in which the table lies, and equal keys in the order in which they came."""
        order = np.lexsort([columns[column.name] for column in reversed(list(self._table.primary_key))])
        return {name: values[order] for name, values in columns.items()}
