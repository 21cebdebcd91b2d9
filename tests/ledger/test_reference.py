"""The rulebook by example, then its invariants for any mixture of commands."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.values import AccountKind, PostingCode
from ledger.reference import Capacity, ReferenceLedger, ceil_ppm
from matching.layout import FLAG_PRIMARY, LAYOUTS, PPB, Code, Ending, Kind, Phase, Section, Side, TimeInForce
from matching.simulator import random_commands
from tests.builders import CURRENCY, HOUSE, MONEY, SERIES, STUDIO, a_market

# -- price, time and what is left --------------------------------------------------------------------------------------


def test_better_price_trades_first_and_the_rest_rests() -> None:
    market = a_market("""
        ask  5 @ 102  carol
        ask  5 @ 101  bob
    """)
    market.buy(7, at=102, trader="alice", expect=["5 @ 101 bob", "2 @ 102 carol"])
    assert market.depth() == "ask 3 @ 102"


def test_at_one_price_the_earlier_order_trades_first() -> None:
    market = a_market("""
        bid  3 @ 100  bob
        bid  3 @ 100  carol
    """)
    market.give(4, "alice")
    market.sell(4, at=99, trader="alice", expect=["3 @ 100 bob", "1 @ 100 carol"])
    assert market.depth() == "bid 2 @ 100"


def test_reducing_keeps_the_place_in_the_queue() -> None:
    market = a_market()
    market.give(8, "bob")
    market.give(5, "carol")
    first = market.sell(8, at=100, trader="bob")
    market.sell(5, at=100, trader="carol")
    assert market.reduce(first, by=6, trader="bob") == Code.OK
    assert market.result[1:4] == (first, 2, 2)
    assert market.units("bob").held == 2
    market.buy(3, at=100, trader="alice", expect=["2 @ 100 bob", "1 @ 100 carol"])


def test_what_an_immediate_or_market_order_cannot_trade_is_canceled() -> None:
    market = a_market("ask 2 @ 100 bob")
    immediate = market.buy(5, at=100, trader="alice", tif=TimeInForce.IOC, expect=["2 @ 100 bob"])
    unmatched = market.market_buy(4, at=100, trader="alice", expect=[])
    assert market.endings() == [(immediate, 3, Ending.IOC), (unmatched, 4, Ending.NO_LIQUIDITY)]
    assert market.cash("alice").held == 0
    assert market.depth() == ""


def test_canceling_returns_the_whole_hold_even_in_a_halted_series() -> None:
    market = a_market(taker_ppm=2_000, tax_ppm=190_000)
    order = market.buy(3, at=100, trader="alice")
    assert market.cash("alice").held == 3_000 + 6 + 570 == market.result[3]
    market.ledger.set_phase(SERIES, Phase.HALTED)
    assert market.cancel(order, trader="alice") == Code.OK
    assert (market.cash("alice").available, market.cash("alice").held) == (MONEY, 0)
    assert market.endings() == [(order, 3, Ending.USER)]


def test_mass_cancel_of_a_party_goes_in_order_of_acceptance() -> None:
    market = a_market("bid 1 @ 100 bob")
    first = market.buy(2, at=90, trader="alice")
    second = market.buy(3, at=95, trader="alice")
    assert market.command(Kind.MASS_CANCEL, account=market.party("alice"), series=0) == Code.OK
    assert market.endings() == [(first, 2, Ending.MASS), (second, 3, Ending.MASS)]
    assert market.result[2] == 5 and market.result[5] == 2
    assert market.depth() == "bid 1 @ 100"


def test_ending_a_series_cancels_bids_then_asks_from_the_best() -> None:
    market = a_market("""
        ask  1 @ 105  bob
        ask  2 @ 104  bob
        bid  3 @ 99   carol
        bid  4 @ 100  alice
        bid  5 @ 100  carol
    """)
    assert market.end_series() == Code.OK
    assert [(lots, reason) for _, lots, reason in market.endings()] == [
        (lots, Ending.SERIES_ENDED) for lots in (4, 5, 3, 2, 1)
    ]


def test_a_party_may_trade_with_itself() -> None:
    market = a_market("ask 5 @ 100 alice", taker_ppm=1_000)
    market.buy(5, at=100, trader="alice", expect=["5 @ 100 alice"])
    assert market.earned("alice") == -5
    assert market.units("alice").balance == 5


# -- money -------------------------------------------------------------------------------------------------------------


def test_one_resale_posts_in_the_stated_order() -> None:
    market = a_market("ask 10 @ 100 bob", maker_ppm=1_000, taker_ppm=2_000, tax_ppm=190_000, royalty_ppm=50_000)
    market.buy(10, at=100, trader="alice")
    assert market.postings() == [
        ("SALE", 10_000),
        ("DELIVERY", 10),
        ("TAKER_FEE", 20),
        ("TAX", 1_900),
        ("MAKER_FEE", 10),
        ("ROYALTY", 500),
        ("SHARE", 50),
        ("SHARE", 450),
    ]
    assert market.earned("alice") == -11_920
    assert market.earned("bob") == 10_000 - 10 - 500
    assert market.revenue(AccountKind.FEE_REVENUE) == 30
    assert market.revenue(AccountKind.TAX_COLLECTED) == 1_900


def test_a_rebate_flows_from_the_house_to_the_maker() -> None:
    market = a_market("ask 10 @ 100 bob", maker_ppm=-1_000, taker_ppm=2_000)
    market.buy(10, at=100, trader="alice")
    assert market.postings()[2:4] == [("TAKER_FEE", 20), ("MAKER_FEE", 10)]
    assert market.earned("bob") == 10_010
    assert market.revenue(AccountKind.FEE_REVENUE) == 10


@pytest.mark.parametrize("ppm", [1, 333, 2_000])
def test_ten_thousand_small_fills_cost_what_one_large_one_costs(ppm: int) -> None:
    fee = ceil_ppm(10_000 * 10 * ppm)
    market = a_market("ask 10000 @ 1 bob", maker_ppm=ppm)
    market.ledger.check = False
    for _ in range(10_000):
        market.buy(1, at=1, trader="alice")
    market.ledger.assert_invariants()
    assert market.earned("bob") == 10_000 * 10 - fee
    assert len(market.ledger.rows[Section.FILLS]) == 10_000


def test_a_better_price_than_the_limit_returns_the_difference() -> None:
    market = a_market("ask 4 @ 90 bob", taker_ppm=2_500)
    market.buy(10, at=100, trader="alice")
    # 4 lots at 90 cost 3,600 and a fee of 9; 6 lots at 100 need 6,000 and a fee of 15.
    assert (market.cash("alice").available, market.cash("alice").held) == (MONEY - 3_609 - 6_015, 6_015)


def test_rates_are_frozen_when_the_order_is_accepted() -> None:
    market = a_market("ask 10 @ 100 bob", maker_ppm=1_000)
    market.rates("bob", maker_ppm=500_000)
    market.buy(10, at=100, trader="alice")
    assert market.earned("bob") == 10_000 - 10


# -- units, revenue and refunds ----------------------------------------------------------------------------------------


def test_primary_sales_mint_up_to_the_cap() -> None:
    market = a_market(supply_cap=10)
    order = market.issue(8, at=100)
    market.issue(3, at=100, refused=Code.SUPPLY_EXHAUSTED)
    market.buy(5, at=100, trader="alice", expect=["5 @ 100 studio"])
    assert market.postings()[:2] == [("SALE", 5_000), ("MINT", 5)]
    series = market.ledger.series[SERIES]
    assert (series.issued, series.reserved) == (5, 3)
    assert market.cancel(order, trader=STUDIO) == Code.OK
    market.issue(5, at=100)
    assert (series.issued, series.reserved) == (5, 5)


def test_shares_carry_what_is_not_a_whole_minor_unit() -> None:
    market = a_market(waterfall={"house": 500_000, "dora": 100_000_000, STUDIO: 899_500_000}, supply_cap=10**5)
    market.ledger.check = False
    market.issue(10_000, at=10)
    for _ in range(10_000):
        market.buy(1, at=10, trader="alice")
    market.ledger.assert_invariants()
    # 0.05 % of ten thousand sales of 100 is 500, though of each single one it is nothing.
    assert (market.earned("house"), market.earned("dora"), market.earned(STUDIO)) == (500, 100_000, 899_500)
    assert market.suspense() == 0


def test_a_leavers_carry_goes_to_the_developer_and_nothing_is_lost() -> None:
    third = PPB // 3
    market = a_market(waterfall={"dora": third, "eric": third, STUDIO: PPB - 2 * third}, tick_minor=1)
    market.issue(10, at=1)
    market.buy(1, at=1, trader="alice")
    assert (market.suspense(), market.earned("dora")) == (1, 0)
    assert market.split({"dora": third, STUDIO: PPB - third}) == 2
    carries = market.ledger.series[SERIES].carries
    assert carries == {market.payee("dora"): third, market.payee(STUDIO): PPB - third}
    market.buy(2, at=1, trader="alice")
    assert (market.suspense(), market.earned("dora"), market.earned(STUDIO)) == (1, 0, 2)


def test_a_refund_runs_backward_through_the_waterfall_and_leaves_nothing() -> None:
    market = a_market("ask 7 @ 33 studio", waterfall={"house": PPB // 3, STUDIO: PPB - PPB // 3})
    market.buy(7, at=33, trader="alice")
    assert market.refund(7, at=33, buyer="alice") == Code.OK
    assert market.postings()[-2:] == [("REFUND", 2_310), ("RETURN", 7)]
    assert (market.earned("alice"), market.earned("house"), market.earned(STUDIO)) == (0, 0, 0)
    assert market.units("alice").balance == 0
    assert market.account(market.party("alice"), SERIES, AccountKind.RETIRED).balance == 7
    assert market.ledger.series[SERIES].issued == 7


def test_a_payee_that_spent_its_share_owes_it() -> None:
    market = a_market("ask 7 @ 100 studio")
    market.buy(7, at=100, trader="alice")
    market.spend(market.cash(STUDIO).available - 100, STUDIO)
    assert market.refund(7, at=100, buyer="alice") == Code.OK
    assert market.postings()[:3] == [("RECLAIM", 700), ("RECLAIM", 100), ("RECEIVABLE", 6_200)]
    debt = market.account(market.party(STUDIO), -CURRENCY, AccountKind.RECEIVABLE)
    assert debt.balance == -6_200
    assert market.cash("alice").balance == MONEY


def test_a_refund_smaller_than_an_inherited_carry_pays_nothing_out() -> None:
    market = a_market(waterfall={"dora": 700_000_000, STUDIO: 300_000_000}, tick_minor=1)
    market.issue(10, at=1)
    market.buy(1, at=1, trader="alice")
    market.split({STUDIO: 200_000_000, "eric": 800_000_000})
    market.spend(market.cash("eric").available, "eric")
    assert market.ledger.series[SERIES].carries[market.payee(STUDIO)] == PPB
    assert market.refund(1, at=1, buyer="alice", version=2) == Code.OK
    assert market.ledger.series[SERIES].carries[market.payee(STUDIO)] == 800_000_000


def test_grants_count_what_a_holder_has_after_each_change() -> None:
    market = a_market("ask 5 @ 100 studio")
    market.buy(5, at=100, trader="alice")
    market.sell(2, at=100, trader="alice")
    market.buy(2, at=100, trader="bob")
    alice, bob = market.party("alice"), market.party("bob")
    assert [row[1:] for row in market.ledger.rows[Section.GRANTS]] == [
        (1, alice, SERIES, 0, 5, 5),
        (2, bob, SERIES, 0, 2, 2),
        (1, alice, SERIES, 0, -2, 3),
    ]


# -- refusals ----------------------------------------------------------------------------------------------------------

GOOD = {"price": 100, "lots": 1, "account": 2, "side": Side.BUY, "tif": TimeInForce.GTC}
REFUSED = [
    (Code.UNKNOWN_SERIES, {"series": 2}),
    (Code.UNKNOWN_SERIES, {"series": 0, "account": 99}),
    (Code.UNKNOWN_PARTY, {"account": 99, "side": 9}),
    (Code.PARTY_FROZEN, {"account": 3}),
    (Code.ROLE_REQUIRED, {"account": 4, "side": 9}),
    (Code.ROLE_REQUIRED, {"side": Side.SELL, "flags": FLAG_PRIMARY}),
    (Code.COMMAND_MALFORMED, {"side": 2}),
    (Code.COMMAND_MALFORMED, {"tif": -1}),
    (Code.COMMAND_MALFORMED, {"flags": 4}),
    (Code.COMMAND_MALFORMED, {"flags": -128}),
    (Code.COMMAND_MALFORMED, {"account": 1, "flags": FLAG_PRIMARY}),
    (Code.PRICE_OUT_OF_RANGE, {"price": 0, "lots": 0}),
    (Code.PROTECTION_REQUIRED, {"price": -5, "flags": 1}),
    (Code.PRICE_OUT_OF_RANGE, {"price": 2**63 - 1, "flags": 1}),
    (Code.LOTS_OUT_OF_RANGE, {"lots": -1}),
    (Code.LOTS_OUT_OF_RANGE, {"lots": 2**63 - 1}),
    (Code.NOTIONAL_TOO_LARGE, {"price": 1_000_000, "lots": 100_000}),
    (Code.INSUFFICIENT_FUNDS, {"price": 1_000_000, "lots": 101}),
    (Code.INSUFFICIENT_UNITS, {"side": Side.SELL}),
]


@pytest.mark.parametrize(("code", "columns"), REFUSED)
def test_a_refused_order_says_why_and_changes_nothing(code: Code, columns: dict[str, Any]) -> None:
    market = a_market(notional_max=10**11)
    for name in ("alice", "frieda", "rita"):
        market.party(name)
    market.rates("frieda", frozen=True)
    market.rates("rita", trader=False)
    before = {section: len(rows) for section, rows in market.ledger.rows.items()}
    assert market.command(Kind.NEW, **(GOOD | columns)) == code
    assert market.result[1:] == (0, 0, 0, code, 0)
    before[Section.RESULTS] += 1
    assert {section: len(rows) for section, rows in market.ledger.rows.items()} == before
    assert (market.ledger.next_order, len(market.ledger.open_orders)) == (1, 0)


def test_phases_issuer_and_resale_are_checked() -> None:
    a_market(waterfall={}).issue(1, at=1, refused=Code.NO_WATERFALL)
    market = a_market(resale=False)
    market.give(1, "alice")
    market.sell(1, at=1, trader="alice", refused=Code.RESALE_NOT_ALLOWED)
    market.rates("bob", developer=True)
    market.sell(1, at=1, trader="bob", flags=FLAG_PRIMARY, refused=Code.NOT_THE_ISSUER)
    market.ledger.set_phase(SERIES, Phase.HALTED)
    market.buy(1, at=1, trader="alice", refused=Code.SERIES_HALTED)
    market.ledger.set_phase(SERIES, Phase.ENDED)
    market.buy(1, at=1, trader="alice", refused=Code.SERIES_ENDED)


def test_a_full_table_refuses_an_order_and_an_account() -> None:
    market = a_market("bid 1 @ 100 alice")
    market.ledger.capacity = Capacity(orders=1, accounts=len(market.ledger.accounts), levels=9)
    market.buy(1, at=100, trader="alice", refused=Code.CAPACITY_EXHAUSTED)
    assert market.command(Kind.OPEN_ACCOUNT, account=7, series=7, flags=AccountKind.IN_USE) == Code.CAPACITY_EXHAUSTED
    assert market.command(Kind.OPEN_ACCOUNT, account=HOUSE, series=-CURRENCY, flags=AccountKind.OUTSIDE) == Code.OK


def test_changing_an_order_needs_an_open_order_of_ones_own() -> None:
    market = a_market()
    order = market.buy(3, at=100, trader="alice")
    assert market.cancel(0, trader="alice") == Code.UNKNOWN_ORDER
    assert market.cancel(order + 1, trader="alice") == Code.UNKNOWN_ORDER
    assert market.cancel(order, trader="bob") == Code.NOT_YOUR_ORDER
    assert market.reduce(order, by=3, trader="alice") == Code.LOTS_NOT_REDUCIBLE
    assert market.reduce(order, by=0, trader="alice") == Code.LOTS_NOT_REDUCIBLE
    assert market.cancel(order, trader="alice") == Code.OK
    assert market.cancel(order, trader="bob") == Code.ORDER_NOT_OPEN


def test_a_mass_cancel_names_a_party_or_comes_from_the_system() -> None:
    market = a_market()
    assert market.command(Kind.MASS_CANCEL, series=0) == Code.COMMAND_MALFORMED
    assert market.command(Kind.MASS_CANCEL, series=99) == Code.COMMAND_MALFORMED
    assert market.command(Kind.MASS_CANCEL, account=-1, series=99) == Code.UNKNOWN_PARTY
    assert market.command(Kind.MASS_CANCEL, account=1, series=99) == Code.UNKNOWN_SERIES


def test_a_journal_is_applied_whole_or_not_at_all() -> None:
    market = a_market()
    alice, bob, outside = market.payee("alice"), market.payee("bob"), market.open(0, -CURRENCY, AccountKind.OUTSIDE)
    issuance = market.open(-SERIES, SERIES, AccountKind.ISSUANCE)
    nobody = len(market.ledger.accounts)
    market.journal((alice, bob, 5), (alice, bob, MONEY), refused=Code.INSUFFICIENT_FUNDS)
    market.journal((alice, bob, 0), (alice, nobody, 1), refused=Code.AMOUNT_OUT_OF_RANGE)
    market.journal((alice, nobody, 10**15), refused=Code.UNKNOWN_ACCOUNT)
    market.journal((alice, issuance, 1), refused=Code.JOURNAL_UNBALANCED)
    market.journal((alice, alice, 1), refused=Code.JOURNAL_UNBALANCED)
    market.journal(refused=Code.COMMAND_MALFORMED)
    market.journal(*[(outside, bob, 1)] * 65, refused=Code.COMMAND_MALFORMED)
    assert (market.earned("alice"), market.earned("bob")) == (0, 0)
    market.journal((alice, bob, MONEY), (bob, alice, 2 * MONEY))
    assert (market.earned("alice"), market.earned("bob")) == (MONEY, -MONEY)


def test_a_refund_needs_the_units_and_a_known_version() -> None:
    market = a_market("ask 3 @ 100 studio")
    market.buy(3, at=100, trader="alice")
    assert market.refund(3, at=100, buyer="alice", version=2) == Code.NO_WATERFALL
    assert market.refund(3, at=100, buyer="alice", version=0) == Code.NO_WATERFALL
    assert market.refund(4, at=100, buyer="alice") == Code.UNITS_NOT_RETURNABLE
    assert market.refund(3, at=0, buyer="alice") == Code.PRICE_OUT_OF_RANGE


def test_an_unknown_kind_is_refused_and_a_tick_does_nothing() -> None:
    market = a_market()
    market.ledger.execute({"command": 77, "kind": 99})
    market.ledger.execute({"command": 78, "kind": Kind.TICK})
    assert market.ledger.rows[Section.RESULTS][-2:] == [
        (77, 0, 0, 0, Code.UNKNOWN_KIND, 0),
        (78, 0, 0, 0, Code.OK, 0),
    ]


def test_rows_come_in_the_layout_of_the_log() -> None:
    market = a_market("ask 3 @ 100 studio")
    market.buy(5, at=100, trader="alice")
    for section, rows in market.ledger.rows_as_arrays().items():
        assert rows.dtype == LAYOUTS[section]
        assert rows.tolist() == market.ledger.rows[section]


# -- any mixture -------------------------------------------------------------------------------------------------------


def a_mixed_ledger() -> tuple[ReferenceLedger, list[int]]:
    """Five parties with money, two series, rates of both signs; also the accounts among which journals move money."""
    ledger = ReferenceLedger(check=True)
    outside = ledger.open_account(HOUSE, -CURRENCY, AccountKind.OUTSIDE)
    fees = ledger.open_account(HOUSE, -CURRENCY, AccountKind.FEE_REVENUE)
    ledger.open_account(HOUSE, -CURRENCY, AccountKind.TAX_COLLECTED)
    platform = ledger.open_account(HOUSE, -CURRENCY, AccountKind.PLATFORM_REVENUE)
    cash = [ledger.open_account(party, -CURRENCY, AccountKind.AVAILABLE) for party in range(1, 6)]
    for party in range(1, 6):
        ledger.set_party(
            party, developer=True, maker_ppm=-500 if party == 3 else 900, taker_ppm=2_000, tax_ppm=190_000 * (party % 2)
        )
    for series in (1, 2):
        ledger.open_account(-series, -CURRENCY, AccountKind.SUSPENSE)
        ledger.open_account(-series, series, AccountKind.ISSUANCE)
        ledger.set_series(
            series,
            currency=CURRENCY,
            tick_minor=series,
            price_max=10_000,
            lots_max=100,
            notional_max=100_000,
            supply_cap=1_000,
            issuer=series,
            royalty_ppm=30_000,
        )
        ledger.set_waterfall(series, [(platform, PPB // 7), (cash[3], PPB // 3), (cash[0], 523_809_525)], cash[0])
    legs = [{"debit": outside, "credit": account, "amount": 200_000, "code": 9} for account in [*cash, fees]]
    ledger.execute({"command": 1, "kind": Kind.JOURNAL}, legs)
    return ledger, [outside, platform, *cash]


def run_mixture(ledger: ReferenceLedger, accounts: list[int], *, seed: int, pieces: int) -> None:
    """Run commands in pieces of 100, each drawn with the knowledge of which orders are open; then state the waterfall
    anew, so that payees leave and come back.
    """
    for piece in range(pieces):
        commands, legs = random_commands(
            seed + piece,
            100,
            parties=5,
            series=2,
            accounts=accounts,
            asset=-CURRENCY,
            kinds=(AccountKind.IN_USE, AccountKind.RETIRED),
            versions=len(ledger.series[1].waterfalls),
            first_command=1 + len(ledger.rows[Section.RESULTS]),
            first_order=ledger.next_order,
            open_orders=[(order.number, order.party) for order in ledger.open_orders.values()],
        )
        ledger.execute_all(commands, legs)
        payees = accounts[1 + piece % 3 : 5]
        ledger.set_waterfall(
            1,
            [(payee, PPB // 11) for payee in payees[1:]] + [(payees[0], PPB - PPB // 11 * (len(payees) - 1))],
            accounts[2],
        )


@given(seed=st.integers(0, 2**64 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_invariants_hold_after_every_command_of_any_mixture(seed: int) -> None:
    ledger, accounts = a_mixed_ledger()
    run_mixture(ledger, accounts, seed=seed, pieces=3)
    assert [row[0] for row in ledger.rows[Section.RESULTS]] == list(range(1, 302))


def test_the_mixture_reaches_every_outcome() -> None:
    ledger, accounts = a_mixed_ledger()
    ledger.check = False
    run_mixture(ledger, accounts, seed=7, pieces=60)
    ledger.assert_invariants()
    codes = Counter(code for _, _, _, _, code, _ in ledger.rows[Section.RESULTS])
    endings = Counter(reason for _, _, _, reason, _ in ledger.rows[Section.ENDINGS])
    posted = Counter(code for _, _, _, _, code, _ in ledger.rows[Section.POSTINGS])
    assert codes[Code.OK] > sum(codes.values()) / 2
    assert [code for code in REACHED if codes[code] == 0] == []
    assert [reason for reason in Ending if endings[reason] < 10] == []
    assert [code for code in MOVED if posted[code] < 10] == []


MOVED = (
    PostingCode.SALE,
    PostingCode.MAKER_FEE,
    PostingCode.TAKER_FEE,
    PostingCode.TAX,
    PostingCode.SHARE,
    PostingCode.DELIVERY,
    PostingCode.MINT,
    PostingCode.ROYALTY,
    PostingCode.REFUND,
    PostingCode.RECLAIM,
    PostingCode.RETURN,
    PostingCode.RECEIVABLE,
)
REACHED = (
    Code.UNKNOWN_SERIES,
    Code.UNKNOWN_PARTY,
    Code.PRICE_OUT_OF_RANGE,
    Code.LOTS_OUT_OF_RANGE,
    Code.INSUFFICIENT_FUNDS,
    Code.INSUFFICIENT_UNITS,
    Code.SUPPLY_EXHAUSTED,
    Code.UNKNOWN_ORDER,
    Code.ORDER_NOT_OPEN,
    Code.NOT_YOUR_ORDER,
    Code.PROTECTION_REQUIRED,
    Code.UNKNOWN_ACCOUNT,
    Code.JOURNAL_UNBALANCED,
    Code.AMOUNT_OUT_OF_RANGE,
    Code.UNKNOWN_KIND,
    Code.NOT_THE_ISSUER,
    Code.NO_WATERFALL,
    Code.UNITS_NOT_RETURNABLE,
    Code.COMMAND_MALFORMED,
    Code.LOTS_NOT_REDUCIBLE,
)
