"""Bitstamp: a live market with many orders and few trades; every trade names both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.market_data import bitstamp
from tests.conformance.market_data.bitstamp import Stretch

FILES = "bitstamp/btcusd_2026-05-02_first15min_{}.csv.gz"


@pytest.fixture(scope="module")
def stretch(recorded: Callable[[str], Path]) -> Stretch:
    return bitstamp.load(*(recorded(FILES.format(kind)) for kind in ("orders", "trades")))


def test_every_trade_hits_the_order_that_the_exchange_names(stretch: Stretch) -> None:
    found = bitstamp.replay(stretch)
    assert (found.trades, found.first, found.last_in_fails, found.exceptions) == (144, 144, 86, [])
    assert sorted(found.left_out) == [2002347642003458, 2002347646152704]
    assert found.crossed == 0


def test_two_trades_with_their_orders_swapped_are_seen(stretch: Stretch) -> None:
    one, other, *rest = stretch.trades
    assert (one.incoming, one.hit.price) == (other.incoming, other.hit.price)
    swapped = [one._replace(hit=one.hit._replace(order=other.hit.order)),
               other._replace(hit=other.hit._replace(order=one.hit.order)), *rest]  # fmt: skip
    events = stretch.events[:2_000]
    assert bitstamp.replay(Stretch(stretch.snapshot, events, swapped[:5])).other_ahead[:1] == [1]
