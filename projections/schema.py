"""The one MetaData of the read models, the columns they are made of, and the tables that every generation has.

Each read model defines its tables on `metadata`; together they are one generation. Integers are 64 bits everywhere. A
table's rows are hashed in the order of its primary key, so every table has one.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

metadata: Final = MetaData()

_INTEGER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""Only a key declared INTEGER is SQLite's row number itself, without a second tree beside the table."""


def integer(name: str, *, key: bool = False, nullable: bool = False) -> Column[int]:
    """A 64-bit integer; keys come first in a table, in the order of the key."""
    return Column(name, _INTEGER, primary_key=key, nullable=nullable, autoincrement=False)


def words(name: str, *, key: bool = False, nullable: bool = False) -> Column[str]:
    """A text, without zero characters: PostgreSQL has none."""
    return Column(name, Text(), primary_key=key, nullable=nullable)


def table(name: str, *columns: Any) -> Table:
    """A table of the generation; `columns` may hold indexes too.

    On SQLite the rows lie in the order of the key, whether it has one column or several.
    """
    keys = [column for column in columns if isinstance(column, Column) and column.primary_key]
    assert keys, f"{name} needs a primary key"
    is_row_number = len(keys) == 1 and isinstance(keys[0].type, BigInteger)
    return Table(name, metadata, *columns, sqlite_with_rowid=is_row_number)


_CONSTANT: Final = "constant"


def constant(table: Table, *names: str) -> None:
    """Columns that keep their first value as long as their row lives: an upsert leaves them and their indexes alone."""
    assert all(name in table.c for name in names), (table.name, names)
    table.info[_CONSTANT] = frozenset(names)


def constants_of(table: Table) -> frozenset[str]:
    found: frozenset[str] = table.info.get(_CONSTANT, frozenset())
    return found


TRACKING: Final = table("tracking", words("name", key=True), integer("position"))
"""How far a generation has followed the log: committed with the rows."""

READ_MODELS: Final = table("read_models", words("name", key=True), integer("version"))
"""What a generation was made by."""

FLOW_STATE: Final = table(
    "flow_state",
    words("name", key=True),
    integer("piece", key=True),
    integer("position"),
    Column("data", LargeBinary(), nullable=False),
)
"""The arrays of a flow fold as they were after the entry at `position`, in pieces; what came after is folded again."""

HOUSEKEEPING: Final = (TRACKING, READ_MODELS, FLOW_STATE)
"""Tables of every generation that are no part of its hash."""
