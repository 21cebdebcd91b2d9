"""The compiled part of the flow fold: one pass over the sections of blocks.

The rules are those of `docs/reference/execution.md`; nothing is decided here, so a block that contradicts itself gives
rows that contradict themselves. What readers need in columns is written once per order, level and account and block.
The twin is `projections.reference`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from domain.values import AccountKind, PostingCode
from ledger.accounts import find_account, index_account
from matching.book import (
    find_level,
    find_order,
    index_put,
    index_remove,
    level_index_put,
    level_index_remove,
)
from matching.layout import FLAG_PRIMARY, NONE, PPM, Ending, Kind, Side, kernel

BUY = int(Side.BUY)
NEW = int(Kind.NEW)
REDUCED = int(Ending.REDUCED)
AVAILABLE, SUSPENSE_KIND = int(AccountKind.AVAILABLE), int(AccountKind.SUSPENSE)
SALE, SHARE = int(PostingCode.SALE), int(PostingCode.SHARE)
RECLAIM, RECEIVABLE = int(PostingCode.RECLAIM), int(PostingCode.RECEIVABLE)

OPEN, FILLED, CANCELED, PARTLY_FILLED = 1, 2, 3, 4
PRIMARY, RESALE, REFUND = 1, 2, 3
ORDERS, TRADES, LEVELS, REFUSALS, BALANCES, SHARES, SUSPENSE, GRANTS, MOVEMENTS = range(9)
"""Places of the outputs in `Out.used`, in the order of FlowRows."""


class Memory(NamedTuple):
    """What the fold remembers; pools with a free list, exchanged for larger ones between blocks."""

    accounts: Any
    account_index: Any
    lives: Any
    """ORDER_LIFE of the open orders; `order` is 0 in a free slot."""
    terms: Any
    """Beside `lives`: what is frozen in an order, its sums, its links."""
    order_index: Any
    levels: Any
    level_index: Any
    series: Any
    taxes: Any
    """Tax rate in ppm by party."""
    tally: Any


class Given(NamedTuple):
    """The sections of one or several blocks, one block after the other; read-only."""

    commands: Any
    results: Any
    fills: Any
    endings: Any
    postings: Any
    grants: Any
    accounts: Any


class Out(NamedTuple):
    """Where the rows of blocks are written, one block after the other."""

    orders: Any
    order_slots: Any
    """Slot of the order of each row, NONE once the row is final."""
    trades: Any
    levels: Any
    level_slots: Any
    refusals: Any
    balances: Any
    account_numbers: Any
    shares: Any
    suspense: Any
    grants: Any
    movements: Any
    used: Any


@kernel
def fold_blocks(memory: Memory, given: Given, starts: Any, first: int, end: int, out: Out, ends: Any) -> None:
    """Fold the blocks first … end − 1; `memory` has room for whatever they open, `out` for their rows.

    `starts` [blocks + 1, sections] says where in `given` each block begins; after each block `ends` [blocks, outputs]
    gets what is used of `out`.
    """
    for block in range(first, end):
        at = starts[block]
        to = starts[block + 1]
        fold_block(
            memory,
            Given(
                given.commands[at[0] : to[0]],
                given.results[at[1] : to[1]],
                given.fills[at[2] : to[2]],
                given.endings[at[3] : to[3]],
                given.postings[at[4] : to[4]],
                given.grants[at[5] : to[5]],
                given.accounts[at[6] : to[6]],
            ),
            out,
        )
        for kind in range(len(out.used)):
            ends[block, kind] = out.used[kind]


@kernel
def fold_block(memory: Memory, given: Given, out: Out) -> None:
    commands = given.commands
    active_at_ns = memory.tally[0]["active_at_ns"]
    first = commands[0]["command"] if len(commands) > 0 else np.iinfo(np.int64).max
    orders = out.used[ORDERS]
    levels = out.used[LEVELS]
    balances = out.used[BALANCES]
    open_accounts(memory, given.accounts, out)
    fold_orders(memory, given, out)
    fold_postings(memory, given.postings, commands, first, active_at_ns, out)
    fold_grants(memory, given.grants, commands, first, active_at_ns, out)
    write_touched(memory, out, orders, levels, balances)


@kernel
def open_accounts(memory: Memory, opened: Any, out: Out) -> None:
    for at in range(len(opened)):
        row = opened[at]
        number = int(row["account"])
        account = memory.accounts[number]
        account["available"] = 0
        account["held"] = 0
        account["owner"] = row["owner"]
        account["asset"] = row["asset"]
        account["kind"] = row["kind"]
        account["row"] = NONE
        index_account(memory.account_index, int(row["owner"]), int(row["asset"]), int(row["kind"]), number)
        touch_account(memory, out, number)
        memory.tally[0]["accounts"] += 1


@kernel
def fold_orders(memory: Memory, given: Given, out: Out) -> None:
    """Walk commands, results, fills and endings together; each is ordered by command."""
    tally = memory.tally[0]
    commands = given.commands
    results = given.results
    result = 0
    fill = 0
    ending = 0
    if tally["active_command"] != 0:
        command = tally["active_command"]
        slot = int(tally["active_slot"])
        fill, ending = work(memory, given, out, command, tally["active_at_ns"], slot, fill, ending)
        if len(results) == 0 or results[0]["command"] != command:
            return
        result = 1
        tally["active_command"] = 0
        if slot != NONE:
            leave_or_rest(memory, out, slot)
    for at in range(len(commands)):
        row = commands[at]
        command = row["command"]
        done = result < len(results) and results[result]["command"] == command
        if done:
            code = results[result]["code"]
            result += 1
            if code != 0:
                refuse(out, row, code)
                continue
        slot = NONE
        if row["kind"] == NEW:
            slot = accept(memory, out, row)
        tally["active_fills"] = 0
        fill, ending = work(memory, given, out, command, row["at_ns"], slot, fill, ending)
        if not done:
            tally["active_command"] = command
            tally["active_at_ns"] = row["at_ns"]
            tally["active_slot"] = slot
        elif slot != NONE:
            leave_or_rest(memory, out, slot)


@kernel
def refuse(out: Out, row: Any, code: int) -> None:
    refusal = out.refusals[out.used[REFUSALS]]
    out.used[REFUSALS] += 1
    refusal["command"] = row["command"]
    refusal["at_ns"] = row["at_ns"]
    refusal["price_ticks"] = row["price"]
    refusal["lots"] = row["lots"]
    refusal["target"] = row["target"]
    refusal["party"] = row["account"]
    refusal["actor"] = row["actor"]
    refusal["series"] = row["series"]
    refusal["kind"] = row["kind"]
    refusal["side"] = row["side"]
    refusal["tif"] = row["tif"]
    refusal["flags"] = row["flags"]
    refusal["code"] = code


@kernel
def accept(memory: Memory, out: Out, row: Any) -> int:
    """A new order with its frozen rates and its hold; returns its slot."""
    tally = memory.tally[0]
    slot = int(tally["orders_free"])
    if slot != NONE:
        tally["orders_free"] = memory.terms[slot]["next_free"]
    else:
        slot = int(tally["orders_top"])
        tally["orders_top"] = slot + 1
    number = int(row["series"])
    series = memory.series[number]
    party = int(row["account"])
    side = int(row["side"])
    primary = int(row["flags"]) & FLAG_PRIMARY != 0
    life = memory.lives[slot]
    life["order"] = tally["next_order"]
    tally["next_order"] += 1
    life["command"] = row["command"]
    life["at_ns"] = row["at_ns"]
    life["price_ticks"] = row["price"]
    life["lots"] = row["lots"]
    life["filled_lots"] = 0
    life["canceled_lots"] = 0
    life["resting_lots"] = row["lots"]
    life["hold_minor"] = 0
    life["notional_minor"] = 0
    life["fees_minor"] = 0
    life["taxes_minor"] = 0
    life["royalty_minor"] = 0
    life["party"] = party
    life["series"] = number
    life["side"] = side
    life["tif"] = row["tif"]
    life["flags"] = row["flags"]
    life["status"] = OPEN
    life["end_reason"] = 0
    life["unused"] = 0
    term = memory.terms[slot]
    term["fee_rest"] = 0
    term["levy_rest"] = 0
    term["maker_ppm"] = 0 if primary else tally["maker_ppm"]
    term["taker_ppm"] = 0 if primary else tally["taker_ppm"]
    term["level"] = NONE
    term["row"] = NONE
    if side == BUY:
        term["levy_ppm"] = memory.taxes[party]
        term["account"] = find_account(
            memory.accounts, memory.account_index, party, -int(series["currency"]), AVAILABLE
        )
    elif primary:
        # Nothing is held: the lots are not issued yet.
        term["levy_ppm"] = 0
        term["account"] = NONE
    else:
        term["levy_ppm"] = series["royalty_ppm"]
        term["account"] = find_account(memory.accounts, memory.account_index, party, number, AVAILABLE)
    touch_order(memory, out, slot, row["command"], row["at_ns"])
    hold_rest(memory, out, slot)
    return slot


@kernel
def work(
    memory: Memory, given: Given, out: Out, command: int, at_ns: int, slot: int, fill: int, ending: int
) -> tuple[int, int]:
    """Take the fills and endings of a command; `slot` is that of its own order or NONE. Returns what comes next."""
    fills = given.fills
    endings = given.endings
    tally = memory.tally[0]
    while fill < len(fills) and fills[fill]["command"] == command:
        settle(memory, out, fills[fill], at_ns, slot, int(tally["active_fills"]))
        tally["active_fills"] += 1
        fill += 1
    while ending < len(endings) and endings[ending]["command"] == command:
        row = endings[ending]
        ending += 1
        if slot != NONE and memory.lives[slot]["order"] == row["order"]:
            end(memory, out, slot, row, at_ns)
        else:
            end(memory, out, find_order(memory.order_index, row["order"]), row, at_ns)
    return fill, ending


@kernel
def end(memory: Memory, out: Out, slot: int, row: Any, at_ns: int) -> None:
    """Lots that leave without trading: all that is left, or a reduction."""
    life = memory.lives[slot]
    lots = row["lots"]
    touch_order(memory, out, slot, row["command"], at_ns)
    life["canceled_lots"] += lots
    life["resting_lots"] -= lots
    hold_rest(memory, out, slot)
    if memory.terms[slot]["level"] != NONE:
        take_from_level(memory, out, slot, lots)
    if life["resting_lots"] == 0:
        life["status"] = PARTLY_FILLED if life["filled_lots"] > 0 else CANCELED
        life["end_reason"] = row["reason"]
        if memory.terms[slot]["level"] != NONE:
            leave(memory, out, slot)


@kernel
def leave_or_rest(memory: Memory, out: Out, slot: int) -> None:
    """A new order's command has ended."""
    if memory.lives[slot]["resting_lots"] == 0:
        leave(memory, out, slot)
    else:
        rest(memory, out, slot)


@kernel
def leave(memory: Memory, out: Out, slot: int) -> None:
    """An order that has ended: its row is final, its slot free."""
    life = memory.lives[slot]
    term = memory.terms[slot]
    if life["status"] == OPEN:
        life["status"] = FILLED
    if term["level"] != NONE:
        index_remove(memory.order_index, life["order"])
        memory.tally[0]["open_orders"] -= 1
    row = int(term["row"])
    out.orders[row] = memory.lives[slot]
    out.order_slots[row] = NONE
    life["order"] = 0
    term["next_free"] = memory.tally[0]["orders_free"]
    memory.tally[0]["orders_free"] = slot


@kernel
def settle(  # noqa: PLR0915  (one straight function: splitting it would hide the order of the steps)
    memory: Memory, out: Out, row: Any, at_ns: int, slot: int, fill: int
) -> None:
    """One fill of the order in `slot` against a resting one."""
    command = row["command"]
    maker = find_order(memory.order_index, row["maker"])
    price = row["price"]
    lots = row["lots"]
    touch_order(memory, out, maker, command, at_ns)
    touch_order(memory, out, slot, command, at_ns)
    side = int(memory.lives[slot]["side"])
    if side == BUY:
        buyer, seller = slot, maker
        buy_rate = int(memory.terms[slot]["taker_ppm"])
        sell_rate = int(memory.terms[maker]["maker_ppm"])
    else:
        buyer, seller = maker, slot
        buy_rate = int(memory.terms[maker]["maker_ppm"])
        sell_rate = int(memory.terms[slot]["taker_ppm"])
    buy = memory.lives[buyer]
    sell = memory.lives[seller]
    buy_term = memory.terms[buyer]
    sell_term = memory.terms[seller]
    number = int(buy["series"])
    notional = price * memory.series[number]["tick_minor"] * lots
    primary = int(sell["flags"]) & FLAG_PRIMARY != 0
    if primary:
        # A primary sale pays no fee, so there is nothing that a rebate could be paid from.
        buy_rate = max(buy_rate, 0)

    fee_due = buy_term["fee_rest"] + notional * buy_rate
    fee = ceil_ppm(fee_due)
    buy_term["fee_rest"] = fee_due - fee * PPM
    tax_due = buy_term["levy_rest"] + notional * buy_term["levy_ppm"]
    tax = ceil_ppm(tax_due)
    buy_term["levy_rest"] = tax_due - tax * PPM
    sell_fee_due = sell_term["fee_rest"] + notional * sell_rate
    sell_fee = ceil_ppm(sell_fee_due)
    sell_term["fee_rest"] = sell_fee_due - sell_fee * PPM
    royalty_due = sell_term["levy_rest"] + notional * sell_term["levy_ppm"]
    royalty = min(ceil_ppm(royalty_due), notional - max(sell_fee, 0))
    sell_term["levy_rest"] = min(royalty_due - royalty * PPM, 0)

    buy["filled_lots"] += lots
    buy["resting_lots"] -= lots
    buy["notional_minor"] += notional
    buy["fees_minor"] += fee
    buy["taxes_minor"] += tax
    sell["filled_lots"] += lots
    sell["resting_lots"] -= lots
    sell["notional_minor"] += notional
    sell["fees_minor"] += sell_fee
    sell["royalty_minor"] += royalty
    hold_rest(memory, out, buyer)
    hold_rest(memory, out, seller)

    trade = out.trades[out.used[TRADES]]
    out.used[TRADES] += 1
    trade["command"] = command
    trade["at_ns"] = at_ns
    trade["price_ticks"] = price
    trade["lots"] = lots
    trade["notional_minor"] = notional
    trade["maker_order"] = row["maker"]
    trade["taker_order"] = row["taker"]
    trade["buyer_fee_minor"] = fee
    trade["seller_fee_minor"] = sell_fee
    trade["tax_minor"] = tax
    trade["royalty_minor"] = royalty
    trade["fill"] = fill
    trade["series"] = number
    trade["taker_side"] = side
    trade["buyer"] = buy["party"]
    trade["seller"] = sell["party"]
    trade["primary"] = 1 if primary else 0

    take_from_level(memory, out, maker, lots)
    if memory.lives[maker]["resting_lots"] == 0:
        leave(memory, out, maker)


@kernel
def ceil_ppm(amount: int) -> int:
    """10^-6 minor units to minor units, toward plus infinity."""
    return -((-amount) // PPM)


@kernel
def hold_rest(memory: Memory, out: Out, slot: int) -> None:
    """Hold for an order what the lots that it has left need."""
    life = memory.lives[slot]
    term = memory.terms[slot]
    left = life["resting_lots"]
    needed = left
    if life["side"] == BUY and left > 0:
        notional = life["price_ticks"] * memory.series[int(life["series"])]["tick_minor"] * left
        dearest = max(int(term["maker_ppm"]), int(term["taker_ppm"]), 0)
        fee = ceil_ppm(term["fee_rest"] + notional * dearest)
        tax = ceil_ppm(term["levy_rest"] + notional * term["levy_ppm"])
        needed = notional + fee + tax
    change = needed - life["hold_minor"]
    life["hold_minor"] = needed
    number = int(term["account"])
    if number != NONE:
        memory.accounts[number]["available"] -= change
        memory.accounts[number]["held"] += change
        touch_account(memory, out, number)


@kernel
def touch_order(memory: Memory, out: Out, slot: int, command: int, at_ns: int) -> None:
    """Give the order its row in this block."""
    life = memory.lives[slot]
    life["last_command"] = command
    life["last_at_ns"] = at_ns
    if memory.terms[slot]["row"] == NONE:
        row = out.used[ORDERS]
        out.used[ORDERS] += 1
        memory.terms[slot]["row"] = row
        out.order_slots[row] = slot


@kernel
def touch_account(memory: Memory, out: Out, number: int) -> None:
    if memory.accounts[number]["row"] == NONE:
        row = out.used[BALANCES]
        out.used[BALANCES] += 1
        memory.accounts[number]["row"] = row
        out.account_numbers[row] = number


@kernel
def touch_level(memory: Memory, out: Out, at: int) -> None:
    if memory.levels[at]["row"] == NONE:
        row = out.used[LEVELS]
        out.used[LEVELS] += 1
        memory.levels[at]["row"] = row
        out.level_slots[row] = at


@kernel
def rest(memory: Memory, out: Out, slot: int) -> None:
    """Add an order to the level of its price."""
    life = memory.lives[slot]
    at = level_at(memory, int(life["series"]), int(life["side"]), life["price_ticks"])
    level = memory.levels[at]
    level["lots"] += life["resting_lots"]
    level["orders"] += 1
    memory.terms[slot]["level"] = at
    touch_level(memory, out, at)
    index_put(memory.order_index, life["order"], slot)
    memory.tally[0]["open_orders"] += 1


@kernel
def take_from_level(memory: Memory, out: Out, slot: int, lots: int) -> None:
    """Take lots of a resting order off its level; an empty level stays until the block ends."""
    at = int(memory.terms[slot]["level"])
    level = memory.levels[at]
    level["lots"] -= lots
    if memory.lives[slot]["resting_lots"] == 0:
        level["orders"] -= 1
    touch_level(memory, out, at)


@kernel
def level_at(memory: Memory, series: int, side: int, price: int) -> int:
    """Slot of the level, opened if there is none."""
    levels = memory.levels
    at = find_level(levels, memory.level_index, series, side, price)
    if at != NONE:
        return at
    tally = memory.tally[0]
    at = int(tally["levels_free"])
    if at != NONE:
        tally["levels_free"] = levels[at]["next_free"]
    else:
        at = int(tally["levels_top"])
        tally["levels_top"] = at + 1
    tally["levels_open"] += 1
    level = levels[at]
    level["price"] = price
    level["lots"] = 0
    level["orders"] = 0
    level["series"] = series
    level["side"] = side
    level["row"] = NONE
    level_index_put(levels, memory.level_index, at)
    return at


@kernel
def close_level(memory: Memory, at: int) -> None:
    """Take an empty level out of the index and free its slot."""
    level_index_remove(memory.levels, memory.level_index, at)
    level = memory.levels[at]
    level["series"] = 0
    level["next_free"] = memory.tally[0]["levels_free"]
    memory.tally[0]["levels_free"] = at
    memory.tally[0]["levels_open"] -= 1


@kernel
def fold_postings(memory: Memory, postings: Any, commands: Any, first: int, active_at_ns: int, out: Out) -> None:
    """Move value; write shares and the lines of statements."""
    tally = memory.tally[0]
    accounts = memory.accounts
    sale = 0
    for at in range(len(postings)):
        row = postings[at]
        command = row["command"]
        at_ns = commands[command - first]["at_ns"] if command >= first else active_at_ns
        if command != tally["posted_command"]:
            tally["posted_command"] = command
            tally["next_share"] = 0
            tally["next_movement"] = 0
        debit = int(row["debit"])
        credit = int(row["credit"])
        amount = row["amount"]
        code = int(row["code"])
        accounts[debit]["available"] -= amount
        accounts[credit]["available"] += amount
        touch_account(memory, out, debit)
        touch_account(memory, out, credit)
        if code == SALE:
            sale = PRIMARY if accounts[credit]["kind"] == SUSPENSE_KIND else RESALE
        elif code == SHARE:
            share(out, row, at_ns, accounts[debit], accounts[credit], amount, sale, tally)
        elif code == RECLAIM or code == RECEIVABLE:  # noqa: PLR1714, SIM109  (plain for the JIT)
            share(out, row, at_ns, accounts[credit], accounts[debit], -amount, REFUND, tally)
        if accounts[debit]["asset"] < 0:
            if accounts[debit]["owner"] > 0:
                move(out, row, at_ns, debit, accounts[debit], accounts[credit], -amount, tally)
            if accounts[credit]["owner"] > 0:
                move(out, row, at_ns, credit, accounts[credit], accounts[debit], amount, tally)


@kernel
def share(out: Out, row: Any, at_ns: int, suspense: Any, payee: Any, amount: int, sale: int, tally: Any) -> None:
    line = out.shares[out.used[SHARES]]
    out.used[SHARES] += 1
    line["command"] = row["command"]
    line["at_ns"] = at_ns
    line["amount_minor"] = amount
    line["index"] = tally["next_share"]
    tally["next_share"] += 1
    line["fill"] = row["fill"]
    line["series"] = -suspense["owner"]
    line["payee"] = payee["owner"]
    line["currency"] = -suspense["asset"]
    line["code"] = row["code"]
    line["sale"] = sale
    line["unused"] = 0


@kernel
def move(out: Out, row: Any, at_ns: int, number: int, own: Any, other: Any, amount: int, tally: Any) -> None:
    line = out.movements[out.used[MOVEMENTS]]
    out.used[MOVEMENTS] += 1
    line["command"] = row["command"]
    line["at_ns"] = at_ns
    line["amount_minor"] = amount
    line["balance_minor"] = own["available"] + own["held"]
    line["index"] = tally["next_movement"]
    tally["next_movement"] += 1
    line["account"] = number
    line["party"] = own["owner"]
    line["currency"] = -own["asset"]
    line["kind"] = own["kind"]
    line["other"] = other["owner"]
    line["code"] = row["code"]
    line["fill"] = row["fill"]


@kernel
def fold_grants(memory: Memory, grants: Any, commands: Any, first: int, active_at_ns: int, out: Out) -> None:
    tally = memory.tally[0]
    for at in range(len(grants)):
        row = grants[at]
        command = row["command"]
        if command != tally["granted_command"]:
            tally["granted_command"] = command
            tally["next_grant_change"] = 0
        line = out.grants[out.used[GRANTS]]
        out.used[GRANTS] += 1
        line["command"] = command
        line["at_ns"] = commands[command - first]["at_ns"] if command >= first else active_at_ns
        line["change"] = row["change"]
        line["lots"] = row["lots"]
        line["index"] = tally["next_grant_change"]
        tally["next_grant_change"] += 1
        line["grant"] = row["grant"]
        line["holder"] = row["holder"]
        line["series"] = row["series"]
        line["fill"] = row["fill"]
        line["unused"] = 0


@kernel
def write_touched(memory: Memory, out: Out, orders: int, levels: int, balances: int) -> None:
    """The rows of what lives on after the block, and the end of levels that became empty; the block's rows begin at
    `orders`, `levels` and `balances`.
    """
    for row in range(orders, out.used[ORDERS]):
        slot = int(out.order_slots[row])
        if slot != NONE:
            out.orders[row] = memory.lives[slot]
            memory.terms[slot]["row"] = NONE
    for row in range(levels, out.used[LEVELS]):
        at = int(out.level_slots[row])
        level = memory.levels[at]
        line = out.levels[row]
        line["price_ticks"] = level["price"]
        line["lots"] = level["lots"]
        line["orders"] = level["orders"]
        line["series"] = level["series"]
        line["side"] = level["side"]
        level["row"] = NONE
        if level["orders"] == 0:
            close_level(memory, at)
    for row in range(balances, out.used[BALANCES]):
        number = int(out.account_numbers[row])
        account = memory.accounts[number]
        line = out.balances[row]
        line["available"] = account["available"]
        line["held"] = account["held"]
        line["account"] = number
        line["owner"] = account["owner"]
        line["asset"] = account["asset"]
        line["kind"] = account["kind"]
        account["row"] = NONE
        if account["kind"] == SUSPENSE_KIND:
            held = out.suspense[out.used[SUSPENSE]]
            out.used[SUSPENSE] += 1
            held["amount_minor"] = account["available"]
            held["series"] = -account["owner"]
            held["currency"] = -account["asset"]


@kernel
def reindex(memory: Memory) -> None:
    """Fill the empty indexes from the pools."""
    for number in range(memory.tally[0]["accounts"]):
        account = memory.accounts[number]
        index_account(memory.account_index, int(account["owner"]), int(account["asset"]), int(account["kind"]), number)
    for slot in range(memory.tally[0]["orders_top"]):
        if memory.lives[slot]["order"] > 0 and memory.terms[slot]["level"] != NONE:
            index_put(memory.order_index, memory.lives[slot]["order"], slot)
    for at in range(memory.tally[0]["levels_top"]):
        if memory.levels[at]["series"] > 0:
            level_index_put(memory.levels, memory.level_index, at)
