"""Client order ids: a name that a party gives its order may not be given again while the order lives, nor soon after.

An id is taken by the command that brought it, even one that was refused, for as long as its order is open and for seven
to fourteen days of house time after that. What is taken is kept in two generations. Every seven days the older one is
dropped but for the ids whose orders are still open, which begin a new life as young ones. Nothing here influences what
a command does once it is in the log, so it is no part of the state root.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from ledger.generations import Generation
from matching.book import GOLDEN, order_slot
from matching.layout import CLIENT_ID, NONE, Book, kernel

TURN_NS: Final = 7 * 86_400 * 1_000_000_000
WORDS: Final = 5
"""Of 8 bytes in a client order id and what fills it up."""
PARTY, ORDER, WIDTH = WORDS, WORDS + 1, WORDS + 2
"""Columns of a row after those of the id: whose it is, and the number of its order, 0 while or where there is none."""


@kernel
def client_id_home(row: Any, mask: int) -> int:
    """Preferred place of (id, party)."""
    mixed = np.int64(0)
    for at in range(PARTY + 1):
        mixed = (mixed ^ row[at]) * GOLDEN
        mixed = mixed ^ (mixed >> 32)
    return (mixed >> 8) & mask  # type: ignore[return-value]


@kernel
def find_client_id(rows: Any, index: Any, wanted: Any) -> int:
    """Row of (id, party), or NONE."""
    mask = len(index) - 1
    place = client_id_home(wanted, mask)
    while index[place] != NONE:
        row = rows[index[place]]
        same = True
        for at in range(PARTY + 1):
            same = same and row[at] == wanted[at]
        if same:
            return int(index[place])
        place = (place + 1) & mask
    return NONE


@kernel
def index_client_id(rows: Any, index: Any, number: int) -> None:
    mask = len(index) - 1
    place = client_id_home(rows[number], mask)
    while index[place] != NONE:
        place = (place + 1) & mask
    index[place] = number


@kernel
def index_client_ids(rows: Any, index: Any, count: int) -> None:
    for number in range(count):
        index_client_id(rows, index, number)


@kernel
def take_client_ids(old_rows: Any, old_index: Any, rows: Any, index: Any, count: int, asked: Any, places: Any) -> int:
    """Enter each of `asked` ([n, WIDTH] i8) whose id is free; returns how many rows are in use now.

    `places[i]` becomes its row, or NONE where the id is taken.
    """
    for at in range(len(asked)):
        wanted = asked[at]
        places[at] = NONE
        if find_client_id(rows, index, wanted) == NONE and find_client_id(old_rows, old_index, wanted) == NONE:
            for word in range(WIDTH):
                rows[count, word] = wanted[word]
            index_client_id(rows, index, count)
            places[at] = count
            count += 1
    return count


@kernel
def keep_open(rows: Any, count: int, book: Book) -> int:
    """Move the rows whose orders are open to the front; returns how many there are."""
    kept = 0
    for number in range(count):
        order = rows[number, ORDER]
        if order > 0 and order_slot(book, order) != NONE:
            for word in range(WIDTH):
                rows[kept, word] = rows[number, word]
            kept += 1
    return kept


def _generation() -> Generation:
    """Ids that were taken between two turns."""
    return Generation(lambda count: np.zeros((count, WIDTH), np.int64), index_client_ids)


class ClientIds:
    """The ids that are taken."""

    def __init__(self) -> None:
        self._young = _generation()
        self._old = _generation()
        self._turned_ns = 0

    def is_due(self, at_ns: int) -> bool:
        """Whether the generations must turn before an id is taken at `at_ns`."""
        return at_ns - self._turned_ns >= TURN_NS

    def turn(self, at_ns: int, book: Book) -> None:
        """Let the older generation go, but for ids of open orders. Every earlier command has ended."""
        kept = keep_open(self._old.rows, self._old.count, book)
        rows = self._old.rows[:kept].copy()
        self._old = self._young
        self._young = _generation()
        self._young.fill(rows)
        self._turned_ns = at_ns

    def take(self, ids: Any, parties: Any) -> Any:
        """Take `ids` (CLIENT_ID, none empty) for `parties` ([n] i4), in order.

        Returns places ([n] i8) for `remember`, NONE where an id was taken already.
        """
        young = self._young
        young.reserve(len(ids))
        asked = np.zeros((len(ids), WIDTH), np.int64)
        asked[:, :WORDS] = np.ascontiguousarray(ids).view(np.int64).reshape(-1, CLIENT_ID.itemsize // 8)[:, 1:]
        asked[:, PARTY] = parties
        places = np.empty(len(ids), np.int64)
        young.count = take_client_ids(
            self._old.rows, self._old.index, young.rows, young.index, young.count, asked, places
        )
        return places

    def remember(self, places: Any, orders: Any) -> None:
        """Note the numbers ([n] i8, 0 for none) of the orders that the commands at `places` became."""
        self._young.rows[places, ORDER] = orders

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """What is taken, for a snapshot."""
        yield "client_ids_young", self._young.rows[: self._young.count]
        yield "client_ids_old", self._old.rows[: self._old.count]
        yield "client_ids_turned", np.array([self._turned_ns], np.int64)

    def restore(self, arrays: dict[str, Any]) -> None:
        """Hold what `arrays` says. An empty one leaves this memory empty."""
        empty = np.zeros((0, WIDTH), np.int64)
        self._young.fill(arrays.get("client_ids_young", empty))
        self._old.fill(arrays.get("client_ids_old", empty))
        self._turned_ns = int(arrays["client_ids_turned"][0]) if "client_ids_turned" in arrays else 0
