"""The database of the auth store: `auth.sqlite` in the data folder, or the schema `auth` beside a log in PostgreSQL.

It is no part of the log and of no projection: what is in it can be forgotten.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from pysqlite3 import dbapi2
from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
    text,
)

SCHEMA: Final = "auth"
SCHEMA_VERSION: Final = 1
PRIVATE_FILE: Final = 0o600
_BUSY_SECONDS: Final = 10
_CREATION_LOCK: Final = 0x7461_6C6C_7961_7574  # "tallyaut"

metadata: Final = MetaData()

META: Final = Table(
    "meta", metadata, Column("name", Text, primary_key=True), Column("value", BigInteger, nullable=False)
)
USERS: Final = Table(
    "users",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("login", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("party", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("disabled_ns", BigInteger),
)
API_KEYS: Final = Table(
    "api_keys",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("party", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # The public key, or the secret sealed under the key file.
    Column("material", LargeBinary, nullable=False),
    Column("label", Text, nullable=False),
    # Words between spaces.
    Column("scopes", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("last_used_ns", BigInteger),
    Index("api_keys_by_party", "party"),
)
SESSIONS: Final = Table(
    "sessions",
    metadata,
    # SHA-256 of the token: who reads the table cannot become anybody.
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user", BigInteger, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
)
SIGN_IN_FAILURES: Final = Table(
    "sign_in_failures",
    metadata,
    Column("login_hash", LargeBinary, primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("blocked_until_ns", BigInteger, nullable=False),
)

CHANGES: Final = "changes"
"""Row of META that counts what was changed, so that another process notices."""
ACCEPTED_UNTIL_MS: Final = "accepted_until_ms"
"""Row of META: no signature with a later timestamp was ever accepted. UNCLEAN while doors are open."""
KEY_CHECK: Final = "key_check"
"""Row of META that tells whether the key file is the one that the secrets were sealed with."""


class AuthSchemaUnknown(Exception):
    """The auth store was made by another release."""

    code: Final = "auth_schema_unknown"


def open_auth_engine(data: Path, log_url: URL) -> Engine:
    """The engine of the auth store that belongs to a log, with its tables made. Raises AuthSchemaUnknown."""
    if log_url.get_backend_name() == "postgresql":
        engine = create_engine(
            log_url.set(drivername="postgresql+psycopg2"), execution_options={"schema_translate_map": {None: SCHEMA}}
        )
    else:
        engine = _sqlite_engine(data / "auth.sqlite")
    with engine.begin() as connection:
        _make(connection)
    return engine


def _sqlite_engine(path: Path) -> Engine:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        module=dbapi2,
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # The driver begins nothing by itself.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "trusted_schema = OFF", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # IMMEDIATE: a second process waits here, and then sees what the first one wrote.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _make(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two processes that make it at once would collide in the catalogue of the database.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        connection.execute(text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC"))
    metadata.create_all(connection)
    found = meta(connection, "schema")
    if found is None:
        set_meta(connection, "schema", SCHEMA_VERSION)
        set_meta(connection, CHANGES, 0)
    elif found != SCHEMA_VERSION:
        raise AuthSchemaUnknown(f"schema of the auth store: expected {SCHEMA_VERSION}, found {found}")


def meta(connection: Connection, name: str) -> int | None:
    found: int | None = connection.scalar(select(META.c.value).where(META.c.name == name))
    return found


def set_meta(connection: Connection, name: str, value: int) -> None:
    done = connection.execute(META.update().where(META.c.name == name).values(value=value))
    if done.rowcount == 0:
        connection.execute(insert(META).values(name=name, value=value))


def next_number(connection: Connection, table: Table) -> int:
    """The next dense number of a table, kept for this transaction alone."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {SCHEMA}.{table.name} IN SHARE ROW EXCLUSIVE MODE"))
    last: int | None = connection.scalar(select(table.c.number).order_by(table.c.number.desc()).limit(1))
    return (last or 0) + 1
