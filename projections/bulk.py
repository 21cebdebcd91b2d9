"""Writing many rows at once, from columns: the read models' only way into their tables.

SQLite takes rows through a prepared statement, rows of integers many at a time. PostgreSQL takes them by COPY: integer
columns in its binary format, made by numpy without a Python object per value, others in its text format; few rows go
as arrays of one statement.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, LargeBinary, Table, Text

from projections.schema import constants_of

Columns = Mapping[str, Any]
"""Column name to a numpy array of integers or a list, all of one length. None in a list is NULL."""

COPY_FROM_ROWS: Final = 512
"""From so many rows on a COPY is quicker than one statement with arrays."""
SQLITE_VALUES: Final = 2_000
"""Values of one statement of SQLite: its rows share the cost of a step."""
_SQLITE_STEPS: Final = 20
"""Statements whose values are Python objects at one time: few enough to stay in the processor's cache."""
_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER: Final = b"\xff\xff"
_COPY_PIECE: Final = 1 << 20
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def upsert(connection: Connection, table: Table, columns: Columns) -> None:
    """Insert rows; where the key exists, the other given columns take the new values, but for the constant ones.

    Every column that may not be NULL is given. Of rows with equal keys the last one wins.
    """
    if not _rows(columns):
        return
    columns = _last_of_equal(columns, [column.name for column in table.primary_key])
    cursor = _cursor(connection)
    if connection.dialect.name == "sqlite":
        _execute_sqlite(cursor, _upsert_sqlite, table, columns)
        return
    if _rows(columns) < COPY_FROM_ROWS:
        cursor.execute(_upsert_arrays(table, tuple(columns)), [_values(values) for values in columns.values()])
        return
    cursor.execute(f'CREATE TEMP TABLE IF NOT EXISTS "bulk_{table.name}" (LIKE {_name(table)}) ON COMMIT DELETE ROWS')
    _copy(cursor, f"bulk_{table.name}", columns)
    cursor.execute(_upsert_staged(table, tuple(columns)))
    cursor.execute(f'DELETE FROM "bulk_{table.name}"')  # noqa: S608  (a table's name)


def insert(connection: Connection, table: Table, columns: Columns) -> None:
    """Insert rows whose keys are new."""
    count = _rows(columns)
    if not count:
        return
    cursor = _cursor(connection)
    if connection.dialect.name == "sqlite":
        _execute_sqlite(cursor, _insert_sqlite, table, columns)
    elif count < COPY_FROM_ROWS:
        cursor.execute(_insert_arrays(table, tuple(columns)), [_values(values) for values in columns.values()])
    else:
        _copy(cursor, table.name, columns)


def delete(connection: Connection, table: Table, keys: Columns) -> None:
    """Delete the rows with these values of the given columns; those that do not exist are no error."""
    if not _rows(keys):
        return
    cursor = _cursor(connection)
    if connection.dialect.name == "sqlite":
        chosen = " AND ".join(f'"{name}" = ?' for name in keys)
        cursor.executemany(f"DELETE FROM {_name(table)} WHERE {chosen}", _tuples(keys))  # noqa: S608  (names)
        return
    names = _listed(tuple(keys))
    joined = " AND ".join(f'{_name(table)}."{name}" = gone."{name}"' for name in keys)
    cursor.execute(
        f"DELETE FROM {_name(table)} USING {_unnested(table, tuple(keys))} AS gone ({names}) WHERE {joined}",  # noqa: S608
        [_values(values) for values in keys.values()],
    )


def columns_of(rows: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The columns of a structured array; all of them but `unused`, or those named."""
    return {name: rows[name] for name in (names or rows.dtype.names) if name != "unused"}


def _rows(columns: Columns) -> int:
    counts = {len(values) for values in columns.values()}
    assert len(counts) == 1, {name: len(values) for name, values in columns.items()}
    return counts.pop()


def _cursor(connection: Connection) -> Any:
    """The driver's cursor, inside the transaction that `connection` has open."""
    assert connection.in_transaction(), "rows are written in a transaction"
    return connection.connection.cursor()


def _execute_sqlite(
    cursor: Any, statement: Callable[[Table, tuple[str, ...], int], str], table: Table, columns: Columns
) -> None:
    names = tuple(columns)
    count, at_once = _rows(columns), SQLITE_VALUES // len(names)
    done = 0
    if count >= at_once and _are_integers(columns):
        done = count - count % at_once
        rows = np.empty((done, len(names)), np.int64)
        for column, values in enumerate(columns.values()):
            rows[:, column] = values[:done]
        wide = rows.reshape(-1, at_once * len(names))
        for first in range(0, len(wide), _SQLITE_STEPS):
            cursor.executemany(statement(table, names, at_once), wide[first : first + _SQLITE_STEPS].tolist())
    if done < count:
        rest = {name: values[done:] for name, values in columns.items()}
        cursor.executemany(statement(table, names, 1), _tuples(rest))


def _are_integers(columns: Columns) -> bool:
    return all(isinstance(values, np.ndarray) and values.dtype.kind == "i" for values in columns.values())


def _values(values: Any) -> Any:
    """A list of Python objects."""
    return values.tolist() if isinstance(values, np.ndarray) else list(values)


def _tuples(columns: Columns) -> Any:
    return zip(*(_values(values) for values in columns.values()), strict=True)


def _last_of_equal(columns: Columns, keys: Sequence[str]) -> Columns:
    """The same rows without those whose key comes again: work saved, and one statement of PostgreSQL refuses them."""
    given = [columns[key] for key in keys]
    if all(isinstance(values, np.ndarray) for values in given):
        chosen: Any = _last_of_arrays(given)
    else:
        rows = list(zip(*(_values(values) for values in given), strict=True))
        last = {key: at for at, key in enumerate(rows)}
        chosen = None if len(last) == len(rows) else np.array(sorted(last.values()))
    if chosen is None:
        return columns
    return {
        name: values[chosen] if isinstance(values, np.ndarray) else [values[at] for at in chosen.tolist()]
        for name, values in columns.items()
    }


def _last_of_arrays(keys: Sequence[Any]) -> Any:
    """Indexes of the last row of each key, by key; None if no key comes twice."""
    order = np.lexsort(tuple(reversed(keys)))
    is_last = np.ones(len(order), bool)
    is_last[:-1] = np.any([key[order[1:]] != key[order[:-1]] for key in keys], axis=0)
    return None if is_last.all() else order[is_last]


# The statements, made once per table and set of columns. All names are those of our own tables.


def _name(table: Table) -> str:
    return f'"{table.name}"'


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _on_conflict(table: Table, names: Sequence[str]) -> str:
    keys = [column.name for column in table.primary_key]
    kept = constants_of(table).union(keys)
    changed = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in kept)
    return f"ON CONFLICT ({_listed(keys)}) DO " + (f"UPDATE SET {changed}" if changed else "NOTHING")


@functools.cache
def _insert_sqlite(table: Table, names: tuple[str, ...], rows: int) -> str:
    row = f"({', '.join('?' * len(names))})"
    return f"INSERT INTO {_name(table)} ({_listed(names)}) VALUES {', '.join([row] * rows)}"  # noqa: S608


@functools.cache
def _upsert_sqlite(table: Table, names: tuple[str, ...], rows: int) -> str:
    return f"{_insert_sqlite(table, names, rows)} {_on_conflict(table, names)}"


def _unnested(table: Table, names: tuple[str, ...]) -> str:
    return f"unnest({', '.join(f'%s::{_postgres_type(table, name)}[]' for name in names)})"


def _postgres_type(table: Table, name: str) -> str:
    kind = table.c[name].type
    return "text" if isinstance(kind, Text) else "bytea" if isinstance(kind, LargeBinary) else "bigint"


@functools.cache
def _insert_arrays(table: Table, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {_name(table)} ({_listed(names)}) SELECT * FROM {_unnested(table, names)}"  # noqa: S608


@functools.cache
def _upsert_arrays(table: Table, names: tuple[str, ...]) -> str:
    return f"{_insert_arrays(table, names)} {_on_conflict(table, names)}"


@functools.cache
def _upsert_staged(table: Table, names: tuple[str, ...]) -> str:
    listed = _listed(names)
    return (
        f'INSERT INTO {_name(table)} ({listed}) SELECT {listed} FROM "bulk_{table.name}" '  # noqa: S608
        + _on_conflict(table, names)
    )


# COPY


def _copy(cursor: Any, name: str, columns: Columns) -> None:
    integers = _are_integers(columns)
    source = io.BytesIO(_binary(columns) if integers else _text(columns))
    form = "BINARY" if integers else "TEXT"
    cursor.copy_expert(f'COPY "{name}" ({_listed(tuple(columns))}) FROM STDIN (FORMAT {form})', source, _COPY_PIECE)


def _binary(columns: Columns) -> bytes:
    """Rows of 8-byte integers as COPY's binary format has them: a field count, then a length and a value per field."""
    count = _rows(columns)
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name in columns:
        layout += [(f"length of {name}", ">i4"), (name, ">i8")]
    rows = np.empty(count, np.dtype(layout))
    rows["fields"] = len(columns)
    for name, values in columns.items():
        rows[f"length of {name}"] = 8
        rows[name] = values
    return b"".join((_COPY_HEADER, rows.tobytes(), _COPY_TRAILER))


def _text(columns: Columns) -> bytes:
    lists = [[_field(value) for value in _values(values)] for values in columns.values()]
    return "".join(["\t".join(row) + "\n" for row in zip(*lists, strict=True)]).encode()


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(_ESCAPES)
    return f"\\\\x{value.hex()}" if isinstance(value, bytes) else str(value)
