"""The uncrossing: one price for all orders that gathered, a certificate that it is the right one, and the trades.

Candidates are all ticks from the lowest to the highest limit, the reference price included. Of these the price is
chosen by

1. **volume**: the greatest `min(demand, supply)`, where `demand` is what would be bought at that price or higher and
   `supply` what would be sold at that price or lower;
2. **surplus**: the smallest `|demand - supply|`;
3. **pressure**: are buyers left over at all remaining prices the highest, are sellers left over at all the lowest;
   otherwise all remain;
4. **reference**: the price nearest the reference price, of two equally near the higher; without a reference price the
   highest. (Remaining prices are always consecutive ticks, so no two of them are equally near.)

Demand never grows with the price and supply never falls. So the price follows from the levels around the place where
the best bids and the best asks stop crossing: one walk over the levels, however far apart the prices. Orders without a
price stand at `HIGHEST` and `LOWEST` before all limits: they count at every price and set none.

`UNCROSS` is the certificate: what is demanded and supplied at the price, one tick beside it, and at the turn from too
few sellers to too many. `matching.auction_certificate` accepts it for the right price only, in one pass over the
orders for each of these prices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matching.book import free_slot, next_worse, take_lots
from matching.layout import NONE, Book, kernel
from matching.rulebook_layout import HIGHEST, LOWEST, NO_PRICE

UNCROSS = np.dtype(
    [
        ("command", "<i8"),
        ("series", "<i4"),
        ("unused", "<i4"),
        ("reference", "<i8"),  # NO_PRICE: there was none
        ("price", "<i8"),  # NO_PRICE: nothing can trade
        ("volume", "<i8"),
        ("lowest", "<i8"),  # first and last candidate; NO_PRICE: there is none
        ("highest", "<i8"),
        ("demand", "<i8"),  # at the price
        ("supply", "<i8"),
        ("demand_below", "<i8"),  # one tick below the price
        ("supply_below", "<i8"),
        ("demand_above", "<i8"),  # one tick above it
        ("supply_above", "<i8"),
        ("turn", "<i8"),  # the highest candidate at which demand exceeds supply; lowest - 1 if there is none
        ("demand_turn", "<i8"),
        ("supply_turn", "<i8"),
        ("demand_past", "<i8"),  # one tick above the turn
        ("supply_past", "<i8"),
    ]
)
"""Ticks and lots. Without a price the lots, the turn and the volume are 0."""


@kernel
def price_auction(book: Book, series: int, reference: int, out: Any) -> None:
    """Write the price at which the orders of `series` uncross, with its certificate, into `out` (a row of UNCROSS).

    `reference` is a price from 1, or NO_PRICE. Nothing in the book changes.
    """
    levels = book.levels
    lowest, highest = candidates(book, series, reference)
    out["command"] = 0
    out["series"] = series
    out["unused"] = 0
    out["reference"] = reference
    out["lowest"] = lowest
    out["highest"] = highest

    # The best of both sides are set off against each other while they cross: what is set off is the greatest volume.
    bid, ask = int(book.best[series, 0]), int(book.best[series, 1])
    last_bid, last_ask = bid, ask  # levels of the last lot set off
    bid_left, ask_left = lots_of(levels, bid), lots_of(levels, ask)
    volume = 0
    while min(bid, ask) != NONE and levels[bid]["price"] >= levels[ask]["price"]:
        lots = min(bid_left, ask_left)
        volume += lots
        bid_left -= lots
        ask_left -= lots
        last_bid, last_ask = bid, ask
        if bid_left == 0:
            bid = next_worse(levels[bid])
            bid_left = lots_of(levels, bid)
        if ask_left == 0:
            ask = next_worse(levels[ask])
            ask_left = lots_of(levels, ask)
    if volume == 0 or lowest == NO_PRICE:
        write_none(out)
        return

    # From `first` to `last` this volume trades.
    first = max(int(levels[last_ask]["price"]), lowest)
    last = min(int(levels[last_bid]["price"]), highest)
    if bid == last_bid:
        # Buyers of the worst level that trades are left over at all these prices: the highest.
        price = last
        turn = price
    elif ask == last_ask:
        price = first
        turn = price - 1
    else:
        price, turn = price_when_used_up(levels, bid, ask, first, last, reference)
    out["volume"] = volume
    out["price"] = price
    out["turn"] = turn
    out["demand"] = demand_at(book, series, price)
    out["supply"] = supply_at(book, series, price)
    out["demand_below"] = demand_at(book, series, price - 1)
    out["supply_below"] = supply_at(book, series, price - 1)
    out["demand_above"] = demand_at(book, series, price + 1)
    out["supply_above"] = supply_at(book, series, price + 1)
    out["demand_turn"] = demand_at(book, series, turn)
    out["supply_turn"] = supply_at(book, series, turn)
    out["demand_past"] = demand_at(book, series, turn + 1)
    out["supply_past"] = supply_at(book, series, turn + 1)


@kernel
def write_none(out: Any) -> None:
    """Nothing can trade."""
    out["volume"] = 0
    out["price"] = NO_PRICE
    out["turn"] = 0
    out["demand"] = 0
    out["supply"] = 0
    out["demand_below"] = 0
    out["supply_below"] = 0
    out["demand_above"] = 0
    out["supply_above"] = 0
    out["demand_turn"] = 0
    out["supply_turn"] = 0
    out["demand_past"] = 0
    out["supply_past"] = 0


@kernel
def price_when_used_up(levels: Any, bid: int, ask: int, first: int, last: int, reference: int) -> tuple[int, int]:
    """(price, turn) when the volume uses up whole levels and `bid` and `ask`, if any, are the next that do not cross.

    From just above the next bid to just below the next ask nothing is left over. If no tick lies there, the next bid is
    left over at its price or the next ask at its price, and the smaller decides.
    """
    even_first, even_last = first, last
    if bid != NONE:
        even_first = max(first, int(levels[bid]["price"]) + 1)
    if ask != NONE:
        even_last = min(last, int(levels[ask]["price"]) - 1)
    if even_first <= even_last:
        return nearest(reference, even_first, even_last), even_first - 1
    buyers, sellers = lots_of(levels, bid), lots_of(levels, ask)
    turn = even_last if bid == NONE else int(levels[bid]["price"])
    if ask == NONE or (bid != NONE and buyers < sellers):
        return turn, turn
    if bid == NONE or sellers < buyers:
        return turn + 1, turn
    worse_bid, worse_ask = next_worse(levels[bid]), next_worse(levels[ask])
    if worse_bid != NONE:
        first = max(first, int(levels[worse_bid]["price"]) + 1)
    if worse_ask != NONE:
        last = min(last, int(levels[worse_ask]["price"]) - 1)
    return nearest(reference, first, last), turn


@kernel
def nearest(reference: int, first: int, last: int) -> int:
    """The price from `first` to `last` that is nearest the reference; the highest without a reference."""
    if reference == NO_PRICE:
        return last
    return min(max(reference, first), last)


@kernel
def candidates(book: Book, series: int, reference: int) -> tuple[int, int]:
    """(lowest, highest) of all limits and the reference price; (NO_PRICE, NO_PRICE) if there are none."""
    lowest, highest = reference, reference
    for side in range(2):
        at = int(book.best[series, side])
        while at != NONE:
            price = int(book.levels[at]["price"])
            if price not in (HIGHEST, LOWEST):
                lowest = price if lowest == NO_PRICE else min(lowest, price)
                highest = max(highest, price)
            at = next_worse(book.levels[at])
    return lowest, highest


@kernel
def lots_of(levels: Any, at: int) -> int:
    """Lots of a level; 0 if there is none."""
    if at == NONE:
        return 0
    return int(levels[at]["lots"])


@kernel
def demand_at(book: Book, series: int, price: int) -> int:
    """Lots that would be bought at `price` or higher."""
    lots = 0
    at = int(book.best[series, 0])
    while at != NONE and book.levels[at]["price"] >= price:
        lots += int(book.levels[at]["lots"])
        at = next_worse(book.levels[at])
    return lots


@kernel
def supply_at(book: Book, series: int, price: int) -> int:
    """Lots that would be sold at `price` or lower."""
    lots = 0
    at = int(book.best[series, 1])
    while at != NONE and book.levels[at]["price"] <= price:
        lots += int(book.levels[at]["lots"])
        at = next_worse(book.levels[at])
    return lots


@kernel
def walk(book: Book, series: int, price: int, left: int, command: int, fills: Any) -> tuple[int, int]:
    """Trade `left` lots at `price`, both sides in priority: better price, then time, orders without a price first.

    Writes FILL rows, the buy order as `maker` and the sell order as `taker`. Returns (fills written, lots left): when
    lots are left the room for fills was used up, and the walk goes on with the next call.
    """
    written = 0
    while left > 0 and written < len(fills):
        buyer = int(book.levels[book.best[series, 0]]["head"])
        seller = int(book.levels[book.best[series, 1]]["head"])
        buy, sell = book.orders[buyer], book.orders[seller]
        lots = min(left, int(buy["lots"]), int(sell["lots"]))
        fill = fills[written]
        written += 1
        fill["command"] = command
        fill["maker"] = buy["number"]
        fill["taker"] = sell["number"]
        fill["price"] = price
        fill["lots"] = lots
        left -= lots
        take_lots(book, buyer, lots)
        if buy["lots"] == 0:
            free_slot(book, buyer)
        take_lots(book, seller, lots)
        if sell["lots"] == 0:
            free_slot(book, seller)
    return written, left
