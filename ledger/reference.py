"""The rulebook in plain Python: what every command does to orders, money, license units and revenue.

The compiled kernel must write the same bytes. The order of checks, postings and rows is that of
`docs/reference/execution.md`; a newcomer reads that page beside this file, one section a method.

Amounts are integers: minor units of a currency, lots of a series, ticks of a price; weights are parts per billion,
rates parts per million. With `check=True` the ledger proves its invariants after every command.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from domain.values import AccountKind, PostingCode
from matching.layout import (
    FLAG_MARKET,
    FLAG_PRIMARY,
    FLAG_SYSTEM,
    LAYOUTS,
    PAYEES_MAX,
    PPB,
    PPM,
    Code,
    Ending,
    Kind,
    Phase,
    Section,
    Side,
    TimeInForce,
)
from matching.reference import ReferenceBook

HOUSE = 0
LEGS_MAX = 64
LEG_AMOUNT_MAX = 10**15
BALANCE_MIN = -4 * 10**18
"""No account goes below this, which with sums of zero keeps every balance within 63 bits."""
MAY_BE_NEGATIVE = frozenset({AccountKind.OUTSIDE, AccountKind.ISSUANCE, AccountKind.RECEIVABLE})
OUTCOMES = (
    Section.RESULTS,
    Section.FILLS,
    Section.ENDINGS,
    Section.POSTINGS,
    Section.GRANTS,
    Section.ACCOUNTS,
)
"""The sections that executing a command writes."""

AppliedLeg = tuple[int, int, int, int, int]
"""(number of the leg, code, debit, credit, amount)."""

Row = Mapping[str, Any] | np.void
"""A row of `commands` or `legs`: anything indexed by column name."""


@dataclass(slots=True)
class Account:
    """A balance, credits minus debits: what is available and what is held for open orders."""

    owner: int
    asset: int
    kind: int
    available: int = 0
    held: int = 0
    grant: int = 0
    """Grant number of an account of units, 0 until it has one."""

    @property
    def balance(self) -> int:
        return self.available + self.held

    @property
    def may_be_negative(self) -> bool:
        return self.kind in MAY_BE_NEGATIVE


@dataclass(slots=True)
class Owner:
    """A party: what it may do and the rates that its next order freezes."""

    trader: bool
    developer: bool
    frozen: bool
    maker_ppm: int
    taker_ppm: int
    tax_ppm: int
    orders: dict[int, None] = field(default_factory=dict)
    """Numbers of its open orders, in order of acceptance."""


@dataclass(frozen=True, slots=True)
class Waterfall:
    """One version of how the revenue of a series is split: payees (account, weight in ppb), and who takes what leavers
    had not yet received.
    """

    rows: tuple[tuple[int, int], ...]
    developer_account: int


@dataclass(slots=True)
class Series:
    """What is traded, its limits, its units and its revenue."""

    phase: Phase
    currency: int
    tick_minor: int
    price_max: int
    lots_max: int
    notional_max: int
    supply_cap: int
    issuer: int
    resale: bool
    royalty_ppm: int
    issued: int = 0
    reserved: int = 0
    book: ReferenceBook = field(default_factory=ReferenceBook)
    waterfalls: list[Waterfall] = field(default_factory=list)
    """Version v is at place v − 1."""
    carries: dict[int, int] = field(default_factory=dict)
    """Per payee account, 10^−9 minor units that belong to it and are not yet a whole minor unit."""


@dataclass(slots=True)
class Order:
    """An accepted order. Rates are frozen; sums run over its fills, in minor units × 10^6."""

    number: int
    party: int
    series: int
    side: Side
    price: int
    left: int
    primary: bool
    cash: int
    units: int | None
    """Account of the units; a primary sale has none, it mints."""
    maker_ppm: int
    taker_ppm: int
    tax_ppm: int
    royalty_ppm: int
    hold: int = 0
    accepted: int = 0
    filled: int = 0
    canceled: int = 0
    fee_sum: int = 0
    fee_charged: int = 0
    tax_sum: int = 0
    tax_charged: int = 0
    royalty_sum: int = 0
    royalty_charged: int = 0

    def charge_fee(self, notional: int, *, is_maker: bool, rebate: bool = True) -> int:
        """What this fill adds to the fee on everything filled so far; below zero it is a rebate, where one is due."""
        rate = self.maker_ppm if is_maker else self.taker_ppm
        self.fee_sum += notional * (rate if rebate else max(rate, 0))
        fee = ceil_ppm(self.fee_sum) - self.fee_charged
        self.fee_charged += fee
        return fee

    def charge_tax(self, notional: int) -> int:
        self.tax_sum += notional * self.tax_ppm
        tax = ceil_ppm(self.tax_sum) - self.tax_charged
        self.tax_charged += tax
        return tax

    def charge_royalty(self, notional: int, *, at_most: int) -> int:
        """What does not fit under `at_most` is waived."""
        self.royalty_sum += notional * self.royalty_ppm
        royalty = min(ceil_ppm(self.royalty_sum) - self.royalty_charged, at_most)
        self.royalty_charged += royalty
        self.royalty_sum = min(self.royalty_sum, self.royalty_charged * PPM)
        return royalty


@dataclass(frozen=True, slots=True)
class Capacity:
    """How large the tables may get; a command that finds one full is refused."""

    orders: int
    accounts: int
    levels: int


class Refused(Exception):
    """A check failed; carries the code of the result."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name.lower())
        self.code = code


def ceil_ppm(amount: int) -> int:
    """`amount` / 10^6, rounded toward plus infinity."""
    return -(-amount // PPM)


def require(holds: bool, code: Code) -> None:
    if not holds:
        raise Refused(code)


@dataclass(slots=True)
class ReferenceLedger:
    """State and rows. Facts reach it through `open_account`, `set_party`, `set_series` and `set_waterfall`; everything
    else is a command.
    """

    check: bool = False
    capacity: Capacity | None = None
    accounts: list[Account] = field(default_factory=list)
    account_numbers: dict[tuple[int, int, int], int] = field(default_factory=dict)
    parties: dict[int, Owner] = field(default_factory=dict)
    series: dict[int, Series] = field(default_factory=dict)
    open_orders: dict[int, Order] = field(default_factory=dict)
    next_order: int = 1
    next_grant: int = 1
    rows: dict[Section, list[tuple[int, ...]]] = field(default_factory=lambda: {section: [] for section in OUTCOMES})
    lots_accepted: int = 0
    lots_filled: int = 0
    """Counted on both sides of each fill."""
    lots_canceled: int = 0
    journaled: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Per account, what journal commands added: units and suspense that no sale and no split explains."""

    # -- facts ---------------------------------------------------------------------------------------------------------

    def open_account(self, owner: int, asset: int, kind: int) -> int:
        """Number of the account (owner, asset, kind), opened without a row if missing: how state is set up."""
        number = self.find_account(owner, asset, kind)
        if number is None:
            number = len(self.accounts)
            self.accounts.append(Account(owner=owner, asset=asset, kind=kind))
            self.account_numbers[owner, asset, kind] = number
        return number

    def set_party(
        self,
        party: int,
        *,
        trader: bool = True,
        developer: bool = False,
        frozen: bool = False,
        maker_ppm: int = 0,
        taker_ppm: int = 0,
        tax_ppm: int = 0,
    ) -> None:
        """Register the next party, or change one. Orders that are open keep their rates."""
        assert 1 <= party <= len(self.parties) + 1, party
        known = self.parties.get(party)
        self.parties[party] = Owner(
            trader=trader,
            developer=developer,
            frozen=frozen,
            maker_ppm=maker_ppm,
            taker_ppm=taker_ppm,
            tax_ppm=tax_ppm,
            orders={} if known is None else known.orders,
        )

    def set_series(
        self,
        series: int,
        *,
        currency: int,
        tick_minor: int,
        price_max: int,
        lots_max: int,
        notional_max: int,
        supply_cap: int,
        issuer: int,
        resale: bool = True,
        royalty_ppm: int = 0,
        phase: Phase = Phase.OPEN,
    ) -> None:
        """List the next series, or change one, which keeps its book, units and revenue.

        Its suspense, issuance, fee and tax accounts must be open.
        """
        assert 1 <= series <= len(self.series) + 1, series
        for owner, asset, kind in (
            (-series, -currency, AccountKind.SUSPENSE),
            (-series, series, AccountKind.ISSUANCE),
            (HOUSE, -currency, AccountKind.FEE_REVENUE),
            (HOUSE, -currency, AccountKind.TAX_COLLECTED),
        ):
            assert self.find_account(owner, asset, kind) is not None, (owner, asset, kind)
        listed = Series(
            phase=phase,
            currency=currency,
            tick_minor=tick_minor,
            price_max=price_max,
            lots_max=lots_max,
            notional_max=notional_max,
            supply_cap=supply_cap,
            issuer=issuer,
            resale=resale,
            royalty_ppm=royalty_ppm,
        )
        known = self.series.get(series)
        if known is not None:
            listed.issued, listed.reserved = known.issued, known.reserved
            listed.book, listed.waterfalls, listed.carries = known.book, known.waterfalls, known.carries
        self.series[series] = listed

    def set_phase(self, series: int, phase: Phase) -> None:
        """Halt, resume or end a series."""
        self.series[series].phase = phase

    def set_waterfall(self, series: int, rows: Sequence[tuple[int, int]], developer_account: int) -> int:
        """Put the next version in force; returns its number. Payees go on with their carries, and the developer (the
        first payee where the developer is none) takes over those of payees that are no longer in it.
        """
        assert 1 <= len(rows) <= PAYEES_MAX and sum(weight for _, weight in rows) == PPB, rows
        listed = self.series[series]
        payees = [account for account, _ in rows]
        assert len(set(payees)) == len(payees), rows
        heir = developer_account if developer_account in payees else payees[0]
        carries = {account: listed.carries.get(account, 0) for account in payees}
        carries[heir] += sum(carry for account, carry in listed.carries.items() if account not in carries)
        listed.carries = carries
        listed.waterfalls.append(Waterfall(rows=tuple(rows), developer_account=developer_account))
        return len(listed.waterfalls)

    # -- commands ------------------------------------------------------------------------------------------------------

    def execute(self, command_row: Row, legs: Iterable[Row] = ()) -> None:
        """Run one command and append its rows. `legs` are those of a journal command."""
        command = int(command_row["command"])
        try:
            kind = int(command_row["kind"])
            if kind == Kind.NEW:
                self._new(command, command_row)
            elif kind == Kind.CANCEL:
                self._cancel(command, command_row)
            elif kind == Kind.REDUCE:
                self._reduce(command, command_row)
            elif kind == Kind.MASS_CANCEL:
                self._mass_cancel(command, command_row)
            elif kind == Kind.JOURNAL:
                self._journal(command, list(legs))
            elif kind == Kind.OPEN_ACCOUNT:
                self._open_account(command, command_row)
            elif kind == Kind.REFUND:
                self._refund(command, command_row)
            elif kind == Kind.TICK:
                self._result(command)
            else:
                raise Refused(Code.UNKNOWN_KIND)
        except Refused as refused:
            self._result(command, code=refused.code)
        if self.check:
            self.assert_invariants()

    def execute_all(self, commands: Iterable[Row], legs: Iterable[Row] = ()) -> None:
        """Run commands in order, each with the legs of its number."""
        legs_of: dict[int, list[Row]] = defaultdict(list)
        for leg in legs:
            legs_of[int(leg["command"])].append(leg)
        for row in commands:
            self.execute(row, legs_of.get(int(row["command"]), ()))

    def rows_as_arrays(self) -> dict[Section, np.ndarray[Any, np.dtype[np.void]]]:
        """Every section in the layout of the log."""
        return {section: np.array(rows, dtype=LAYOUTS[section]) for section, rows in self.rows.items()}

    # -- a new order ---------------------------------------------------------------------------------------------------

    def _new(self, command: int, row: Row) -> None:
        order, left_over = self._accept(command, row)
        fills = self._match(command, order)
        if order.left > 0 and left_over is None:
            self.series[order.series].book.rest(order=order.number, side=order.side, price=order.price, lots=order.left)
        elif order.left > 0:
            assert left_over is not None
            self._end(command, order, order.left, left_over)
        else:
            self._forget(order)
        self._result(command, order=order.number, lots=order.left, hold=order.hold, fills=fills)

    def _accept(self, command: int, row: Row) -> tuple[Order, Ending | None]:
        """The order with its hold taken, and how its rest ends (None: it rests)."""
        number, party = int(row["series"]), int(row["account"])
        price, lots, flags = int(row["price"]), int(row["lots"]), int(row["flags"])
        primary, market = flags & FLAG_PRIMARY != 0, flags & FLAG_MARKET != 0

        series = self._known_series(number)
        require(series.phase != Phase.ENDED, Code.SERIES_ENDED)
        require(series.phase != Phase.HALTED, Code.SERIES_HALTED)
        owner = self._known_party(party)
        require(not owner.frozen, Code.PARTY_FROZEN)
        require(owner.developer if primary else owner.trader, Code.ROLE_REQUIRED)

        require(int(row["side"]) in {Side.BUY, Side.SELL}, Code.COMMAND_MALFORMED)
        require(int(row["tif"]) in {TimeInForce.GTC, TimeInForce.IOC}, Code.COMMAND_MALFORMED)
        require(flags & ~(FLAG_MARKET | FLAG_PRIMARY) == 0, Code.COMMAND_MALFORMED)
        side, tif = Side(int(row["side"])), TimeInForce(int(row["tif"]))
        require(not (primary and side == Side.BUY), Code.COMMAND_MALFORMED)
        require(not (market and price < 1), Code.PROTECTION_REQUIRED)
        self._check_size(series, price=price, lots=lots)

        require(len(series.waterfalls) > 0, Code.NO_WATERFALL)
        if primary:
            require(party == series.issuer, Code.NOT_THE_ISSUER)
        elif side == Side.SELL:
            require(series.resale, Code.RESALE_NOT_ALLOWED)
        require(self._has_room(), Code.CAPACITY_EXHAUSTED)

        order = Order(
            number=self.next_order,
            party=party,
            series=number,
            side=side,
            price=price,
            left=lots,
            primary=primary,
            cash=-1,
            units=None,
            maker_ppm=0 if primary else owner.maker_ppm,
            taker_ppm=0 if primary else owner.taker_ppm,
            tax_ppm=owner.tax_ppm if side == Side.BUY else 0,
            royalty_ppm=series.royalty_ppm if side == Side.SELL and not primary else 0,
            accepted=lots,
        )
        cash = self.find_account(party, -series.currency, AccountKind.AVAILABLE)
        units = self.find_account(party, number, AccountKind.AVAILABLE)
        hold = self._hold_of(order)
        if side == Side.BUY:
            require(cash is not None and self.accounts[cash].available >= hold, Code.INSUFFICIENT_FUNDS)
        elif primary:
            require(series.issued + series.reserved + lots <= series.supply_cap, Code.SUPPLY_EXHAUSTED)
        else:
            require(units is not None and self.accounts[units].available >= lots, Code.INSUFFICIENT_UNITS)
        # Past this point the order is accepted.

        self.next_order += 1
        self.open_orders[order.number] = order
        owner.orders[order.number] = None
        self.lots_accepted += lots
        order.cash = self._find_or_open(command, party, -series.currency, AccountKind.AVAILABLE)
        if not primary:
            order.units = self._find_or_open(command, party, number, AccountKind.AVAILABLE)
        self._set_hold(order)
        if market:
            return order, Ending.NO_LIQUIDITY
        return order, Ending.IOC if tif == TimeInForce.IOC else None

    def _check_size(self, series: Series, *, price: int, lots: int) -> None:
        require(1 <= price <= series.price_max, Code.PRICE_OUT_OF_RANGE)
        require(1 <= lots <= series.lots_max, Code.LOTS_OUT_OF_RANGE)
        require(price * series.tick_minor * lots <= series.notional_max, Code.NOTIONAL_TOO_LARGE)

    def _has_room(self) -> bool:
        if self.capacity is None:
            return True
        levels = sum(series.book.level_count() for series in self.series.values())
        return (
            len(self.open_orders) < self.capacity.orders
            and len(self.accounts) < self.capacity.accounts
            and levels < self.capacity.levels
        )

    def _match(self, command: int, taker: Order) -> int:
        """Trade while the best of the other side crosses; returns the number of fills."""
        book = self.series[taker.series].book
        fills = 0
        while taker.left > 0:
            first = book.crossing_maker(side=taker.side, price=taker.price)
            if first is None:
                break
            lots = min(taker.left, first.lots)
            maker = self.open_orders[first.order]
            self.rows[Section.FILLS].append((command, maker.number, taker.number, first.price, lots))
            book.reduce(order=maker.number, lots=lots)
            self._settle(command, fills, maker=maker, taker=taker, price=first.price, lots=lots)
            if maker.left == 0:
                self._forget(maker)
            fills += 1
        return fills

    def _settle(self, command: int, fill: int, *, maker: Order, taker: Order, price: int, lots: int) -> None:
        """Delivery against payment of one fill, with fees, tax, royalty and revenue shares."""
        number = taker.series
        series = self.series[number]
        buyer, seller = (taker, maker) if taker.side == Side.BUY else (maker, taker)
        notional = price * series.tick_minor * lots
        buyer_fee = buyer.charge_fee(notional, is_maker=buyer is maker, rebate=not seller.primary)
        seller_fee = seller.charge_fee(notional, is_maker=seller is maker)
        tax = buyer.charge_tax(notional)
        royalty = seller.charge_royalty(notional, at_most=notional - max(seller_fee, 0))

        suspense = self._account(-number, -series.currency, AccountKind.SUSPENSE)
        issuance = self._account(-number, number, AccountKind.ISSUANCE)
        fees = self._account(HOUSE, -series.currency, AccountKind.FEE_REVENUE)
        taxes = self._account(HOUSE, -series.currency, AccountKind.TAX_COLLECTED)
        assert buyer.units is not None

        def post(code: PostingCode, debit: int, credit: int, amount: int) -> None:
            self._post(command, fill, code, debit=debit, credit=credit, amount=amount)

        # What was held for the two orders becomes available for the postings; what is still needed is held again below.
        self._release(buyer)
        self._release(seller)
        for order in (buyer, seller):
            order.left -= lots
            order.filled += lots
            self.lots_filled += lots

        post(PostingCode.SALE, buyer.cash, suspense if seller.primary else seller.cash, notional)
        if seller.units is None:
            post(PostingCode.MINT, issuance, buyer.units, lots)
            series.issued += lots
        else:
            post(PostingCode.DELIVERY, seller.units, buyer.units, lots)
        post(_fee_code(buyer is maker), buyer.cash, fees, buyer_fee)
        post(PostingCode.TAX, buyer.cash, taxes, tax)
        post(_fee_code(seller is maker), seller.cash, fees, seller_fee)
        post(PostingCode.ROYALTY, seller.cash, suspense, royalty)
        self._share(command, fill, series, suspense, notional if seller.primary else royalty)

        self._set_hold(buyer)
        self._set_hold(seller)
        # Somebody who trades with itself has the lots twice for a moment: bought, and not yet delivered.
        self._grant(command, fill, buyer.units, change=lots, undelivered=lots if seller.units == buyer.units else 0)
        if seller.units is not None:
            self._grant(command, fill, seller.units, change=-lots)

    def _share(self, command: int, fill: int, series: Series, suspense: int, amount: int) -> None:
        """Split what came into suspense among the payees in force; what is not a whole minor unit is carried."""
        if amount == 0 or not series.waterfalls:
            return
        for payee, weight in series.waterfalls[-1].rows:
            share, series.carries[payee] = divmod(series.carries[payee] + amount * weight, PPB)
            self._post(command, fill, PostingCode.SHARE, debit=suspense, credit=payee, amount=share)

    # -- changes of open orders ----------------------------------------------------------------------------------------

    def _cancel(self, command: int, row: Row) -> None:
        order = self._own_open_order(row)
        self._end(command, order, order.left, Ending.USER)
        self._result(command, order=order.number)

    def _reduce(self, command: int, row: Row) -> None:
        order = self._own_open_order(row)
        lots = int(row["lots"])
        require(1 <= lots < order.left, Code.LOTS_NOT_REDUCIBLE)
        self._end(command, order, lots, Ending.REDUCED)
        self._result(command, order=order.number, lots=order.left, hold=order.hold)

    def _mass_cancel(self, command: int, row: Row) -> None:
        party, number = int(row["account"]), int(row["series"])
        system = int(row["flags"]) & FLAG_SYSTEM != 0
        require(party != 0 or (number != 0 and system), Code.COMMAND_MALFORMED)
        if party != 0:
            self._known_party(party)
        if number != 0:
            self._known_series(number)
        if party != 0:
            of_party = self.parties[party].orders
            ending = [order for order in of_party if number in {0, self.open_orders[order].series}]
        else:
            book = self.series[number].book
            ending = [resting.order for side in (Side.BUY, Side.SELL) for resting in book.in_priority(side)]
        lots = 0
        for order in [self.open_orders[number] for number in ending]:
            lots += order.left
            self._end(command, order, order.left, Ending.SERIES_ENDED if system else Ending.MASS)
        self._result(command, lots=lots, fills=len(ending))

    def _own_open_order(self, row: Row) -> Order:
        target = int(row["target"])
        require(1 <= target < self.next_order, Code.UNKNOWN_ORDER)
        order = self.open_orders.get(target)
        if order is None:
            raise Refused(Code.ORDER_NOT_OPEN)
        require(order.party == int(row["account"]), Code.NOT_YOUR_ORDER)
        return order

    def _end(self, command: int, order: Order, lots: int, reason: Ending) -> None:
        """Take lots off an order, out of the book too if it rests; with nothing left it is no longer open."""
        book = self.series[order.series].book
        if order.number in book.where:
            book.reduce(order=order.number, lots=lots)
        self._release(order)
        order.left -= lots
        order.canceled += lots
        self.lots_canceled += lots
        self._set_hold(order)
        self.rows[Section.ENDINGS].append((command, order.number, lots, reason, 0))
        if order.left == 0:
            self._forget(order)

    def _forget(self, order: Order) -> None:
        del self.open_orders[order.number]
        del self.parties[order.party].orders[order.number]

    # -- holds ---------------------------------------------------------------------------------------------------------

    def _hold_of(self, order: Order) -> int:
        """What the lots left of an order need: all that a buy can still cost, or the lots of a sell."""
        if order.side == Side.SELL or order.left == 0:
            return order.left
        notional = order.price * self.series[order.series].tick_minor * order.left
        rate = max(order.maker_ppm, order.taker_ppm, 0)
        fee = ceil_ppm(order.fee_sum + notional * rate) - order.fee_charged
        tax = ceil_ppm(order.tax_sum + notional * order.tax_ppm) - order.tax_charged
        return notional + fee + tax

    def _set_hold(self, order: Order) -> None:
        """Hold what the lots left need; nothing may be held for the order before."""
        assert order.hold == 0, order
        order.hold = self._hold_of(order)
        self._move_hold(order, order.hold)

    def _release(self, order: Order) -> None:
        self._move_hold(order, -order.hold)
        order.hold = 0

    def _move_hold(self, order: Order, amount: int) -> None:
        held_in = order.cash if order.side == Side.BUY else order.units
        if held_in is None:
            self.series[order.series].reserved += amount
        else:
            self.accounts[held_in].available -= amount
            self.accounts[held_in].held += amount

    # -- movements that are no trade -----------------------------------------------------------------------------------

    def _journal(self, command: int, legs: Sequence[Row]) -> None:
        require(1 <= len(legs) <= LEGS_MAX, Code.COMMAND_MALFORMED)
        applied: list[AppliedLeg] = []
        try:
            for number, leg in enumerate(legs):
                debit, credit, amount = int(leg["debit"]), int(leg["credit"]), int(leg["amount"])
                self._check_leg(debit, credit, amount)
                if int(leg["code"]) == PostingCode.WITHDRAWAL:
                    self._recover_debt(number, debit, applied)
                    self._check_leg(debit, credit, amount)
                self._apply_leg((number, int(leg["code"]), debit, credit, amount), applied)
        except Refused:
            for _, _, debit, credit, amount in applied:
                self.accounts[debit].available += amount
                self.accounts[credit].available -= amount
            raise
        for number, code, debit, credit, amount in applied:
            self.accounts[debit].available += amount
            self.accounts[credit].available -= amount
            self._post(command, number, code, debit=debit, credit=credit, amount=amount)
            self.journaled[debit] -= amount
            self.journaled[credit] += amount
        self._result(command)

    def _check_leg(self, debit: int, credit: int, amount: int) -> None:
        require(1 <= amount <= LEG_AMOUNT_MAX, Code.AMOUNT_OUT_OF_RANGE)
        for number in (debit, credit):
            require(0 <= number < len(self.accounts), Code.UNKNOWN_ACCOUNT)
        account = self.accounts[debit]
        require(account.asset == self.accounts[credit].asset and debit != credit, Code.JOURNAL_UNBALANCED)
        after = account.available - amount
        if account.may_be_negative:
            require(after >= BALANCE_MIN, Code.AMOUNT_OUT_OF_RANGE)
        else:
            require(after >= 0, Code.INSUFFICIENT_UNITS if account.asset > 0 else Code.INSUFFICIENT_FUNDS)

    def _recover_debt(self, number: int, payer: int, applied: list[AppliedLeg]) -> None:
        """Who withdraws pays first what it owes, as far as it has it."""
        account = self.accounts[payer]
        debt = self.find_account(account.owner, account.asset, AccountKind.RECEIVABLE)
        paid = 0 if debt is None else min(-self.accounts[debt].available, account.available)
        if debt is not None and paid > 0:
            self._apply_leg((number, PostingCode.RECOVERY, payer, debt, paid), applied)

    def _apply_leg(self, leg: AppliedLeg, applied: list[AppliedLeg]) -> None:
        _, _, debit, credit, amount = leg
        self.accounts[debit].available -= amount
        self.accounts[credit].available += amount
        applied.append(leg)

    def _open_account(self, command: int, row: Row) -> None:
        owner, asset, kind = int(row["account"]), int(row["series"]), int(row["flags"])
        full = self.capacity is not None and len(self.accounts) >= self.capacity.accounts
        require(self.find_account(owner, asset, kind) is not None or not full, Code.CAPACITY_EXHAUSTED)
        self._result(command, fills=self._find_or_open(command, owner, asset, kind))

    def _refund(self, command: int, row: Row) -> None:
        """A negative sale: the payees of the version of the sale give their shares back, what they lack they owe."""
        number, party = int(row["series"]), int(row["account"])
        version, price, lots = int(row["target"]), int(row["price"]), int(row["lots"])
        series = self._known_series(number)
        self._known_party(party)
        require(1 <= version <= len(series.waterfalls), Code.NO_WATERFALL)
        self._check_size(series, price=price, lots=lots)
        units = self.find_account(party, number, AccountKind.AVAILABLE)
        if units is None or self.accounts[units].available < lots:
            raise Refused(Code.UNITS_NOT_RETURNABLE)
        # Past this point the refund is made.

        amount = price * series.tick_minor * lots
        suspense = self._account(-number, -series.currency, AccountKind.SUSPENSE)
        cash = self._find_or_open(command, party, -series.currency, AccountKind.AVAILABLE)
        retired = self._find_or_open(command, party, number, AccountKind.RETIRED)
        for payee, weight in series.waterfalls[version - 1].rows:
            self._take_back(command, series, suspense, payee, amount * weight)
        self._post(command, 0, PostingCode.REFUND, debit=suspense, credit=cash, amount=amount)
        self._post(command, 0, PostingCode.RETURN, debit=units, credit=retired, amount=lots)
        self._grant(command, 0, units, change=-lots)
        self._result(command)

    def _take_back(self, command: int, series: Series, suspense: int, payee: int, parts: int) -> None:
        """Bring `parts` (10^−9 minor units) back from one payee: first its carry, then its account, then as debt."""
        total = series.carries.get(payee, 0) - parts
        # A carry that was inherited may exceed a whole minor unit; then nothing comes back and nothing is paid out.
        back = max(0, -(total // PPB))
        series.carries[payee] = total + back * PPB
        account = self.accounts[payee]
        paid = min(account.available, back)
        self._post(command, 0, PostingCode.RECLAIM, debit=payee, credit=suspense, amount=paid)
        if back > paid:
            owed = self._find_or_open(command, account.owner, account.asset, AccountKind.RECEIVABLE)
            self._post(command, 0, PostingCode.RECEIVABLE, debit=owed, credit=suspense, amount=back - paid)

    # -- state and rows ------------------------------------------------------------------------------------------------

    def find_account(self, owner: int, asset: int, kind: int) -> int | None:
        return self.account_numbers.get((owner, asset, kind))

    def _account(self, owner: int, asset: int, kind: int) -> int:
        return self.account_numbers[owner, asset, kind]

    def _find_or_open(self, command: int, owner: int, asset: int, kind: int) -> int:
        number = self.find_account(owner, asset, kind)
        if number is None:
            number = self.open_account(owner, asset, kind)
            self.rows[Section.ACCOUNTS].append((command, number, owner, asset, kind))
        return number

    def _known_series(self, number: int) -> Series:
        require(1 <= number <= len(self.series), Code.UNKNOWN_SERIES)
        return self.series[number]

    def _known_party(self, number: int) -> Owner:
        require(1 <= number <= len(self.parties), Code.UNKNOWN_PARTY)
        return self.parties[number]

    def _post(self, command: int, fill: int, code: int, *, debit: int, credit: int, amount: int) -> None:
        """Move value between two available balances. Nothing is written for 0; a negative amount goes the other way."""
        if amount == 0:
            return
        if amount < 0:
            debit, credit, amount = credit, debit, -amount
        assert self.accounts[debit].asset == self.accounts[credit].asset, (debit, credit)
        self.accounts[debit].available -= amount
        self.accounts[credit].available += amount
        self.rows[Section.POSTINGS].append((command, debit, credit, amount, code, fill))

    def _grant(self, command: int, fill: int, units: int, *, change: int, undelivered: int = 0) -> None:
        """Record how many lots a holder has after a change, under the number of its grant."""
        account = self.accounts[units]
        if account.grant == 0:
            account.grant = self.next_grant
            self.next_grant += 1
        self.rows[Section.GRANTS].append(
            (command, account.grant, account.owner, account.asset, fill, change, account.balance + undelivered)
        )

    def _result(
        self, command: int, *, order: int = 0, lots: int = 0, hold: int = 0, code: int = Code.OK, fills: int = 0
    ) -> None:
        self.rows[Section.RESULTS].append((command, order, lots, hold, code, fills))

    # -- what must always hold -----------------------------------------------------------------------------------------

    def assert_invariants(self) -> None:
        """Raise AssertionError, naming what is wrong, unless every invariant of the house holds now."""
        self._assert_balances()
        self._assert_orders()
        for number, series in self.series.items():
            self._assert_series(number, series)

    def _assert_balances(self) -> None:
        sums: dict[int, int] = defaultdict(int)
        for number, account in enumerate(self.accounts):
            sums[account.asset] += account.balance
            assert account.may_be_negative or account.available >= 0, (number, account)
            assert account.held >= 0, (number, account)
        assert not any(sums.values()), dict(sums)

    def _assert_orders(self) -> None:
        held: dict[int, int] = defaultdict(int)
        reserved: dict[int, int] = defaultdict(int)
        for order in self.open_orders.values():
            assert order.accepted == order.filled + order.left + order.canceled, order
            assert order.hold == self._hold_of(order), order
            if order.units is None:
                reserved[order.series] += order.hold
            else:
                held[order.cash if order.side == Side.BUY else order.units] += order.hold
        for number, account in enumerate(self.accounts):
            assert account.held == held[number], (number, account, held[number])
        for number, series in self.series.items():
            assert series.reserved == reserved[number], (number, series)
        resting = sum(order.left for order in self.open_orders.values())
        assert self.lots_accepted == self.lots_filled + resting + self.lots_canceled

    def _assert_series(self, number: int, series: Series) -> None:
        assert not series.book.is_crossed(), (number, series.book)
        assert series.issued >= 0 and series.issued + series.reserved <= series.supply_cap, (number, series)
        issuance = self._account(-number, number, AccountKind.ISSUANCE)
        in_accounts = sum(
            account.balance for at, account in enumerate(self.accounts) if account.asset == number and at != issuance
        )
        assert in_accounts == series.issued - self.journaled[issuance], (number, in_accounts, series.issued)
        suspense = self._account(-number, -series.currency, AccountKind.SUSPENSE)
        carried = sum(series.carries.values())
        if series.waterfalls:
            explained = (self.accounts[suspense].balance - self.journaled[suspense]) * PPB
            assert explained == carried, (number, explained, carried)


def _fee_code(is_maker: bool) -> PostingCode:
    return PostingCode.MAKER_FEE if is_maker else PostingCode.TAKER_FEE
