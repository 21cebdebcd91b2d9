"""The read models equal the plain fold of the same log, in whatever batches, and wherever they are begun again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import make_url, select

from api.bootstrap import key_store, log_for_reading, places
from domain.events import TOPIC_OF, Envelope, PartyRegistered
from domain.values import DAY_NS
from ledger.sequencer import Orders
from matching.layout import CLIENT_ID, FLAG_PRIMARY, Side
from projections import rebuild
from projections.compliance import log_entries
from projections.database import generations_at
from projections.models import read_models
from projections.reference_models import ReferenceModels
from projections.reference_rows import ReferenceRows
from projections.revenue import trading_days
from projections.runner import Follower, new_generation
from projections.traders import client_orders
from tests.domain.samples import FACTS
from tests.projections.following import followed, hashes, reference_hashes, tell_more, told
from tests.simulation.market import DEVELOPER, FIRST_TRADER, START_NS, Desk, new_orders
from tests.simulation.story import Story, room

TABLES = rebuild.tables_of(read_models())


def differing(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    return [name for name in expected if found[name] != expected[name]]


def test_the_small_house_reads_as_the_plain_fold_with_its_personal_texts(tmp_path: Path) -> None:
    tell_more(tmp_path / "house")
    where = places(tmp_path / "house")
    unseal = key_store(where).unseal
    with log_for_reading(where) as log, followed(log, tmp_path / "reads", read_models, unseal) as database:
        assert differing(hashes(database, read_models()), reference_hashes(log, read_models(), unseal)) == []


def test_every_kind_of_fact_reads_as_the_plain_fold(tmp_path: Path) -> None:
    first = FACTS[0]
    assert isinstance(first, PartyRegistered)
    facts = [first, replace(first, party=2), *FACTS[1:]]
    stamped = [
        (
            Envelope(
                command=number,
                at_ns=START_NS + number,
                actor=number % 3,
                request_id=bytes(16),
                cause=number % 2 or None,
            ),
            fact,
        )
        for number, fact in enumerate(facts, 10)
    ]
    with (
        new_generation(generations_at(tmp_path / "plain"), read_models()) as plain,
        plain.engine.begin() as expected,
        told(stamped, tmp_path / "reads", read_models) as connection,
    ):
        reference = ReferenceModels(ReferenceRows(expected.connection.driver_connection))
        for position, (envelope, fact) in enumerate(stamped, 1):
            reference.fact(position, envelope, fact)
        for table in TABLES:
            asked = select(table).order_by(*table.primary_key)
            assert connection.execute(asked).all() == expected.execute(asked).all(), table.name
        kinds = set(connection.scalars(select(log_entries.c.kind)))
    assert kinds == {cls.__name__ for cls in TOPIC_OF}


def test_names_that_parties_gave_their_orders_read_as_the_plain_fold(tmp_path: Path) -> None:
    desk = Desk()
    desk.set_up()
    rows = new_orders(3, party=FIRST_TRADER, side=Side.BUY, price=100)
    named = np.zeros(3, CLIENT_ID)
    named["client_order_id"] = [b"first", b"", b"first"]  # the last is refused
    desk.process(Orders(rows, client_ids=named, stamped=True))
    with followed(desk.recorder, tmp_path, read_models) as database, database.engine.connect() as connection:
        assert differing(hashes(database, read_models()), reference_hashes(desk.recorder, read_models())) == []
        assert [tuple(row) for row in connection.execute(select(client_orders))] == [(1, FIRST_TRADER, "first", 37)]


def test_a_block_over_midnight_reads_as_the_plain_fold(tmp_path: Path) -> None:
    desk = Desk()
    desk.set_up()
    issue = new_orders(1, party=DEVELOPER, side=Side.SELL, price=100, lots=50, flags=FLAG_PRIMARY)
    buys = new_orders(6, party=FIRST_TRADER, side=Side.BUY, price=100, lots=3)
    buys["at_ns"] = START_NS + DAY_NS + np.arange(-3, 3)
    desk.orders(np.concatenate([issue, buys]))
    with followed(desk.recorder, tmp_path, read_models) as database, database.engine.connect() as connection:
        assert differing(hashes(database, read_models()), reference_hashes(desk.recorder, read_models())) == []
        assert [row.trades for row in connection.execute(select(trading_days))] == [3, 3]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_random_histories_read_as_the_plain_fold(seed: int, tmp_path: Path) -> None:
    """Odd seeds have blocks so small that long commands go over many."""
    desk = Desk(out_rows=room(seed) if seed % 2 else None)
    Story(seed=seed, desk=desk).tell(400)
    expected = reference_hashes(desk.recorder, read_models())
    with followed(desk.recorder, tmp_path, read_models, entries=1 + 7 * seed) as database:
        assert differing(hashes(database, read_models()), expected) == []


def test_read_models_that_are_begun_again_at_any_entry_go_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    desk = Desk(out_rows=room(5))
    Story(seed=5, desk=desk).tell(150)
    expected = reference_hashes(desk.recorder, read_models())
    with new_generation(generations_at(tmp_path), read_models()) as database:
        end = desk.recorder.max_position()
        step = max(1, end // 40)
        for until in [*range(step, end, step), end]:
            Follower(desk.recorder, database, read_models()).catch_up(until)
        assert differing(hashes(database, read_models()), expected) == []


@pytest.mark.parametrize("seed", [6])
def test_postgresql_holds_the_same_rows(seed: int, postgres_database: str) -> None:
    desk = Desk()
    Story(seed=seed, desk=desk).tell(400)
    with new_generation(generations_at(make_url(postgres_database)), read_models()) as database:
        Follower(desk.recorder, database, read_models()).catch_up()
        assert differing(hashes(database, read_models()), reference_hashes(desk.recorder, read_models())) == []
