"""What a trader asks: orders with their whole life, fills, balances and what holds them, grants, and the statement.

Fed from the flow fold, array by array. Amounts are minor units of the currency of their series or account, quantities
lots, prices ticks. Every row names the command behind it, and its block's position in the log where it has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Index, Row, Select, and_, case, func, literal_column, or_, select, tuple_

from domain.events import DepositRecorded, Envelope, Fact, SaleRefunded, WithdrawalRecorded
from domain.values import AccountKind, PostingCode
from ledger.blocks import Block
from matching.layout import FLAG_PRIMARY, Ending, Section, Side
from projections.flow import STATUS_OPEN, BatchFlow, refunds_at
from projections.projection import Batch
from projections.rows import PAGE_ROWS, WaitingRows, key, maybe_text, readable, text, total_of
from projections.schema import constant, integer, table

# -- tables ------------------------------------------------------------------------------------------------------------

ORDER_COLUMNS: Final = (
    "command",
    "at_ns",
    "last_command",
    "last_at_ns",
    "party",
    "series",
    "side",
    "tif",
    "flags",
    "price_ticks",
    "lots",
    "filled_lots",
    "canceled_lots",
    "resting_lots",
    "hold_minor",
    "notional_minor",
    "fees_minor",
    "taxes_minor",
    "royalty_minor",
    "status",
    "end_reason",
)
"""As of `projections.flow.ORDER_LIFE`."""

orders = table(
    "orders",
    key("order_number"),
    *map(integer, ORDER_COLUMNS),
    integer("position"),  # of the block that touched it last
    Index("orders_by_party", "party", "order_number"),
)
_OPEN: Final = orders.c.status == literal_column(str(STATUS_OPEN))
"""Written out, not as a parameter: SQLite uses a partial index only where the question states its condition."""
# With the status in it SQLite prefers it to the index of all orders of the party.
Index(
    "orders_open",
    orders.c.party,
    orders.c.status,
    orders.c.order_number,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

client_orders = table(
    "client_orders",
    key("order_number"),
    integer("party"),
    text("client_order_id"),
    integer("command"),
    Index("client_orders_by_id", "party", "client_order_id", "order_number"),
)
reductions = table(
    "reductions",
    key("order_number"),
    key("command"),
    integer("at_ns"),
    integer("lots"),  # taken off
    integer("position"),
)
"""Parts of orders that were taken off while the rest stayed; how an order ended is in its own row."""
refusals = table(
    "refusals",
    key("command"),
    integer("at_ns"),
    integer("party"),
    integer("actor"),
    integer("series"),
    integer("kind"),  # matching.layout.Kind
    integer("target"),
    integer("side"),
    integer("tif"),
    integer("flags"),
    integer("price_ticks"),
    integer("lots"),
    integer("code"),  # domain.rejections.Reason
    integer("position"),
    Index("refusals_by_party", "party", "command"),
)
fills = table(
    "fills",
    key("command"),
    key("fill"),  # of the command, from 0
    key("side"),
    integer("at_ns"),
    integer("party"),
    integer("order_number"),
    integer("series"),
    integer("maker"),  # 1: the order rested
    integer("is_primary"),  # 1: out of unissued supply
    integer("price_ticks"),
    integer("lots"),
    integer("notional_minor"),
    integer("fee_minor"),  # negative: a rebate
    integer("tax_minor"),
    integer("royalty_minor"),
    integer("position"),
    Index("fills_by_party", "party", "command", "fill", "side"),
)
"""A trade as one of its two parties sees it."""
_RESTED: Final = fills.c.maker == literal_column("1")
# What an order did as a taker is in the command that accepted it.
Index(
    "fills_by_order",
    fills.c.order_number,
    fills.c.command,
    fills.c.fill,
    sqlite_where=_RESTED,
    postgresql_where=_RESTED,
)
accounts = table(
    "accounts",
    key("account"),
    integer("owner"),  # a party, 0 the house, −s the series s itself
    integer("asset"),  # s > 0: lots of series s; −c: minor units of currency c
    integer("kind"),  # domain.values.AccountKind
    integer("available"),
    integer("held"),
    integer("position"),  # of the block that touched it last
    Index("accounts_by_owner", "owner", "account"),
    Index("accounts_by_asset", "asset", "account"),
)
grants = table(
    "grants",
    key("grant_number"),
    integer("holder"),
    integer("series"),
    integer("lots"),  # held now
    integer("bought_lots"),
    integer("sold_lots"),
    integer("returned_lots"),
    integer("command"),  # of the first purchase
    integer("at_ns"),
    integer("last_command"),
    integer("last_at_ns"),
    integer("position"),
    Index("grants_by_holder", "holder", "grant_number"),
    Index("grants_by_series", "series", "grant_number"),
)
PARTS: Final = {
    "trade_minor": (PostingCode.SALE,),
    "fee_minor": (PostingCode.MAKER_FEE, PostingCode.TAKER_FEE),
    "tax_minor": (PostingCode.TAX,),
    "royalty_minor": (PostingCode.ROYALTY,),
    "share_minor": (PostingCode.SHARE,),
}
"""Parts of a statement line and the postings they sum; `other_minor` has the rest."""
statement_lines = table(
    "statement_lines",
    key("account"),
    key("command"),
    key("line"),  # number of its first posting among the movements of the command
    integer("at_ns"),
    integer("party"),
    integer("currency"),
    integer("kind"),  # domain.values.AccountKind: AVAILABLE, or RECEIVABLE for what the party owes
    integer("series"),  # 0 for payments
    integer("code"),  # domain.values.PostingCode of its first posting
    integer("amount_minor"),  # into the account; the sum of the parts
    integer("balance_minor"),  # after it, available and held together
    *map(integer, PARTS),
    integer("other_minor"),
    integer("postings"),
    integer("position"),
)
"""What one command did to a money account of a party. A command that goes on in the next block has a line in each."""

payments = table(
    "payments",
    key("command"),
    integer("position"),
    integer("at_ns"),
    integer("actor"),
    integer("party"),
    integer("currency"),
    integer("code"),  # domain.values.PostingCode: DEPOSIT, WITHDRAWAL
    integer("amount_minor"),
    text("reference"),
    text("effective_day"),
    Index("payments_by_party", "party", "command"),
)
refunds = table(
    "refunds",
    key("command"),
    integer("position"),
    integer("at_ns"),
    integer("actor"),
    integer("trade_command"),
    integer("trade_fill"),
    integer("trade_lots"),
    integer("series"),
    integer("buyer"),
    integer("lots"),
    integer("price_ticks"),
    integer("waterfall_version"),
    integer("amount_minor"),
    maybe_text("reason"),
    Index("refunds_by_trade", "trade_command", "trade_fill", "command"),
    Index("refunds_by_buyer", "buyer", "command"),
)

constant(orders, "command", "at_ns", "party", "series", "side", "tif", "flags", "price_ticks", "lots")
constant(accounts, "owner", "asset", "kind")
constant(grants, "holder", "series", "command", "at_ns")

# -- the fold ----------------------------------------------------------------------------------------------------------

_GRANT: Final = np.dtype(
    [(column.name, "<i8") for column in grants.columns if column.name not in ("grant_number", "position")]
)


_PART_OF_CODE: Final = np.full(max(PostingCode) + 1, len(PARTS), np.int64)
"""Number of the part of a statement line to which a posting code belongs."""
for _number, _codes in enumerate(PARTS.values()):
    _PART_OF_CODE[[int(code) for code in _codes]] = _number


class Traders:
    """The read model of orders, fills, accounts, grants and statements."""

    name = "traders"
    version = 1
    tables = (
        orders,
        client_orders,
        reductions,
        refusals,
        fills,
        accounts,
        grants,
        statement_lines,
        payments,
        refunds,
    )

    def __init__(self) -> None:
        self._orders = WaitingRows(orders, again=True)
        self._client_orders = WaitingRows(client_orders)
        self._reductions = WaitingRows(reductions)
        self._refusals = WaitingRows(refusals)
        self._fills = WaitingRows(fills)
        self._accounts = WaitingRows(accounts, again=True)
        self._grants = WaitingRows(grants, again=True)
        self._statement_lines = WaitingRows(statement_lines)
        self._payments = WaitingRows(payments)
        self._refunds = WaitingRows(refunds)
        self._known_grants = np.zeros(1024, _GRANT)
        """By grant number."""

    def load(self, connection: Connection) -> None:
        asked = select(grants.c.grant_number, *(grants.c[name] for name in _names(_GRANT)))
        found = [(row[0], tuple(row[1:])) for row in connection.execute(asked)]
        self._make_room(max((number for number, _ in found), default=0))
        for number, row in found:
            self._known_grants[number] = row

    def fold(self, batch: Batch) -> None:
        for position, envelope, fact in batch.facts:
            self._fold_fact(position, envelope, fact)
        flow = batch.flow
        if len(flow.rows.orders):
            self._fold_orders(flow)
            self._fold_client_ids(batch.blocks, flow.rows.orders)
        if len(flow.rows.refusals):
            self._fold_refusals(flow)
        if len(flow.blocks.given.endings):
            self._fold_reductions(flow)
        if len(flow.rows.trades):
            self._fold_fills(flow)
        if len(flow.rows.grants):
            self._fold_grants(flow)
        if len(flow.rows.movements):
            self._fold_statement(flow)
        balances = flow.rows.balances
        if len(balances):
            names = ("account", "owner", "asset", "kind", "available", "held")
            self._accounts.put_columns(
                len(balances), **_columns(balances, names), position=flow.position_of("balances")
            )

    def write(self, connection: Connection) -> None:
        for rows in (
            self._orders,
            self._client_orders,
            self._reductions,
            self._refusals,
            self._fills,
            self._accounts,
            self._grants,
            self._statement_lines,
            self._payments,
            self._refunds,
        ):
            rows.write(connection)

    def _fold_fact(self, position: int, envelope: Envelope, fact: Fact) -> None:
        since = {
            "command": envelope.command,
            "position": position,
            "at_ns": envelope.at_ns,
            "actor": envelope.actor,
        }
        match fact:
            case DepositRecorded() | WithdrawalRecorded():
                code = PostingCode.DEPOSIT if isinstance(fact, DepositRecorded) else PostingCode.WITHDRAWAL
                self._payments.put(
                    **since,
                    party=fact.party,
                    currency=fact.currency,
                    code=int(code),
                    amount_minor=fact.amount_minor,
                    reference=fact.reference,
                    effective_day=fact.effective_day,
                )
            case SaleRefunded():
                self._refunds.put(
                    **since,
                    trade_command=fact.trade_command,
                    trade_fill=fact.trade_fill,
                    trade_lots=fact.trade_lots,
                    series=fact.series,
                    buyer=fact.buyer,
                    lots=fact.lots,
                    price_ticks=fact.price_ticks,
                    waterfall_version=fact.waterfall_version,
                    amount_minor=fact.amount_minor,
                    reason=readable(fact.reason),
                )

    def _fold_orders(self, flow: BatchFlow) -> None:
        lives = flow.rows.orders
        self._orders.put_columns(
            len(lives),
            order_number=lives["order"],
            **_columns(lives, ORDER_COLUMNS),
            position=flow.position_of("orders"),
        )

    def _fold_refusals(self, flow: BatchFlow) -> None:
        refused = flow.rows.refusals
        names = [column.name for column in refusals.columns if column.name != "position"]
        self._refusals.put_columns(len(refused), **_columns(refused, names), position=flow.position_of("refusals"))

    def _fold_reductions(self, flow: BatchFlow) -> None:
        endings = flow.blocks.given.endings
        at = np.flatnonzero(endings["reason"] == int(Ending.REDUCED))
        reduced = endings[at]
        if len(reduced):
            # A reduction is one unit of work, so its block has its command.
            commands = flow.blocks.given.commands
            block = np.searchsorted(flow.blocks.starts_of(Section.ENDINGS), at, side="right") - 1
            self._reductions.put_columns(
                len(reduced),
                order_number=reduced["order"],
                command=reduced["command"],
                at_ns=commands["at_ns"][np.searchsorted(commands["command"], reduced["command"])],
                lots=reduced["lots"],
                position=flow.blocks.positions[block],
            )

    def _fold_client_ids(self, blocks: Sequence[tuple[int, Block]], lives: Any) -> None:
        """A refused order has no life, so nothing is kept of its name."""
        parts = [part for _, block in blocks if len(part := block.rows(Section.CLIENT_IDS))]
        if not parts:
            return
        named = np.concatenate(parts)
        # The row in which an order begins is the first of those with its command.
        commands, first = np.unique(lives["command"], return_index=True)
        at = np.minimum(np.searchsorted(commands, named["command"]), len(commands) - 1)
        accepted = commands[at] == named["command"]
        life, named = lives[first[at[accepted]]], named[accepted]
        self._client_orders.put_columns(
            len(named),
            order_number=life["order"],
            party=life["party"],
            client_order_id=np.array([name.decode("ascii") for name in named["client_order_id"].tolist()], object),
            command=named["command"],
        )

    def _fold_fills(self, flow: BatchFlow) -> None:
        trades = flow.rows.trades
        positions = flow.position_of("trades")
        for side, party, fee in ((Side.BUY, "buyer", "buyer_fee_minor"), (Side.SELL, "seller", "seller_fee_minor")):
            takes = trades["taker_side"] == int(side)
            buys = side is Side.BUY
            self._fills.put_columns(
                len(trades),
                party=trades[party],
                side=int(side),
                order_number=np.where(takes, trades["taker_order"], trades["maker_order"]),
                maker=(~takes).astype(np.int64),
                is_primary=trades["primary"],
                fee_minor=trades[fee],
                tax_minor=trades["tax_minor"] if buys else 0,
                royalty_minor=0 if buys else trades["royalty_minor"],
                **_columns(trades, ("command", "fill", "at_ns", "series", "price_ticks", "lots", "notional_minor")),
                position=positions,
            )

    def _fold_grants(self, flow: BatchFlow) -> None:
        changes = flow.rows.grants
        numbers, first, of_number = np.unique(changes["grant"], return_index=True, return_inverse=True)
        self._make_room(int(numbers[-1]))
        known = self._known_grants
        fresh = known["command"][numbers] == 0
        for name in ("holder", "series", "command", "at_ns"):
            known[name][numbers[fresh]] = changes[name][first[fresh]]
        # The last row of a grant has its lots now.
        last = len(changes) - 1 - np.unique(changes["grant"][::-1], return_index=True)[1]
        known["lots"][numbers] = changes["lots"][last]
        known["last_command"][numbers] = changes["command"][last]
        known["last_at_ns"][numbers] = changes["at_ns"][last]
        refunded = flow.rows.movements["command"][refunds_at(flow.rows)]
        back = np.isin(changes["command"], refunded)
        for name, counts in (
            ("bought_lots", changes["change"] > 0),
            ("sold_lots", (changes["change"] < 0) & ~back),
            ("returned_lots", (changes["change"] < 0) & back),
        ):
            lots = np.zeros(len(numbers), np.int64)
            np.add.at(lots, of_number[counts], np.abs(changes["change"][counts]))
            known[name][numbers] += lots
        self._grants.put_columns(
            len(numbers),
            grant_number=numbers,
            **_columns(known[numbers], _names(_GRANT)),
            position=flow.position_of("grants")[last],
        )

    def _make_room(self, number: int) -> None:
        if number >= len(self._known_grants):
            larger = np.zeros(max(number + 1, 2 * len(self._known_grants)), _GRANT)
            larger[: len(self._known_grants)] = self._known_grants
            self._known_grants = larger

    def _fold_statement(self, flow: BatchFlow) -> None:
        """One line for all movements of a command on an account in a block."""
        moved = flow.rows.movements
        # Rows of an account stay in the order of the log, so a change of command or block in it begins a new line.
        order = np.argsort(moved["account"], kind="stable")
        account, command, amounts = (moved[name][order] for name in ("account", "command", "amount_minor"))
        block = flow.block_of("movements")[order]
        starts = np.append(
            True, (account[1:] != account[:-1]) | (command[1:] != command[:-1]) | (block[1:] != block[:-1])
        )
        first = np.flatnonzero(starts)
        last = np.append(first[1:], len(moved)) - 1
        begins = moved[order[first]]
        part_of = _PART_OF_CODE[moved["code"][order]]
        parts = {
            name: np.add.reduceat(np.where(part_of == number, amounts, 0), first)
            for number, name in enumerate((*PARTS, "other_minor"))
        }
        # The other end is the suspense of a series (−s), or a party.
        suspense = np.minimum(np.minimum.reduceat(moved["other"][order], first), 0)
        self._statement_lines.put_columns(
            len(first),
            **_columns(begins, ("account", "command", "at_ns", "party", "currency", "kind", "code")),
            line=begins["index"],
            series=np.where(suspense < 0, -suspense, _series_traded(flow, begins["command"], block[first])),
            amount_minor=np.add.reduceat(amounts, first),
            balance_minor=moved["balance_minor"][order[last]],
            **parts,
            postings=last - first + 1,
            position=flow.blocks.positions[block[first]],
        )


def _series_traded(flow: BatchFlow, commands: Any, blocks: Any) -> Any:
    """The series in which each command traded in a block, 0 where it did not."""
    trades = flow.rows.trades
    if not len(trades):
        return np.zeros(len(commands), np.int64)
    # Both commands and blocks run upward, so one number orders them.
    count = len(flow.ends)
    traded = trades["command"] * count + flow.block_of("trades")
    wanted = commands * count + blocks
    at = np.minimum(np.searchsorted(traded, wanted), len(trades) - 1)
    return np.where(traded[at] == wanted, trades["series"][at], 0)


def _columns(rows: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: rows[name] for name in names}


def _names(dtype: np.dtype[np.void]) -> Sequence[str]:
    assert dtype.names is not None
    return dtype.names


# -- questions ---------------------------------------------------------------------------------------------------------
# Lists of what happened are newest first and go on after the key of the last row.

Found = Row[Any]


class Range(NamedTuple):
    """Which time, commands or positions are asked for; both ends belong to it, None does not narrow."""

    first_at_ns: int | None = None
    last_at_ns: int | None = None
    first_command: int | None = None
    last_command: int | None = None
    first_position: int | None = None
    last_position: int | None = None


ANY_RANGE: Final = Range()


def all_orders(
    connection: Connection,
    *,
    party: int | None = None,
    series: int | None = None,
    statuses: Sequence[int] | None = None,
    side: int | None = None,
    within: Range = ANY_RANGE,
    after: int | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Orders (with `client_order_id`, or None), those with a smaller number than `after`.

    `within` means their acceptance; its positions the block that touched them last.
    """
    asked = _orders_with_client_ids().order_by(orders.c.order_number.desc()).limit(limit)
    for column, value in ((orders.c.party, party), (orders.c.series, series), (orders.c.side, side)):
        if value is not None:
            asked = asked.where(column == value)
    if statuses is not None:
        asked = asked.where(_OPEN if list(statuses) == [STATUS_OPEN] else orders.c.status.in_(statuses))
    if after is not None:
        asked = asked.where(orders.c.order_number < after)
    return connection.execute(within_range(asked, within, orders)).all()


def order(connection: Connection, number: int) -> Found | None:
    """As a row of `all_orders`."""
    return connection.execute(_orders_with_client_ids().where(orders.c.order_number == number)).first()


def order_by_client_id(connection: Connection, party: int, client_order_id: str) -> Found | None:
    """The newest order of the party with this client order id."""
    return connection.execute(
        _orders_with_client_ids()
        .where(client_orders.c.party == party, client_orders.c.client_order_id == client_order_id)
        .order_by(orders.c.order_number.desc())
        .limit(1)
    ).first()


class Life(NamedTuple):
    """One order from its acceptance to its end."""

    order: Found
    fills: Sequence[Found]
    """In the order of the log."""
    reductions: Sequence[Found]
    """In the order of the log."""
    whole: bool
    """False where there are more fills than asked for."""


def order_life(connection: Connection, number: int, *, limit: int = 1_000) -> Life | None:
    found = order(connection, number)
    if found is None:
        return None
    made = fills_of_order(connection, number, limit=limit + 1)
    taken_off = connection.execute(
        select(reductions).where(reductions.c.order_number == number).order_by(reductions.c.command)
    ).all()
    return Life(order=found, fills=made[:limit], reductions=taken_off, whole=len(made) <= limit)


def fills_of_order(
    connection: Connection, number: int, *, after: tuple[int, int] | None = None, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    """Fills of an order in the order of the log, after (command, fill)."""
    at = (fills.c.command, fills.c.fill)
    accepted = select(orders.c.command).where(orders.c.order_number == number).scalar_subquery()
    rested = select(fills).where(fills.c.order_number == number, _RESTED)
    took = select(fills).where(fills.c.command == accepted, fills.c.order_number == number, fills.c.maker == 0)
    asked = [one if after is None else one.where(tuple_(*at) > tuple_(*after)) for one in (took, rested)]
    found = asked[0].union_all(asked[1]).subquery()
    return connection.execute(select(found).order_by(found.c.command, found.c.fill).limit(limit)).all()


def fills_of_command(
    connection: Connection, command: int, *, after: tuple[int, int] | None = None, limit: int = PAGE_ROWS
) -> Sequence[Found]:
    """Both sides of every fill of a command, by (fill, side), after that key."""
    at = (fills.c.fill, fills.c.side)
    asked = select(fills).where(fills.c.command == command).order_by(*at).limit(limit)
    return connection.execute(asked if after is None else asked.where(tuple_(*at) > tuple_(*after))).all()


def all_fills(
    connection: Connection,
    party: int,
    *,
    series: int | None = None,
    side: int | None = None,
    within: Range = ANY_RANGE,
    after: tuple[int, int, int] | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Fills of a party, those before (command, fill, side) `after`."""
    at = (fills.c.command, fills.c.fill, fills.c.side)
    asked = select(fills).where(fills.c.party == party).order_by(*(column.desc() for column in at)).limit(limit)
    for column, value in ((fills.c.series, series), (fills.c.side, side)):
        if value is not None:
            asked = asked.where(column == value)
    if after is not None:
        asked = asked.where(tuple_(*at) < tuple_(*after))
    return connection.execute(within_range(asked, within, fills)).all()


def all_refusals(
    connection: Connection,
    *,
    party: int | None = None,
    series: int | None = None,
    codes: Sequence[int] | None = None,
    within: Range = ANY_RANGE,
    after: int | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Commands that were refused, those with a smaller number than `after`."""
    asked = select(refusals).order_by(refusals.c.command.desc()).limit(limit)
    for column, value in ((refusals.c.party, party), (refusals.c.series, series)):
        if value is not None:
            asked = asked.where(column == value)
    if codes is not None:
        asked = asked.where(refusals.c.code.in_(codes))
    if after is not None:
        asked = asked.where(refusals.c.command < after)
    return connection.execute(within_range(asked, within, refusals)).all()


def balances(connection: Connection, owner: int) -> Sequence[Found]:
    """Accounts of a party (0: of the house) by number: `available`, and `held` as its open orders explain it."""
    asked = select(accounts).where(accounts.c.owner == owner)
    return connection.execute(asked.order_by(accounts.c.account)).all()


def holds(
    connection: Connection,
    party: int,
    *,
    asset: int | None = None,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """What each open order of a party holds, by order number: columns of `orders`, and `asset`, `hold`.

    Summed by asset they are what is `held` of the party's accounts. A primary sale holds nothing on an account: it
    offers what is not issued yet.
    """
    suspense = accounts.alias("suspense")
    held_asset = case((orders.c.side == int(Side.SELL), orders.c.series), else_=suspense.c.asset)
    hold = case((orders.c.flags.op("&")(FLAG_PRIMARY) != 0, 0), else_=orders.c.hold_minor)
    asked: Select[Any] = (
        select(orders, held_asset.label("asset"), hold.label("hold"))
        .join(
            suspense,
            and_(suspense.c.owner == -orders.c.series, suspense.c.kind == int(AccountKind.SUSPENSE)),
        )
        .where(orders.c.party == party, _OPEN, orders.c.order_number > after)
        .order_by(orders.c.order_number)
        .limit(limit)
    )
    return connection.execute(asked if asset is None else asked.where(held_asset == asset)).all()


def holdings(connection: Connection, party: int) -> Sequence[Found]:
    """License units of a party by series: `available`, `held`, `in_use` and `retired` lots, where there are any."""
    by_kind = {
        "available": (AccountKind.AVAILABLE, accounts.c.available),
        "held": (AccountKind.AVAILABLE, accounts.c.held),
        "in_use": (AccountKind.IN_USE, accounts.c.available),
        "retired": (AccountKind.RETIRED, accounts.c.available),
    }
    sums = [
        total_of(case((accounts.c.kind == int(kind), lots), else_=0), name) for name, (kind, lots) in by_kind.items()
    ]
    asked: Select[Any] = (
        select(accounts.c.asset.label("series"), *sums, func.max(accounts.c.position).label("position"))
        .where(accounts.c.owner == party, accounts.c.asset > 0)
        .group_by(accounts.c.asset)
        .having(or_(*(total.element != 0 for total in sums)))
        .order_by(accounts.c.asset)
    )
    return connection.execute(asked).all()


def all_grants(
    connection: Connection,
    *,
    holder: int | None = None,
    series: int | None = None,
    held: bool | None = None,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Grants by number, those with a greater number than `after`; `held`: with or without lots now."""
    asked = select(grants).where(grants.c.grant_number > after).order_by(grants.c.grant_number).limit(limit)
    for column, value in ((grants.c.holder, holder), (grants.c.series, series)):
        if value is not None:
            asked = asked.where(column == value)
    if held is not None:
        asked = asked.where(grants.c.lots > 0 if held else grants.c.lots == 0)
    return connection.execute(asked).all()


def grant(connection: Connection, number: int) -> Found | None:
    return connection.execute(select(grants).where(grants.c.grant_number == number)).first()


class Units(NamedTuple):
    """What became of the lots of a series: issued = held by parties + in use + retired."""

    issued: int
    with_holders: int
    """Free to trade, those offered for sale among them."""
    in_use: int
    retired: int
    holders: int
    """Parties with lots, in use or not."""
    position: int


def units(connection: Connection, series: int) -> Units:
    issued = with_holders = in_use = retired = position = 0
    holding: set[int] = set()
    for row in connection.execute(select(accounts).where(accounts.c.asset == series)):
        lots = row.available + row.held
        position = max(position, row.position)
        match row.kind:
            case AccountKind.ISSUANCE:
                issued -= lots
            case AccountKind.AVAILABLE:
                with_holders += lots
            case AccountKind.IN_USE:
                in_use += lots
            case AccountKind.RETIRED:
                retired += lots
        if lots and row.kind in (AccountKind.AVAILABLE, AccountKind.IN_USE):
            holding.add(row.owner)
    return Units(issued, with_holders, in_use, retired, len(holding), position)


def trial_balance(connection: Connection) -> Sequence[Found]:
    """Sums of all accounts: `asset`, `kind`, `accounts`, `available`, `held`. Each asset adds up to 0."""
    return connection.execute(
        select(
            accounts.c.asset,
            accounts.c.kind,
            func.count().label("accounts"),
            total_of(accounts.c.available, "available"),
            total_of(accounts.c.held, "held"),
        )
        .group_by(accounts.c.asset, accounts.c.kind)
        .order_by(accounts.c.asset, accounts.c.kind)
    ).all()


def all_payments(
    connection: Connection,
    *,
    party: int | None = None,
    currency: int | None = None,
    codes: Sequence[int] | None = None,
    within: Range = ANY_RANGE,
    after: int | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Deposits and withdrawals, those of smaller commands than `after`."""
    asked = select(payments).order_by(payments.c.command.desc()).limit(limit)
    for column, value in ((payments.c.party, party), (payments.c.currency, currency)):
        if value is not None:
            asked = asked.where(column == value)
    if codes is not None:
        asked = asked.where(payments.c.code.in_(codes))
    if after is not None:
        asked = asked.where(payments.c.command < after)
    return connection.execute(within_range(asked, within, payments)).all()


def all_refunds(
    connection: Connection,
    *,
    buyer: int | None = None,
    series: int | None = None,
    trade: tuple[int, int] | None = None,
    within: Range = ANY_RANGE,
    after: int | None = None,
    limit: int = PAGE_ROWS,
) -> Sequence[Found]:
    """Refunds of sales, of the trade (command, fill) if given; those of smaller commands than `after`."""
    asked = select(refunds).order_by(refunds.c.command.desc()).limit(limit)
    for column, value in ((refunds.c.buyer, buyer), (refunds.c.series, series)):
        if value is not None:
            asked = asked.where(column == value)
    if trade is not None:
        asked = asked.where(refunds.c.trade_command == trade[0], refunds.c.trade_fill == trade[1])
    if after is not None:
        asked = asked.where(refunds.c.command < after)
    return connection.execute(within_range(asked, within, refunds)).all()


def refusal_counts(connection: Connection, *, party: int | None = None, within: Range = ANY_RANGE) -> Sequence[Found]:
    """How many commands were refused for which reason: `code`, `refusals`, `last_command`; the most frequent first."""
    refused = func.count()
    asked = select(refusals.c.code, refused.label("refusals"), func.max(refusals.c.command).label("last_command"))
    asked = asked.group_by(refusals.c.code).order_by(refused.desc(), refusals.c.code)
    if party is not None:
        asked = asked.where(refusals.c.party == party)
    return connection.execute(within_range(asked, within, refusals)).all()


class Statement(NamedTuple):
    """A money account of a party over a time: opening + amounts of its lines = closing."""

    opening_minor: int
    closing_minor: int
    """After the last line of the time."""
    lines_in_all: int
    totals_minor: dict[str, int]
    """Of all lines of the time: `amount_minor` and its parts."""
    lines: Sequence[Found]
    """A page, newest first."""


def statement(
    connection: Connection,
    party: int,
    currency: int,
    *,
    kind: int = AccountKind.AVAILABLE,
    within: Range = ANY_RANGE,
    series: int | None = None,
    after: tuple[int, int] | None = None,
    limit: int = PAGE_ROWS,
) -> Statement:
    """The statement of a party; its page goes on before (command, line) `after`. Payments have their `reference`.

    `series` narrows the page only.
    """
    lines = statement_lines
    account = connection.scalar(
        select(accounts.c.account).where(
            accounts.c.owner == party, accounts.c.asset == -currency, accounts.c.kind == int(kind)
        )
    )
    at = (lines.c.command, lines.c.line)
    newest_first = [column.desc() for column in at]
    of_account = lines.c.account == account
    asked: Select[Any] = select(lines, payments.c.reference).where(of_account).order_by(*newest_first)
    asked = asked.outerjoin_from(lines, payments, payments.c.command == lines.c.command)
    asked = within_range(asked, within, lines)
    last = connection.execute(asked.limit(1)).first()
    names = ("amount_minor", *PARTS, "other_minor")
    sums = [total_of(lines.c[name], name) for name in names]
    counted, *totals = connection.execute(
        within_range(select(func.count(), *sums).where(of_account), within, lines)
    ).one()
    if last is None:
        opening = closing = _balance_before(connection, of_account, within)
    else:
        closing = last.balance_minor
        opening = closing - totals[0]
    if series is not None:
        asked = asked.where(lines.c.series == series)
    if after is not None:
        asked = asked.where(tuple_(*at) < tuple_(*after))
    return Statement(
        opening_minor=opening,
        closing_minor=closing,
        lines_in_all=counted,
        totals_minor=dict(zip(names, totals, strict=True)),
        lines=connection.execute(asked.limit(limit)).all(),
    )


def _balance_before(connection: Connection, of_account: Any, within: Range) -> int:
    """The balance at the beginning of a time without lines; 0 where the time has no beginning."""
    lines = statement_lines
    begins = [lines.c[column] < first for column, first in _firsts(within) if first is not None]
    if not begins:
        return 0
    asked = select(lines.c.balance_minor).where(of_account, *begins)
    return connection.scalar(asked.order_by(lines.c.command.desc(), lines.c.line.desc()).limit(1)) or 0


def within_range(asked: Select[Any], within: Range, rows: Any) -> Select[Any]:
    """Only rows of the range; a table without positions or times must not be narrowed by them."""
    asked = asked.where(*(rows.c[column] >= first for column, first in _firsts(within) if first is not None))
    lasts = (("at_ns", within.last_at_ns), ("command", within.last_command), ("position", within.last_position))
    return asked.where(*(rows.c[column] <= last for column, last in lasts if last is not None))


def _firsts(within: Range) -> tuple[tuple[str, int | None], ...]:
    return (("at_ns", within.first_at_ns), ("command", within.first_command), ("position", within.first_position))


def _orders_with_client_ids() -> Select[Any]:
    return select(orders, client_orders.c.client_order_id).outerjoin(
        client_orders, client_orders.c.order_number == orders.c.order_number
    )
