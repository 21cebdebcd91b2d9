"""Read models of a log, followed for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from api.bootstrap import House, key_store, log_for_reading, places
from domain.commands import RefundSale
from domain.events import Envelope, Fact
from ledger.mapper import Unseal
from ledger.recorder import LogRecorder
from matching.layout import Side
from projections import rebuild
from projections.database import ReadDatabase, generations_at
from projections.flow import FlowFold
from projections.projection import Batch, ReadModel
from projections.runner import Follower, Log, new_generation
from tests.api.small_house import BUYER, LIMITS, OCTOBER_NS, OFFICE, SmallHouse, tell


def tell_more(data: Path) -> None:
    """The story, and then a refund of a September sale by its own weights, with one more sale after it."""
    tell(data)
    with House(places(data), clock=lambda: OCTOBER_NS, limits=LIMITS) as house:
        small = SmallHouse(house, OCTOBER_NS + 10**12)
        refund = RefundSale(
            trade_command=29,
            trade_fill=0,
            trade_lots=3,
            series=1,
            buyer=BUYER,
            lots=2,
            price_ticks=101,
            waterfall_version=1,
            reason="The rest of it, too.",
        )
        small.ask(refund, OFFICE)
        small.order(BUYER, Side.BUY, 7)


@contextmanager
def followed(
    log: Log,
    folder: Path,
    models: Callable[[], Sequence[ReadModel]],
    unseal: Unseal | None = None,
    *,
    entries: int = 2_000,
) -> Iterator[ReadDatabase]:
    """A generation that was followed to the end of the log."""
    with new_generation(generations_at(folder), models(), make_current=True) as database:
        Follower(log, database, models(), unseal).catch_up(entries=entries)
        yield database


@contextmanager
def asking(data: Path, folder: Path, models: Callable[[], Sequence[ReadModel]]) -> Iterator[Connection]:
    """A connection to read models of the house in a data folder."""
    unseal = key_store(places(data)).unseal
    with (
        log_for_reading(places(data)) as log,
        followed(log, folder, models, unseal) as database,
        database.engine.connect() as connection,
    ):
        yield connection


@contextmanager
def told(
    facts: Sequence[tuple[Envelope, Fact]], folder: Path, models: Callable[[], Sequence[ReadModel]]
) -> Iterator[Connection]:
    """A connection to read models that were told facts only, at positions from 1."""
    with new_generation(generations_at(folder), models()) as database, database.engine.begin() as connection:
        placed = [(position, envelope, fact) for position, (envelope, fact) in enumerate(facts, 1)]
        batch = Batch(placed, [], FlowFold().apply([], placed), len(facts), facts[-1][0].at_ns)
        for model in models():
            model.fold(batch)
            model.write(connection)
        yield connection


def reference_hashes(log: LogRecorder, models: Sequence[ReadModel], unseal: Unseal | None = None) -> dict[str, str]:
    """Hashes of the tables of these models as the plain fold gives them."""
    return rebuild.reference_hashes(log, log.max_position(), models, unseal)


def hashes(database: ReadDatabase, models: Sequence[ReadModel]) -> dict[str, str]:
    return rebuild.hashes_of(database, models)
