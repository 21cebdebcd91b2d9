"""Snapshots: the whole state at one position of the log, so that a start reads only the tail.

A snapshot is a file named after its position: a SHA-256 and NumPy arrays (an `.npz`) that it is the hash of, written
beside the others and renamed into place when it is durable. One that is damaged is passed over, since the log can
always be read from the start. What a snapshot says is proved by the log, never the other way round.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from domain import canonical
from ledger.replay import Replay
from ledger.requests import Requests
from ledger.state import State
from ledger.store import LogIncomplete
from ledger.tables import Limits

FORMAT = 1
SUFFIX = ".snapshot"
HASH_BYTES = 32
SMALLEST = Limits(orders=1, levels=1, accounts=1)
KEEP = 3
"""How many of the newest snapshots are kept."""


class Snapshots:
    """The snapshots of one log, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, replay: Replay) -> Path:
        """Write the state of `replay`, which must be between two commands. Returns the file."""
        assert replay.is_between_commands, "a snapshot is taken between two commands"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        arrays = {f"state_{name}": rows for name, rows in replay.state.arrays()}
        if replay.requests is not None:
            arrays |= {f"requests_{name}": rows for name, rows in replay.requests.arrays()}
        streams = "\n".join(f"{stream} {version}" for stream, version in sorted(replay.versions.items()))
        arrays["versions"] = np.frombuffer(streams.encode(), np.uint8)
        arrays["catalogue"] = np.frombuffer(canonical.snapshot(replay.state.catalogue), np.uint8)
        arrays["scalars"] = np.array(
            [FORMAT, replay.position, replay.blocks, replay.epoch, replay.state.next_command, replay.state.at_ns],
            np.int64,
        )
        arrays["running_hash"] = np.frombuffer(replay.running_hash, np.uint8)
        arrays["limits"] = np.array(replay.state.limits, np.int64)
        content = io.BytesIO()
        np.savez(content, **arrays)
        file = self.folder / f"{replay.position:020}{SUFFIX}"
        waiting = file.with_suffix(".part")
        with waiting.open("wb") as out:
            out.write(hashlib.sha256(content.getbuffer()).digest())
            out.write(content.getbuffer())
            out.flush()
            os.fsync(out.fileno())
        waiting.replace(file)
        sync_folder(self.folder)
        for old in sorted(self.folder.glob(f"*{SUFFIX}"))[:-KEEP]:
            old.unlink()
        return file

    def newest(self, *, at_most: int) -> Replay | None:
        """The newest undamaged snapshot, ready to be fed the entries after it; None if there is none.

        `at_most` is where the log ends. Raises LogIncomplete if it ends before a snapshot, which was taken of entries
        that were durable: the log was cut, or this is another log.
        """
        for file in self._newest_first():
            replay = load(file)
            if replay is not None and replay.position > at_most:
                raise LogIncomplete(
                    f"the log ends at position {at_most}, but {file.name} was taken at {replay.position}"
                )
            if replay is not None:
                return replay
        return None

    def _newest_first(self) -> Iterator[Path]:
        return iter(sorted(self.folder.glob(f"*{SUFFIX}"), reverse=True))


def load(file: Path) -> Replay | None:
    """The fold at the moment of the snapshot, or None if the file is damaged or of another format."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if content[:HASH_BYTES] != hashlib.sha256(content[HASH_BYTES:]).digest():
        return None
    with np.load(io.BytesIO(content[HASH_BYTES:]), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if int(arrays["scalars"][0]) != FORMAT or not _has_layouts_of_today(arrays):
        return None
    _, position, blocks, epoch, next_command, at_ns = (int(value) for value in arrays["scalars"])
    state = State(Limits(*(int(value) for value in arrays["limits"])))
    state.restore(
        canonical.restore(bytes(arrays["catalogue"])),
        {name.removeprefix("state_"): rows for name, rows in arrays.items() if name.startswith("state_")},
        next_command,
        at_ns,
    )
    requests = Requests()
    requests.restore({name.removeprefix("requests_"): rows for name, rows in arrays.items() if name[:9] == "requests_"})
    versions = dict(line.rsplit(" ", 1) for line in bytes(arrays["versions"]).decode().splitlines())
    replay = Replay(
        state,
        requests,
        position=position,
        running_hash=bytes(arrays["running_hash"]),
        blocks=blocks,
        versions={stream: int(version) for stream, version in versions.items()},
    )
    replay.epoch = epoch
    return replay


def _has_layouts_of_today(arrays: dict[str, Any]) -> bool:
    """Whether every table has the columns that this program gives it."""
    return all(arrays[f"state_{name}"].dtype == rows.dtype for name, rows in State(SMALLEST).arrays())


def sync_folder(folder: Path) -> None:
    """Make a rename durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
