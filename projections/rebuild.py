"""Building the read models anew: a new generation beside the current one, checked, then swapped in.

The check folds the same log a second time, in plain Python and row by row (`projections.reference_tables`), and
compares the hashes of all tables. Whoever follows goes on with the new generation once it is current.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Table

from ledger.mapper import Unseal
from projections.database import Generations, ReadDatabase
from projections.hashes import generation_hash, table_hashes
from projections.projection import ReadModel
from projections.reference_tables import ReferenceTables
from projections.runner import Follower, Log, new_generation

PROGRESS_ENTRIES: Final = 500
"""Entries between two reports of progress."""


class RebuildDiffers(RuntimeError):
    """The new generation is not what the independent fold gives; the current one stays."""

    code: Final = "rebuild_differs"

    def __init__(self, tables: Sequence[str], position: int) -> None:
        super().__init__(f"the rows of {', '.join(tables)} differ from the independent fold up to position {position}")
        self.tables = tables
        self.position = position


class Rebuilt(NamedTuple):
    """A generation that was built and made current."""

    generation: int
    position: int
    """Up to which it was checked, or built if it was not."""
    hash: str | None
    """Of its tables there; None if it was not checked."""


def rebuild(
    log: Log,
    generations: Generations,
    models: Callable[[], Sequence[ReadModel]],
    unseal: Unseal | None = None,
    *,
    check: bool = True,
    on_progress: Callable[[str, int, int], None] = lambda _what, _position, _end: None,
) -> Rebuilt:
    """Build a new generation of what `models` makes and make it current. Raises RebuildDiffers.

    All generations but the new one and the one before are dropped. `on_progress(what, position, end)`.
    """
    database = new_generation(generations, models())
    try:
        with database:
            follower = Follower(log, database, models(), unseal)
            end = log.max_position()
            while follower.position < end:
                follower.catch_up(min(end, follower.position + PROGRESS_ENTRIES))
                on_progress("build", follower.position, end)
            found = None
            if check:
                hashes = hashes_of(database, models())
                compare(hashes, reference_hashes(log, end, models(), unseal, on_progress), end)
                found = generation_hash(hashes)
            follower.catch_up()
    except BaseException:
        generations.drop(database.generation)
        raise
    earlier = generations.current()
    generations.make_current(database.generation)
    for number in generations.all():
        if number < database.generation and number != earlier:
            generations.drop(number)
    return Rebuilt(database.generation, end, found)


def hashes_of(database: ReadDatabase, models: Sequence[ReadModel]) -> dict[str, str]:
    """Hash of each table of a generation."""
    with database.engine.connect() as connection:
        return table_hashes(connection, tables_of(models))


def reference_hashes(
    log: Log,
    until: int,
    models: Sequence[ReadModel],
    unseal: Unseal | None = None,
    on_progress: Callable[[str, int, int], None] = lambda _what, _position, _end: None,
) -> dict[str, str]:
    """Hash of each table as the independent fold of the log up to a position gives it."""
    with ReferenceTables(tables_of(models)) as reference:
        for entry in log.read(1, stop_position=until):
            reference.take(entry, unseal)
            if entry.position % PROGRESS_ENTRIES == 0 or entry.position == until:
                on_progress("check", entry.position, until)
        return reference.hashes()


def compare(found: Mapping[str, str], expected: Mapping[str, str], position: int) -> None:
    """Raise RebuildDiffers unless the hashes are equal."""
    different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if different:
        raise RebuildDiffers(different, position)


def tables_of(models: Sequence[ReadModel]) -> list[Table]:
    return [table for model in models for table in model.tables]
