"""What the order flow means to readers: a fold of facts and flow blocks into lives of orders, trades, depth, balances.

One fold serves everybody who reads: the follower feeds read models from it, the doors' live depth is it. Everything
comes from the log alone; what the log does not state row by row (the hold of a resting order after a fill, the fee of
each trade) is computed by the rules of `docs/reference/execution.md`. The twin is `projections.reference`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from domain.catalogue import Catalogue
from domain.events import Envelope, Fact, FeeScheduleAdopted, PartyRegistered, SeriesListed, TaxRateSet
from domain.values import PostingCode
from ledger.blocks import Block
from ledger.tables import Tables
from matching.layout import FLAG_PRIMARY, LAYOUTS, NONE, ORDER_INDEX, Section, Side, copied
from projections.flow_kernel import (
    CANCELED,
    FILLED,
    OPEN,
    PARTLY_FILLED,
    PRIMARY,
    REFUND,
    RESALE,
    Given,
    Memory,
    Out,
    fold_blocks,
    reindex,
)

Rows = Any
"""np.ndarray of the dtype that its name says."""

STATUS_OPEN: Final = OPEN
STATUS_FILLED: Final = FILLED
STATUS_CANCELED: Final = CANCELED
STATUS_PARTLY_FILLED: Final = PARTLY_FILLED
"""`status` of an order; the last one: it traded before the rest was canceled."""

SALE_PRIMARY: Final = PRIMARY
SALE_RESALE: Final = RESALE
SALE_REFUND: Final = REFUND
"""`sale` of a share: what the shared amount came from."""

ORDER_LIFE: Final = np.dtype(
    [
        ("order", "<i8"),
        ("command", "<i8"),  # that accepted it
        ("at_ns", "<i8"),  # of that command
        ("last_command", "<i8"),  # that touched it last
        ("last_at_ns", "<i8"),
        ("price_ticks", "<i8"),  # limit; protection of a market order
        ("lots", "<i8"),  # asked for: always filled + canceled + resting
        ("filled_lots", "<i8"),
        ("canceled_lots", "<i8"),
        ("resting_lots", "<i8"),  # left; an order that goes on in the next block counts as open
        ("hold_minor", "<i8"),  # held for it: minor units of the currency (buy), lots (sell)
        ("notional_minor", "<i8"),  # of its trades: paid (buy) or got (sell) before fees, tax and royalty
        ("fees_minor", "<i8"),  # negative: rebates
        ("taxes_minor", "<i8"),
        ("royalty_minor", "<i8"),
        ("party", "<i4"),
        ("series", "<i4"),
        ("side", "<i4"),
        ("tif", "<i4"),
        ("flags", "<i4"),
        ("status", "<i4"),
        ("end_reason", "<i4"),  # matching.layout.Ending; 0 while open and if it was filled
        ("unused", "<i4"),
    ]
)
"""An order after the block: one row for each that the block touched, in the order of its first touch."""
TRADE: Final = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("price_ticks", "<i8"),
        ("lots", "<i8"),
        ("notional_minor", "<i8"),
        ("maker_order", "<i8"),
        ("taker_order", "<i8"),
        ("buyer_fee_minor", "<i8"),
        ("seller_fee_minor", "<i8"),
        ("tax_minor", "<i8"),
        ("royalty_minor", "<i8"),
        ("fill", "<i4"),  # number of the fill within its command, from 0: with `command` the key
        ("series", "<i4"),
        ("taker_side", "<i4"),
        ("buyer", "<i4"),
        ("seller", "<i4"),
        ("primary", "<i4"),  # 1: out of unissued supply
    ]
)
"""One row per fill, in order."""
LEVEL: Final = np.dtype(
    [
        ("price_ticks", "<i8"),
        ("lots", "<i8"),  # 0: the level is gone
        ("orders", "<i8"),
        ("series", "<i4"),
        ("side", "<i4"),
    ]
)
"""A price level after the block: one row per (series, side, price) that the block touched."""
REFUSAL: Final = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("price_ticks", "<i8"),
        ("lots", "<i8"),
        ("target", "<i8"),
        ("party", "<i4"),
        ("actor", "<i4"),
        ("series", "<i4"),
        ("kind", "<i4"),
        ("side", "<i4"),
        ("tif", "<i4"),
        ("flags", "<i4"),
        ("code", "<i4"),
    ]
)
"""One row per command whose result is not 0, with its inputs as they were asked."""
BALANCE: Final = np.dtype(
    [
        ("available", "<i8"),
        ("held", "<i8"),
        ("account", "<i4"),
        ("owner", "<i4"),
        ("asset", "<i4"),  # s > 0: lots of series s; −c: minor units of currency c
        ("kind", "<i4"),
    ]
)
"""An account after the block: one row for each that was opened or whose balance or hold was touched."""
SHARE: Final = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("amount_minor", "<i8"),  # positive earned, negative given back (or owed)
        ("index", "<i4"),  # number of the share within its command, from 0: with `command` the key
        ("fill", "<i4"),
        ("series", "<i4"),
        ("payee", "<i4"),  # party; 0 the house
        ("currency", "<i4"),
        ("code", "<i4"),  # domain.values.PostingCode: SHARE, RECLAIM, RECEIVABLE
        ("sale", "<i4"),  # SALE_PRIMARY, SALE_RESALE, SALE_REFUND
        ("unused", "<i4"),
    ]
)
"""One row per posting between a series' suspense and a payee."""
SUSPENSE: Final = np.dtype(
    [("amount_minor", "<i8"), ("series", "<i4"), ("currency", "<i4")],
)
"""What is in the suspense of a series after the block: one row for each that was touched."""
GRANT_CHANGE: Final = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("change", "<i8"),
        ("lots", "<i8"),  # after it
        ("index", "<i4"),  # number of the row within its command, from 0: with `command` the key
        ("grant", "<i4"),
        ("holder", "<i4"),
        ("series", "<i4"),
        ("fill", "<i4"),
        ("unused", "<i4"),
    ]
)
"""One row per row of `grants`, in order."""
MOVEMENT: Final = np.dtype(
    [
        ("command", "<i8"),
        ("at_ns", "<i8"),
        ("amount_minor", "<i8"),  # positive: into the account
        ("balance_minor", "<i8"),  # available + held of the account after it
        ("index", "<i4"),  # number of the movement within its command, from 0: with `command` the key
        ("account", "<i4"),
        ("party", "<i4"),
        ("currency", "<i4"),
        ("kind", "<i4"),  # domain.values.AccountKind: AVAILABLE, RECEIVABLE
        ("other", "<i4"),  # owner of the other account: party, 0 the house, −s the series s
        ("code", "<i4"),  # domain.values.PostingCode
        ("fill", "<i4"),
    ]
)
"""A posting as a party's money account sees it: a line of its statement. One row per money account of a party (owner of
at least 1) in each posting, the debit before the credit."""


class FlowRows(NamedTuple):
    """What blocks changed, one after the other; arrays of the dtypes above that belong to the reader."""

    orders: Rows
    trades: Rows
    levels: Rows
    refusals: Rows
    balances: Rows
    shares: Rows
    suspense: Rows
    grants: Rows
    movements: Rows


class JoinedBlocks(NamedTuple):
    """The sections of several blocks, one block after the other."""

    positions: Rows
    """[blocks] in the log, ascending."""
    given: Given
    starts: Rows
    """[blocks + 1, sections of `given`]: where the rows of each block begin, and where those of the last one end."""

    def starts_of(self, section: Section) -> Rows:
        """[blocks + 1] of a section."""
        return self.starts[:, _SECTIONS.index(section)]


class BatchFlow(NamedTuple):
    """What several blocks did and changed."""

    blocks: JoinedBlocks
    rows: FlowRows
    ends: Rows
    """[blocks, kinds of FlowRows]: how many rows the blocks up to each one have."""

    def by_block(self) -> Iterator[FlowRows]:
        """The rows of each block, as views."""
        starts = [0] * len(FlowRows._fields)
        for ends in self.ends.tolist():
            yield FlowRows(*(rows[start:end] for rows, start, end in zip(self.rows, starts, ends, strict=True)))
            starts = ends

    def block_of(self, kind: str) -> Rows:
        """[rows] of a kind of FlowRows: the number of its block among the blocks, from 0."""
        ends = self.ends[:, FlowRows._fields.index(kind)]
        return np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))

    def position_of(self, kind: str) -> Rows:
        """[rows] of a kind of FlowRows: the position of its block."""
        return self.blocks.positions[self.block_of(kind)]


# What is remembered. These arrays are kept with a generation, so a changed layout makes another `runner.FLOW_VERSION`.

_ACCOUNT: Final = np.dtype(
    [("available", "<i8"), ("held", "<i8"), ("owner", "<i4"), ("asset", "<i4"), ("kind", "<i4"), ("row", "<i4")]
)
_TERM: Final = np.dtype(
    [
        ("fee_rest", "<i8"),  # exact fee so far minus fee charged so far, in 10^-6 minor units
        ("levy_rest", "<i8"),  # the same for the tax of a buy, the royalty of a sell
        ("account", "<i4"),  # where its hold lies, NONE for a primary sell
        ("maker_ppm", "<i4"),
        ("taker_ppm", "<i4"),
        ("levy_ppm", "<i4"),
        ("level", "<i4"),  # NONE until it rests
        ("row", "<i4"),  # in the block at hand
        ("next_free", "<i4"),
        ("unused", "<i4"),
    ]
)
_LEVEL: Final = np.dtype(
    [
        ("price", "<i8"),  # found by the index of `matching.book`, which wants price, series and side by these names
        ("lots", "<i8"),
        ("orders", "<i8"),
        ("series", "<i4"),  # 0 in a free slot
        ("side", "<i4"),
        ("row", "<i4"),
        ("next_free", "<i4"),
    ]
)
_SERIES: Final = np.dtype([("tick_minor", "<i8"), ("currency", "<i4"), ("royalty_ppm", "<i4")])
_COUNTRY: Final = np.dtype("S2")
_RATE: Final = np.dtype([("country", _COUNTRY), ("tax_ppm", "<i4")])
_TALLY: Final = np.dtype(
    [
        (name, "<i8")
        for name in (
            "next_order",
            "accounts",
            "open_orders",
            "orders_top",
            "orders_free",
            "levels_top",
            "levels_free",
            "levels_open",
            "maker_ppm",
            "taker_ppm",
            "active_command",  # the command that goes on in the next block, 0 if none
            "active_at_ns",
            "active_slot",  # of its new order, NONE for a mass cancel
            "active_fills",
            "posted_command",  # the last command that posted, and what its next rows are numbered
            "next_share",
            "next_movement",
            "granted_command",
            "next_grant_change",
        )
    ]
)
_SMALLEST: Final = 1 << 10
_SECTIONS: Final = (
    Section.COMMANDS,
    Section.RESULTS,
    Section.FILLS,
    Section.ENDINGS,
    Section.POSTINGS,
    Section.GRANTS,
    Section.ACCOUNTS,
)
"""In the order of `Given`."""
_OUTS: Final = {
    "orders": ORDER_LIFE,
    "trades": TRADE,
    "levels": LEVEL,
    "refusals": REFUSAL,
    "balances": BALANCE,
    "shares": SHARE,
    "suspense": SUSPENSE,
    "grants": GRANT_CHANGE,
    "movements": MOVEMENT,
}
assert tuple(_OUTS) == FlowRows._fields


_REFUND: Final = int(PostingCode.REFUND)
_TAKEN: Final = (PartyRegistered, FeeScheduleAdopted, TaxRateSet, SeriesListed)
"""Facts that the fold takes; the others are nothing to it."""


class FlowFold:
    """The fold: everything that must be remembered to read the next block."""

    def __init__(self) -> None:
        """Before the first entry of the log."""
        self._memory = Memory(
            accounts=np.zeros(_SMALLEST, _ACCOUNT),
            account_index=np.full(2 * _SMALLEST, NONE, np.int32),
            lives=np.zeros(_SMALLEST, ORDER_LIFE),
            terms=np.zeros(_SMALLEST, _TERM),
            order_index=np.zeros(2 * _SMALLEST, ORDER_INDEX),
            levels=np.zeros(_SMALLEST, _LEVEL),
            level_index=np.full(2 * _SMALLEST, NONE, np.int32),
            series=np.zeros(16, _SERIES),
            taxes=np.zeros(16, np.int32),
            tally=np.zeros(1, _TALLY),
        )
        tally = self._memory.tally
        tally["next_order"] = 1
        tally["orders_free"] = tally["levels_free"] = tally["active_slot"] = NONE
        self._countries = np.zeros(16, _COUNTRY)
        self._rates: dict[bytes, int] = {}
        self._out: Out | None = None

    # -- folding -------------------------------------------------------------------------------------------------------

    def apply_fact(self, envelope: Envelope, fact: Fact) -> None:  # noqa: ARG002  (every fold takes both)
        """Let a fact take effect: parties, rates, series."""
        memory = self._memory
        match fact:
            case PartyRegistered():
                self._register(fact.party, fact.country)
            case FeeScheduleAdopted():
                memory.tally["maker_ppm"] = fact.maker_ppm
                memory.tally["taker_ppm"] = fact.taker_ppm
            case TaxRateSet():
                country = fact.country.encode()
                self._rates[country] = fact.tax_ppm
                memory.taxes[self._countries == country] = fact.tax_ppm
            case SeriesListed():
                self._list(fact.series, fact.tick_minor, fact.currency, fact.royalty_ppm)
            case _:
                pass

    def _register(self, party: int, country: str) -> None:
        self._countries = grown(self._countries, party + 1)
        self._memory = self._memory._replace(taxes=grown(self._memory.taxes, party + 1))
        self._countries[party] = country.encode()
        self._memory.taxes[party] = self._rates.get(country.encode(), 0)

    def _list(self, series: int, tick_minor: int, currency: int, royalty_ppm: int) -> None:
        self._memory = self._memory._replace(series=grown(self._memory.series, series + 1))
        self._memory.series[series] = (tick_minor, currency, royalty_ppm)

    def apply_block(self, block: Block) -> FlowRows:
        """Fold one block; the rows are copies that stay valid."""
        return self.apply([(0, block)], ()).rows

    def apply(self, blocks: Sequence[tuple[int, Block]], facts: Sequence[tuple[int, Envelope, Fact]]) -> BatchFlow:
        """Fold blocks and facts in the order of their positions; the rows are copies that stay valid."""
        joined = joined_blocks(blocks)
        out = self._out = _out_for(joined, self._out)
        ends = np.zeros((len(blocks), len(_OUTS)), np.int64)
        done = 0
        for position, envelope, fact in facts:
            if isinstance(fact, _TAKEN):
                before = int(np.searchsorted(joined.positions, position))
                self._fold(joined, done, before, out, ends)
                self.apply_fact(envelope, fact)
                done = before
        self._fold(joined, done, len(blocks), out, ends)
        rows = FlowRows(*(copied(getattr(out, kind)[: int(out.used[at])]) for at, kind in enumerate(_OUTS)))
        return BatchFlow(joined, rows, ends)

    def _fold(self, joined: JoinedBlocks, first: int, end: int, out: Out, ends: Rows) -> None:
        if first < end:
            self._make_room((joined.starts[end] - joined.starts[first]).tolist())
            fold_blocks(self._memory, joined.given, joined.starts, first, end, out, ends)

    def _make_room(self, counts: Sequence[int]) -> None:
        """Pools and indexes large enough for whatever blocks with so many rows of each section may open."""
        memory = self._memory
        commands, *_, opened = counts
        tally = memory.tally[0]
        accounts = int(tally["accounts"]) + opened
        orders = int(tally["orders_top"]) + commands
        levels = int(tally["levels_top"]) + commands + 1
        memory = memory._replace(
            accounts=grown(memory.accounts, accounts),
            lives=grown(memory.lives, orders),
            terms=grown(memory.terms, orders),
            levels=grown(memory.levels, levels),
        )
        sizes = (
            _index_size(len(memory.account_index), accounts),
            _index_size(len(memory.order_index), int(tally["open_orders"]) + commands + 1),
            _index_size(len(memory.level_index), int(tally["levels_open"]) + commands + 1),
        )
        if sizes != (len(memory.account_index), len(memory.order_index), len(memory.level_index)):
            memory = _indexed(memory, *sizes)
        self._memory = memory

    # -- starting somewhere else than at the beginning -----------------------------------------------------------------

    def arrays(self) -> Iterator[tuple[str, Rows]]:
        """Everything remembered as named arrays, cut to the rows in use; indexes follow from them."""
        memory = self._memory
        tally = memory.tally[0]
        yield "accounts", memory.accounts[: tally["accounts"]]
        yield "lives", memory.lives[: tally["orders_top"]]
        yield "terms", memory.terms[: tally["orders_top"]]
        yield "levels", memory.levels[: tally["levels_top"]]
        yield "series", memory.series
        yield "taxes", memory.taxes
        yield "tally", memory.tally
        yield "countries", self._countries
        yield "rates", np.array(sorted(self._rates.items()), _RATE)

    @classmethod
    def restored(cls, arrays: Mapping[str, Rows]) -> Self:
        """The fold that `arrays()` was taken from; it takes copies."""
        fold = cls()
        fold._memory = _indexed(
            fold._memory._replace(
                **{name: arrays[name].copy() for name in ("series", "taxes", "tally")},
                **{name: grown(arrays[name], _SMALLEST).copy() for name in ("accounts", "lives", "terms", "levels")},
            ),
            *(
                _index_size(_SMALLEST, int(arrays["tally"][name][0]))
                for name in ("accounts", "open_orders", "levels_open")
            ),
        )
        fold._countries = arrays["countries"].copy()
        fold._rates = {bytes(country): int(tax_ppm) for country, tax_ppm in arrays["rates"]}
        return fold

    @classmethod
    def of_ledger(cls, tables: Tables, catalogue: Catalogue) -> Self:
        """A fold that goes on from the writer's state between two commands.

        The writer forgets what an open order has behind it: such orders begin with what is left of them, accepted by
        command 0 at time 0, without their earlier trades and costs. Everything else is exact.
        """
        assert not tables.active["running"][0], "the state is taken between two commands"
        fold = cls()
        for country, tax_ppm in catalogue.tax_rates.items():
            fold._rates[country.encode()] = tax_ppm
        for number, party in catalogue.parties.items():
            fold._register(number, party.country)
        if catalogue.fee_schedules:
            schedule = catalogue.fee_schedules[len(catalogue.fee_schedules)]
            fold._memory.tally["maker_ppm"] = schedule.maker_ppm
            fold._memory.tally["taker_ppm"] = schedule.taker_ppm
        for number in range(1, int(tables.tally["series"][0]) + 1):
            row = tables.series[number]
            fold._list(number, int(row["tick_minor"]), int(row["currency"]), int(row["royalty_ppm"]))
        arrays = dict(fold.arrays())
        count = int(tables.tally["accounts"][0])
        accounts = np.zeros(count, _ACCOUNT)
        for name in ("available", "held", "owner", "asset", "kind"):
            accounts[name] = tables.accounts[name][:count]
        accounts["row"] = NONE
        lives, terms, levels = _of_book(tables)
        tally = arrays["tally"]
        tally["accounts"] = count
        tally["next_order"] = tables.book.tally["next_order"]
        tally["orders_top"] = tally["open_orders"] = len(lives)
        tally["levels_top"] = tally["levels_open"] = len(levels)
        return cls.restored(arrays | {"accounts": accounts, "lives": lives, "terms": terms, "levels": levels})

    # -- questions -----------------------------------------------------------------------------------------------------

    def open_orders(self) -> Rows:
        """ORDER_LIFE of every open order, by number."""
        lives = self._memory.lives[: self._memory.tally["orders_top"][0]]
        return np.sort(lives[lives["order"] > 0], order="order")

    def levels(self) -> Rows:
        """LEVEL of every price level, by (series, side, price)."""
        levels = self._memory.levels[: self._memory.tally["levels_top"][0]]
        levels = np.sort(levels[levels["series"] > 0], order=["series", "side", "price"])
        rows = np.zeros(len(levels), LEVEL)
        for name in ("series", "side", "lots", "orders"):
            rows[name] = levels[name]
        rows["price_ticks"] = levels["price"]
        return rows

    def balances(self) -> Rows:
        """BALANCE of every account, by number."""
        count = int(self._memory.tally["accounts"][0])
        rows = np.zeros(count, BALANCE)
        for name in ("available", "held", "owner", "asset", "kind"):
            rows[name] = self._memory.accounts[name][:count]
        rows["account"] = np.arange(count)
        return rows


def joined_blocks(blocks: Sequence[tuple[int, Block]]) -> JoinedBlocks:
    """Blocks with their positions, joined; one block is not copied."""
    starts = np.zeros((len(blocks) + 1, len(_SECTIONS)), np.int64)
    given = []
    by_section = [[block.rows(section) for _, block in blocks] for section in _SECTIONS]
    np.cumsum([list(map(len, parts)) for parts in by_section], axis=1, out=starts[1:].T)
    for section, parts in zip(_SECTIONS, by_section, strict=True):
        full = [part for part in parts if len(part)]
        # Joined as bytes: numpy would copy records field by field.
        rows = full[0] if len(full) == 1 else np.frombuffer(b"".join(full), LAYOUTS[section])
        given.append(_read_only(rows))
    return JoinedBlocks(np.array([position for position, _ in blocks], np.int64), Given(*given), starts)


def _read_only(rows: Rows) -> Rows:
    """A view that cannot be written, as rows out of the log are: the kernel is compiled for one type only."""
    view = rows.view()
    view.flags.writeable = False
    return view


def refunds_at(rows: FlowRows) -> Rows:
    """Which movements paid a buyer back out of the suspense of a series."""
    moved = rows.movements
    return np.flatnonzero((moved["code"] == _REFUND) & (moved["other"] < 0) & (moved["amount_minor"] > 0))


def grown(array: Rows, rows: int) -> Rows:
    """`array` with room for `rows` rows, at least twice the size if it has to grow."""
    if rows <= len(array):
        return array
    larger = np.zeros(max(rows, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger


def _index_size(size: int, entries: int) -> int:
    """`size`, doubled until the index is at most half full."""
    while size < 2 * (entries + 1):
        size *= 2
    return size


def _indexed(memory: Memory, accounts: int, orders: int, levels: int) -> Memory:
    """The same memory with fresh indexes of these sizes."""
    memory = memory._replace(
        account_index=np.full(accounts, NONE, np.int32),
        order_index=np.zeros(orders, ORDER_INDEX),
        level_index=np.full(levels, NONE, np.int32),
    )
    reindex(memory)
    return memory


def _out_for(joined: JoinedBlocks, out: Out | None) -> Out:
    """Room for the rows of the blocks, all of `used` zero; the arrays of the last ones where they are large enough."""
    commands, results, fills, endings, postings, grants, opened = joined.starts[-1].tolist()
    # A block may go on with the command of the one before it.
    touched = commands + fills + endings + len(joined.positions)
    # A hold touches an account once per touched order, a posting two.
    touched_accounts = opened + 2 * touched + 2 * postings
    wanted = {
        "orders": touched + fills,
        "order_slots": touched + fills,
        "trades": fills,
        "levels": touched + fills,
        "level_slots": touched + fills,
        "refusals": results,
        "balances": touched_accounts + fills,
        "account_numbers": touched_accounts + fills,
        "shares": postings,
        "suspense": touched_accounts,
        "grants": grants,
        "movements": 2 * postings,
        "used": len(_OUTS),
    }
    arrays: dict[str, Rows] = {} if out is None else out._asdict()
    for name, rows in wanted.items():
        if name not in arrays or len(arrays[name]) < rows:
            arrays[name] = np.zeros(rows, _OUTS.get(name, np.int64 if name == "used" else np.int32))
    arrays["used"][:] = 0
    return Out(**arrays)


def _of_book(tables: Tables) -> tuple[Rows, Rows, Rows]:
    """Lives, terms and levels of the writer's open orders, without free slots between them."""
    book = tables.book
    top = int(book.tally["orders_top"][0])
    slots = np.flatnonzero((book.orders["number"][:top] > 0) & (book.orders["lots"][:top] > 0))
    orders, frozen = book.orders[slots], tables.terms[slots]
    open_levels, level = np.unique(orders["level"], return_inverse=True)
    levels = np.zeros(len(open_levels), _LEVEL)
    for name in ("price", "lots", "series", "side"):
        levels[name] = book.levels[name][open_levels]
    levels["orders"] = book.levels["count"][open_levels]
    levels["row"] = NONE
    primary = orders["primary"] != 0
    lives = np.zeros(len(slots), ORDER_LIFE)
    lives["order"] = orders["number"]
    lives["price_ticks"] = levels["price"][level]
    lives["lots"] = lives["resting_lots"] = orders["lots"]
    lives["hold_minor"] = orders["hold"]
    lives["party"] = orders["party"]
    lives["series"] = orders["series"]
    lives["side"] = orders["side"]
    lives["flags"] = np.where(primary, FLAG_PRIMARY, 0)
    lives["status"] = STATUS_OPEN
    terms = np.zeros(len(slots), _TERM)
    for name in ("fee_rest", "levy_rest", "maker_ppm", "taker_ppm", "levy_ppm"):
        terms[name] = frozen[name]
    terms["account"] = np.where(orders["side"] == Side.BUY, orders["cash"], np.where(primary, NONE, orders["units"]))
    terms["level"] = level
    terms["row"] = terms["next_free"] = NONE
    return lives, terms, levels
