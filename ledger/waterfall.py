"""The revenue split: each amount runs through the weights of a series, and what is not a whole minor unit is carried.

share = (carry + amount × weight) // 10^9 and carry = the rest, so over any number of sales a payee has received its
exact weight of the sum, rounded down once. What the shares leave is the suspense of the series: exactly the sum of its
carries divided by 10^9. A refund is the same computation with a negative amount.
"""

from __future__ import annotations

from numpy import uint32 as unsigned

from domain.values import PostingCode
from ledger.accounts import RECEIVABLE, find_or_open, post
from ledger.tables import Out, Tables
from matching.layout import NONE, PPB, kernel

SHARE = int(PostingCode.SHARE)
RECLAIM = int(PostingCode.RECLAIM)
RECEIVABLE_CODE = int(PostingCode.RECEIVABLE)


@kernel
def split(tables: Tables, out: Out, waterfall: int, suspense: int, command: int, fill: int, amount: int) -> None:
    """Pay the shares of `amount` (> 0, already in suspense) to the payees of a row of `waterfalls`."""
    rows = tables.waterfalls[unsigned(waterfall)]
    # amount × weight exceeds 63 bits, so the amount is cut into whole 10^9 (which divide evenly) and a rest.
    whole = amount // PPB
    rest = amount - whole * PPB
    first = int(rows["first"])
    for at in range(first, first + int(rows["count"])):
        payee = tables.payees[unsigned(at)]
        carry = tables.carries[unsigned(payee["carry"])]
        weight = payee["weight"]
        total = carry["remainder"] + rest * weight
        part = total // PPB
        carry["remainder"] = total - part * PPB
        share = whole * weight + part
        if share != 0:
            post(tables, out, command, suspense, int(payee["account"]), share, SHARE, fill)


@kernel
def unsplit(tables: Tables, out: Out, waterfall: int, suspense: int, command: int, amount: int) -> None:
    """A negative sale: bring `amount` (> 0) back into suspense from the payees of a row of `waterfalls`.

    A payee that no longer has its share owes it: the missing part is debited to its receivable account.
    """
    rows = tables.waterfalls[unsigned(waterfall)]
    whole = amount // PPB
    rest = amount - whole * PPB
    first = int(rows["first"])
    for at in range(first, first + int(rows["count"])):
        payee = tables.payees[unsigned(at)]
        carry = tables.carries[unsigned(payee["carry"])]
        weight = payee["weight"]
        total = carry["remainder"] - rest * weight
        part = total // PPB
        back = whole * weight - part
        if back <= 0:
            # The carry alone covers it; only one inherited from leavers can be above 10^9.
            carry["remainder"] = total - whole * weight * PPB
            continue
        carry["remainder"] = total - part * PPB
        account = int(payee["account"])
        row = tables.accounts[unsigned(account)]
        paid = min(back, row["available"])
        if paid > 0:
            post(tables, out, command, account, suspense, paid, RECLAIM, 0)
        if back > paid:
            owed = find_or_open(tables, out, command, int(row["owner"]), int(row["asset"]), RECEIVABLE)
            post(tables, out, command, owed, suspense, back - paid, RECEIVABLE_CODE, 0)


@kernel
def waterfall_of(tables: Tables, series: int, version: int) -> int:
    """Row of `waterfalls` of a version of a series, the one in force or an earlier one; NONE if there is none."""
    at = int(tables.series[unsigned(series)]["waterfall"])
    while at != NONE and tables.waterfalls[unsigned(at)]["version"] != version:
        at = int(tables.waterfalls[unsigned(at)]["previous"])
    return at
