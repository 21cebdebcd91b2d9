"""The compiled part of the revenue fold: splits what came into suspense over payees, and sums it by day.

What a payee carries is kept as whole minor units and a rest in 10^-9 of one, 0 <= rest < 10^9, so that amount × weight
needs no more than 64 bits. A day's sums lie with their series or payee until the next day begins there; then the row
is final and goes to `Out`. The twin is `projections.reference_models`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from domain.values import DAY_NS, PPB
from matching.layout import NONE, kernel


def _integers(*names: str) -> np.dtype[np.void]:
    return np.dtype([(name, "<i8") for name in names])


_DAY = (
    "day_ends_ns",  # 0 before the first day
    "sales_minor",
    "royalties_minor",
    "refunds_minor",
    "shares_minor",
    "reclaimed_minor",
    "first_position",
    "last_position",
    "day_changed",  # 1: not written yet; as is `changed`
)
SERIES = _integers(
    "series",  # 0: not listed
    "waterfall",  # row of WATERFALL of the newest version, NONE before the first
    "era",
    "era_minor",
    "suspense_minor",
    "difference_position",
    "position",
    "changed",
    "first_payee",  # slot; the others follow by `next`
    *_DAY,
    "suspense_before_minor",
)
PAYEE = _integers("series", "payee", "whole_minor", "rest_ppb", "position", "changed", "next", *_DAY)
TRADING = _integers(
    "series",
    "day_ends_ns",
    "trades",
    "lots",
    "notional_minor",
    "primary_minor",
    "fees_minor",
    "taxes_minor",
    "royalties_minor",
    "first_position",
    "last_position",
    "day_changed",
)
WATERFALL = _integers("series", "version", "first", "payees", "earlier")
"""A version of a waterfall: its rows of WEIGHT begin at `first`; `earlier` is that of the version before, or NONE."""
WEIGHT = _integers("slot", "weight_ppb")
LINE = _integers(
    "series",
    "command",
    "position",
    "at_ns",
    "era",
    "before_minor",
    "sales_minor",
    "royalties_minor",
    "refunds_minor",
)
ERA_PAYEE = _integers("series", "era", "payee", "version", "weight_ppb", "carry_ppb")
LINES, ERA_PAYEES, SERIES_DAYS, PAYEE_DAYS, TRADING_DAYS = range(5)
"""Places of the outputs in `Out.used`."""


class Memory(NamedTuple):
    """What the fold remembers."""

    series: Any
    """By number."""
    trading: Any
    """By number of the series."""
    payees: Any
    """Of all series, in the order in which they came."""
    waterfalls: Any
    weights: Any
    used: Any
    """[1]: slots of `payees` in use."""


class Out(NamedTuple):
    """Rows that are final."""

    lines: Any
    era_payees: Any
    series_days: Any
    payee_days: Any
    trading_days: Any
    used: Any


class Given(NamedTuple):
    """What blocks changed, one block after the other, of the dtypes of `projections.flow`."""

    positions: Any
    """[blocks]"""
    starts: Any
    """[blocks + 1, 4]: where trades, refunds, shares and suspense of each block begin."""
    trades: Any
    refunds: Any
    """Movements that paid a buyer back."""
    versions: Any
    """The version of the waterfall that each refund goes by."""
    shares: Any
    suspense: Any


@kernel
def fold_revenue(memory: Memory, given: Given, first: int, end: int, out: Out) -> None:
    """Fold the blocks first … end − 1; there is room for whatever they bring."""
    for block in range(first, end):
        at = given.starts[block]
        to = given.starts[block + 1]
        position = given.positions[block]
        trade, refund, share = at[0], at[1], at[2]
        while trade < to[0] or refund < to[1] or share < to[2]:
            command = next_command(given, to, trade, refund, share)
            while trade < to[0] and given.trades[trade]["command"] == command:
                sell(memory, out, given.trades[trade], position)
                trade += 1
            other = NONE
            while refund < to[1] and given.refunds[refund]["command"] == command:
                other = give_back(memory, out, given.refunds[refund], given.versions[refund], position)
                refund += 1
            while share < to[2] and given.shares[share]["command"] == command:
                pay(memory, out, given.shares[share], position)
                share += 1
            if other != NONE:
                begin_era(memory, out, other, int(memory.series[other]["waterfall"]))
        for row in range(at[3], to[3]):
            compare(memory, int(given.suspense[row]["series"]), given.suspense[row]["amount_minor"], position)


@kernel
def next_command(given: Given, to: Any, trade: int, refund: int, share: int) -> int:
    command = np.iinfo(np.int64).max
    if trade < to[0]:
        command = min(command, given.trades[trade]["command"])
    if refund < to[1]:
        command = min(command, given.refunds[refund]["command"])
    if share < to[2]:
        command = min(command, given.shares[share]["command"])
    return command


@kernel
def sell(memory: Memory, out: Out, trade: Any, position: int) -> None:
    """A trade, and what it gives to be split: all of a primary sale, the royalty of a resale."""
    number = int(trade["series"])
    notional = trade["notional_minor"]
    primary = trade["primary"] != 0
    day = memory.trading[number]
    if trade["at_ns"] >= day["day_ends_ns"]:
        if day["day_changed"]:
            out.trading_days[out.used[TRADING_DAYS]] = memory.trading[number]
            out.used[TRADING_DAYS] += 1
        day["series"] = number
        day["day_ends_ns"] = end_of_day(trade["at_ns"])
        day["trades"] = 0
        day["lots"] = 0
        day["notional_minor"] = 0
        day["primary_minor"] = 0
        day["fees_minor"] = 0
        day["taxes_minor"] = 0
        day["royalties_minor"] = 0
        day["first_position"] = position
    day["trades"] += 1
    day["lots"] += trade["lots"]
    day["notional_minor"] += notional
    day["primary_minor"] += notional if primary else 0
    day["fees_minor"] += trade["buyer_fee_minor"] + trade["seller_fee_minor"]
    day["taxes_minor"] += trade["tax_minor"]
    day["royalties_minor"] += trade["royalty_minor"]
    day["last_position"] = position
    day["day_changed"] = 1
    sale = notional if primary else 0
    royalty = 0 if primary else trade["royalty_minor"]
    if sale != 0 or royalty != 0:
        waterfall = int(memory.series[number]["waterfall"])
        split(memory, out, number, waterfall, trade["command"], trade["at_ns"], position, sale, royalty, 0)


@kernel
def give_back(memory: Memory, out: Out, refund: Any, version: int, position: int) -> int:
    """A negative sale by the weights that were frozen in the sale: an era of its own if they are not the newest.

    Returns the series whose newest era has to begin again, or NONE.
    """
    number = -int(refund["other"])
    newest = int(memory.series[number]["waterfall"])
    waterfall = newest
    while waterfall != NONE and memory.waterfalls[waterfall]["version"] != version:
        waterfall = int(memory.waterfalls[waterfall]["earlier"])
    if waterfall != newest:
        begin_era(memory, out, number, waterfall)
    split(memory, out, number, waterfall, refund["command"], refund["at_ns"], position, 0, 0, refund["amount_minor"])
    return NONE if waterfall == newest else number


@kernel
def split(
    memory: Memory,
    out: Out,
    number: int,
    waterfall: int,
    command: int,
    at_ns: int,
    position: int,
    sales: int,
    royalties: int,
    refunds: int,
) -> None:
    """Every payee of the version is entitled to its weight of what came."""
    begin_series_day(memory, out, number, at_ns, position)
    series = memory.series[number]
    amount = sales + royalties - refunds
    at = out.used[LINES] - 1
    if (
        at < 0
        or out.lines[at]["command"] != command
        or out.lines[at]["series"] != number
        or out.lines[at]["position"] != position
    ):
        at += 1
        out.used[LINES] += 1
        fresh = out.lines[at]
        fresh["series"] = number
        fresh["command"] = command
        fresh["position"] = position
        fresh["at_ns"] = at_ns
        fresh["era"] = series["era"]
        fresh["before_minor"] = series["era_minor"]
        fresh["sales_minor"] = 0
        fresh["royalties_minor"] = 0
        fresh["refunds_minor"] = 0
    line = out.lines[at]
    line["sales_minor"] += sales
    line["royalties_minor"] += royalties
    line["refunds_minor"] += refunds
    series["era_minor"] += amount
    series["suspense_minor"] += amount
    series["sales_minor"] += sales
    series["royalties_minor"] += royalties
    series["refunds_minor"] += refunds
    whole = amount // PPB
    rest = amount - whole * PPB
    first = memory.waterfalls[waterfall]["first"] if waterfall != NONE else 0
    count = memory.waterfalls[waterfall]["payees"] if waterfall != NONE else 0
    for row in range(first, first + count):
        slot = int(memory.weights[row]["slot"])
        weight = memory.weights[row]["weight_ppb"]
        begin_payee_day(memory, out, slot, at_ns, position)
        payee = memory.payees[slot]
        carry(memory, slot, whole * weight, rest * weight, position)
        payee["sales_minor"] += sales
        payee["royalties_minor"] += royalties
        payee["refunds_minor"] += refunds


@kernel
def pay(memory: Memory, out: Out, share: Any, position: int) -> None:
    """What was posted between suspense and a payee."""
    number = int(share["series"])
    amount = share["amount_minor"]
    given = max(amount, 0)
    taken = max(-amount, 0)
    begin_series_day(memory, out, number, share["at_ns"], position)
    series = memory.series[number]
    series["shares_minor"] += given
    series["reclaimed_minor"] += taken
    series["suspense_minor"] -= amount
    slot = slot_of(memory, number, int(share["payee"]), position)
    begin_payee_day(memory, out, slot, share["at_ns"], position)
    payee = memory.payees[slot]
    payee["shares_minor"] += given
    payee["reclaimed_minor"] += taken
    carry(memory, slot, -amount, 0, position)


@kernel
def begin_version(memory: Memory, out: Out, number: int, waterfall: int, heir: int, at_ns: int, position: int) -> None:
    """From here on a new version is the newest; what leavers carry goes to the payee in slot `heir`."""
    first = memory.waterfalls[waterfall]["first"]
    end = first + memory.waterfalls[waterfall]["payees"]
    slot = int(memory.series[number]["first_payee"])
    while slot != NONE:
        stays = False
        for row in range(first, end):
            stays = stays or memory.weights[row]["slot"] == slot
        leaver = memory.payees[slot]
        if not stays and (leaver["whole_minor"] != 0 or leaver["rest_ppb"] != 0):
            begin_payee_day(memory, out, slot, at_ns, position)
            begin_payee_day(memory, out, heir, at_ns, position)
            carry(memory, heir, leaver["whole_minor"], leaver["rest_ppb"], position)
            carry(memory, slot, -leaver["whole_minor"], -leaver["rest_ppb"], position)
        slot = int(leaver["next"])
    series = memory.series[number]
    series["waterfall"] = waterfall
    series["position"] = position
    begin_era(memory, out, number, waterfall)


@kernel
def begin_era(memory: Memory, out: Out, number: int, waterfall: int) -> None:
    """From here on the series is split by the weights of this version."""
    series = memory.series[number]
    series["era"] += 1
    series["era_minor"] = 0
    series["changed"] = 1
    first = memory.waterfalls[waterfall]["first"] if waterfall != NONE else 0
    count = memory.waterfalls[waterfall]["payees"] if waterfall != NONE else 0
    for row in range(first, first + count):
        payee = memory.payees[memory.weights[row]["slot"]]
        line = out.era_payees[out.used[ERA_PAYEES]]
        out.used[ERA_PAYEES] += 1
        line["series"] = number
        line["era"] = series["era"]
        line["payee"] = payee["payee"]
        line["version"] = memory.waterfalls[waterfall]["version"]
        line["weight_ppb"] = memory.weights[row]["weight_ppb"]
        line["carry_ppb"] = payee["whole_minor"] * PPB + payee["rest_ppb"]


@kernel
def slot_of(memory: Memory, number: int, payee: int, position: int) -> int:
    """The slot of a payee of a series, opened if there is none."""
    slot = int(memory.series[number]["first_payee"])
    while slot != NONE and memory.payees[slot]["payee"] != payee:
        slot = int(memory.payees[slot]["next"])
    if slot == NONE:
        slot = int(memory.used[0])
        memory.used[0] += 1
        row = memory.payees[slot]
        row["series"] = number
        row["payee"] = payee
        row["next"] = memory.series[number]["first_payee"]
        row["position"] = position
        row["changed"] = 1
        memory.series[number]["first_payee"] = slot
    return slot


@kernel
def carry(memory: Memory, slot: int, whole: int, rest: int, position: int) -> None:
    """Let a payee carry so much more; `rest` in 10^-9 minor units, below 10^18 both ways."""
    payee = memory.payees[slot]
    due = payee["rest_ppb"] + rest
    more = due // PPB
    payee["whole_minor"] += whole + more
    payee["rest_ppb"] = due - more * PPB
    payee["position"] = position
    payee["changed"] = 1


@kernel
def begin_series_day(memory: Memory, out: Out, number: int, at_ns: int, position: int) -> None:
    """Let the sums of a series be those of the day; its suspense is about to change."""
    row = memory.series[number]
    if at_ns >= row["day_ends_ns"]:
        if row["day_changed"]:
            out.series_days[out.used[SERIES_DAYS]] = memory.series[number]
            out.used[SERIES_DAYS] += 1
        row["day_ends_ns"] = end_of_day(at_ns)
        row["sales_minor"] = 0
        row["royalties_minor"] = 0
        row["refunds_minor"] = 0
        row["shares_minor"] = 0
        row["reclaimed_minor"] = 0
        row["suspense_before_minor"] = row["suspense_minor"]
        row["first_position"] = position
    row["last_position"] = position
    row["day_changed"] = 1
    row["position"] = position
    row["changed"] = 1


@kernel
def begin_payee_day(memory: Memory, out: Out, slot: int, at_ns: int, position: int) -> None:
    """Let the sums of a payee be those of the day; what it carries is about to change."""
    row = memory.payees[slot]
    if at_ns >= row["day_ends_ns"]:
        if row["day_changed"]:
            out.payee_days[out.used[PAYEE_DAYS]] = memory.payees[slot]
            out.used[PAYEE_DAYS] += 1
        row["day_ends_ns"] = end_of_day(at_ns)
        row["sales_minor"] = 0
        row["royalties_minor"] = 0
        row["refunds_minor"] = 0
        row["shares_minor"] = 0
        row["reclaimed_minor"] = 0
        row["first_position"] = position
    row["last_position"] = position
    row["day_changed"] = 1


@kernel
def end_of_day(at_ns: int) -> int:
    return (at_ns // DAY_NS + 1) * DAY_NS


@kernel
def compare(memory: Memory, number: int, amount: int, position: int) -> None:
    """After a block suspense holds what came and was not paid: the parts that payees carry, each below one."""
    series = memory.series[number]
    if series["series"] == 0:
        return  # Its account is opened before the series is listed.
    sound = series["suspense_minor"] == amount
    parts = 0
    slot = int(series["first_payee"])
    while slot != NONE:
        payee = memory.payees[slot]
        sound = sound and payee["whole_minor"] == 0
        parts += payee["rest_ppb"]
        slot = int(payee["next"])
    sound = sound and parts % PPB == 0 and parts // PPB == amount
    if not sound and series["difference_position"] == 0:
        series["difference_position"] = position
        series["changed"] = 1
