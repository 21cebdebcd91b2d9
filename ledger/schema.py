"""The table of the log, and whether the table found is the one this release reads and writes.

The table itself, its triggers and its rights are made by the migrations; this module only describes what they made.
"""

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)

from ledger.engines import open_engine
from ledger.outages import SchemaMissing, SchemaUnknown

REVISION = "0001"
VERSION_TABLE = "log_schema"

metadata = MetaData()

log = Table(
    "log",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("state", LargeBinary, nullable=False),
    UniqueConstraint("stream", "version", name="log_stream_version"),
)


def migrate(target: str | Engine) -> None:
    """Make the log at `target` (a URL or an open engine), or bring it to this release's schema; twice changes nothing.

    On PostgreSQL it needs the rights of the table's owner, which nothing else needs. Raises SchemaUnknown.
    """
    # Imported here: the commands that only read or write a log need not wait for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = target if isinstance(target, Engine) else open_engine(target, autocommit=False)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with engine.connect() as connection:
            found = _revision(connection)
            connection.rollback()
            if found not in (None, REVISION):
                raise SchemaUnknown(found=str(found), expected=REVISION)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        if engine is not target:
            engine.dispose()


def check(connection: Connection) -> None:
    """Raise SchemaMissing or SchemaUnknown unless this release knows the log behind `connection`."""
    found = _revision(connection)
    if found is None:
        raise SchemaMissing(f"no log at {connection.engine.url!r}: migrate it first")
    if found != REVISION:
        raise SchemaUnknown(found=found, expected=REVISION)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revisions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars().all()  # noqa: S608
    return ",".join(sorted(revisions)) or None
