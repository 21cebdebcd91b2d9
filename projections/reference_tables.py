"""Every table of the read models folded once more: in plain Python, row after row, written to be read.

It shares with the read models only the definitions of the tables and the decoding of the log. Rows go one by one into
a private SQLite database, so memory does not grow with the log, and are hashed there as a generation is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import Connection, StaticPool, Table, create_engine

from ledger.blocks import TOPIC, decode_block
from ledger.mapper import Unseal, from_entry
from projections.hashes import table_hashes
from projections.reference import ReferenceFlow
from projections.reference_market import ReferenceMarket
from projections.reference_models import ReferenceModels
from projections.reference_rows import ReferenceRows
from projections.schema import metadata

ENTRIES_AT_ONCE: Final = 1_000
"""Entries of one transaction."""


class ReferenceTables:
    """Feed it every entry of the log in order; then ask for the hashes."""

    def __init__(self, tables: Sequence[Table]) -> None:
        # A file without a name is SQLite's own temporary one: on disk, private, gone when it is closed.
        engine = create_engine("sqlite://", creator=_temporary_file, poolclass=StaticPool)
        metadata.create_all(engine, tables=list(tables))
        self._tables = tables
        self._engine = engine
        self._connection: Connection = engine.connect()
        rows = ReferenceRows(self._connection.connection.driver_connection)
        self._flow = ReferenceFlow()
        self._market = ReferenceMarket(rows)
        self._models = ReferenceModels(rows)
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._engine.dispose()

    def take(self, entry: Any, unseal: Unseal | None = None) -> None:
        """The next entry of the log."""
        if entry.topic == TOPIC:
            block = decode_block(entry.state)
            rows = self._flow.apply_block(block)
            self._market.block(entry.position, rows)
            self._models.block(entry.position, block, rows)
        else:
            envelope, fact = from_entry(
                entry.stream, entry.version, entry.topic, entry.state, unseal, position=entry.position
            )
            self._flow.apply_fact(envelope, fact)
            self._models.fact(entry.position, envelope, fact)
        self._taken += 1
        if self._taken % ENTRIES_AT_ONCE == 0:
            self._connection.commit()

    def hashes(self) -> dict[str, str]:
        """Hash of each table by name."""
        return table_hashes(self._connection, self._tables)

    def rows_of(self, table: Table) -> list[Mapping[str, Any]]:
        """The rows of a table in the order of its key."""
        found = self._connection.execute(table.select().order_by(*table.primary_key))
        return [dict(row) for row in found.mappings()]


def _temporary_file() -> Any:
    connection = sqlite.connect("", check_same_thread=False)
    connection.execute("PRAGMA journal_mode = OFF").fetchall()
    connection.execute("PRAGMA synchronous = OFF").fetchall()
    return connection
