"""The flow fold in plain Python, one row after the other: what `projections.flow` must equal.

Where the compiled fold computes fees, tax and royalty by the rules, this one reads them from the postings, so the two
agree only if the rules are those that the log was written by.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from domain.events import Envelope, Fact, FeeScheduleAdopted, PartyRegistered, SeriesListed, TaxRateSet
from domain.values import PPM, AccountKind, PostingCode
from ledger.blocks import Block
from matching.layout import FLAG_PRIMARY, Ending, Kind, Section, Side
from projections.flow import (
    BALANCE,
    GRANT_CHANGE,
    LEVEL,
    MOVEMENT,
    ORDER_LIFE,
    REFUSAL,
    SALE_PRIMARY,
    SALE_REFUND,
    SALE_RESALE,
    SHARE,
    STATUS_CANCELED,
    STATUS_FILLED,
    STATUS_OPEN,
    STATUS_PARTLY_FILLED,
    SUSPENSE,
    TRADE,
    FlowRows,
)


@dataclass(slots=True)
class Account:
    owner: int
    asset: int
    kind: int
    available: int = 0
    held: int = 0


@dataclass(slots=True)
class Order:
    """An order's life and what is frozen in it."""

    number: int
    command: int
    at_ns: int
    party: int
    series: int
    side: int
    tif: int
    flags: int
    price: int
    lots: int
    maker_ppm: int
    taker_ppm: int
    levy_ppm: int
    account: int | None
    """Where its hold lies; None for a primary sell."""
    left: int = 0
    filled: int = 0
    canceled: int = 0
    hold: int = 0
    notional: int = 0
    fees: int = 0
    taxes: int = 0
    royalty: int = 0
    fee_rest: int = 0
    levy_rest: int = 0
    status: int = STATUS_OPEN
    end_reason: int = 0
    last_command: int = 0
    last_at_ns: int = 0
    rests: bool = False

    def row(self) -> dict[str, int]:
        return {
            "order": self.number,
            "command": self.command,
            "at_ns": self.at_ns,
            "last_command": self.last_command,
            "last_at_ns": self.last_at_ns,
            "price_ticks": self.price,
            "lots": self.lots,
            "filled_lots": self.filled,
            "canceled_lots": self.canceled,
            "resting_lots": self.left,
            "hold_minor": self.hold,
            "notional_minor": self.notional,
            "fees_minor": self.fees,
            "taxes_minor": self.taxes,
            "royalty_minor": self.royalty,
            "party": self.party,
            "series": self.series,
            "side": self.side,
            "tif": self.tif,
            "flags": self.flags,
            "status": self.status,
            "end_reason": self.end_reason,
        }


@dataclass(slots=True)
class Command:
    """A command at work: what of it the next block may go on with."""

    number: int
    at_ns: int
    order: Order | None
    fills: int = 0
    shares: int = 0
    movements: int = 0
    grants: int = 0


@dataclass(slots=True)
class ReferenceFlow:
    """Feed it facts and blocks in the order of the log; it gives what `projections.flow.FlowFold` gives."""

    accounts: list[Account] = field(default_factory=list)
    numbers: dict[tuple[int, int, int], int] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    """The open ones."""
    levels: dict[tuple[int, int, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    """[lots, orders] by (series, side, price)."""
    series: dict[int, SeriesListed] = field(default_factory=dict)
    countries: dict[int, str] = field(default_factory=dict)
    tax_rates: dict[str, int] = field(default_factory=dict)
    maker_ppm: int = 0
    taker_ppm: int = 0
    next_order: int = 1
    active: Command | None = None

    def apply_fact(self, envelope: Envelope, fact: Fact) -> None:  # noqa: ARG002
        match fact:
            case PartyRegistered():
                self.countries[fact.party] = fact.country
            case FeeScheduleAdopted():
                self.maker_ppm, self.taker_ppm = fact.maker_ppm, fact.taker_ppm
            case TaxRateSet():
                self.tax_rates[fact.country] = fact.tax_ppm
            case SeriesListed():
                self.series[fact.series] = fact
            case _:
                pass

    def apply_block(self, block: Block) -> FlowRows:
        return _BlockFold(self, block).rows()


class _BlockFold:
    """One block on top of a ReferenceFlow."""

    def __init__(self, flow: ReferenceFlow, block: Block) -> None:
        self.flow = flow
        self.block = block
        self.orders: dict[int, Order] = {}
        self.trades: list[dict[str, int]] = []
        self.levels: set[tuple[int, int, int]] = set()
        self.refusals: list[dict[str, int]] = []
        self.balances: set[int] = set()
        self.shares: list[dict[str, int]] = []
        self.grants: list[dict[str, int]] = []
        self.movements: list[dict[str, int]] = []
        self.results = {int(row["command"]): row for row in block.rows(Section.RESULTS)}
        self.fills = _by_command(block.rows(Section.FILLS))
        self.endings = _by_command(block.rows(Section.ENDINGS))
        self.postings = _by_command(block.rows(Section.POSTINGS))
        self.granted = _by_command(block.rows(Section.GRANTS))

    def rows(self) -> FlowRows:
        flow = self.flow
        for row in self.block.rows(Section.ACCOUNTS):
            assert int(row["account"]) == len(flow.accounts), row
            ref = int(row["owner"]), int(row["asset"]), int(row["kind"])
            flow.numbers[ref] = len(flow.accounts)
            flow.accounts.append(Account(*ref))
            self.balances.add(int(row["account"]))
        if flow.active is not None:
            self.go_on(flow.active)
        for row in self.block.rows(Section.COMMANDS):
            self.begin(row)
        return self.written()

    def begin(self, row: Any) -> None:
        result = self.results.get(int(row["command"]))
        if result is not None and result["code"] != 0:
            self.refusals.append(
                {name: int(row[name]) for name in ("command", "at_ns", "lots", "target", "actor", "series")}
                | {name: int(row[name]) for name in ("kind", "side", "tif", "flags")}
                | {"price_ticks": int(row["price"]), "party": int(row["account"]), "code": int(result["code"])}
            )
            return
        order = self.accepted(row) if row["kind"] == Kind.NEW else None
        self.go_on(Command(int(row["command"]), int(row["at_ns"]), order))

    def accepted(self, row: Any) -> Order:
        flow = self.flow
        party, series, side, flags = (int(row[name]) for name in ("account", "series", "side", "flags"))
        listed = flow.series[series]
        primary = bool(flags & FLAG_PRIMARY)
        if side == Side.BUY:
            levy_ppm = flow.tax_rates.get(flow.countries[party], 0)
            account: int | None = flow.numbers[party, -listed.currency, AccountKind.AVAILABLE]
        else:
            levy_ppm = 0 if primary else listed.royalty_ppm
            account = None if primary else flow.numbers[party, series, AccountKind.AVAILABLE]
        order = Order(
            number=flow.next_order,
            command=int(row["command"]),
            at_ns=int(row["at_ns"]),
            party=party,
            series=series,
            side=side,
            tif=int(row["tif"]),
            flags=flags,
            price=int(row["price"]),
            lots=int(row["lots"]),
            maker_ppm=0 if primary else flow.maker_ppm,
            taker_ppm=0 if primary else flow.taker_ppm,
            levy_ppm=levy_ppm,
            account=account,
            left=int(row["lots"]),
        )
        flow.next_order += 1
        self.hold(order)
        return order

    def go_on(self, command: Command) -> None:
        """Everything that the block says of a command."""
        flow = self.flow
        flow.active = None
        if command.order is not None:
            self.touch(command.order, command)
        for row in self.fills[command.number]:
            self.fill(command, row)
        for row in self.endings[command.number]:
            self.ending(command, row)
        self.post(command)
        self.grant(command)
        if command.number not in self.results:
            flow.active = command
        elif command.order is not None and command.order.left > 0:
            self.rest(command.order)
        elif command.order is not None and command.order.status == STATUS_OPEN:
            command.order.status = STATUS_FILLED

    def fill(self, command: Command, row: Any) -> None:
        taker = command.order
        assert taker is not None and taker.number == row["taker"], row
        maker = self.flow.orders[int(row["maker"])]
        self.touch(maker, command)
        buy, sell = (taker, maker) if taker.side == Side.BUY else (maker, taker)
        buy_code, sell_code = PostingCode.MAKER_FEE, PostingCode.TAKER_FEE
        buy_ppm, sell_ppm = buy.maker_ppm, sell.taker_ppm
        if taker is buy:
            buy_code, sell_code = sell_code, buy_code
            buy_ppm, sell_ppm = buy.taker_ppm, sell.maker_ppm
        primary = bool(sell.flags & FLAG_PRIMARY)
        lots, price = int(row["lots"]), int(row["price"])
        notional = price * self.flow.series[taker.series].tick_minor * lots
        posted = {int(p["code"]): p for p in self.postings[command.number] if p["fill"] == command.fills}
        fee, sell_fee = self.fee(posted.get(buy_code)), self.fee(posted.get(sell_code))
        tax, royalty = _amount(posted.get(PostingCode.TAX)), _amount(posted.get(PostingCode.ROYALTY))
        buy.fee_rest += notional * (max(buy_ppm, 0) if primary else buy_ppm) - fee * PPM
        buy.levy_rest += notional * buy.levy_ppm - tax * PPM
        sell.fee_rest += notional * sell_ppm - sell_fee * PPM
        # What was waived of a royalty does not come back.
        sell.levy_rest = min(sell.levy_rest + notional * sell.levy_ppm - royalty * PPM, 0)
        buy.fees += fee
        buy.taxes += tax
        sell.fees += sell_fee
        sell.royalty += royalty
        for order in (buy, sell):
            order.filled += lots
            order.left -= lots
            order.notional += notional
            self.hold(order)
        self.take_from_level(maker, lots)
        if maker.left == 0:
            maker.status = STATUS_FILLED
            del self.flow.orders[maker.number]
        self.trades.append(
            {
                "command": command.number,
                "fill": command.fills,
                "at_ns": command.at_ns,
                "series": taker.series,
                "price_ticks": price,
                "lots": lots,
                "notional_minor": notional,
                "maker_order": maker.number,
                "taker_order": taker.number,
                "taker_side": taker.side,
                "buyer": buy.party,
                "seller": sell.party,
                "primary": int(primary),
                "buyer_fee_minor": fee,
                "seller_fee_minor": sell_fee,
                "tax_minor": tax,
                "royalty_minor": royalty,
            }
        )
        command.fills += 1

    def fee(self, posting: Any) -> int:
        """What was charged: negative if the house paid."""
        if posting is None:
            return 0
        to = self.flow.accounts[int(posting["credit"])]
        return _amount(posting) if to.kind == AccountKind.FEE_REVENUE else -_amount(posting)

    def ending(self, command: Command, row: Any) -> None:
        own = command.order is not None and command.order.number == row["order"]
        order = command.order if own else self.flow.orders[int(row["order"])]
        assert order is not None
        lots = int(row["lots"])
        self.touch(order, command)
        order.canceled += lots
        order.left -= lots
        self.hold(order)
        if order.rests:
            self.take_from_level(order, lots)
        if order.left == 0:
            assert row["reason"] != Ending.REDUCED, row
            order.status = STATUS_PARTLY_FILLED if order.filled else STATUS_CANCELED
            order.end_reason = int(row["reason"])
            self.flow.orders.pop(order.number, None)

    def hold(self, order: Order) -> None:
        needed = order.left
        if order.side == Side.BUY and order.left:
            notional = order.price * self.flow.series[order.series].tick_minor * order.left
            dearest = max(order.maker_ppm, order.taker_ppm, 0)
            needed = (
                notional
                + _ceil_ppm(order.fee_rest + notional * dearest)
                + _ceil_ppm(order.levy_rest + notional * order.levy_ppm)
            )
        if order.account is not None:
            account = self.flow.accounts[order.account]
            account.available -= needed - order.hold
            account.held += needed - order.hold
            self.balances.add(order.account)
        order.hold = needed

    def rest(self, order: Order) -> None:
        order.rests = True
        self.flow.orders[order.number] = order
        level = self.flow.levels[order.series, order.side, order.price]
        level[0] += order.left
        level[1] += 1
        self.levels.add((order.series, order.side, order.price))

    def take_from_level(self, order: Order, lots: int) -> None:
        level = self.flow.levels[order.series, order.side, order.price]
        level[0] -= lots
        level[1] -= order.left == 0
        self.levels.add((order.series, order.side, order.price))

    def touch(self, order: Order, command: Command) -> None:
        order.last_command, order.last_at_ns = command.number, command.at_ns
        self.orders.setdefault(order.number, order)

    def post(self, command: Command) -> None:
        sale = 0
        for row in self.postings[command.number]:
            debit, credit, code = int(row["debit"]), int(row["credit"]), int(row["code"])
            payer, payee = self.flow.accounts[debit], self.flow.accounts[credit]
            amount = _amount(row)
            payer.available -= amount
            payee.available += amount
            self.balances |= {debit, credit}
            if code == PostingCode.SALE:
                sale = SALE_PRIMARY if payee.kind == AccountKind.SUSPENSE else SALE_RESALE
            elif code == PostingCode.SHARE:
                self.share(command, row, payer, payee.owner, amount, sale)
            elif code in (PostingCode.RECLAIM, PostingCode.RECEIVABLE):
                self.share(command, row, payee, payer.owner, -amount, SALE_REFUND)
            for number, own, other, moved in ((debit, payer, payee, -amount), (credit, payee, payer, amount)):
                if own.asset < 0 and own.owner > 0:
                    self.movements.append(
                        {
                            "command": command.number,
                            "at_ns": command.at_ns,
                            "amount_minor": moved,
                            "balance_minor": own.available + own.held,
                            "index": command.movements,
                            "account": number,
                            "party": own.owner,
                            "currency": -own.asset,
                            "kind": own.kind,
                            "other": other.owner,
                            "code": code,
                            "fill": int(row["fill"]),
                        }
                    )
                    command.movements += 1

    def share(self, command: Command, row: Any, suspense: Account, payee: int, amount: int, sale: int) -> None:
        self.shares.append(
            {
                "command": command.number,
                "at_ns": command.at_ns,
                "amount_minor": amount,
                "index": command.shares,
                "fill": int(row["fill"]),
                "series": -suspense.owner,
                "payee": payee,
                "currency": -suspense.asset,
                "code": int(row["code"]),
                "sale": sale,
            }
        )
        command.shares += 1

    def grant(self, command: Command) -> None:
        for row in self.granted[command.number]:
            self.grants.append(
                {name: int(row[name]) for name in ("command", "grant", "holder", "series", "fill", "change", "lots")}
                | {"at_ns": command.at_ns, "index": command.grants}
            )
            command.grants += 1

    def written(self) -> FlowRows:
        accounts = self.flow.accounts
        balances = [
            {
                "account": number,
                "owner": accounts[number].owner,
                "asset": accounts[number].asset,
                "kind": accounts[number].kind,
                "available": accounts[number].available,
                "held": accounts[number].held,
            }
            for number in sorted(self.balances)
        ]
        levels = []
        for series, side, price in sorted(self.levels):
            lots, orders = self.flow.levels[series, side, price]
            levels.append({"series": series, "side": side, "price_ticks": price, "lots": lots, "orders": orders})
            if not orders:
                del self.flow.levels[series, side, price]
        suspense = [
            {"series": -row["owner"], "currency": -row["asset"], "amount_minor": row["available"]}
            for row in balances
            if row["kind"] == AccountKind.SUSPENSE
        ]
        return FlowRows(
            orders=_array(ORDER_LIFE, (order.row() for order in self.orders.values())),
            trades=_array(TRADE, self.trades),
            levels=_array(LEVEL, levels),
            refusals=_array(REFUSAL, self.refusals),
            balances=_array(BALANCE, balances),
            shares=_array(SHARE, self.shares),
            suspense=_array(SUSPENSE, suspense),
            grants=_array(GRANT_CHANGE, self.grants),
            movements=_array(MOVEMENT, self.movements),
        )


def _by_command(rows: Any) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        found[int(row["command"])].append(row)
    return found


def _amount(posting: Any) -> int:
    return 0 if posting is None else int(posting["amount"])


def _ceil_ppm(amount: int) -> int:
    return -(-amount // PPM)


def _array(dtype: np.dtype[np.void], rows: Iterable[dict[str, int]]) -> Any:
    names = dtype.names or ()
    return np.array([tuple(row.get(name, 0) for name in names) for row in rows], dtype)
