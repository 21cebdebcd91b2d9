"""Accounts: finding and opening them, and the one way value moves between them.

An account is (owner, asset, kind). Its balance is credits minus debits, split into what is available and what is held
for open orders. A posting debits one account and credits another of the same asset by the same amount, so every entry
sums to zero in each asset because nothing else can be written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import uint32 as unsigned

from domain.values import AccountKind
from ledger.tables import NEGATIVE_KINDS, Out, Tables
from matching.book import GOLDEN
from matching.layout import NONE, Section, kernel

POSTINGS = int(Section.POSTINGS)
ACCOUNTS = int(Section.ACCOUNTS)
OUTSIDE, ISSUANCE, RECEIVABLE = (int(kind) for kind in NEGATIVE_KINDS)
AVAILABLE = int(AccountKind.AVAILABLE)
RETIRED = int(AccountKind.RETIRED)


@kernel
def account_home(owner: int, asset: int, kind: int, mask: int) -> int:
    """Preferred place of (owner, asset, kind) in the account index."""
    mixed = (np.int64(owner) * GOLDEN) ^ ((np.int64(asset) * 16 + kind) * np.int64(2685821657736338717))
    mixed = (mixed ^ (mixed >> 29)) * GOLDEN
    return (mixed >> 24) & mask  # type: ignore[return-value]


@kernel
def find_account(accounts: Any, index: Any, owner: int, asset: int, kind: int) -> int:
    """Number of the account (owner, asset, kind), or NONE."""
    mask = len(index) - 1
    place = account_home(owner, asset, kind, mask)
    while True:
        number = int(index[unsigned(place)])
        if number == NONE:
            return NONE
        account = accounts[unsigned(number)]
        if account["owner"] == owner and account["asset"] == asset and account["kind"] == kind:
            return number
        place = (place + 1) & mask


@kernel
def index_account(index: Any, owner: int, asset: int, kind: int, number: int) -> None:
    mask = len(index) - 1
    place = account_home(owner, asset, kind, mask)
    while index[unsigned(place)] != NONE:
        place = (place + 1) & mask
    index[unsigned(place)] = number


@kernel
def reindex_accounts(index: Any, accounts: Any, count: int) -> None:
    for number in range(count):
        account = accounts[unsigned(number)]
        index_account(index, int(account["owner"]), int(account["asset"]), int(account["kind"]), number)


def with_account_index_grown(tables: Tables) -> Tables:
    """The same tables with an account index of twice the size."""
    index = np.full(2 * len(tables.account_index), NONE, np.int32)
    reindex_accounts(index, tables.accounts, int(tables.tally["accounts"][0]))
    return tables._replace(account_index=index)


@kernel
def find_or_open(tables: Tables, out: Out, command: int, owner: int, asset: int, kind: int) -> int:
    """Number of the account, opened with a row of `accounts` if it does not exist."""
    number = find_account(tables.accounts, tables.account_index, owner, asset, kind)
    if number != NONE:
        return number
    tally = tables.tally[0]
    number = int(tally["accounts"])
    tally["accounts"] = number + 1
    account = tables.accounts[unsigned(number)]
    account["owner"] = owner
    account["asset"] = asset
    account["kind"] = kind
    index_account(tables.account_index, owner, asset, kind, number)
    row = out.accounts[unsigned(out.used[ACCOUNTS])]
    out.used[ACCOUNTS] += 1
    row["command"] = command
    row["account"] = number
    row["owner"] = owner
    row["asset"] = asset
    row["kind"] = kind
    return number


@kernel
def post(tables: Tables, out: Out, command: int, debit: int, credit: int, amount: int, code: int, fill: int) -> None:
    """Move `amount` from the available balance of `debit` to that of `credit` and write the posting."""
    tables.accounts[unsigned(debit)]["available"] -= amount
    tables.accounts[unsigned(credit)]["available"] += amount
    row = out.postings[unsigned(out.used[POSTINGS])]
    out.used[POSTINGS] += 1
    row["command"] = command
    row["debit"] = debit
    row["credit"] = credit
    row["amount"] = amount
    row["code"] = code
    row["fill"] = fill


@kernel
def hold(accounts: Any, account: int, amount: int) -> None:
    """Set `amount` (negative: give back) of the available balance aside. Not a posting: nothing changes hands."""
    accounts[unsigned(account)]["available"] -= amount
    accounts[unsigned(account)]["held"] += amount


@kernel
def may_go_negative(kind: int) -> bool:
    return kind == OUTSIDE or kind == ISSUANCE or kind == RECEIVABLE  # noqa: PLR1714  (plain for the JIT)
