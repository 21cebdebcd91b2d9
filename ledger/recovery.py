"""From a log to a running state: the newest snapshot and the tail after it, the same way at every start."""

from __future__ import annotations

from collections.abc import Callable

from ledger.replay import Replay
from ledger.requests import Requests
from ledger.snapshots import Snapshots
from ledger.state import State
from ledger.store import SHARD_STREAM, Store, hash_after
from ledger.tables import LIMITS, Limits


def recover(
    store: Store,
    snapshots: Snapshots | None,
    limits: Limits = LIMITS,
    on_entry: Callable[[int], None] | None = None,
) -> Replay:
    """The fold over the whole log of `store`, which then knows its streams.

    `limits` are those of a log that does not state its own; `on_entry(position)` is called after each entry. Raises
    Disagreement where the log is not what executing it gives.
    """
    replay = snapshots.newest(at_most=store.position) if snapshots is not None else None
    if replay is None or not is_of_this_log(store, replay):
        replay = Replay(State(limits), Requests())
    for entry in store.read(replay.position + 1):
        replay.feed(entry)
        if on_entry is not None:
            on_entry(entry.position)
    replay.end()
    store.versions = dict(replay.versions)
    assert replay.running_hash == store.running_hash, "the log's last block does not seal the log"
    return replay


def is_of_this_log(store: Store, snapshot: Replay) -> bool:
    """Whether a snapshot, which is always taken right after a block, was taken of the log of `store`."""
    entry = store.recorder.entry(SHARD_STREAM, snapshot.blocks)
    return entry is not None and entry.position == snapshot.position and hash_after(entry) == snapshot.running_hash
