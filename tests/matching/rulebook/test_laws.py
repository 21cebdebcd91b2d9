"""What holds after every command, whatever the commands: looked for by machine."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from matching.reference_auction import Certificate, check_uncross
from matching.reference_rows import Place
from matching.reference_settings import Settings
from matching.rulebook_layout import AuctionSteps, BandBreach, MarketRemainder
from tests.conformance.engine import ENGINES
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, SelfTrade, Side, TimeInForce, Venue

PARTIES = ("a", "b", "c", "d")
PRICE = st.integers(96, 104)
LOTS = st.integers(1, 12)
RULES: dict[str, st.SearchStrategy[Any]] = {
    "band_breach": st.sampled_from(BandBreach),
    "self_trade": st.sampled_from([mode for mode in SelfTrade if mode]),
    "self_trade_in_auction": st.booleans(),
    "iceberg_first_peak_full": st.booleans(),
    "iceberg_growth_keeps_place": st.booleans(),
    "market_remainder": st.sampled_from(MarketRemainder),
    "peg_without_reference_parks": st.booleans(),
    "auction_steps": st.sampled_from(AuctionSteps),
    "auction_every_tick": st.booleans(),
    "auction_market_rests": st.booleans(),
    "trade_low": st.sampled_from([0, 98]),
    "trade_high": st.sampled_from([0, 102]),
    "trade_ppm": st.sampled_from([0, 40_000]),
}


MODES = st.sampled_from(SelfTrade)
LASTING = st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD])
GROUPS = st.sampled_from([0, 0, 1, 2])
SHAPES: list[st.SearchStrategy[dict[str, Any]]] = [
    st.fixed_dictionaries({"tif": LASTING, "oco": GROUPS, "self_trade": MODES}),
    st.fixed_dictionaries({"display": st.integers(1, 4), "refresh_below": st.sampled_from([0, 1, 2]), "oco": GROUPS}),
    st.fixed_dictionaries({"tif": st.sampled_from([TimeInForce.IOC, TimeInForce.FOK]), "self_trade": MODES}),
    st.fixed_dictionaries({"min_lots": st.integers(1, 6)}),
    st.fixed_dictionaries({"post_only": st.just(True)}),
    st.fixed_dictionaries({"tif": st.sampled_from([TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE])}),
    st.fixed_dictionaries({"at": st.none() | PRICE, "market": st.just(True), "self_trade": MODES}),
    st.fixed_dictionaries({"trigger": PRICE, "market": st.booleans(), "tif": LASTING, "oco": GROUPS}),
    st.fixed_dictionaries({"trigger": PRICE, "tif": st.sampled_from([TimeInForce.IOC, TimeInForce.FOK])}),
    st.fixed_dictionaries(
        {"peg": st.sampled_from([Peg.BID, Peg.MID]), "offset": st.integers(1, 3), "at": st.none() | PRICE},
        optional={"display": st.integers(1, 3), "oco": GROUPS, "tif": LASTING},
    ),
]
ANY_SHAPE: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.one_of(SHAPES)
"""Orders of every type, most of them of a form that is accepted."""


class Market(RuleBasedStateMachine):
    """Random commands of every kind against one engine; the laws are looked at after each."""

    engine_name = "reference"

    @initialize(rules=st.fixed_dictionaries(RULES), reference=st.sampled_from([0, 100]))
    def open_market(self, rules: dict[str, Any], reference: int) -> None:
        self.settings = Settings(**rules)
        self.venue = Venue(ENGINES[self.engine_name]()).list_series(reference=reference, **rules)
        self.phase = Phase.CONTINUOUS
        self.accepted: Counter[int] = Counter()
        self.filled: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self.owner: dict[int, str] = {}
        self.venue.party("a", traits=1)
        self.venue.party("b", refuses=1)
        self.venue.party("c", owner="d")

    def look(self) -> None:
        """Count what the last command did."""
        for maker, taker, _, lots in self.venue.fills:
            self.filled[maker] += lots
            self.filled[taker] += lots
        for order, lots, _ in self.venue.ended:
            self.lost[order] += lots
        for _, after in self.venue.phases:
            self.phase = after

    @rule(
        orders=st.lists(st.tuples(st.sampled_from(Side), LOTS, PRICE, st.sampled_from(PARTIES), ANY_SHAPE), min_size=3)
    )
    def enter(self, orders: list[tuple[Side, int, int, str, dict[str, Any]]]) -> None:
        for order in orders:
            self.enter_one(*order)
            self.the_book_is_not_crossed_in_continuous_trading()
            self.conflicts_are_respected()

    def enter_one(self, side: Side, lots: int, at: int, by: str, shape: dict[str, Any]) -> None:
        columns: dict[str, Any] = {"at": at, "by": by} | shape
        if columns.get("tif") == TimeInForce.GTD:
            columns["expire_ns"] = self.venue.now + 5
        if columns.get("peg") == Peg.BID and side == Side.SELL:
            columns["peg"] = Peg.ASK
        code = self.venue.order(side, lots, columns.pop("at"), **columns)
        if code == Code.OK:
            order = self.venue.rows.results[0].order
            self.accepted[order] = lots
            self.owner[order] = by
        self.look()

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), lots=st.integers(0, 14) | st.just(-1), at=PRICE | st.just(0))
    def replace(self, data: st.DataObject, lots: int, at: int) -> None:
        order = data.draw(st.sampled_from(sorted(self.owner)))
        before = self.venue.lots(order)
        code = self.venue.replace(order, by=self.owner[order], lots=lots, at=at)
        if code == Code.OK and lots >= 0:
            self.accepted[order] += max(lots - self.filled[order] - before, 0) if before else 0
        self.look()

    @precondition(lambda self: self.owner)
    @rule(data=st.data(), lots=st.integers(0, 5))
    def reduce_or_cancel(self, data: st.DataObject, lots: int) -> None:
        order = data.draw(st.sampled_from(sorted(self.owner)))
        by = self.owner[order]
        if lots:
            self.venue.reduce(order, lots, by=by)
        else:
            self.venue.cancel(order, by=by)
        self.look()

    @rule(by=st.sampled_from(PARTIES), side=st.sampled_from([None, *Side]))
    def mass_cancel(self, by: str, side: Side | None) -> None:
        self.venue.mass_cancel(by=by, side=side)
        self.look()

    @rule(step=st.integers(1, 10))
    def wait(self, step: int) -> None:
        self.venue.wait_until(self.venue.now + step)
        self.look()

    @rule(phase=st.sampled_from([p for p in Phase if p not in (Phase.ENDED, Phase.CLOSED, Phase.HALTED)]))
    def change_phase(self, phase: Phase) -> None:
        self.venue.enter(phase)
        self.look()

    @precondition(lambda self: self.phase not in (Phase.CONTINUOUS, Phase.HALTED, Phase.CLOSED))
    @rule(after=st.sampled_from([Phase.CONTINUOUS, Phase.CONTINUOUS, Phase.CLOSED]))
    def uncross(self, after: Phase) -> None:
        bids, asks = ([(price, self.venue.lots(order)) for order, price, _ in side] for side in self._sides())
        row = self.venue.uncross(after=after)
        assert check_uncross(Certificate(*row[2:9]), bids, asks, settings=self.settings) is None
        assert row.executed + row.prevented + row.skipped == row.lots
        assert min(row.executed, row.prevented, row.skipped) >= 0
        self.look()
        if after == Phase.CLOSED:
            self.venue.enter(Phase.OPENING_AUCTION)
            self.look()

    def _sides(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        return self.venue.bids, self.venue.asks

    @invariant()
    def the_book_is_not_crossed_in_continuous_trading(self) -> None:
        bids, asks = self._sides()
        if self.phase == Phase.CONTINUOUS and bids and asks:
            assert bids[0][1] < asks[0][1]

    @invariant()
    def lots_are_conserved(self) -> None:
        for order, lots in self.accepted.items():
            assert lots == self.filled[order] + self.lost[order] + self.venue.lots(order), order

    @invariant()
    def queues_are_in_price_order_and_show_something(self) -> None:
        bids, asks = self._sides()
        assert [price for _, price, _ in bids] == sorted((price for _, price, _ in bids), reverse=True)
        assert [price for _, price, _ in asks] == sorted(price for _, price, _ in asks)
        for order in self.venue.engine.standing(1):
            assert order.lots > 0
            assert (1 <= order.shown <= order.lots) if order.place == Place.RESTING else order.shown == 0

    @invariant()
    def conflicts_are_respected(self) -> None:
        for maker, taker, *_ in self.venue.fills:
            assert {self.owner[maker], self.owner[taker]} != {"a", "b"}

    @invariant()
    def reasons_are_known(self) -> None:
        assert all(reason in Ending for *_, reason in self.venue.ended)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_laws_hold_after_every_command(engine: str) -> None:
    """RB-183 RB-184 RB-180 RB-143 RB-150"""
    machine = type("Market", (Market,), {"engine_name": engine})
    run_state_machine_as_test(machine, settings=settings(max_examples=60, stateful_step_count=40))
