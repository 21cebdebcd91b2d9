"""All the writer remembers: the catalogue, the kernel's tables, the number of the next command, the time.

It is a fold over the log and nothing else: facts go through `apply`, flow through `execute`. The writer, the shadow and
the verifier all use this one object, so what recovers a log is what wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from domain.canonical import fingerprint
from domain.catalogue import Catalogue
from domain.decisions import evolve
from domain.events import Envelope, Fact
from ledger.accounts import reindex_accounts
from ledger.effects import apply_fact
from ledger.execution import Stop, execute
from ledger.tables import LIMITS, Limits, Out, Tables, new_out, new_tables
from matching.book import UNTOUCHED, with_indexes_grown
from matching.layout import NONE, Section, zeros


class State:
    """The house at one moment."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        """`limits` hold until the log states its own, in its first fact."""
        self.catalogue = Catalogue()
        self.tables: Tables = new_tables(limits)
        self.out: Out = new_out()
        self.next_command = 1
        self.at_ns = 0

    @property
    def limits(self) -> Limits:
        """Greatest number of rows of each pool."""
        tables = self.tables
        return Limits(orders=len(tables.book.orders), levels=len(tables.book.levels), accounts=len(tables.accounts))

    def apply(self, envelope: Envelope, fact: Fact) -> None:
        """Let a fact take effect."""
        self.at_ns = max(self.at_ns, envelope.at_ns)
        self.next_command = max(self.next_command, envelope.command + 1)
        self.catalogue = evolve(self.catalogue, fact, at_ns=envelope.at_ns, command=envelope.command)
        self.tables = apply_fact(self.tables, self.catalogue, fact)

    def execute(self, commands: Any, legs: Any, at: int, leg_at: int) -> tuple[int, int, Stop]:
        """Run commands from `at` on into `self.out`, cleared before: (commands taken, legs taken, why it stopped)."""
        self.out.used[:] = 0
        before = at
        self.tables, at, leg_at, stop = execute(self.tables, commands, legs, self.out, at, leg_at)
        if at > before:
            last = commands[at - 1]
            self.next_command = int(last["command"]) + 1
            self.at_ns = int(last["at_ns"])
        return at, leg_at, stop

    def outcome(self) -> dict[Section, Any]:
        """The sections that the last `execute` wrote rows of, as views that the next one overwrites."""
        out = self.out
        used = out.used.tolist()
        written = (
            (Section.RESULTS, out.results),
            (Section.FILLS, out.fills),
            (Section.ENDINGS, out.endings),
            (Section.POSTINGS, out.postings),
            (Section.GRANTS, out.grants),
            (Section.ACCOUNTS, out.accounts),
        )
        return {section: rows[: used[section]] for section, rows in written if used[section]}

    @property
    def active_command(self) -> int:
        """Number of the command that waits to be continued, 0 if none does."""
        active = self.tables.active[0]
        return int(active["row"]["command"]) if active["running"] else 0

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Every array of the state between two commands by name, cut to the rows in use.

        Left out are the indexes and the best prices, which follow from them, and what an active command keeps for the
        next block.
        """
        assert not self.active_command, "the state is taken between two commands"
        tables = self.tables
        book = tables.book
        tally = tables.tally[0]
        orders = int(book.tally["orders_top"][0])
        levels = int(book.tally["levels_top"][0])
        series = int(tally["series"]) + 1
        yield "accounts", tables.accounts[: int(tally["accounts"])]
        yield "owners", tables.owners[: int(tally["parties"]) + 1]
        yield "series", tables.series[:series]
        yield "waterfalls", tables.waterfalls[: int(tally["waterfalls"])]
        yield "payees", tables.payees[: int(tally["payees"])]
        yield "carries", tables.carries[: int(tally["carries"])]
        yield "tally", tables.tally
        yield "terms", tables.terms[:orders]
        yield "orders", book.orders[:orders]
        yield "levels", book.levels[:levels]
        yield "roots", book.roots[:series]
        yield "best", book.best[:series]
        yield "book_tally", book.tally

    def root(self) -> bytes:
        """The state root: SHA-256 over the catalogue's fingerprint and every array by name, type, length and bytes.

        It leaves out recorded roots, log positions and ciphertext, so it depends on the commands alone.
        """
        digest = hashlib.sha256(fingerprint(self.catalogue))
        for name, rows in self.arrays():
            digest.update(f"{name} {rows.dtype.descr if rows.dtype.names else rows.dtype.str} {rows.shape}".encode())
            digest.update(np.ascontiguousarray(rows).data)
        return digest.digest()

    def restore(self, catalogue: Catalogue, arrays: dict[str, Any], next_command: int, at_ns: int) -> None:
        """Become the state that `arrays` (see `arrays()`) and `catalogue` were taken from."""
        self.catalogue = catalogue
        self.next_command = next_command
        self.at_ns = at_ns
        fresh = new_tables(self.limits)
        book = fresh.book._replace(
            roots=arrays["roots"],
            best=arrays["best"],
            touch=np.full(arrays["best"].shape, UNTOUCHED, np.int64),
            tally=arrays["book_tally"],
        )
        book.orders[: len(arrays["orders"])] = arrays["orders"]
        book.levels[: len(arrays["levels"])] = arrays["levels"]
        fresh.terms[: len(arrays["terms"])] = arrays["terms"]
        fresh.accounts[: len(arrays["accounts"])] = arrays["accounts"]
        book = with_indexes_grown(book)
        size = len(fresh.account_index)
        while size < 2 * (len(arrays["accounts"]) + 1):
            size *= 2
        index = np.full(size, NONE, np.int32)
        reindex_accounts(index, fresh.accounts, len(arrays["accounts"]))
        self.tables = fresh._replace(
            book=book,
            account_index=index,
            owners=_aligned(arrays["owners"]),
            series=_aligned(arrays["series"]),
            waterfalls=arrays["waterfalls"],
            payees=arrays["payees"],
            carries=arrays["carries"],
            tally=arrays["tally"],
        )


def _aligned(array: Any) -> Any:
    """A copy that begins at a cache line."""
    copy = zeros(len(array), array.dtype)
    copy[:] = array
    return copy
