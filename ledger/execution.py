"""The one pass that decides order flow: for each command check and hold, match, settle, write the rows.

Holding, matching and settling belong to one pass because the second command of a batch may spend what the first one
earned. `docs/reference/execution.md` is the exact meaning; `ledger.reference` is its plain-Python twin.

The unit of work is one fill or one ending. Before each unit the kernel looks whether the block has room for the worst
one; if not it stops, keeps the active command in its state and goes on when it is called with the next block.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy import uint32 as unsigned

from domain.values import PostingCode, Role
from ledger.accounts import (
    AVAILABLE,
    RECEIVABLE,
    RETIRED,
    find_account,
    find_or_open,
    hold,
    may_go_negative,
    post,
    with_account_index_grown,
)
from ledger.tables import FROZEN, Limits, Out, Room, Tables, new_out, new_tables
from ledger.waterfall import split, unsplit, waterfall_of
from matching.book import (
    crossing_maker,
    free_slot,
    has_room,
    indexes_are_full,
    order_slot,
    rest,
    take_lots,
    take_slot,
    with_indexes_grown,
)
from matching.layout import (
    COMMAND,
    FLAG_MARKET,
    FLAG_PRIMARY,
    FLAG_SYSTEM,
    LEG,
    NONE,
    PPM,
    Code,
    Ending,
    Kind,
    Phase,
    Section,
    Side,
    TimeInForce,
    direct,
    kernel,
)


class Stop(IntEnum):
    """Why a call of `execute` returned."""

    DONE = 0
    FULL = 1
    """The block is full between two commands."""
    CONTINUE = 2
    """The block is full within a command, which goes on in the next block."""
    GROW = 3
    """A hash table must be doubled before the next command; the block goes on."""


# The JIT reads module constants as compile-time integers, enum members of other modules it does not.
DONE, FULL, CONTINUE, GROW = (int(stop) for stop in Stop)
NEW, CANCEL, REDUCE, MASS_CANCEL, JOURNAL, OPEN_ACCOUNT, REFUND, TICK = (int(kind) for kind in Kind)
BUY, SELL = int(Side.BUY), int(Side.SELL)
IOC = int(TimeInForce.IOC)
HALTED, ENDED = int(Phase.HALTED), int(Phase.ENDED)
TRADER, DEVELOPER = int(Role.TRADER), int(Role.DEVELOPER)
RESULTS, FILLS, ENDINGS = int(Section.RESULTS), int(Section.FILLS), int(Section.ENDINGS)
POSTINGS, GRANTS, ACCOUNTS = int(Section.POSTINGS), int(Section.GRANTS), int(Section.ACCOUNTS)
END_USER, END_MASS, END_IOC = int(Ending.USER), int(Ending.MASS), int(Ending.IOC)
END_NO_LIQUIDITY, END_REDUCED, END_SERIES_ENDED = (
    int(Ending.NO_LIQUIDITY),
    int(Ending.REDUCED),
    int(Ending.SERIES_ENDED),
)
SALE, MAKER_FEE, TAKER_FEE = int(PostingCode.SALE), int(PostingCode.MAKER_FEE), int(PostingCode.TAKER_FEE)
TAX, DELIVERY, MINT, ROYALTY = (
    int(PostingCode.TAX),
    int(PostingCode.DELIVERY),
    int(PostingCode.MINT),
    int(PostingCode.ROYALTY),
)
REFUND_CODE, RETURN = int(PostingCode.REFUND), int(PostingCode.RETURN)
WITHDRAWAL, RECOVERY = int(PostingCode.WITHDRAWAL), int(PostingCode.RECOVERY)

OK = int(Code.OK)
UNKNOWN_SERIES, SERIES_HALTED, SERIES_ENDED = int(Code.UNKNOWN_SERIES), int(Code.SERIES_HALTED), int(Code.SERIES_ENDED)
UNKNOWN_PARTY, ROLE_REQUIRED, PARTY_FROZEN = int(Code.UNKNOWN_PARTY), int(Code.ROLE_REQUIRED), int(Code.PARTY_FROZEN)
PRICE_OUT_OF_RANGE, LOTS_OUT_OF_RANGE = int(Code.PRICE_OUT_OF_RANGE), int(Code.LOTS_OUT_OF_RANGE)
NOTIONAL_TOO_LARGE, PROTECTION_REQUIRED = int(Code.NOTIONAL_TOO_LARGE), int(Code.PROTECTION_REQUIRED)
INSUFFICIENT_FUNDS, INSUFFICIENT_UNITS = int(Code.INSUFFICIENT_FUNDS), int(Code.INSUFFICIENT_UNITS)
SUPPLY_EXHAUSTED, CAPACITY_EXHAUSTED = int(Code.SUPPLY_EXHAUSTED), int(Code.CAPACITY_EXHAUSTED)
UNKNOWN_ORDER, ORDER_NOT_OPEN, NOT_YOUR_ORDER = (
    int(Code.UNKNOWN_ORDER),
    int(Code.ORDER_NOT_OPEN),
    int(Code.NOT_YOUR_ORDER),
)
UNKNOWN_ACCOUNT, JOURNAL_UNBALANCED = int(Code.UNKNOWN_ACCOUNT), int(Code.JOURNAL_UNBALANCED)
AMOUNT_OUT_OF_RANGE, UNKNOWN_KIND = int(Code.AMOUNT_OUT_OF_RANGE), int(Code.UNKNOWN_KIND)
NOT_THE_ISSUER, RESALE_NOT_ALLOWED, NO_WATERFALL = (
    int(Code.NOT_THE_ISSUER),
    int(Code.RESALE_NOT_ALLOWED),
    int(Code.NO_WATERFALL),
)
UNITS_NOT_RETURNABLE, COMMAND_MALFORMED = int(Code.UNITS_NOT_RETURNABLE), int(Code.COMMAND_MALFORMED)
LOTS_NOT_REDUCIBLE = int(Code.LOTS_NOT_REDUCIBLE)

ROOM_POSTINGS, ROOM_ACCOUNTS, ROOM_OTHER = int(Room.POSTINGS), int(Room.ACCOUNTS), int(Room.OTHER)
ORDER_FLAGS = FLAG_MARKET | FLAG_PRIMARY
AMOUNT_MAX = 1_000_000_000_000_000
"""Greatest amount of one leg of a journal."""
CONTRA_FLOOR = -4_000_000_000_000_000_000
"""No journal takes a contra account below this. Only OUTSIDE puts money into the house, so it bounds every balance."""
LEGS_MAX = 64
SMALL_LOTS = 1_000_000
"""NOTIONAL_MAX times so many lots still fits in 63 bits, so that no division is needed."""


def execute(tables: Tables, commands: Any, legs: Any, out: Out, at: int = 0, leg_at: int = 0) -> tuple[Any, ...]:
    """Run `commands[at:]` (COMMAND, ascending command numbers) and their `legs` (LEG) into the sections of `out`.

    Returns (tables, at, leg_at, stop): the tables, exchanged if a hash table had to grow, how many commands and legs
    were taken in all, and why it stopped. A command that stopped with CONTINUE is taken; the next call resumes it.
    """
    assert commands.dtype == COMMAND and commands.flags.c_contiguous, commands.dtype
    assert legs.dtype == LEG and legs.flags.c_contiguous, legs.dtype
    while True:
        at, leg_at, stop = _machine_code()(tables, commands, legs, out, at, leg_at)
        if stop != GROW:
            return tables, at, leg_at, Stop(stop)
        if indexes_are_full(tables.book):
            tables = tables._replace(book=with_indexes_grown(tables.book))
        if 2 * (int(tables.tally["accounts"][0]) + ROOM_ACCOUNTS) > len(tables.account_index):
            tables = with_account_index_grown(tables)


@cache
def _machine_code() -> Any:
    commands, legs = np.zeros(0, COMMAND), np.zeros(0, LEG)
    return direct(run, new_tables(Limits(orders=1, levels=1, accounts=1)), commands, legs, new_out(), 0, 0)


@kernel
def run(tables: Tables, commands: Any, legs: Any, out: Out, at: int, leg_at: int) -> tuple[int, int, int]:
    """`execute` up to the first reason to stop: (commands taken, legs taken, stop)."""
    active = tables.active[0]
    if active["running"] != 0:
        if resume(tables, out):
            return at, leg_at, CONTINUE
        active["running"] = 0
    while at < len(commands):
        if not block_has_room(out):
            return at, leg_at, FULL
        if indexes_are_full(tables.book) or 2 * (tables.tally[0]["accounts"] + ROOM_ACCOUNTS) > len(
            tables.account_index
        ):
            return at, leg_at, GROW
        row = commands[unsigned(at)]
        command = row["command"]
        kind = row["kind"]
        first_leg = leg_at
        while leg_at < len(legs) and legs[unsigned(leg_at)]["command"] == command:
            leg_at += 1
        at += 1
        if kind == NEW:
            code = accept(tables, out, row)
            if code != OK:
                refuse(out, command, code)
            elif match(tables, out):
                return at, leg_at, CONTINUE
        elif kind == CANCEL:
            cancel(tables, out, row)
        elif kind == REDUCE:
            reduce(tables, out, row)
        elif kind == MASS_CANCEL:
            code = begin_mass_cancel(tables, row)
            if code != OK:
                refuse(out, command, code)
            elif mass_cancel(tables, out):
                return at, leg_at, CONTINUE
        elif kind == JOURNAL:
            code = journal(tables, out, command, legs, first_leg, leg_at)
            result(out, command, 0, 0, 0, code, 0)
        elif kind == OPEN_ACCOUNT:
            if accounts_have_room(tables):
                number = find_or_open(tables, out, command, int(row["account"]), int(row["series"]), int(row["flags"]))
                result(out, command, 0, 0, 0, OK, number)
            else:
                refuse(out, command, CAPACITY_EXHAUSTED)
        elif kind == REFUND:
            code = refund(tables, out, row)
            result(out, command, 0, 0, 0, code, 0)
        elif kind == TICK:
            result(out, command, 0, 0, 0, OK, 0)
        else:
            refuse(out, command, UNKNOWN_KIND)
    return at, leg_at, DONE


@kernel
def block_has_room(out: Out) -> bool:
    """Whether one worst-case unit of work fits into every section."""
    used = out.used
    return (
        used[POSTINGS] + ROOM_POSTINGS <= len(out.postings)
        and used[FILLS] + ROOM_OTHER <= len(out.fills)
        and used[ENDINGS] + ROOM_OTHER <= len(out.endings)
        and used[GRANTS] + ROOM_OTHER <= len(out.grants)
        and used[RESULTS] + ROOM_OTHER <= len(out.results)
        and used[ACCOUNTS] + ROOM_ACCOUNTS <= len(out.accounts)
    )


@kernel
def accounts_have_room(tables: Tables) -> bool:
    """Whether one worst-case unit of work can open its accounts."""
    return tables.tally[0]["accounts"] + ROOM_ACCOUNTS <= len(tables.accounts)


@kernel
def resume(tables: Tables, out: Out) -> bool:
    """Go on with the active command; true if it has to stop once more."""
    if tables.active[0]["row"]["kind"] == NEW:
        return match(tables, out)
    return mass_cancel(tables, out)


@kernel
def result(out: Out, command: int, order: int, lots: int, hold_minor: int, code: int, fills: int) -> None:
    row = out.results[unsigned(out.used[RESULTS])]
    out.used[RESULTS] += 1
    row["command"] = command
    row["order"] = order
    row["lots"] = lots
    row["hold_minor"] = hold_minor
    row["code"] = code
    row["fills"] = fills


@kernel
def refuse(out: Out, command: int, code: int) -> None:
    result(out, command, 0, 0, 0, code, 0)


@kernel
def ending(out: Out, command: int, order: int, lots: int, reason: int) -> None:
    row = out.endings[unsigned(out.used[ENDINGS])]
    out.used[ENDINGS] += 1
    row["command"] = command
    row["order"] = order
    row["lots"] = lots
    row["reason"] = reason


@kernel
def ceil_ppm(amount: int) -> int:
    """10^-6 minor units to minor units, toward plus infinity: a fee is never rounded to nothing, a rebate never up."""
    return -((-amount) // PPM)


@kernel
def hold_of_buy(term: Any, notional: int) -> int:
    """What must be held for a buy whose remaining lots cost at most `notional`: price, greatest fee and tax to come."""
    dearest = max(int(term["maker_ppm"]), int(term["taker_ppm"]), 0)
    fee = ceil_ppm(term["fee_rest"] + notional * dearest)
    tax = ceil_ppm(term["levy_rest"] + notional * term["levy_ppm"])
    return int(notional + fee + tax)


@kernel
def is_too_large(lot_minor: int, lots: int, notional_max: int) -> bool:
    """Whether lot_minor × lots exceeds the bound, without overflow: lot_minor is at most NOTIONAL_MAX."""
    if lots <= SMALL_LOTS:
        return bool(lot_minor * lots > notional_max)
    return bool(lots > notional_max // lot_minor)


@kernel
def accept(tables: Tables, out: Out, row: Any) -> int:
    """Check a new order; if it is accepted (code 0) it is the active command, with its slot, terms and hold."""
    number = int(row["series"])
    if number < 1 or number > tables.tally[0]["series"]:
        return UNKNOWN_SERIES
    series = tables.series[unsigned(number)]
    phase = series["phase"]
    if phase == ENDED:
        return SERIES_ENDED
    if phase == HALTED:
        return SERIES_HALTED
    party = int(row["account"])
    if party < 1 or party > tables.tally[0]["parties"]:
        return UNKNOWN_PARTY
    owner = tables.owners[unsigned(party)]
    roles = int(owner["roles"])
    if roles & FROZEN:
        return PARTY_FROZEN
    flags = int(row["flags"])
    primary = flags & FLAG_PRIMARY
    if roles & (DEVELOPER if primary else TRADER) == 0:
        return ROLE_REQUIRED
    side = int(row["side"])
    tif = int(row["tif"])
    if side < BUY or side > SELL or tif < 0 or tif > IOC or flags & ~ORDER_FLAGS or (primary and side == BUY):
        return COMMAND_MALFORMED
    price = row["price"]
    if price < 1:
        return PROTECTION_REQUIRED if flags & FLAG_MARKET else PRICE_OUT_OF_RANGE
    if price > series["price_max"]:
        return PRICE_OUT_OF_RANGE
    lots = row["lots"]
    if lots < 1 or lots > series["lots_max"]:
        return LOTS_OUT_OF_RANGE
    lot_minor = price * series["tick_minor"]
    if is_too_large(lot_minor, lots, series["notional_max"]):
        return NOTIONAL_TOO_LARGE
    if series["waterfall"] == NONE:
        return NO_WATERFALL
    if primary:
        if party != series["issuer"]:
            return NOT_THE_ISSUER
    elif side == SELL and series["resale"] == 0:
        return RESALE_NOT_ALLOWED
    book = tables.book
    if not has_room(book) or not accounts_have_room(tables):
        return CAPACITY_EXHAUSTED

    accounts = tables.accounts
    money = -int(series["currency"])
    cash = int(owner["cash"])
    if owner["currency"] != money:
        cash = find_account(accounts, tables.account_index, party, money, AVAILABLE)
    units = int(owner["units"])
    if owner["series"] != number:
        units = find_account(accounts, tables.account_index, party, number, AVAILABLE)
    notional = lot_minor * lots
    needed = lots
    if side == BUY:
        # The fresh order's terms are the owner's rates; its hold is that of `hold_of_buy` with nothing filled yet.
        dearest = max(int(owner["maker_ppm"]), int(owner["taker_ppm"]), 0)
        needed = notional + ceil_ppm(notional * dearest) + ceil_ppm(notional * owner["tax_ppm"])
        if cash == NONE or accounts[unsigned(cash)]["available"] < needed:
            return INSUFFICIENT_FUNDS
    elif primary:
        if series["issued"] + series["reserved"] + lots > series["supply_cap"]:
            return SUPPLY_EXHAUSTED
    elif units == NONE or accounts[unsigned(units)]["available"] < lots:
        return INSUFFICIENT_UNITS

    # Past this point the order is accepted.
    command = row["command"]
    slot = take_slot(book)
    term = tables.terms[unsigned(slot)]
    term["fee_rest"] = 0
    term["levy_rest"] = 0
    term["maker_ppm"] = 0 if primary else owner["maker_ppm"]
    term["taker_ppm"] = 0 if primary else owner["taker_ppm"]
    if side == BUY:
        term["levy_ppm"] = owner["tax_ppm"]
        if units == NONE:
            units = find_or_open(tables, out, command, party, number, AVAILABLE)
        hold(accounts, cash, needed)
    else:
        term["levy_ppm"] = 0 if primary else series["royalty_ppm"]
        if cash == NONE:
            cash = find_or_open(tables, out, command, party, money, AVAILABLE)
        if primary:
            series["reserved"] += lots
        else:
            hold(accounts, units, lots)
    owner["cash"] = cash
    owner["currency"] = money
    owner["units"] = units
    owner["series"] = number
    order = book.orders[unsigned(slot)]
    order["hold"] = needed
    order["series"] = number
    order["cash"] = cash
    order["units"] = units
    order["side"] = side
    order["primary"] = 1 if primary else 0

    active = tables.active[0]
    copy_command(active["row"], row)
    active["slot"] = slot
    active["left"] = lots
    active["fills"] = 0
    active["order"] = book.tally[0]["next_order"]
    book.tally[0]["next_order"] += 1
    return OK


@kernel
def copy_command(to: Any, row: Any) -> None:
    to["command"] = row["command"]
    to["at_ns"] = row["at_ns"]
    to["price"] = row["price"]
    to["lots"] = row["lots"]
    to["target"] = row["target"]
    to["account"] = row["account"]
    to["series"] = row["series"]
    to["actor"] = row["actor"]
    to["kind"] = row["kind"]
    to["side"] = row["side"]
    to["tif"] = row["tif"]
    to["flags"] = row["flags"]


@kernel
def match(tables: Tables, out: Out) -> bool:
    """Trade the active order against the book and rest or end what is left; true if the block is full before that."""
    active = tables.active[0]
    row = active["row"]
    book = tables.book
    command = row["command"]
    number = int(row["series"])
    side = int(row["side"])
    price = row["price"]
    order = active["order"]
    slot = int(active["slot"])
    left = active["left"]
    fills = active["fills"]
    while left > 0:
        maker = crossing_maker(book, number, side, price)
        if maker == NONE:
            break
        if not block_has_room(out):
            active["left"] = left
            active["fills"] = fills
            active["running"] = 1
            return True
        lots = min(left, book.orders[unsigned(maker)]["lots"])
        left -= lots
        settle(tables, out, command, fills, order, slot, maker, side, price, lots, left)
        fills += 1

    mine = book.orders[unsigned(slot)]
    flags = int(row["flags"])
    if left > 0 and (flags & FLAG_MARKET or row["tif"] == IOC):
        ending(out, command, order, left, END_NO_LIQUIDITY if flags & FLAG_MARKET else END_IOC)
        release(tables, mine, left)
        left = 0
    if left == 0:
        result(out, command, order, 0, 0, OK, fills)
        free_slot(book, slot)
        return False
    party = int(row["account"])
    rest(book, slot, order, party, number, side, price, left)
    owner = tables.owners[unsigned(party)]
    last = int(owner["last"])
    mine["earlier"] = last
    mine["later"] = NONE
    if last == NONE:
        owner["first"] = slot
    else:
        book.orders[unsigned(last)]["later"] = slot
    owner["last"] = slot
    result(out, command, order, left, mine["hold"], OK, fills)
    return False


@kernel
def settle(
    tables: Tables,
    out: Out,
    command: int,
    fill: int,
    order: int,
    slot: int,
    maker: int,
    side: int,
    limit: int,
    lots: int,
    left: int,
) -> None:
    """One fill of the active order (`slot`, `left` lots after it) against the resting order in slot `maker`."""
    book = tables.book
    accounts = tables.accounts
    resting = book.orders[unsigned(maker)]
    price = book.levels[unsigned(resting["level"])]["price"]
    row = out.fills[unsigned(out.used[FILLS])]
    out.used[FILLS] += 1
    row["command"] = command
    row["maker"] = resting["number"]
    row["taker"] = order
    row["price"] = price
    row["lots"] = lots

    mine = book.orders[unsigned(slot)]
    own = tables.terms[unsigned(slot)]
    other = tables.terms[unsigned(maker)]
    maker_left = resting["lots"] - lots
    if side == BUY:
        bid, ask = mine, resting
        buy, sell = own, other
        buy_rate, sell_rate = int(own["taker_ppm"]), int(other["maker_ppm"])
        buy_code, sell_code = TAKER_FEE, MAKER_FEE
        buy_left, sell_left, buy_limit = left, maker_left, limit
    else:
        bid, ask = resting, mine
        buy, sell = other, own
        buy_rate, sell_rate = int(other["maker_ppm"]), int(own["taker_ppm"])
        buy_code, sell_code = MAKER_FEE, TAKER_FEE
        buy_left, sell_left, buy_limit = maker_left, left, price
    series = tables.series[unsigned(mine["series"])]
    tick_minor = series["tick_minor"]
    notional = price * tick_minor * lots
    buyer = int(bid["cash"])
    seller = int(ask["cash"])
    buyer_units = int(bid["units"])
    seller_units = int(ask["units"])
    suspense = int(series["suspense"])
    primary = int(ask["primary"]) != 0
    if primary:
        # A primary sale pays no fee, so there is nothing that a rebate could be paid from.
        buy_rate = max(buy_rate, 0)

    # What was held for the buy is available for the debits of this entry; what it still needs is held again below.
    hold(accounts, buyer, -bid["hold"])
    fee_due = buy["fee_rest"] + notional * buy_rate
    fee = ceil_ppm(fee_due)
    buy["fee_rest"] = fee_due - fee * PPM
    tax_due = buy["levy_rest"] + notional * buy["levy_ppm"]
    tax = ceil_ppm(tax_due)
    buy["levy_rest"] = tax_due - tax * PPM
    sell_fee_due = sell["fee_rest"] + notional * sell_rate
    sell_fee = ceil_ppm(sell_fee_due)
    sell["fee_rest"] = sell_fee_due - sell_fee * PPM
    royalty_due = sell["levy_rest"] + notional * sell["levy_ppm"]
    # Fee and royalty are both rounded up and could together exceed the notional; what is cut off is waived.
    royalty = min(ceil_ppm(royalty_due), notional - max(sell_fee, 0))
    sell["levy_rest"] = min(royalty_due - royalty * PPM, 0)

    if primary:
        post(tables, out, command, buyer, suspense, notional, SALE, fill)
        post(tables, out, command, int(series["issuance"]), buyer_units, lots, MINT, fill)
        series["reserved"] -= lots
        series["issued"] += lots
        ask["hold"] = sell_left
    else:
        hold(accounts, seller_units, -lots)
        ask["hold"] = sell_left
        post(tables, out, command, buyer, seller, notional, SALE, fill)
        post(tables, out, command, seller_units, buyer_units, lots, DELIVERY, fill)
    charge(tables, out, command, buyer, int(series["fees"]), fee, buy_code, fill)
    if tax != 0:
        post(tables, out, command, buyer, int(series["taxes"]), tax, TAX, fill)
    charge(tables, out, command, seller, int(series["fees"]), sell_fee, sell_code, fill)
    if royalty != 0:
        post(tables, out, command, seller, suspense, royalty, ROYALTY, fill)
    shared = notional if primary else royalty
    if shared != 0:
        split(tables, out, int(series["waterfall"]), suspense, command, fill, shared)

    bid["hold"] = hold_of_buy(buy, buy_limit * tick_minor * buy_left) if buy_left > 0 else 0
    hold(accounts, buyer, bid["hold"])
    grant(tables, out, command, fill, buyer_units, lots)
    if not primary:
        grant(tables, out, command, fill, seller_units, -lots)
        if seller_units == buyer_units:
            # Somebody traded with itself: the first row stands before the second change.
            out.grants[unsigned(out.used[GRANTS] - 2)]["lots"] += lots

    take_lots(book, maker, lots)
    if maker_left == 0:
        forget(tables, maker)


@kernel
def charge(tables: Tables, out: Out, command: int, account: int, fees: int, fee: int, code: int, fill: int) -> None:
    """Post a fee, or a rebate (negative) the other way round."""
    if fee > 0:
        post(tables, out, command, account, fees, fee, code, fill)
    elif fee < 0:
        post(tables, out, command, fees, account, -fee, code, fill)


@kernel
def grant(tables: Tables, out: Out, command: int, fill: int, units: int, change: int) -> None:
    """Write how the grant of a unit account changed; at its first change the account gets a grant number."""
    account = tables.accounts[unsigned(units)]
    if account["grant"] == 0:
        tables.tally[0]["grants"] += 1
        account["grant"] = tables.tally[0]["grants"]
    row = out.grants[unsigned(out.used[GRANTS])]
    out.used[GRANTS] += 1
    row["command"] = command
    row["grant"] = account["grant"]
    row["holder"] = account["owner"]
    row["series"] = account["asset"]
    row["fill"] = fill
    row["change"] = change
    row["lots"] = account["available"] + account["held"]


@kernel
def release(tables: Tables, order: Any, lots: int) -> None:
    """Give back what is held for an order that ends with `lots` left."""
    if int(order["side"]) == BUY:
        hold(tables.accounts, int(order["cash"]), -order["hold"])
    elif int(order["primary"]) != 0:
        tables.series[unsigned(order["series"])]["reserved"] -= lots
    else:
        hold(tables.accounts, int(order["units"]), -lots)
    order["hold"] = 0


@kernel
def forget(tables: Tables, slot: int) -> None:
    """Take an order that left the book out of its party's list and free the slot."""
    orders = tables.book.orders
    order = orders[unsigned(slot)]
    earlier = int(order["earlier"])
    later = int(order["later"])
    owner = tables.owners[unsigned(order["party"])]
    if earlier == NONE:
        owner["first"] = later
    else:
        orders[unsigned(earlier)]["later"] = later
    if later == NONE:
        owner["last"] = earlier
    else:
        orders[unsigned(later)]["earlier"] = earlier
    free_slot(tables.book, slot)


@kernel
def order_of(tables: Tables, row: Any) -> tuple[int, int]:
    """(code, slot) of the order that a cancel or reduce names, if it may be touched by that party."""
    target = row["target"]
    if target < 1 or target >= tables.book.tally[0]["next_order"]:
        return UNKNOWN_ORDER, NONE
    slot = order_slot(tables.book, target)
    if slot == NONE:
        return ORDER_NOT_OPEN, NONE
    if tables.book.orders[unsigned(slot)]["party"] != row["account"]:
        return NOT_YOUR_ORDER, NONE
    return OK, slot


@kernel
def end_order(tables: Tables, out: Out, command: int, slot: int, reason: int) -> int:
    """Take the open order out of the book, release its hold, write the ending; returns its lots."""
    order = tables.book.orders[unsigned(slot)]
    lots = order["lots"]
    ending(out, command, order["number"], lots, reason)
    release(tables, order, lots)
    take_lots(tables.book, slot, lots)
    forget(tables, slot)
    return int(lots)


@kernel
def cancel(tables: Tables, out: Out, row: Any) -> None:
    command = row["command"]
    code, slot = order_of(tables, row)
    if code != OK:
        refuse(out, command, code)
        return
    end_order(tables, out, command, slot, END_USER)
    result(out, command, row["target"], 0, 0, OK, 0)


@kernel
def reduce(tables: Tables, out: Out, row: Any) -> None:
    """Take lots off an open order, which keeps its place in the queue."""
    command = row["command"]
    code, slot = order_of(tables, row)
    if code != OK:
        refuse(out, command, code)
        return
    order = tables.book.orders[unsigned(slot)]
    lots = row["lots"]
    if lots < 1 or lots >= order["lots"]:
        refuse(out, command, LOTS_NOT_REDUCIBLE)
        return
    ending(out, command, order["number"], lots, END_REDUCED)
    left = order["lots"] - lots
    series = tables.series[unsigned(order["series"])]
    if int(order["side"]) == BUY:
        price = tables.book.levels[unsigned(order["level"])]["price"]
        needed = hold_of_buy(tables.terms[unsigned(slot)], price * series["tick_minor"] * left)
        hold(tables.accounts, int(order["cash"]), needed - order["hold"])
        order["hold"] = needed
    else:
        order["hold"] = left
        if int(order["primary"]) != 0:
            series["reserved"] -= lots
        else:
            hold(tables.accounts, int(order["units"]), -lots)
    take_lots(tables.book, slot, lots)
    result(out, command, row["target"], left, order["hold"], OK, 0)


@kernel
def begin_mass_cancel(tables: Tables, row: Any) -> int:
    """Check a mass cancel; if it may run (code 0) it is the active command."""
    party = int(row["account"])
    number = int(row["series"])
    system = int(row["flags"]) & FLAG_SYSTEM
    if party == 0 and (number == 0 or not system):
        return COMMAND_MALFORMED
    if party < 0 or party > tables.tally[0]["parties"]:
        return UNKNOWN_PARTY
    if number < 0 or number > tables.tally[0]["series"]:
        return UNKNOWN_SERIES
    active = tables.active[0]
    copy_command(active["row"], row)
    active["fills"] = 0
    active["lots_done"] = 0
    active["cursor"] = tables.owners[unsigned(party)]["first"]
    return OK


@kernel
def mass_cancel(tables: Tables, out: Out) -> bool:
    """End the orders of the active mass cancel one by one; true if the block is full before the last."""
    active = tables.active[0]
    row = active["row"]
    command = row["command"]
    party = int(row["account"])
    number = int(row["series"])
    reason = END_SERIES_ENDED if int(row["flags"]) & FLAG_SYSTEM else END_MASS
    book = tables.book
    while True:
        if party == 0:
            at = int(book.best[number, BUY])
            if at == NONE:
                at = int(book.best[number, SELL])
            slot = NONE if at == NONE else int(book.levels[unsigned(at)]["head"])
        else:
            slot = int(active["cursor"])
            while slot != NONE and number != 0 and book.orders[unsigned(slot)]["series"] != number:
                slot = int(book.orders[unsigned(slot)]["later"])
        if slot == NONE:
            break
        if not block_has_room(out):
            active["cursor"] = slot
            active["running"] = 1
            return True
        active["cursor"] = book.orders[unsigned(slot)]["later"]
        active["lots_done"] += end_order(tables, out, command, slot, reason)
        active["fills"] += 1
    result(out, command, 0, active["lots_done"], 0, OK, active["fills"])
    return False


@kernel
def journal(tables: Tables, out: Out, command: int, legs: Any, first: int, end: int) -> int:
    """Apply the legs in order if all of them can be; otherwise none. Returns the code."""
    if end == first or end - first > LEGS_MAX:
        return COMMAND_MALFORMED
    accounts = tables.accounts
    written = out.used[POSTINGS]
    for at in range(first, end):
        leg = legs[unsigned(at)]
        code = leg_code(tables, leg)
        if code == OK and leg["code"] == WITHDRAWAL:
            recover_debt(tables, out, command, int(leg["debit"]), at - first)
            code = leg_code(tables, leg)
        if code != OK:
            # Take back the postings of the legs before this one.
            while out.used[POSTINGS] > written:
                out.used[POSTINGS] -= 1
                row = out.postings[unsigned(out.used[POSTINGS])]
                accounts[unsigned(row["debit"])]["available"] += row["amount"]
                accounts[unsigned(row["credit"])]["available"] -= row["amount"]
            return code
        post(tables, out, command, int(leg["debit"]), int(leg["credit"]), leg["amount"], int(leg["code"]), at - first)
    return OK


@kernel
def recover_debt(tables: Tables, out: Out, command: int, payer: int, leg: int) -> None:
    """Who withdraws pays first what it owes, as far as it has it."""
    account = tables.accounts[unsigned(payer)]
    debt = find_account(tables.accounts, tables.account_index, int(account["owner"]), int(account["asset"]), RECEIVABLE)
    if debt == NONE:
        return
    paid = min(-tables.accounts[unsigned(debt)]["available"], account["available"])
    if paid > 0:
        post(tables, out, command, payer, debt, paid, RECOVERY, leg)


@kernel
def leg_code(tables: Tables, leg: Any) -> int:
    """Code of the first rule that a leg of a journal breaks, given the balances as they are."""
    amount = leg["amount"]
    debit = int(leg["debit"])
    credit = int(leg["credit"])
    count = tables.tally[0]["accounts"]
    if amount < 1 or amount > AMOUNT_MAX:
        return AMOUNT_OUT_OF_RANGE
    if debit < 0 or debit >= count or credit < 0 or credit >= count:
        return UNKNOWN_ACCOUNT
    payer = tables.accounts[unsigned(debit)]
    if debit == credit or payer["asset"] != tables.accounts[unsigned(credit)]["asset"]:
        return JOURNAL_UNBALANCED
    after = payer["available"] - amount
    if may_go_negative(int(payer["kind"])):
        return AMOUNT_OUT_OF_RANGE if after < CONTRA_FLOOR else OK
    if after < 0:
        return INSUFFICIENT_FUNDS if payer["asset"] < 0 else INSUFFICIENT_UNITS
    return OK


@kernel
def refund(tables: Tables, out: Out, row: Any) -> int:
    """A negative sale through the waterfall version frozen in the sale. Returns the code."""
    number = int(row["series"])
    if number < 1 or number > tables.tally[0]["series"]:
        return UNKNOWN_SERIES
    party = int(row["account"])
    if party < 1 or party > tables.tally[0]["parties"]:
        return UNKNOWN_PARTY
    series = tables.series[unsigned(number)]
    waterfall = waterfall_of(tables, number, int(row["target"]))
    if waterfall == NONE:
        return NO_WATERFALL
    price = row["price"]
    if price < 1 or price > series["price_max"]:
        return PRICE_OUT_OF_RANGE
    lots = row["lots"]
    if lots < 1 or lots > series["lots_max"]:
        return LOTS_OUT_OF_RANGE
    lot_minor = price * series["tick_minor"]
    if is_too_large(lot_minor, lots, series["notional_max"]):
        return NOTIONAL_TOO_LARGE
    units = find_account(tables.accounts, tables.account_index, party, number, AVAILABLE)
    if units == NONE or tables.accounts[unsigned(units)]["available"] < lots:
        return UNITS_NOT_RETURNABLE
    if not accounts_have_room(tables):
        return CAPACITY_EXHAUSTED

    # Past this point the refund is accepted.
    command = row["command"]
    amount = lot_minor * lots
    cash = find_or_open(tables, out, command, party, -int(series["currency"]), AVAILABLE)
    retired = find_or_open(tables, out, command, party, number, RETIRED)
    suspense = int(series["suspense"])
    unsplit(tables, out, waterfall, suspense, command, amount)
    post(tables, out, command, suspense, cash, amount, REFUND_CODE, 0)
    post(tables, out, command, units, retired, lots, RETURN, 0)
    grant(tables, out, command, 0, units, -lots)
    return OK
