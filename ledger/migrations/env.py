"""Alembic's entry: which database to migrate, and one transaction around all of it.

The database is the connection given by `ledger.schema.migrate`, else the URL of `alembic -x url=…`, else
`sqlalchemy.url` of the configuration file.
"""

from alembic import context
from sqlalchemy import Connection

from ledger.engines import open_engine
from ledger.schema import VERSION_TABLE, metadata


def run(connection: Connection) -> None:
    # Two processes may start on a new log at once; the second must wait and then find the work done.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('tallystick migrate'))")
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
    context.run_migrations()
    connection.commit()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True).get("url") or context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise SystemExit("url: which log to migrate is missing; give it as -x url=sqlite:///path or as sqlalchemy.url")
    engine = open_engine(url, autocommit=False)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()
