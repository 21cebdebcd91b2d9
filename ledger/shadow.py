"""The shadow: a second process that executes the log as it grows, so that the house checks itself all day.

It compares every section of every block with its own, takes state roots, which the writer records as ordinary
commands, and writes snapshots. A root is due after a tick that asks for one and after every `root_every` commands.
Where the log and the shadow disagree, the house must stop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from domain.commands import RecordStateRoot
from ledger.blocks import TOPIC, decode_block
from ledger.replay import Replay
from ledger.snapshots import Snapshots
from ledger.store import Appended
from matching.layout import Kind, Section

ROOT_EVERY = 1_000_000
SNAPSHOT_EVERY = 250_000
"""Commands after which the shadow takes a root, and writes a snapshot."""


class Shadow:
    """A replay that reports."""

    def __init__(
        self,
        replay: Replay,
        snapshots: Snapshots,
        submit: Callable[[RecordStateRoot], None],
        *,
        root_every: int = ROOT_EVERY,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """`submit` hands a root to the writer."""
        self.replay = replay
        self._snapshots = snapshots
        self._submit = submit
        self._root_every = root_every
        self._snapshot_every = snapshot_every
        self._rooted = self._snapshotted = replay.state.next_command

    def announce(self) -> None:
        """Submit the root of where the replay stands: a tick just before may have asked for it in vain."""
        self._submit(RecordStateRoot(at_command=self.replay.state.next_command - 1, root=self.replay.state.root()))

    def feed(self, entry: Appended) -> None:
        """Take the next entry of the log. Raises Disagreement."""
        self.replay.feed(entry)
        state = self.replay.state
        if entry.topic != TOPIC or not self.replay.is_between_commands:
            return
        if _asks_for_root(entry.state) or state.next_command - self._rooted >= self._root_every:
            self._rooted = state.next_command
            self._submit(RecordStateRoot(at_command=state.next_command - 1, root=state.root()))
        if state.next_command - self._snapshotted >= self._snapshot_every:
            self._snapshotted = state.next_command
            self._snapshots.save(self.replay)


def _asks_for_root(block: bytes) -> bool:
    commands = decode_block(block).rows(Section.COMMANDS)
    return bool(np.any((commands["kind"] == Kind.TICK) & (commands["target"] == 1)))
