"""Rows of the reference's tables: one statement for each."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table


class ReferenceRows:
    """Gets, puts and deletes single rows."""

    def __init__(self, connection: Any) -> None:
        """`connection` is the driver's, of SQLite."""
        self._connection = connection

    def get(self, table: Table, *key: Any) -> dict[str, Any] | None:
        """The row with this key."""
        found = self._connection.execute(_select(table), key).fetchone()
        return None if found is None else dict(zip(_names(table), found, strict=True))

    def put(self, table: Table, row: Mapping[str, Any]) -> None:
        """The row, in the place of the one with its key if there is one."""
        names = _names(table)
        assert row.keys() == set(names), (table.name, row.keys() ^ set(names))
        self._connection.execute(_replace(table), [_plain(row[name]) for name in names])

    def delete(self, table: Table, *key: Any) -> None:
        self._connection.execute(_delete(table), key)


# All names are those of our own tables.


@functools.cache
def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


@functools.cache
def _select(table: Table) -> str:
    return f"SELECT {_listed(_names(table))} FROM {_quoted(table.name)} WHERE {_key(table)}"  # noqa: S608


@functools.cache
def _replace(table: Table) -> str:
    names = _names(table)
    return f"INSERT OR REPLACE INTO {_quoted(table.name)} ({_listed(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608


@functools.cache
def _delete(table: Table) -> str:
    return f"DELETE FROM {_quoted(table.name)} WHERE {_key(table)}"  # noqa: S608


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'


def _key(table: Table) -> str:
    return " AND ".join(f"{_quoted(column.name)} = ?" for column in table.primary_key)


def _plain(value: Any) -> Any:
    """Integers of numpy are no integers to the database."""
    return value.item() if hasattr(value, "item") else value
