"""Which log a command works on, from its options and the environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer

DEFAULT_DATA: Final = Path("tallystick-data")
POSTGRES_URL: Final = "TALLYSTICK_POSTGRES_URL"


class Database(StrEnum):
    SQLITE = "sqlite"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class LogChoice:
    """The options that say where a house is."""

    data: Path
    database: Database | None
    log_url: str | None

    @property
    def url(self) -> str | None:
        """The log's URL; None means the SQLite file in the data folder. Raises BadParameter."""
        if self.log_url is not None:
            if self.database is not None:
                raise typer.BadParameter("give --database or --log-url, not both")
            return _with_driver(self.log_url)
        if self.database is not Database.POSTGRES:
            return None
        named = os.environ.get(POSTGRES_URL)
        if not named:
            raise typer.BadParameter(
                f"--database postgres: set {POSTGRES_URL} to postgresql://user@host/database, or give --log-url"
            )
        return _with_driver(named)

    @contextmanager
    def or_throwaway(self) -> Iterator[LogChoice]:
        """The same choice, or for PostgreSQL without a server a throwaway one."""
        # Imported here: only a demonstration starts a server.
        from api import throwaway_postgres  # noqa: PLC0415

        wanted = self.database is Database.POSTGRES and self.log_url is None and not os.environ.get(POSTGRES_URL)
        if not wanted or not throwaway_postgres.is_available():
            yield self
            return
        # Keys and snapshots belong to one log, so they go with it.
        with throwaway_postgres.throwaway_server(durable=True) as url, tempfile.TemporaryDirectory() as folder:
            yield LogChoice(Path(folder), None, url)


def _with_driver(url: str) -> str:
    """The same URL, always by the driver that is installed. Raises BadParameter."""
    from sqlalchemy import make_url  # noqa: PLC0415 - help must not wait for it
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise typer.BadParameter(f"not a database URL: {error}") from error
    match parsed.get_backend_name():
        case "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg2")
        case "sqlite" if parsed.database not in (None, "", ":memory:"):
            pass
        case other:
            raise typer.BadParameter(f"the log is a SQLite file or in PostgreSQL; got {other}")
    return parsed.render_as_string(hide_password=False)
