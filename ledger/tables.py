"""The arrays that the execution kernel reads and writes: what the writer remembers of money, units and open orders.

They are dense and hold only signed integers, so a state root is a hash over their used rows. Hash tables beside them
(`account_index`, those of the book) follow from the rows and are never hashed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from domain.values import AccountKind
from matching.book import new_book
from matching.layout import (
    ACCOUNT_OPENED,
    COMMAND,
    ENDING,
    FILL,
    GRANT,
    LAYOUTS,
    NONE,
    POSTING,
    RESULT,
    Book,
    Section,
    zeros,
)

ACCOUNT = np.dtype(
    [
        ("available", "<i8"),
        ("held", "<i8"),
        ("owner", "<i4"),
        ("asset", "<i4"),
        ("kind", "<i4"),
        ("grant", "<i4"),  # number of the grant that a unit account stands for, 0 before the first purchase
    ]
)
OWNER = np.dtype(
    [
        ("roles", "<i4"),  # bits of domain.values.Role, and FROZEN
        ("cash", "<i4"),  # the money and the unit account of the last order, looked at before the account index
        ("currency", "<i4"),  # asset of the first of them, series of the second
        ("units", "<i4"),
        ("series", "<i4"),
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("tax_ppm", "<i4"),
        ("beneficial", "<i4"),  # the party at the root of declared ownership
        ("first", "<i4"),  # open orders in order of acceptance
        ("last", "<i4"),
        ("unused", "<i4", (5,)),
    ]
)
TERM = np.dtype(
    [
        ("fee_rest", "<i8"),  # exact fee so far minus fee charged so far, in 10^-6 minor units: never above zero
        ("levy_rest", "<i8"),  # the same for the tax of a buy, the resale royalty of a sell
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("levy_ppm", "<i4"),
        ("unused", "<i4"),
    ]
)
SERIES = np.dtype(
    [
        ("tick_minor", "<i8"),
        ("price_max", "<i8"),
        ("lots_max", "<i8"),
        ("notional_max", "<i8"),
        ("supply_cap", "<i8"),
        ("issued", "<i8"),
        ("reserved", "<i8"),  # unissued lots that open primary orders offer
        ("royalty_ppm", "<i4"),
        ("phase", "<i4"),
        ("currency", "<i4"),
        ("issuer", "<i4"),
        ("resale", "<i4"),
        ("waterfall", "<i4"),  # row of `waterfalls` in force, NONE before the first
        ("version", "<i4"),
        ("suspense", "<i4"),
        ("issuance", "<i4"),
        ("fees", "<i4"),
        ("taxes", "<i4"),
        ("unused", "<i4"),
    ]
)
WATERFALL = np.dtype([("series", "<i4"), ("version", "<i4"), ("first", "<i4"), ("count", "<i4"), ("previous", "<i4")])
PAYEE = np.dtype([("weight", "<i8"), ("account", "<i4"), ("carry", "<i4")])  # carry: row of `carries`
CARRY = np.dtype([("remainder", "<i8"), ("series", "<i4"), ("account", "<i4")])
TALLY = np.dtype(
    [
        ("accounts", "<i8"),
        ("grants", "<i8"),
        ("parties", "<i8"),
        ("series", "<i8"),
        ("waterfalls", "<i8"),
        ("payees", "<i8"),
        ("carries", "<i8"),
    ]
)
ACTIVE = np.dtype(
    [
        ("row", COMMAND),
        ("running", "<i8"),  # 1 while a command waits to be continued in the next block
        ("left", "<i8"),
        ("fills", "<i8"),
        ("order", "<i8"),  # number and slot of a new order
        ("slot", "<i8"),
        ("lots_done", "<i8"),  # of a mass cancel
        ("cursor", "<i8"),
    ]
)


FROZEN = 1 << 30
"""Bit beside the roles of a party that may not place orders."""


class Tables(NamedTuple):
    """All state of the kernel. One object, replaced only when an array was exchanged for a larger one."""

    book: Book
    accounts: np.ndarray[Any, np.dtype[np.void]]
    account_index: np.ndarray[Any, np.dtype[np.int32]]
    owners: np.ndarray[Any, np.dtype[np.void]]
    terms: np.ndarray[Any, np.dtype[np.void]]
    """[orders_max] of TERM, beside `book.orders`: what fees and taxes of an order depend on."""
    series: np.ndarray[Any, np.dtype[np.void]]
    waterfalls: np.ndarray[Any, np.dtype[np.void]]
    payees: np.ndarray[Any, np.dtype[np.void]]
    carries: np.ndarray[Any, np.dtype[np.void]]
    tally: np.ndarray[Any, np.dtype[np.void]]
    active: np.ndarray[Any, np.dtype[np.void]]


class Limits(NamedTuple):
    """Greatest number of rows of each pool; the fact that opens a log states them, so a replay refuses the same."""

    orders: int = 1 << 24
    levels: int = 1 << 22
    accounts: int = 1 << 24


LIMITS = Limits()
"""What a log gets that was not told otherwise: sixteen million open orders and as many accounts."""


def new_tables(limits: Limits) -> Tables:
    """The state before the first command."""
    tables = Tables(
        book=new_book(series_max=64, orders_max=limits.orders, levels_max=limits.levels),
        accounts=zeros(limits.accounts, ACCOUNT),
        account_index=np.full(1 << 12, NONE, np.int32),
        owners=zeros(64, OWNER),
        terms=zeros(limits.orders, TERM),
        series=zeros(64, SERIES),
        waterfalls=np.zeros(64, WATERFALL),
        payees=np.zeros(256, PAYEE),
        carries=np.zeros(256, CARRY),
        tally=np.zeros(1, TALLY),
        active=np.zeros(1, ACTIVE),
    )
    tables.owners[:] = fresh_owner()
    return tables


def fresh_owner() -> Any:
    """A row of `owners` before anything is known of the party."""
    owner = np.zeros((), OWNER)
    owner["cash"] = owner["units"] = owner["first"] = owner["last"] = NONE
    return owner


NEGATIVE_KINDS = (AccountKind.OUTSIDE, AccountKind.ISSUANCE, AccountKind.RECEIVABLE)
"""Contra accounts: the only ones that may go below zero."""

BLOCK_BYTES = 8 << 20
BLOCK_ROWS: dict[Section, int] = {
    Section.COMMANDS: 12_288,
    Section.RESULTS: 12_288,
    Section.FILLS: 12_288,
    Section.ENDINGS: 12_288,
    Section.POSTINGS: 65_536,
    Section.GRANTS: 12_288,
    Section.ACCOUNTS: 8_192,
}
"""Greatest number of rows of a section in one block. A request id and a client order id for each command and a leg for
each posting fit beside them into BLOCK_BYTES."""


class Room(IntEnum):
    """Rows that one worst-case unit of work (a fill, an ending, a journal of 64 legs, a refund to 64 payees) writes."""

    POSTINGS = 144
    ACCOUNTS = 72
    OTHER = 4


class Out(NamedTuple):
    """Where the kernel writes the sections of the block at hand; of which `used[section]` rows hold something."""

    results: np.ndarray[Any, np.dtype[np.void]]
    fills: np.ndarray[Any, np.dtype[np.void]]
    endings: np.ndarray[Any, np.dtype[np.void]]
    postings: np.ndarray[Any, np.dtype[np.void]]
    grants: np.ndarray[Any, np.dtype[np.void]]
    accounts: np.ndarray[Any, np.dtype[np.void]]
    used: np.ndarray[Any, np.dtype[np.int64]]


def new_out(rows: dict[Section, int] = BLOCK_ROWS) -> Out:
    return Out(
        results=np.zeros(rows[Section.RESULTS], RESULT),
        fills=np.zeros(rows[Section.FILLS], FILL),
        endings=np.zeros(rows[Section.ENDINGS], ENDING),
        postings=np.zeros(rows[Section.POSTINGS], POSTING),
        grants=np.zeros(rows[Section.GRANTS], GRANT),
        accounts=np.zeros(rows[Section.ACCOUNTS], ACCOUNT_OPENED),
        used=np.zeros(max(LAYOUTS) + 1, np.int64),
    )
