"""Backup of a house while it runs, and a house made again from one.

A backup is a folder:

    manifest.json   written last: what the log came to, and length and SHA-256 of every other file
    log.sqlite      a log that is a SQLite file: its copy by SQLite's online backup, of one moment
    log.copy        a log in PostgreSQL: its rows in PostgreSQL's binary COPY format, out of one snapshot
    keys.sqlite     the keys that sealed text is opened with
    auth.jsonl      users and API keys: a line {"table", "row"} each; bytes as hex, times as text
    *.key           the files of the data folder that open what the auth store keeps sealed

Keys are copied after the log, and a key is durable before the fact that needs it: so the keys of a backup open every
text in its log. Snapshots and projections are left out, as they follow from the log. Either kind of log can be restored
into either database.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Final

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import inspect

from api.auth.database import META, SCHEMA
from api.auth.store import AuthStore
from api.bootstrap import PRIVATE_FOLDER, Places, copy_into_log, log_for_reading, make_log, places, snapshot_of_log
from api.settings import Settings
from ledger.copy_binary import RecordedEntry
from ledger.engines import open_engine
from ledger.outages import SchemaMissing
from ledger.schema import REVISION
from ledger.snapshots import sync_folder
from ledger.store import Store, hash_after

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SQLITE_LOG: Final = "log.sqlite"
COPIED_LOG: Final = "log.copy"
KEYS: Final = "keys.sqlite"
AUTH: Final = "auth.jsonl"
PRIVATE_FILE: Final = 0o600
CHUNK_BYTES: Final = 1024 * 1024


OnBytes = Callable[[int], None]
"""Told how many bytes were done so far."""


class BackupFailed(Exception):
    """What was asked for cannot be done; nothing that was there has been changed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class StoredFile:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    format: int
    schema: str
    """Of the log's table."""
    made_at: str
    database: str
    """sqlite or postgresql."""
    position: int
    running_hash: str
    files: dict[str, StoredFile]


# -- making one --------------------------------------------------------------------------------------------------------


def back_up(where: Places, target: Path, *, made_at: str) -> Manifest:
    """Copy the log, the keys and the auth store of a house, which may be running. Raises BackupFailed and outages.

    `target` must be missing or empty. Without its manifest, which comes last, a backup is none.
    """
    _refuse_unless_empty(target, "backup_target_not_empty")
    target.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    position, running_hash = _copy_log(where, target)
    if where.keys.exists():
        _copy_sqlite(where.keys, target / KEYS)
    _dump_auth(where, target / AUTH)
    for file in sorted(where.data.glob("*.key")):
        _copy_file(file, target / file.name)
    files = {file.name: _seen(file) for file in sorted(target.iterdir())}
    manifest = Manifest(
        FORMAT, REVISION, made_at, where.log_url.get_backend_name(), position, running_hash.hex(), files
    )
    with _durable(target / MANIFEST) as out:
        out.write(json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    sync_folder(target)
    return manifest


def _copy_log(where: Places, target: Path) -> tuple[int, bytes]:
    """(position, running hash) of the copy's last entry."""
    if where.is_postgres:
        with _durable(target / COPIED_LOG) as out:
            last = snapshot_of_log(where, out)
        return (last.position, hash_after(last)) if last else (0, bytes(32))
    with log_for_reading(where):  # It is a log, and one that this release knows.
        pass
    copy = target / SQLITE_LOG
    _copy_sqlite(Path(str(where.log_url.database)), copy)
    with log_for_reading(places(target)) as recorder:
        store = Store(recorder)
    _in_one_file(copy)
    return store.position, store.running_hash


def _copy_sqlite(source: Path, target: Path) -> None:
    """A copy of one moment, whoever writes meanwhile: in one step, as a copy in several begins anew at every write."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))
    with (
        closing(sqlite.connect(f"file:{source}?mode=ro", uri=True)) as origin,
        closing(sqlite.connect(str(target))) as copy,
    ):
        origin.backup(copy, pages=-1)
    _in_one_file(target)


def _in_one_file(database: Path) -> None:
    """Make a SQLite database stand alone, without a write-ahead log beside it, and durable."""
    with closing(sqlite.connect(str(database))) as connection:
        mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
        assert mode == "delete", mode
    with database.open("rb") as file:
        os.fsync(file.fileno())


def _dump_auth(where: Places, target: Path) -> None:
    """Users and API keys, but no sessions: after a restore everybody signs in again."""
    if not _has_auth_store(where):
        return
    with AuthStore.open(where.data, where.log_url, Settings()) as auth, _durable(target) as out:
        for table, row in auth.dump():
            line = {"table": table, "row": {name: _as_json(value) for name, value in row.items()}}
            out.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _as_json(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes | memoryview) else value


def _from_json(value: object) -> object:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def _has_auth_store(where: Places) -> bool:
    """Whether somebody made one: opening it would."""
    if not where.is_postgres:
        return (where.data / "auth.sqlite").exists()
    engine = open_engine(where.log_url)
    try:
        return inspect(engine).has_table(META.name, schema=SCHEMA)
    finally:
        engine.dispose()


# -- making a house of one ---------------------------------------------------------------------------------------------


def read_manifest(backup: Path, on_bytes: OnBytes = lambda _done: None) -> Manifest:
    """What the backup says of itself, after every file was compared with it. Raises BackupFailed."""
    try:
        found = json.loads((backup / MANIFEST).read_bytes())
        if found["format"] != FORMAT:
            raise BackupFailed(
                "backup_unknown", f"{backup}: backups of format {FORMAT} can be restored, this is {found['format']}"
            )
        files = {name: StoredFile(**file) for name, file in found.pop("files").items()}
        manifest = Manifest(**found, files=files)
    except FileNotFoundError:
        raise BackupFailed(
            "backup_incomplete", f"{backup}: there is no {MANIFEST}, so this is no whole backup"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupFailed("backup_damaged", f"{backup / MANIFEST}: {error}") from error
    done = 0
    for name, stated in manifest.files.items():
        if name != Path(name).name:
            raise BackupFailed("backup_damaged", f"{backup / MANIFEST}: {name} is no name of a file")
        try:
            seen = _seen(backup / name)
        except OSError as error:
            raise BackupFailed("backup_damaged", f"{backup / name}: {error.strerror}") from error
        if seen != stated:
            raise BackupFailed(
                "backup_damaged",
                f"{backup / name}: the manifest says {stated.bytes} bytes with SHA-256 {stated.sha256}, "
                f"found are {seen.bytes} with {seen.sha256}",
            )
        done += seen.bytes
        on_bytes(done)
    return manifest


@contextmanager
def restored(backup: Path, manifest: Manifest, where: Places) -> Iterator[Places]:
    """A house made of the backup, at a place beside `where`, for the block to examine; it is moved to `where` when the
    block ends well, and removed again when it does not.

    The data folder must be missing or empty, and so must the log. Raises BackupFailed and outages.
    """
    _refuse_unless_empty(where.data, "restore_target_not_empty")
    waiting = where.data.with_name(where.data.name + ".restoring")
    if waiting.exists():
        raise BackupFailed("restore_target_not_empty", f"{waiting} is left from an earlier attempt: remove it first")
    inside = not where.is_postgres and Path(str(where.log_url.database)) == places(where.data).log_path
    staged = places(waiting, None if inside else where.log_url.render_as_string(hide_password=False))
    if not inside:
        _refuse_a_log(where)
    try:
        waiting.mkdir(parents=True, mode=PRIVATE_FOLDER)
        _restore_log(backup, manifest, staged)
        for name in manifest.files:
            if name == KEYS or name.endswith(".key"):
                _copy_file(backup / name, waiting / name)
        if AUTH in manifest.files:
            _load_auth(backup / AUTH, staged)
        yield staged
        sync_folder(waiting)
        waiting.replace(where.data)
        sync_folder(where.data.parent)
    except BaseException:
        shutil.rmtree(waiting, ignore_errors=True)
        raise


def _restore_log(backup: Path, manifest: Manifest, where: Places) -> None:
    if SQLITE_LOG in manifest.files and not where.is_postgres:
        path = where.log_path
        path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        _copy_file(backup / SQLITE_LOG, path)
        return
    make_log(where)
    if COPIED_LOG in manifest.files:
        with (backup / COPIED_LOG).open("rb") as file:
            copy_into_log(where, copied_entries(file))
    else:
        # Read by a copy: opening a log leaves files beside it, and a backup stays as it was made.
        copy = where.data / SQLITE_LOG
        _copy_file(backup / SQLITE_LOG, copy)
        with log_for_reading(places(where.data)) as recorder:
            copy_into_log(where, recorder.read())
        for left in where.data.glob(f"{SQLITE_LOG}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _load_auth(source: Path, where: Places) -> None:
    """Raises BackupFailed where there are users or API keys already."""
    with AuthStore.open(where.data, where.log_url, Settings()) as auth:
        if auth.users() or auth.keys():
            raise BackupFailed("restore_target_not_empty", "the auth store has users or API keys already")
        lines = (json.loads(line) for line in source.read_bytes().splitlines())
        auth.load((line["table"], {name: _from_json(value) for name, value in line["row"].items()}) for line in lines)


def _refuse_a_log(where: Places) -> None:
    """The log's place must hold none. Raises BackupFailed."""
    if not where.is_postgres:
        if where.log_path.exists():
            raise BackupFailed("restore_target_not_empty", f"there is a log at {where.log_path} already")
        return
    try:
        with log_for_reading(where) as recorder:
            position = recorder.max_position()
    except SchemaMissing:
        return
    if position:
        raise BackupFailed("restore_target_not_empty", f"{where.shown_url} holds a log of {position:,} entries already")


# -- PostgreSQL's binary COPY format -----------------------------------------------------------------------------------

_COPY_HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_FIELDS: Final = 5


def copied_entries(file: IO[bytes]) -> Iterator[RecordedEntry]:
    """The entries of a log.copy, one at a time. Raises BackupFailed where it is not what COPY writes."""
    if file.read(len(_COPY_HEAD)) != _COPY_HEAD:
        raise BackupFailed("backup_damaged", f"{COPIED_LOG}: it does not begin as binary COPY does")
    while (count := int.from_bytes(_exactly(file, 2), "big", signed=True)) != -1:
        if count != _FIELDS:
            raise BackupFailed("backup_damaged", f"{COPIED_LOG}: a row of {count} fields")
        position, stream, version, topic, state = (
            _exactly(file, int.from_bytes(_exactly(file, 4), "big")) for _ in range(_FIELDS)
        )
        yield RecordedEntry(
            int.from_bytes(position, "big"), stream.decode(), int.from_bytes(version, "big"), topic.decode(), state
        )


def _exactly(file: IO[bytes], count: int) -> bytes:
    found = file.read(count)
    if len(found) != count:
        raise BackupFailed("backup_damaged", f"{COPIED_LOG}: it ends in the middle of a row")
    return found


# -- files -------------------------------------------------------------------------------------------------------------


def _refuse_unless_empty(folder: Path, code: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupFailed(code, f"{folder} is not empty: give a folder that is missing or empty")


def _seen(file: Path) -> StoredFile:
    digest = hashlib.sha256()
    size = 0
    with file.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return StoredFile(size, digest.hexdigest())


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as content, _durable(target) as out:
        shutil.copyfileobj(content, out, CHUNK_BYTES)


@contextmanager
def _durable(file: Path) -> Iterator[IO[bytes]]:
    """A new file that only its owner can read, on the disk when the block ends."""
    with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
