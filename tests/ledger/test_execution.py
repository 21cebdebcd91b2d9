"""The compiled kernel equals its plain-Python twin byte for byte (I6), wherever blocks end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.values import AccountKind, PostingCode
from ledger.tables import BLOCK_BYTES, BLOCK_ROWS, Room
from matching.layout import COMMAND, LAYOUTS, LEG, NOTIONAL_MAX, PPB, PPM, Kind, Section
from matching.simulator import SplitMix64, random_commands
from tests.ledger.pair import CURRENCY, PARTIES, SERIES_COUNT, Pair

TINY_BLOCK = {
    Section.RESULTS: 3 + Room.OTHER,
    Section.FILLS: 1 + Room.OTHER,
    Section.ENDINGS: 1 + Room.OTHER,
    Section.GRANTS: 1 + Room.OTHER,
    Section.POSTINGS: 1 + Room.POSTINGS,
    Section.ACCOUNTS: Room.ACCOUNTS,
}
"""A block that has room for hardly more than one unit of work, so that most commands continue in the next."""
OUTSIDE = (0, -CURRENCY, AccountKind.OUTSIDE)


def with_money(pair: Pair, amount_minor: int = 200_000) -> Pair:
    commands = np.zeros(1, COMMAND)
    commands["command"], commands["kind"] = 1, Kind.JOURNAL
    legs = np.zeros(PARTIES, LEG)
    legs["command"], legs["amount"], legs["code"] = 1, amount_minor, PostingCode.DEPOSIT
    legs["debit"] = pair.numbers[OUTSIDE]
    legs["credit"] = [pair.payee(party) for party in range(1, PARTIES + 1)]
    pair.feed(commands, legs)
    return pair


def some_weights(random: SplitMix64) -> dict[int, int]:
    """Weights of one to five payees that add up to the whole."""
    payees = sorted({random.below(PARTIES + 1) for _ in range(1 + random.below(5))})
    parts = [1 + random.below(1000) for _ in payees]
    weights = [part * PPB // sum(parts) for part in parts]
    weights[-1] += PPB - sum(weights)
    return dict(zip(payees, weights, strict=True))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    maker_ppm=st.sampled_from([-300, 0, 500, 400_000]),
    royalty_ppm=st.sampled_from([0, 25_000, 700_000]),
    tiny=st.booleans(),
)
def test_kernel_and_twin_write_the_same_bytes(seed: int, maker_ppm: int, royalty_ppm: int, tiny: bool) -> None:
    random = SplitMix64(seed)
    pair = Pair(maker_ppm=maker_ppm, royalty_ppm=royalty_ppm, rows=TINY_BLOCK if tiny else None)
    pair.twin.check = True
    for series in range(1, SERIES_COUNT + 1):
        pair.waterfall(series, some_weights(random), developer=series)
    with_money(pair)
    accounts = [pair.numbers[OUTSIDE], *(pair.payee(party) for party in range(PARTIES + 1))]
    for _ in range(5):
        commands, legs = random_commands(
            random.next(),
            100,
            parties=PARTIES,
            series=SERIES_COUNT,
            accounts=accounts,
            asset=-CURRENCY,
            kinds=(AccountKind.IN_USE, AccountKind.RETIRED),
            versions=len(pair.twin.series[1].waterfalls),
            first_order=pair.twin.next_order,
            open_orders=[(order.number, order.party) for order in pair.twin.open_orders.values()],
        )
        pair.feed(commands, legs)
        pair.waterfall(1, some_weights(random), developer=1)
    pair.assert_equal()


def test_a_sell_that_sweeps_bids_at_the_bounds_overflows_nothing() -> None:
    pair = Pair(royalty_ppm=300_000, taker_ppm=700_000)
    pair.twin.check = True
    bound = 9_000_000_000_000
    for series in (1, 2):
        row = pair.tables.series[series]
        row["tick_minor"], row["price_max"], row["notional_max"] = 1, bound, bound
        pair.twin.series[series].tick_minor = 1
        pair.twin.series[series].price_max = pair.twin.series[series].notional_max = bound
    pair.waterfall(1, {0: 100_000_000, 1: 900_000_000}, developer=1)
    with_money(pair, 10**15)
    commands = np.zeros(12, COMMAND)
    commands["command"] = np.arange(1, 13)
    commands["kind"], commands["series"] = Kind.NEW, 1
    commands[0]["account"], commands[0]["side"], commands[0]["price"], commands[0]["lots"] = 1, 1, 1, 20
    commands[0]["flags"] = 2
    commands[1]["account"], commands[1]["side"], commands[1]["price"], commands[1]["lots"] = 2, 0, 1, 20
    for bid in commands[2:11]:
        bid["account"], bid["side"], bid["price"], bid["lots"] = 4, 0, bound, 1
    commands[11]["account"], commands[11]["side"], commands[11]["price"], commands[11]["lots"] = 2, 1, 1, 20
    pair.feed(commands)
    pair.assert_equal()
    assert len(np.concatenate(pair.kernel_rows[Section.FILLS])) == 10
    assert (pair.tables.accounts["available"][pair.payee(2)]) >= 0


def test_the_widest_product_fits_into_63_bits() -> None:
    # Fee sums run over maker and taker fills of one order, whose notional together is at most that of the order.
    assert NOTIONAL_MAX * PPM < 2**63


def test_where_blocks_end_is_part_of_the_log_format_and_never_changes() -> None:
    """A replay ends its blocks where the writer did, so other room needs another layout version of the block."""
    assert BLOCK_ROWS == {
        Section.COMMANDS: 12_288,
        Section.RESULTS: 12_288,
        Section.FILLS: 12_288,
        Section.ENDINGS: 12_288,
        Section.POSTINGS: 65_536,
        Section.GRANTS: 12_288,
        Section.ACCOUNTS: 8_192,
    }
    assert {room.name: int(room) for room in Room} == {"POSTINGS": 144, "ACCOUNTS": 72, "OTHER": 4}


@pytest.mark.parametrize("legs_beside_postings", [True, False])
def test_a_full_block_stays_below_its_bound(legs_beside_postings: bool) -> None:
    rows = BLOCK_ROWS | {
        Section.REQUESTS: BLOCK_ROWS[Section.COMMANDS],
        Section.CLIENT_IDS: BLOCK_ROWS[Section.COMMANDS],
        Section.LEGS: BLOCK_ROWS[Section.POSTINGS] if legs_beside_postings else 0,
    }
    assert sum(count * LAYOUTS[section].itemsize for section, count in rows.items()) < BLOCK_BYTES
