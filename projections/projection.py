"""What a read model is: tables, a fold in memory, and how its changed rows are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Connection, Table

from domain.events import Envelope, Fact
from ledger.blocks import Block
from projections.flow import BatchFlow


class Batch(NamedTuple):
    """What the follower read in one go, decoded once for all read models."""

    facts: Sequence[tuple[int, Envelope, Fact]]
    """(position, envelope, fact); sealed text is opened where the key is at hand."""
    blocks: Sequence[tuple[int, Block]]
    flow: BatchFlow
    """What the blocks did and changed, joined."""
    last_position: int
    last_at_ns: int
    """House time after the batch."""


class ReadModel(Protocol):
    """A fold of the log into tables. It reads nothing but batches and its own tables, so it can be built anew."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int:
        """Of its tables and its fold; another one makes the generation outdated."""
        ...

    @property
    def tables(self) -> Sequence[Table]: ...

    def load(self, connection: Connection) -> None:
        """Read what it keeps in memory out of its own tables; called once, before the first fold."""
        ...

    def fold(self, batch: Batch) -> None:
        """Take the batch into memory; touches no database."""
        ...

    def write(self, connection: Connection) -> None:
        """Write the rows that changed since the last write; the follower commits them with the position.

        Rows must not depend on how the log was cut into batches.
        """
        ...
