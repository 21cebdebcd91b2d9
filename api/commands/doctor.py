"""`tallystick doctor`: whether this machine and this log are fit to run."""

from __future__ import annotations

import platform
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numba
import numpy as np
import typer
from pysqlite3 import dbapi2 as sqlite
from sqlalchemy.exc import SQLAlchemyError

from api.bootstrap import Places, log_for_reading
from api.commands.door import OUTAGES, TAMPERING, Exit
from api.output import Output
from ledger.blocks import TOPIC, chain, decode_block
from ledger.execution import run as kernel
from ledger.outages import LogOutage, SchemaMissing
from ledger.schema import REVISION
from ledger.store import SHARD_STREAM, Store

PYTHON_MIN: Final = (3, 11)
WAL_RESET_FIXED: Final = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""First release of each line of SQLite in which a checkpoint that resets the WAL can no longer corrupt the database."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `ok` is None where there was nothing to look at."""

    check: str
    ok: bool | None
    detail: str
    code: str = ""
    """Stable code of the failure."""


def run(output: Output, where: Places) -> None:
    findings = list(examine(where))
    healthy = all(finding.ok is not False for finding in findings)
    if output.as_json:
        output.json({"healthy": healthy, "checks": [asdict(finding) for finding in findings]})
    else:
        marks = {True: "ok", False: "WRONG", None: "-"}
        output.table("", ("check", "", "found"), ((f.check, marks[f.ok], f.detail) for f in findings))
    if not healthy:
        raise typer.Exit(Exit.FAILED)


def examine(where: Places) -> Iterator[Finding]:
    """Every check, the machine first."""
    version = platform.python_version_tuple()
    fits = tuple(int(part) for part in version[:2]) >= PYTHON_MIN
    yield Finding("python", fits, f"{platform.python_implementation()} {platform.python_version()}", "python_too_old")
    yield Finding("assertions", __debug__, "on" if __debug__ else "off: do not run with -O", "assertions_off")
    yield Finding("numba", True, numba.__version__)
    yield Finding("numpy", True, np.__version__)
    fixed = is_wal_reset_fixed(sqlite.sqlite_version_info)
    detail = sqlite.sqlite_version if fixed else f"{sqlite.sqlite_version} has the WAL-reset bug: use 3.51.3 or later"
    yield Finding("sqlite", fixed, detail, "sqlite_wal_reset_bug")
    yield _kernel_cache()
    yield _keys(where.keys)
    yield from _log(where)


def is_wal_reset_fixed(version: tuple[int, int, int]) -> bool:
    """Whether a SQLite release is free of the WAL-reset bug of 3.7.0 to 3.51.2."""
    return version >= WAL_RESET_FIXED[0] or any(
        version[:2] == fixed[:2] and version >= fixed for fixed in WAL_RESET_FIXED[1:]
    )


def _kernel_cache() -> Finding:
    """Whether compiled kernels can be kept."""
    name = "kernel cache"
    try:
        folder = Path(kernel.stats.cache_path)  # type: ignore[attr-defined]
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return Finding(name, False, str(error), "kernel_cache_not_writable")
    compiled = len({file.name.partition("-")[0] for file in folder.glob("*.nbi")})
    return Finding(name, True, f"{folder}, {compiled} kernels compiled")


def _keys(file: Path) -> Finding:
    name = "keys"
    if not file.exists():
        return Finding(name, None, f"none yet at {file}")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            name, False, f"{file} has mode {mode:o}: others can read it; chmod 600", "keys_readable_by_others"
        )
    return Finding(name, True, f"{file}, mode {mode:o}")


def _log(where: Places) -> Iterator[Finding]:
    """Reachable, of this release's schema, and sealed at its end."""
    name = "log"
    try:
        with log_for_reading(where) as recorder:
            yield Finding(name, True, f"{where.shown_url}, schema revision {REVISION}")
            yield _guarded("log end", lambda: _sealed(Store(recorder)))
    except SchemaMissing:
        yield Finding(name, None, f"none yet at {where.shown_url}")
    except LogOutage as error:
        yield Finding(name, False, str(error), error.code)
    except SQLAlchemyError as error:
        yield Finding(name, False, str(error).partition("\n")[0], "log_unavailable")


def _guarded(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except (*TAMPERING, *OUTAGES) as error:
        return Finding(name, False, str(error), error.code)
    except ValueError as error:
        return Finding(name, False, str(error), "log_not_sealed")


def _sealed(store: Store) -> str:
    """Follow the chain of hashes from the last block but one to the last. Raises ValueError where it is broken."""
    if not store.position:
        return "empty"
    if store.blocks > 1:
        before = store.recorder.entry(SHARD_STREAM, store.blocks - 1)
        if before is None:
            raise ValueError(f"block {store.blocks - 1} is missing")
        running_hash = bytes(decode_block(before[4]).header["running_hash"])
        position = before[0] - 1
        for entry in store.read(before[0]):
            if entry.position != position + 1:
                raise ValueError(f"position {position + 1} is missing")
            position = entry.position
            if entry.topic == TOPIC and entry.position > before[0]:
                found = bytes(decode_block(entry.state).header["running_hash"])
                if found != running_hash:
                    raise ValueError(f"block {entry.version} at position {position} does not seal what is before it")
            running_hash = chain(running_hash, *entry)
    return f"position {store.position}, block {store.blocks}, running hash {store.running_hash.hex()[:16]}…"
