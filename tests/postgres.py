"""A real PostgreSQL for tests and campaigns: the server somebody named, or a throwaway one of our own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2
from sqlalchemy import URL, make_url

from api.throwaway_postgres import PostgresUnavailable, throwaway_server

__all__ = ["PostgresUnavailable", "database_names", "fresh_database", "named_server", "throwaway_server"]


@contextmanager
def fresh_database(server_url: str, name: str) -> Iterator[str]:
    """An empty database of this name on the server, dropped after the block whoever is still connected."""
    server = make_url(server_url)
    _execute(server, f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def database_names(worker: str) -> Iterator[str]:
    """Names that no other worker and no other run on the same server uses."""
    return (f"tallystick_test_{os.getpid()}_{worker}_{number}" for number in itertools.count(1))


def named_server(url: str) -> str:
    """The same server, always by the driver we ship: SQLAlchemy reads a plain `postgresql://` as another one."""
    return make_url(url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)


def _execute(url: URL, statement: str) -> None:
    with closing(_connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)


def _connect(url: URL) -> psycopg2.extensions.connection:
    return psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
