"""The hash of a generation: equal for equal rows, whatever database holds them and however they got there.

Per table SHA-256 over one line for each row, in the order of the primary key (texts by code point): its values in the
order of the columns, written as Python writes integers, texts, bytes and None. Housekeeping is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, Text, select

_AT_ONCE: Final = 10_000


def table_hash(connection: Connection, table: Table) -> str:
    """Hash of the rows of a table; memory holds some thousand at a time."""
    keys = [
        column.collate("C") if isinstance(column.type, Text) and connection.dialect.name == "postgresql" else column
        for column in table.primary_key
    ]
    found = connection.execution_options(stream_results=True, yield_per=_AT_ONCE).execute(select(table).order_by(*keys))
    return rows_hash(tuple(row) for row in found)


def rows_hash(rows: Iterable[tuple[Any, ...]]) -> str:
    """Hash of rows that are in the order of their key."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{tuple(map(_plain, row))}\n".encode())
    return digest.hexdigest()


def table_hashes(connection: Connection, tables: Sequence[Table]) -> dict[str, str]:
    """Hash of each table by name."""
    return {table.name: table_hash(connection, table) for table in tables}


def generation_hash(tables: Mapping[str, str]) -> str:
    """One hash over the hashes of tables by name."""
    return rows_hash(sorted(tables.items()))


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
