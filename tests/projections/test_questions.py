"""Every question is answered alike on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Row, event, make_url

from api.bootstrap import key_store, log_for_reading, places
from domain.values import Role
from projections import assets, compliance, revenue, traders
from projections.compliance import EntryFilter
from projections.database import Generations, generations_at
from projections.model_report import model_report
from projections.models import read_models
from projections.revenue import Asked
from projections.runner import Follower, new_generation
from projections.traders import Range
from tests.api.small_house import AGENT, BUYER, COLLECTOR, STUDIO
from tests.projections.following import tell_more

OCTOBER = Asked(first_day=20261001, last_day=20261031)
QUESTIONS: list[Callable[[Connection], Any]] = [
    lambda reads: assets.party(reads, BUYER),
    lambda reads: assets.all_parties(reads, search="b%", role=Role.TRADER, country="DE", frozen=False),
    lambda reads: assets.all_parties(reads, search="BUYER"),
    lambda reads: assets.party_names(reads, [1, 2]),
    lambda reads: assets.all_datasets(reads, search="x", provider=1),
    lambda reads: assets.users_of_dataset(reads, 1),
    lambda reads: assets.all_models(reads, search="ONE", listed=True),
    lambda reads: assets.all_models(reads, listed=False),
    lambda reads: assets.model_facets(reads, "license"),
    lambda reads: assets.lineage_of(reads, assets.MODEL, 1),
    lambda reads: assets.lineage_of(reads, assets.MODEL, 1, descendants=True),
    lambda reads: assets.all_series(reads, search="one", issuer=STUDIO, phase=1),
    lambda reads: assets.series_by_symbol(reads, "ONE/EUR"),
    assets.fee_history,
    lambda reads: compliance.entries(reads, EntryFilter(about=BUYER, without_flow=True)),
    lambda reads: compliance.entries(reads, EntryFilter(search="MONEY", first_position=2, last_at_ns=2**62)),
    lambda reads: compliance.kind_counts(reads, EntryFilter(model=1)),
    lambda reads: compliance.block_of_command(reads, 29),
    lambda reads: compliance.chain_of_causes(reads, 49),
    lambda reads: model_report(reads, 1),
    lambda reads: revenue.by_payee(reads, OCTOBER, after=(202610, 1, 0), limit=5),
    lambda reads: revenue.by_payee(reads, Asked(payee=STUDIO, model=1), by_day=True),
    lambda reads: revenue.by_series(reads, Asked(payee=AGENT, currency=1), after=(202608, 1), limit=5),
    revenue.earned,
    lambda reads: revenue.earned(reads, OCTOBER, by_model=True),
    lambda reads: revenue.lines_of_payee(reads, STUDIO, model=1, after=(36, 1, 10**6), limit=3),
    lambda reads: revenue.lines_of_command(reads, 33),
    lambda reads: revenue.waterfall(reads, 1),
    lambda reads: revenue.waterfall_derivation(reads, 1),
    lambda reads: revenue.ways_of_payee(reads, 1, 1, AGENT),
    lambda reads: revenue.suspense_by_payee(reads, series=1),
    lambda reads: revenue.house_income(reads, OCTOBER),
    lambda reads: traders.all_orders(reads, party=BUYER, statuses=[1, 2], within=Range(first_at_ns=1), after=100),
    lambda reads: traders.all_orders(reads, series=1, statuses=[1]),
    lambda reads: traders.order_life(reads, 1),
    lambda reads: traders.fills_of_order(reads, 1, after=(29, 0)),
    lambda reads: traders.fills_of_command(reads, 29, after=(0, 0)),
    lambda reads: traders.all_fills(reads, BUYER, series=1, after=(36, 0, 0)),
    lambda reads: traders.all_refusals(reads, codes=[1]),
    traders.refusal_counts,
    lambda reads: traders.balances(reads, BUYER),
    lambda reads: traders.holds(reads, STUDIO, asset=1),
    lambda reads: traders.holdings(reads, BUYER),
    lambda reads: traders.all_grants(reads, holder=BUYER, held=True),
    lambda reads: traders.units(reads, 1),
    traders.trial_balance,
    lambda reads: traders.all_payments(reads, party=BUYER, codes=[9]),
    lambda reads: traders.all_refunds(reads, trade=(29, 0)),
    lambda reads: traders.statement(reads, BUYER, 1, within=Range(first_command=30), after=(36, 0), series=1),
    lambda reads: traders.statement(reads, COLLECTOR, 1, within=Range(first_command=10**6)),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("told")
    tell_more(folder)
    return folder


def answers(data: Path, generations: Generations) -> Iterator[Any]:
    with log_for_reading(places(data)) as log, new_generation(generations, read_models()) as database:
        Follower(log, database, read_models(), key_store(places(data)).unseal).catch_up()
        with database.engine.connect() as reads:
            for question in QUESTIONS:
                yield plain(question(reads))


def plain(answer: Any) -> Any:
    """Rows as dicts, bytes as bytes: what a door could send."""
    if isinstance(answer, Row):
        return {
            name: bytes(value) if isinstance(value, memoryview) else value for name, value in answer._mapping.items()
        }
    if isinstance(answer, list | tuple):
        return [plain(item) for item in answer]
    return answer


def test_both_databases_give_the_same_answers(data: Path, tmp_path: Path, postgres_database: str) -> None:
    on_sqlite = list(answers(data, generations_at(tmp_path)))
    on_postgres = list(answers(data, generations_at(make_url(postgres_database))))
    assert len(on_sqlite) == len(QUESTIONS)
    for number, (first, second) in enumerate(zip(on_sqlite, on_postgres, strict=True)):
        assert first == second, number
        assert_integers(first)
        assert_integers(second)
    assert sum(bool(answer) for answer in on_sqlite) > 40


def assert_integers(answer: Any) -> None:
    """No answer holds a float or a decimal."""
    for value in answer.values() if isinstance(answer, dict) else answer if isinstance(answer, list) else [answer]:
        if isinstance(value, dict | list):
            assert_integers(value)
        else:
            assert value is None or type(value) in (int, str, bytes, bool), (value, answer)


SEARCHED: dict[str, Callable[[Connection], Any]] = {
    "orders_open": lambda reads: traders.all_orders(reads, party=BUYER, statuses=[1]),
    "orders_by_party": lambda reads: traders.all_orders(reads, party=BUYER),
    "fills_by_order": lambda reads: traders.fills_of_order(reads, 1),
    "fills_by_party": lambda reads: traders.all_fills(reads, BUYER),
    "statement_lines USING PRIMARY KEY": lambda reads: traders.statement(reads, BUYER, 1),
    "log_entries_by_actor": lambda reads: compliance.entries(reads, EntryFilter(actor=1)),
    "log_entries_by_model": lambda reads: compliance.entries(reads, EntryFilter(model=1)),
    "log_entries_by_kind": lambda reads: compliance.entries(reads, EntryFilter(kinds=["SeriesListed"])),
    "era_payees USING PRIMARY KEY": lambda reads: revenue.lines_of_command(reads, 29),
}


def test_what_is_asked_often_is_found_by_an_index(data: Path, tmp_path: Path) -> None:
    with (
        log_for_reading(places(data)) as log,
        new_generation(generations_at(tmp_path), read_models()) as database,
        database.engine.connect() as reads,
    ):
        Follower(log, database, read_models()).catch_up()
        asked: list[tuple[str, Any]] = []
        event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
        for index, question in SEARCHED.items():
            asked.clear()
            question(reads)
            plans = [
                row[3]
                for statement, parameters in list(asked)
                for row in reads.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
            assert any(index in plan for plan in plans), (index, plans)
