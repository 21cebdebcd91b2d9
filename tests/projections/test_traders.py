"""What a trader sees adds up: orders, fills, balances and what holds them, grants, and statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection

from domain.values import AccountKind, PostingCode
from ledger.sequencer import Orders
from matching.layout import CLIENT_ID, FLAG_PRIMARY, Ending, Side
from projections import traders
from projections.assets import Assets
from projections.flow import STATUS_CANCELED, STATUS_FILLED, STATUS_OPEN, STATUS_PARTLY_FILLED
from projections.traders import Range, Traders
from tests.api.small_house import BUYER, COLLECTOR, STUDIO, tell
from tests.projections.following import asking, followed
from tests.simulation.market import DEVELOPER, FIRST_TRADER, START_NS, Desk, new_orders
from tests.simulation.story import Story

PARTIES = range(1, 13)
USD = 1


@pytest.fixture(scope="module")
def history() -> Desk:
    """A random history with refunds, halts, reductions and refusals."""
    desk = Desk()
    Story(seed=2, desk=desk).tell(800)
    return desk


@pytest.fixture(scope="module")
def reads(history: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with (
        followed(history.recorder, tmp_path_factory.mktemp("reads"), lambda: [Traders()]) as database,
        database.engine.connect() as connection,
    ):
        yield connection


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    data = tmp_path_factory.mktemp("small")
    tell(data)
    with asking(data, data / "reads", lambda: [Assets(), Traders()]) as connection:
        yield connection


def pages(question: Callable[..., Sequence[Any]], key: Callable[[Any], Any], *args: Any, **asked: Any) -> list[Any]:
    """All rows of a question, three at a time."""
    found: list[Any] = []
    after: dict[str, Any] = {}
    while rows := question(*args, **asked, **after, limit=3):
        found += rows
        after = {"after": key(rows[-1])}
    return found


# -- orders and fills --------------------------------------------------------------------------------------------------


def test_every_lot_of_an_order_is_filled_canceled_or_resting_and_its_life_says_how(reads: Connection) -> None:
    orders = traders.all_orders(reads, limit=10_000)
    assert {row.status for row in orders} >= {STATUS_OPEN, STATUS_FILLED, STATUS_CANCELED, STATUS_PARTLY_FILLED}
    for row in orders:
        life = traders.order_life(reads, row.order_number)
        assert life is not None and life.whole and life.order == row
        assert row.lots == row.filled_lots + row.canceled_lots + row.resting_lots
        assert row.filled_lots == sum(fill.lots for fill in life.fills)
        assert row.notional_minor == sum(fill.notional_minor for fill in life.fills)
        assert row.fees_minor == sum(fill.fee_minor for fill in life.fills)
        assert row.taxes_minor == sum(fill.tax_minor for fill in life.fills)
        assert row.royalty_minor == sum(fill.royalty_minor for fill in life.fills)
        taken_off = sum(part.lots for part in life.reductions)
        if row.status in (STATUS_OPEN, STATUS_FILLED):
            assert row.canceled_lots == taken_off and row.end_reason in (0, Ending.REDUCED)
        else:
            assert row.canceled_lots > taken_off and row.end_reason
        assert list(life.fills) == sorted(life.fills, key=lambda fill: (fill.command, fill.fill))


def test_pages_of_orders_join_to_all_of_them_and_filters_narrow_them(reads: Connection) -> None:
    everything = traders.all_orders(reads, limit=10_000)
    assert pages(traders.all_orders, lambda row: row.order_number, reads) == list(everything)
    for asked, holds in (
        ({"party": FIRST_TRADER}, lambda row: row.party == FIRST_TRADER),
        ({"series": 2}, lambda row: row.series == 2),
        ({"side": 1}, lambda row: row.side == 1),
        ({"statuses": [STATUS_OPEN]}, lambda row: row.status == STATUS_OPEN),
        ({"statuses": [STATUS_OPEN, STATUS_FILLED]}, lambda row: row.status in (STATUS_OPEN, STATUS_FILLED)),
        ({"within": Range(first_command=200, last_command=400)}, lambda row: 200 <= row.command <= 400),
        ({"party": FIRST_TRADER, "statuses": [STATUS_OPEN]}, lambda row: row.party == 4 and row.status == STATUS_OPEN),
    ):
        found = traders.all_orders(reads, **asked, limit=10_000)
        assert list(found) == [row for row in everything if holds(row)] and found


def test_a_trade_is_one_fill_of_each_side(reads: Connection) -> None:
    seen: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for party in PARTIES:
        mine = pages(traders.all_fills, lambda row: (row.command, row.fill, row.side), reads, party)
        assert mine == list(traders.all_fills(reads, party, limit=10_000))
        for row in mine:
            assert row.party == party
            seen[row.command, row.fill].append(row)
    assert seen
    for command, _ in seen:
        both = traders.fills_of_command(reads, command, limit=10_000)
        assert sorted(both) == sorted(row for key, rows in seen.items() if key[0] == command for row in rows)
    for buy, sell in (sorted(rows, key=lambda row: row.side) for rows in seen.values()):
        assert (buy.side, sell.side, buy.maker + sell.maker) == (Side.BUY, Side.SELL, 1)
        assert (buy.lots, buy.price_ticks, buy.notional_minor) == (sell.lots, sell.price_ticks, sell.notional_minor)


def test_refusals_say_what_was_asked_and_why_not(reads: Connection) -> None:
    everything = traders.all_refusals(reads, limit=10_000)
    assert everything and all(row.code for row in everything)
    assert pages(traders.all_refusals, lambda row: row.command, reads) == list(everything)
    code = everything[0].code
    assert traders.all_refusals(reads, codes=[code], limit=10_000) == [row for row in everything if row.code == code]
    counts = {row.code: row.refusals for row in traders.refusal_counts(reads)}
    assert counts == Counter(row.code for row in everything)
    assert sum(row.refusals for row in traders.refusal_counts(reads, party=FIRST_TRADER)) < len(everything)
    mine = traders.all_refusals(reads, party=FIRST_TRADER, limit=10_000)
    assert mine == [row for row in everything if row.party == FIRST_TRADER]


def test_an_order_is_found_by_the_name_that_its_party_gave_it(tmp_path: Path) -> None:
    desk = Desk()
    desk.set_up()
    rows = new_orders(3, party=FIRST_TRADER, side=Side.BUY, price=100)
    rows["price"][1] = 0  # refused
    named = np.zeros(3, CLIENT_ID)
    named["client_order_id"] = [b"first", b"second", b""]
    desk.process(Orders(rows, client_ids=named, stamped=True))
    with followed(desk.recorder, tmp_path, lambda: [Traders()]) as database, database.engine.connect() as reads:
        found = traders.order_by_client_id(reads, FIRST_TRADER, "first")
        assert found is not None and found.order_number == 1 and found.client_order_id == "first"
        assert traders.order(reads, 1) == found
        assert traders.order_by_client_id(reads, FIRST_TRADER + 1, "first") is None
        assert traders.order_by_client_id(reads, FIRST_TRADER, "second") is None
        assert [row.client_order_id for row in traders.all_orders(reads)] == [None, "first"]


# -- balances and grants -----------------------------------------------------------------------------------------------


def test_balances_are_those_of_the_ledger_and_open_orders_explain_what_is_held(
    history: Desk, reads: Connection
) -> None:
    accounts = history.state.tables.accounts[: int(history.state.tables.tally["accounts"][0])]
    held_somewhere = False
    for party in PARTIES:
        holds: dict[int, int] = defaultdict(int)
        for order in pages(traders.holds, lambda row: row.order_number, reads, party):
            holds[order.asset] += order.hold
        found = traders.balances(reads, party)
        for row in found:
            assert (row.available, row.held) == tuple(accounts[row.account][["available", "held"]])
            if row.kind == AccountKind.AVAILABLE:
                assert row.held == holds[row.asset]
                held_somewhere |= bool(row.held)
                by_asset = traders.holds(reads, party, asset=row.asset, limit=10_000)
                assert sum(order.hold for order in by_asset) == row.held
        assert len(found) == int((accounts["owner"] == party).sum())
    assert held_somewhere


def test_a_primary_sale_holds_nothing_on_an_account(tmp_path: Path) -> None:
    desk = Desk()
    desk.set_up()
    desk.orders(new_orders(1, party=DEVELOPER, side=Side.SELL, price=100, lots=5, flags=FLAG_PRIMARY))
    with followed(desk.recorder, tmp_path, lambda: [Traders()]) as database, database.engine.connect() as reads:
        assert [row.hold for row in traders.holds(reads, DEVELOPER)] == [0]


def test_each_asset_adds_up_to_nothing_over_all_accounts(reads: Connection) -> None:
    sums: dict[int, int] = defaultdict(int)
    for row in traders.trial_balance(reads):
        sums[row.asset] += row.available + row.held
    assert len(sums) >= 3 and set(sums.values()) == {0}


def test_units_issued_are_with_holders_or_retired(small: Connection, reads: Connection) -> None:
    assert traders.units(small, 1)[:5] == (12, 11, 0, 1, 2)
    for series in (1, 2):
        units = traders.units(reads, series)
        assert units.issued == units.with_holders + units.in_use + units.retired > 0
        held = traders.all_grants(reads, series=series, held=True, limit=10_000)
        assert sum(row.lots for row in held) == units.with_holders and len(held) == units.holders


def test_holdings_and_grants_say_where_the_lots_came_from(small: Connection) -> None:
    assert [tuple(row)[:5] for row in traders.holdings(small, BUYER)] == [(1, 9, 0, 0, 1)]
    assert [tuple(row)[:5] for row in traders.holdings(small, COLLECTOR)] == [(1, 2, 0, 0, 0)]
    bought, sold = traders.all_grants(small)
    assert (bought.holder, bought.lots, bought.bought_lots, bought.sold_lots, bought.returned_lots) == (
        BUYER,
        9,
        10,
        0,
        1,
    )
    assert (sold.holder, sold.lots, sold.bought_lots, sold.sold_lots, sold.returned_lots) == (COLLECTOR, 2, 4, 2, 0)
    assert traders.grant(small, bought.grant_number) == bought and traders.grant(small, 99) is None
    assert traders.all_grants(small, after=bought.grant_number) == [sold]


# -- statements and payments -------------------------------------------------------------------------------------------


def test_a_statement_leads_from_its_opening_to_the_balance(reads: Connection) -> None:
    for party in PARTIES:
        for account in traders.balances(reads, party):
            if account.asset != -USD:
                continue
            whole = traders.statement(reads, party, USD, kind=account.kind, limit=100_000)
            balance = account.available + account.held
            assert whole.opening_minor == 0 and whole.closing_minor == balance
            assert whole.totals_minor["amount_minor"] == balance
            assert whole.lines_in_all == len(whole.lines)
            running = balance
            for line in whole.lines:
                assert line.balance_minor == running and line.party == party
                parts = [getattr(line, name) for name in (*traders.PARTS, "other_minor")]
                assert line.amount_minor == sum(parts)
                running -= line.amount_minor
            assert running == 0

            def page(
                connection: Connection, *, limit: int, after: Any = None, party: int = party, kind: int = account.kind
            ) -> Any:
                return traders.statement(connection, party, USD, kind=kind, after=after, limit=limit).lines

            assert pages(page, lambda line: (line.command, line.line), reads) == list(whole.lines)


def test_the_statement_of_any_time_fits_between_its_neighbors(reads: Connection) -> None:
    whole = traders.statement(reads, FIRST_TRADER, USD, limit=100_000)
    assert len(whole.lines) > 20
    cuts = [0, *(line.command for line in whole.lines[-1::-5]), 10**9]
    closing = 0
    for first, following in pairwise(cuts):
        part = traders.statement(
            reads, FIRST_TRADER, USD, within=Range(first_command=first, last_command=following - 1)
        )
        assert part.opening_minor == closing
        assert part.opening_minor + part.totals_minor["amount_minor"] == part.closing_minor
        assert len(part.lines) == part.lines_in_all
        closing = part.closing_minor
    assert closing == whole.closing_minor
    nothing = traders.statement(reads, FIRST_TRADER, USD, within=Range(first_at_ns=2**62))
    assert (nothing.opening_minor, nothing.closing_minor, nothing.lines) == (closing, closing, [])
    before = traders.statement(reads, FIRST_TRADER, USD, within=Range(last_at_ns=START_NS - 1))
    assert (before.opening_minor, before.closing_minor) == (0, 0)


def test_the_statement_of_a_party_without_an_account_is_empty(reads: Connection) -> None:
    nobody = traders.statement(reads, 10**6, USD)
    assert (nobody.opening_minor, nobody.closing_minor, nobody.lines_in_all, nobody.lines) == (0, 0, 0, [])


def test_lines_say_what_they_are_for(small: Connection) -> None:
    lines = traders.statement(small, BUYER, 1).lines
    assert [(line.amount_minor, line.trade_minor, line.fee_minor, line.code, line.series) for line in lines] == [
        (-506, -505, -1, PostingCode.SALE, 1),
        (101, 0, 0, PostingCode.REFUND, 1),
        (-201, -200, -1, PostingCode.SALE, 1),
        (-304, -303, -1, PostingCode.SALE, 1),
        (100_000, 0, 0, PostingCode.DEPOSIT, 0),
    ]
    assert [line.reference for line in lines] == [None, None, None, None, f"r-{BUYER}"]
    resold = traders.statement(small, COLLECTOR, 1).lines[0]
    assert (resold.amount_minor, resold.trade_minor, resold.royalty_minor) == (190, 200, -10)
    earned = traders.statement(small, STUDIO, 1)
    assert earned.totals_minor["share_minor"] + earned.totals_minor["other_minor"] == earned.closing_minor == 753


def test_payments_and_refunds_are_found_by_party_and_trade(small: Connection) -> None:
    assert [row.party for row in traders.all_payments(small)] == [COLLECTOR, BUYER]
    (deposit,) = traders.all_payments(small, party=BUYER, codes=[PostingCode.DEPOSIT])
    assert (deposit.amount_minor, deposit.reference, deposit.effective_day) == (100_000, f"r-{BUYER}", "2026-09-13")
    assert not traders.all_payments(small, party=BUYER, codes=[PostingCode.WITHDRAWAL])
    (refund,) = traders.all_refunds(small, buyer=BUYER)
    assert (refund.lots, refund.amount_minor, refund.reason) == (1, 101, "Not what was promised.")
    assert traders.all_refunds(small, trade=(refund.trade_command, refund.trade_fill)) == [refund]
    assert not traders.all_refunds(small, trade=(refund.trade_command, 1))
    assert traders.all_payments(small, after=deposit.command) == []
