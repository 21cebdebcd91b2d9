"""The store: the only place that appends to the log.

An append is one transaction whose last entry is a flow block in stream `shard-0` with version = number of the block.
Two writers that both believe to own the log write the same version next, so the second collides with the log's unique
(stream, version) and stops: that is the fence. Each block carries the running hash over every earlier entry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from ledger.blocks import GENESIS_HASH, TOPIC, Block, chain, decode_block, seal
from ledger.engines import BLOCKS_PREFIX
from ledger.recorder import Entry, LogRecorder, LogTransaction, RecordedEntry

SHARD = 0
SHARD_STREAM = f"{BLOCKS_PREFIX}{SHARD}"
FLUSH_BYTES = 16 << 20
"""Entries of one transaction are handed to the database when they exceed this, so a long sweep needs little memory."""


class Appended(NamedTuple):
    """An entry of the log as it was read."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class Append:
    """Entries on their way into the log together; their positions are final once it is committed.

    Whoever adds them commits them, or abandons them on the way out of an exception.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stream = ExitStack()
        self._sink: LogTransaction | None = None
        self._waiting: list[Entry] = []
        self._bytes = 0
        self._last_is_block = True
        self._blocks = 0

    @property
    def needs_block(self) -> bool:
        """Whether facts were added after the last block, so that the append could not end here."""
        return not self._last_is_block

    @property
    def is_streaming(self) -> bool:
        """Whether a part of it is in an open transaction already, which the thread that began it must end."""
        return self._sink is not None

    def fact(self, stream: str, version: int, topic: str, state: bytes) -> int:
        """Add a fact; returns its position."""
        self._store.versions[stream] = version
        return self._add(stream, version, topic, state)

    def block(self, state: bytearray) -> int:
        """Seal and add a flow block; returns its position."""
        store = self._store
        store.blocks += 1
        self._blocks = store.blocks
        seal(state, block=store.blocks, running_hash=store.running_hash)
        return self._add(SHARD_STREAM, store.blocks, TOPIC, state)

    def _add(self, stream: str, version: int, topic: str, state: bytes | bytearray) -> int:
        store = self._store
        store.position += 1
        store.running_hash = chain(store.running_hash, store.position, stream, version, topic, state)
        self._last_is_block = topic == TOPIC
        self._waiting.append((stream, version, topic, state))
        self._bytes += len(state)
        if self._bytes > FLUSH_BYTES:
            self._flush()
        return store.position

    def commit(self) -> None:
        """Make it durable: when this returns every entry is in the log, when it raises none may be counted on."""
        assert not self.needs_block, "the last entry of an append is a flow block"
        if self._sink is not None:
            self._flush()
            self._stream.close()
        elif self._waiting:
            # All of it fits into one statement, which is a transaction of its own.
            self._store.recorder.append(self._waiting, announce=False)
        self._store.committed_blocks = max(self._store.committed_blocks, self._blocks)

    def announce(self) -> None:
        """Wake those who follow the log in other processes; answers may go out before."""
        self._store.recorder.announce()

    def abandon(self) -> None:
        """Take back what was streamed, on the way out of an exception."""
        self._stream.__exit__(*sys.exc_info())

    def _flush(self) -> None:
        """Hand what waits to the database, in a transaction that stays open until the end."""
        if self._sink is None:
            self._store.wait_for_commits()
            self._sink = self._stream.enter_context(self._store.recorder.transaction())
        self._sink.append(self._waiting)
        self._waiting = []
        self._bytes = 0


class Store:
    """One log: where it ends, its running hash, and appending to it.

    After an append failed the store must not be used again: what is in the log is then unknown until it is read anew.
    """

    def __init__(self, recorder: LogRecorder) -> None:
        self.recorder = recorder
        self.position = recorder.max_position()
        self.running_hash = GENESIS_HASH
        self.blocks = 0
        self.committed_blocks = 0
        """Blocks that can be read back; `blocks` runs ahead of it while an append is under way."""
        self.epoch = 1
        self.versions: dict[str, int] = {}
        """Last version of each stream of facts; whoever replays the log fills it."""
        self.wait_for_commits: Callable[[], None] = lambda: None
        """Returns when no earlier append is under way; set by whoever commits in another thread."""
        if self.position:
            last = next(self.read(self.position))
            if last.topic != TOPIC:
                raise LogIncomplete(f"entry {last.position} ends the log but is no flow block: {last.topic}")
            self.blocks = self.committed_blocks = last.version
            self.epoch = int(decode_block(last.state).header["epoch"]) + 1
            self.running_hash = hash_after(last)

    def read(self, start: int = 1, stop: int | None = None) -> Iterator[Appended]:
        """Entries from position `start` to `stop` (inclusive; to the end without it), in bounded memory."""
        for position, stream, version, topic, state in self.recorder.read(start):
            if stop is not None and position > stop:
                return
            yield Appended(position, stream, version, topic, state)

    def block_of(self, command: int, until: int | None = None) -> tuple[int, Block] | None:
        """(position, block) of the block in which `command` started, found by bisection over the blocks.

        `until`: the last block to look at, by default the last that is committed.
        """
        low, high = 1, self.committed_blocks if until is None else until
        found: tuple[int, Block] | None = None
        while low <= high:
            middle = (low + high) // 2
            entry = self.recorder.entry(SHARD_STREAM, middle)
            assert entry is not None, middle
            block = decode_block(entry[4])
            if int(block.header["first_command"]) <= command:
                found = (entry[0], block)
                low = middle + 1
            else:
                high = middle - 1
        return found

    def block_after(self, version: int) -> tuple[int, Block] | None:
        """(position, block) of the block after block number `version`."""
        entry = self.recorder.entry(SHARD_STREAM, version + 1)
        return None if entry is None else (entry[0], decode_block(entry[4]))

    def count_before(self, stream: str, topic_name: str, position: int) -> int:
        """How many facts of a kind (a topic without its version) the stream holds before a position."""
        counted = 0
        version = 1
        while (entry := self.recorder.entry(stream, version)) is not None and entry.position < position:
            counted += entry.topic.partition(".")[0] == topic_name
            version += 1
        return counted


def hash_after(block: Appended | RecordedEntry) -> bytes:
    """The running hash over the log up to and with the entry of a block, which carries that of everything before it."""
    return chain(bytes(decode_block(block.state).header["running_hash"]), *block)


class LogIncomplete(ValueError):
    """The log does not end as every append ends it: it was cut or altered."""

    code = "log_truncated"
