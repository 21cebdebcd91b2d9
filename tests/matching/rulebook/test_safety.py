"""Rates, mass cancels, kill switches and dead-man's switches."""

from __future__ import annotations

from typing import Any

import pytest

from matching.rulebook_layout import DEADMAN_NS_MAX
from tests.matching.rulebook.conftest import MakeVenue
from tests.matching.rulebook.venue import Code, Ending, Peg, Phase, Side, Venue


def test_the_order_rate_is_per_account_and_window(a_venue: MakeVenue) -> None:
    """RB-169"""
    venue = a_venue(rate_max=3, rate_window_ns=100)
    venue.now = 250
    order = venue.buy(5, 100)
    assert venue.order(Side.BUY, 5, 0) == Code.PRICE_OUT_OF_RANGE
    assert venue.replace(order, by="buyer", lots=4) == Code.OK
    assert venue.order(Side.BUY, 5, 100) == Code.ORDER_RATE_EXCEEDED
    assert venue.replace(order, by="buyer", lots=3) == Code.ORDER_RATE_EXCEEDED
    assert venue.order(Side.SELL, 5, 200) == Code.OK
    assert venue.cancel(order, by="buyer") == Code.OK
    venue.now = 299
    assert venue.order(Side.BUY, 5, 100) == Code.ORDER_RATE_EXCEEDED
    venue.now = 300
    assert venue.order(Side.BUY, 5, 100) == Code.OK


def a_full_venue(venue: Venue) -> dict[str, int]:
    """Orders of two parties in two series, of every kind of place."""
    venue.list_series(2)
    return {
        "bid a": venue.buy(1, 100, by="a"),
        "bid b": venue.buy(2, 101, by="b"),
        "ask a": venue.sell(3, 110, by="a"),
        "stop a": venue.buy(4, trigger=200, by="a"),
        "peg a": venue.sell(5, 160, peg=Peg.MID, offset=1, by="a"),
        "parked b": venue.buy(6, peg=Peg.BID, by="b", series=2),
        "ask a2": venue.sell(7, 110, by="a", series=2),
    }


@pytest.mark.parametrize(
    ("scope", "gone"),
    [
        ({"by": "a"}, ["bid a", "ask a", "stop a", "peg a", "ask a2"]),
        ({"series": 1}, ["bid b", "bid a", "ask a", "peg a", "stop a"]),
        ({"by": "a", "series": 1}, ["bid a", "ask a", "stop a", "peg a"]),
        ({"by": "a", "side": Side.BUY}, ["bid a", "stop a"]),
        ({"series": 1, "side": Side.SELL}, ["ask a", "peg a"]),
        ({"series": 2}, ["ask a2", "parked b"]),
    ],
    ids=str,
)
def test_a_mass_cancel_sweeps_its_scope_in_order(venue: Venue, scope: dict[str, Any], gone: list[str]) -> None:
    """RB-170 RB-171 RB-176"""
    orders = a_full_venue(venue)
    names = {number: name for name, number in orders.items()}
    assert venue.mass_cancel(**scope) == Code.OK
    assert [names[order] for order, *_ in venue.ended] == gone
    assert {reason for *_, reason in venue.ended} == {Ending.MASS}
    result = venue.rows.results[0]
    assert (result.lots, result.fills) == (sum(lots for _, lots, _ in venue.ended), len(gone))
    assert venue.mass_cancel(**scope) == Code.OK
    assert venue.ended == []


def test_a_mass_cancel_needs_a_scope(venue: Venue) -> None:
    """RB-170"""
    assert venue.mass_cancel() == Code.COMMAND_MALFORMED
    assert venue.mass_cancel(series=9) == Code.UNKNOWN_SERIES
    assert venue.run(4, account=99).code == Code.UNKNOWN_PARTY


@pytest.mark.parametrize(
    ("scope", "survivors"),
    [({"by": "a"}, {"bid b", "parked b"}), ({"series": 1}, {"parked b", "ask a2"}), ({}, set())],
    ids=["a party", "a series", "the venue"],
)
def test_a_kill_switch_ends_and_refuses(venue: Venue, scope: dict[str, Any], survivors: set[str]) -> None:
    """RB-172"""
    orders = a_full_venue(venue)
    assert venue.kill(**scope) == Code.OK
    assert {reason for *_, reason in venue.ended} == {Ending.KILLED}
    left = {name for name, number in orders.items() if venue.find(number) or venue.find(number, series=2)}
    assert left == survivors
    assert venue.order(Side.BUY, 1, 90, by="a") == Code.KILLED
    kills_b = scope != {"by": "a"}
    assert venue.order(Side.BUY, 1, 90, by="b") == (Code.KILLED if kills_b else Code.OK)
    assert venue.kill(**scope, revive=True) == Code.OK
    assert venue.ended == []
    assert venue.order(Side.BUY, 1, 90, by="a") == Code.OK


def test_a_kill_switch_leaves_others_alone(venue: Venue) -> None:
    """RB-172 RB-173"""
    order = venue.buy(5, 100, by="a")
    venue.list_series(2)
    other = venue.buy(5, 100, by="a", series=2)
    venue.kill(series=2)
    assert venue.lots(order) == 5
    assert venue.find(other, series=2) is None
    assert venue.replace(order, by="a", lots=4) == Code.OK
    venue.kill(by="b")
    assert venue.cancel(order, by="a") == Code.OK
    assert venue.order(Side.BUY, 5, 100, by="a") == Code.OK
    kept = venue.rows.results[0].order
    venue.kill(series=2, revive=True)
    also = venue.buy(5, 100, by="c", series=2)
    venue.kill(by="b", revive=True)
    assert venue.cancel(kept, by="a") == Code.OK
    assert venue.cancel(also, by="c") == Code.OK


def test_a_kill_switch_has_one_scope(venue: Venue) -> None:
    """RB-172"""
    assert venue.kill(by="a", series=1) == Code.COMMAND_MALFORMED
    assert venue.kill(series=9) == Code.UNKNOWN_SERIES
    assert venue.run(10, account=99).code == Code.UNKNOWN_PARTY


def test_a_dead_mans_switch_ends_the_orders_of_its_account(venue: Venue) -> None:
    """RB-174 RB-175"""
    mine, theirs = venue.buy(5, 100, by="a"), venue.buy(5, 100, by="b")
    stop = venue.buy(5, trigger=200, by="a")
    assert venue.deadman("a", 60) == Code.OK
    venue.wait_until(59)
    assert venue.ended == []
    venue.wait_until(60)
    assert venue.ended == [(mine, 5, Ending.DEADMAN), (stop, 5, Ending.DEADMAN)]
    assert venue.bids == [(theirs, 100, 5)]
    again = venue.buy(5, 100, by="a")
    venue.wait_until(1_000)
    assert venue.ended == []
    assert venue.lots(again) == 5


def test_a_request_restarts_the_switch_and_zero_turns_it_off(venue: Venue) -> None:
    """RB-175 RB-186"""
    order = venue.buy(5, 100, by="a")
    venue.deadman("a", 60)
    venue.wait_until(50)
    venue.deadman("a", 60)
    venue.wait_until(109)
    assert venue.lots(order) == 5
    venue.deadman("a", 0)
    venue.wait_until(10**12)
    assert venue.lots(order) == 5
    assert venue.deadman("a", -1) == Code.COMMAND_MALFORMED
    assert venue.deadman("a", DEADMAN_NS_MAX + 1) == Code.COMMAND_MALFORMED
    assert venue.deadman("a", DEADMAN_NS_MAX) == Code.OK
    assert venue.run(12, account=99).code == Code.UNKNOWN_PARTY


def test_only_the_house_says_that_time_has_passed(venue: Venue) -> None:
    """RB-073 RB-174"""
    order = venue.buy(5, 100, by="a")
    venue.deadman("a", 60)
    venue.now = 100
    assert venue.run(13, account=venue.party("a")).code == Code.COMMAND_MALFORMED
    assert venue.run(14, series=1).code == Code.COMMAND_MALFORMED
    assert venue.lots(order) == 5


def test_a_sweep_moves_pegs_when_it_is_done(venue: Venue) -> None:
    """RB-176 RB-051"""
    for price in (100, 101, 102):
        venue.buy(1, price, by="a")
    venue.buy(1, 90, by="b")
    peg = venue.buy(5, peg=Peg.BID, by="b")
    venue.mass_cancel(by="a")
    assert venue.repriced == [(peg, 90)]


def test_a_mass_cancel_works_while_nothing_trades(venue: Venue) -> None:
    """RB-170 RB-123"""
    order = venue.buy(1, 100)
    venue.enter(Phase.HALTED)
    assert venue.mass_cancel(by="buyer") == Code.OK
    assert venue.ended == [(order, 1, Ending.MASS)]
