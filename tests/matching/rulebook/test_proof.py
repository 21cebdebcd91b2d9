"""The certificate of an uncrossing: it is accepted, and with anything else in it, it is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matching.reference_auction import Certificate, Interest, auction_price, check_uncross
from matching.reference_settings import Settings
from matching.rulebook_layout import HIGHEST, LOWEST, AuctionSteps, Phase
from tests.matching.rulebook.conftest import MakeVenue

LOTS = st.integers(1, 20)
SETTINGS = st.builds(
    Settings,
    auction_steps=st.sampled_from(AuctionSteps),
    auction_every_tick=st.booleans(),
    auction_tie_higher=st.booleans(),
    auction_pressure_cap_bps=st.sampled_from([0, 0, 300, 1_000]),
)
REFERENCE = st.sampled_from([0, 1, 95, 100, 103, 120])


def interests(extreme: int) -> st.SearchStrategy[list[Interest]]:
    return st.lists(st.tuples(st.integers(92, 108) | st.just(extreme), LOTS), max_size=7)


BIDS, ASKS = interests(HIGHEST), interests(LOWEST)


def by_definition(bids: list[Interest], asks: list[Interest], reference: int, settings: Settings) -> int:
    """The price as the rulebook words it, over every possible price one by one."""
    limits = [price for price, _ in bids + asks if price not in (HIGHEST, LOWEST)]
    known = limits + [reference] * bool(reference)
    if settings.auction_every_tick:
        possible = list(range(min(known), max(known) + 1)) if known else []
    else:
        possible = sorted(set(limits)) or ([reference] if reference else [])
    demand = {p: sum(lots for price, lots in bids if price >= p) for p in possible}
    supply = {p: sum(lots for price, lots in asks if price <= p) for p in possible}
    surplus = {p: demand[p] - supply[p] for p in possible}
    volume = {p: min(demand[p], supply[p]) for p in possible}
    if not possible or max(volume.values()) == 0:
        return 0
    left = [p for p in possible if volume[p] == max(volume.values())]
    steps = settings.auction_steps
    if steps == AuctionSteps.MIDDLE:
        return (min(left) + max(left)) // 2
    if steps != AuctionSteps.REFERENCE:
        left = [p for p in left if abs(surplus[p]) == min(abs(surplus[q]) for q in left)]
    if steps == AuctionSteps.SURPLUS_PRESSURE_REFERENCE and 0 not in (surplus[p] for p in left):
        cap = settings.auction_pressure_cap_bps * bool(reference)
        if all(surplus[p] > 0 for p in left):
            return max([p for p in left if not cap or p * 10_000 <= reference * (10_000 + cap)] or [min(left)])
        if all(surplus[p] < 0 for p in left):
            return min([p for p in left if not cap or p * 10_000 >= reference * (10_000 - cap)] or [max(left)])
    sign = -1 if settings.auction_tie_higher else 1
    return min(left, key=lambda p: (abs(p - reference) if reference else 0, sign * p))


@given(BIDS, ASKS, REFERENCE, SETTINGS)
def test_the_search_finds_what_the_words_say(
    bids: list[Interest], asks: list[Interest], reference: int, settings: Settings
) -> None:
    """RB-128 RB-129 RB-130 RB-131 RB-132 RB-133 RB-134 RB-135 RB-136"""
    found = auction_price(bids, asks, reference=reference, settings=settings)
    assert found.price == by_definition(bids, asks, reference, settings)


@given(BIDS, ASKS, REFERENCE, SETTINGS, st.sampled_from(Certificate._fields[:-1]), st.integers(-130, 130))
def test_the_certificate_is_accepted_and_no_other(
    bids: list[Interest], asks: list[Interest], reference: int, settings: Settings, name: str, change: int
) -> None:
    """RB-143 RB-144"""
    right = auction_price(bids, asks, reference=reference, settings=settings)
    assert check_uncross(right, bids, asks, settings=settings) is None
    wrong = right._replace(**{name: getattr(right, name) + change})
    assert (check_uncross(wrong, bids, asks, settings=settings) is None) == (change == 0)


@given(BIDS, ASKS, REFERENCE, SETTINGS, st.data())
def test_no_other_price_can_be_certified(
    bids: list[Interest], asks: list[Interest], reference: int, settings: Settings, data: st.DataObject
) -> None:
    """RB-144"""
    right = auction_price(bids, asks, reference=reference, settings=settings)
    price = data.draw(st.integers(90, 122).filter(lambda p: p != right.price), label="price")
    field = st.integers(-40, 140)
    low, high, turn = (data.draw(field | st.just(getattr(right, name)), label=name) for name in ("low", "high", "turn"))
    lots = data.draw(st.integers(0, 140) | st.just(right.lots), label="lots")
    surplus = data.draw(field | st.just(right.surplus), label="surplus")
    forged = Certificate(price, lots, surplus, low, high, turn, reference)
    assert check_uncross(forged, bids, asks, settings=settings) is not None


@given(BIDS, ASKS)
def test_demand_never_grows_and_supply_never_shrinks(bids: list[Interest], asks: list[Interest]) -> None:
    """RB-145"""
    prices = range(90, 111)
    demand = [sum(lots for price, lots in bids if price >= p) for p in prices]
    supply = [sum(lots for price, lots in asks if price <= p) for p in prices]
    assert demand == sorted(demand, reverse=True)
    assert supply == sorted(supply)


def test_a_venue_that_hides_what_could_trade_is_caught() -> None:
    """RB-144"""
    nothing = Certificate(0, 0, 0, 0, 0, 0, 0)
    assert check_uncross(nothing, [(100, 5)], [(100, 5)], settings=Settings()) == "something can be executed"
    assert check_uncross(nothing, [(99, 5)], [(100, 5)], settings=Settings()) is None
    assert check_uncross(nothing, [(HIGHEST, 5)], [(LOWEST, 5)], settings=Settings()) is None


def test_the_row_of_an_uncrossing_is_its_proof(a_venue: MakeVenue) -> None:
    """RB-142 RB-143"""
    venue = a_venue(phase=Phase.OPENING_AUCTION)
    bids, asks = [(103, 7), (101, 4)], [(99, 5), (102, 6)]
    for price, lots in bids:
        venue.buy(lots, price)
    for price, lots in asks:
        venue.sell(lots, price)
    row = venue.uncross(reference=100)
    certificate = Certificate(*row[2:9])
    assert check_uncross(certificate, bids, asks, settings=Settings()) is None
    assert check_uncross(certificate, bids, [*asks, (100, 1)], settings=Settings()) is not None
