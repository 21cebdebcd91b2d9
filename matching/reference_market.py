"""The complete rulebook in plain Python: what the compiled kernels must equal, row for row.

`ReferenceMarket` runs one command at a time over many series and answers with the rows that the log's sections hold. It
knows orders, owners and time, and no money. `docs/reference/rulebook.md` says each rule in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from matching.layout import Side
from matching.reference_auction import Certificate
from matching.reference_checks import (
    band_refusal,
    book_refusal,
    is_through,
    new_order_refusal,
    phase_refusal,
    size_refusal,
)
from matching.reference_following import reprice, run_stop, settle
from matching.reference_orders import Account, Order, Series
from matching.reference_rows import Command, PhaseChange, Result, Rows, Standing
from matching.reference_settings import Settings
from matching.reference_taking import take
from matching.reference_uncross import end_auction_orders, indicative, uncross
from matching.rulebook_layout import (
    DEADMAN_NS_MAX,
    FLAG_SIDE,
    FLAG_SYSTEM,
    HIGHEST,
    KEEP,
    LOWEST,
    Code,
    Ending,
    Kind,
    Phase,
    TimeInForce,
)

Refused = Code
"""A code other than OK."""


@dataclass(slots=True)
class ReferenceMarket:
    """All series and accounts. `rate_max` new or replaced orders per account in each window of `rate_window_ns`."""

    rate_max: int = 0
    rate_window_ns: int = 1_000_000_000
    series: dict[int, Series] = field(default_factory=dict)
    accounts: dict[int, Account] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    """Open orders by number."""
    next_order: int = 1
    killed: bool = False
    rows: Rows = field(default_factory=Rows)

    def add_series(
        self,
        number: int,
        settings: Settings | None = None,
        *,
        phase: Phase = Phase.CONTINUOUS,
        last_trade: int = 0,
        reference: int = 0,
    ) -> Series:
        """List a series; prices are 0 where they are not known."""
        found = Series(
            number, settings or Settings(), self.accounts, self.orders, self.rows, phase, last_trade, reference
        )
        self.series[number] = found
        return found

    def add_account(self, number: int, *, owner: int = 0, traits: int = 0, refuses: int = 0) -> None:
        """Register a party; without an `owner` it is its own beneficial owner."""
        self.accounts[number] = Account(owner or number, traits, refuses)

    def run(self, command: Command) -> Rows:
        """Run one command to its end; returns its rows."""
        rows = self.rows
        rows.begin(command.command)
        handler = _HANDLERS.get(command.kind)
        answer = handler(self, command) if handler else Code.UNKNOWN_KIND
        if isinstance(answer, Code):
            assert not rows.endings and not rows.fills, (command, answer)
            answer = (0, 0, answer, 0)
        order, lots, code, count = answer
        rows.results.append(Result(command.command, order, lots, code, count))
        return rows.taken()

    def indicative(self, series: int, *, reference: int = 0) -> Certificate:
        """The price at which an auction of the series would uncross now; `reference` stands in for the series' own."""
        return indicative(self.series[series], reference)

    def standing(self, series: int) -> list[Standing]:
        """Every open order of a series: bids and asks in priority, then waiting stops and parked pegs by acceptance."""
        found = self.series[series]
        return [
            Standing(order.number, order.side, order.price, order.shown, order.lots, found.place(order))
            for order in found.standing()
        ]

    def due(self, now_ns: int, first_command: int) -> list[Command]:
        """What time has made due: the system commands to run before anything else at `now_ns`, in order."""
        waiting = [
            (account.deadman_due_ns, Kind.DEADMAN_FIRED, 0, number)
            for number, account in self.accounts.items()
            if account.deadman_due_ns and account.deadman_due_ns <= now_ns
        ]
        for number, series in self.series.items():
            times = {order.expire_ns for order in series.orders.values() if 0 < order.expire_ns <= now_ns}
            waiting += [(expire_ns, Kind.EXPIRE, number, 0) for expire_ns in times]
        return [
            Command(first_command + i, kind, at_ns, series=series, account=account, flags=FLAG_SYSTEM)
            for i, (at_ns, kind, series, account) in enumerate(sorted(waiting))
        ]

    # --- finding things ---

    def _order(self, command: Command) -> Order | Refused:
        """The open order that a command means, if its account may touch it."""
        if not 1 <= command.target < self.next_order:
            return Code.UNKNOWN_ORDER
        order = self.orders.get(command.target)
        if order is None:
            return Code.ORDER_NOT_OPEN
        return order if order.account == command.account else Code.NOT_YOUR_ORDER

    def _entry_refusal(self, command: Command, series: Series) -> Code:
        """What keeps an account from entering or replacing any order now. A try counts toward the rate."""
        account = self.accounts[command.account]
        if self.killed or series.killed or account.killed:
            return Code.KILLED
        if self.rate_max:
            window = command.at_ns // self.rate_window_ns
            if account.rate_window != window:
                account.rate_window, account.rate_count = window, 0
            account.rate_count += 1
            if account.rate_count > self.rate_max:
                return Code.ORDER_RATE_EXCEEDED
        return Code.OK

    # --- orders ---

    def new(self, command: Command) -> _Answer:
        series = self.series.get(command.series)
        if series is None:
            return Code.UNKNOWN_SERIES
        if command.account not in self.accounts:
            return Code.UNKNOWN_PARTY
        code = self._entry_refusal(command, series) or new_order_refusal(series, command)
        if code:
            return code
        order = self._build(command)
        code = book_refusal(series, order)
        if code:
            return code
        # Past this point the order is accepted.
        self.next_order += 1
        series.accept(order)
        if order.trigger:
            series.stops[order.number] = order
            if is_through(series, order):
                run_stop(series, order)
        elif order.peg:
            series.pegs[order.number] = order
            series.parked.add(order.number)
            reprice(series, order, entering=True)
        elif series.phase == Phase.CONTINUOUS:
            take(series, order)
        else:
            series.rest(order)
        settle(series)
        return order.number, order.lots, Code.OK, len(self.rows.fills)

    def _build(self, command: Command) -> Order:
        terms = command.terms
        return Order(
            number=self.next_order,
            account=command.account,
            series=command.series,
            owner=self.accounts[command.account].owner,
            side=Side(command.side),
            limit=command.price,
            price=command.price,
            lots=command.lots,
            tif=command.tif,
            flags=command.flags,
            trigger=terms.trigger,
            display=terms.display,
            refresh_below=terms.refresh_below,
            min_lots=terms.min_lots,
            expire_ns=terms.expire_ns,
            offset=terms.offset,
            oco=terms.oco,
            peg=terms.peg,
            self_trade=terms.self_trade,
        )

    def cancel(self, command: Command) -> _Answer:
        order = self._order(command)
        if isinstance(order, Code):
            return order
        series = self.series[order.series]
        series.end(order, Ending.USER)
        settle(series)
        return order.number, 0, Code.OK, 0

    def reduce(self, command: Command) -> _Answer:
        order = self._order(command)
        if isinstance(order, Code):
            return order
        if not 1 <= command.lots < order.lots:
            return Code.LOTS_NOT_REDUCIBLE
        self.series[order.series].take_off(order, command.lots, Ending.REDUCED)
        return order.number, order.lots, Code.OK, 0

    def replace(self, command: Command) -> _Answer:
        order = self._order(command)
        if isinstance(order, Code):
            return order
        series = self.series[order.series]
        code = self._entry_refusal(command, series) or phase_refusal(series)
        if code:
            return code
        rules = series.settings
        price = command.price or order.limit
        lots = order.lots if command.lots == KEEP else command.lots - order.filled
        if command.lots < KEEP:
            return Code.LOTS_OUT_OF_RANGE
        code = _new_expiry_refusal(order, command)
        if code:
            return code
        if lots <= 0:
            if not rules.replace_to_filled_cancels:
                return Code.BELOW_FILLED
            series.end(order, Ending.REPLACED_TO_ZERO)
            settle(series)
            return order.number, 0, Code.OK, 0
        is_open_ended = price in (HIGHEST, LOWEST) and (order.is_market or order.peg != 0)
        code = size_refusal(rules, price, order.filled + lots, is_open_ended=is_open_ended)
        if not code and lots < order.min_lots:
            code = Code.BAD_MINIMUM
        if not code and price != order.limit:
            code = band_refusal(rules, price, is_open_ended=is_open_ended)
        if code:
            return code
        moves = price != order.limit or (lots > order.lots and not self._keeps_place(series, order))
        if moves and not order.peg:
            code = _moved_refusal(series, order, price, lots)
            if code:
                return code
        # Past this point the order is replaced.
        if command.terms.expire_ns:
            order.expire_ns, order.tif = command.terms.expire_ns, TimeInForce.GTD
        self._change(series, order, price, lots, moves=moves)
        settle(series)
        return order.number, order.lots, Code.OK, len(self.rows.fills)

    def _keeps_place(self, series: Series, order: Order) -> bool:
        """Whether more lots leave the order where it is, because only its hidden part grows."""
        return bool(order.display) and series.settings.iceberg_growth_keeps_place

    def _change(self, series: Series, order: Order, price: int, lots: int, *, moves: bool) -> None:
        if lots < order.lots:
            series.take_off(order, order.lots - lots, Ending.REPLACED)
        order.lots = lots
        order.limit = price
        if order.peg:
            if moves and lots and order.number not in series.parked:
                self._move_peg(series, order)
            return
        if order.number in series.stops:
            order.price = price
        elif moves:
            series.withdraw(order)
            order.price = price
            if series.phase == Phase.CONTINUOUS:
                take(series, order)
            else:
                series.rest(order)

    def _move_peg(self, series: Series, peg: Order) -> None:
        """A peg that grew, or whose cap changed, goes behind; where its price changes it is repriced besides."""
        series.withdraw(peg)
        series.rest(peg)

    # --- sweeps ---

    def _sweep(self, scope: _Scope, reason: Ending) -> tuple[int, int]:
        """End every open order of a scope; returns lots and orders ended."""
        before = len(self.rows.endings)
        for order in scope.orders(self):
            if order.open:
                self.series[order.series].end(order, reason, swept=scope.wanted)
        for number in sorted(self.series):
            settle(self.series[number])
        ended = self.rows.endings[before:]
        return sum(row.lots for row in ended), len(ended)

    def mass_cancel(self, command: Command) -> _Answer:
        if not command.account and not command.series:
            return Code.COMMAND_MALFORMED
        code = self._scope_refusal(command)
        if code:
            return code
        if command.flags & FLAG_SIDE and command.side not in (Side.BUY, Side.SELL):
            return Code.COMMAND_MALFORMED
        side = Side(command.side) if command.flags & FLAG_SIDE else None
        reason = Ending.SERIES_ENDED if command.flags & FLAG_SYSTEM else Ending.MASS
        lots, count = self._sweep(_Scope(command.account, command.series, side), reason)
        return 0, lots, Code.OK, count

    def kill(self, command: Command) -> _Answer:
        code = self._set_killed(command, on=True)
        if code:
            return code
        lots, count = self._sweep(_Scope(command.account, command.series, None), Ending.KILLED)
        return 0, lots, Code.OK, count

    def revive(self, command: Command) -> _Answer:
        code = self._set_killed(command, on=False)
        return code or (0, 0, Code.OK, 0)

    def _scope_refusal(self, command: Command) -> Code:
        if command.account and command.account not in self.accounts:
            return Code.UNKNOWN_PARTY
        return Code.UNKNOWN_SERIES if command.series and command.series not in self.series else Code.OK

    def _set_killed(self, command: Command, *, on: bool) -> Code:
        """The switch of one party, of one series, or of the venue."""
        if command.account and command.series:
            return Code.COMMAND_MALFORMED
        code = self._scope_refusal(command)
        if code:
            return code
        if command.account:
            self.accounts[command.account].killed = on
        elif command.series:
            self.series[command.series].killed = on
        else:
            self.killed = on
        return Code.OK

    def deadman(self, command: Command) -> _Answer:
        account = self.accounts.get(command.account)
        if account is None:
            return Code.UNKNOWN_PARTY
        if not 0 <= command.lots <= DEADMAN_NS_MAX:
            return Code.COMMAND_MALFORMED
        account.deadman_due_ns = command.at_ns + command.lots if command.lots else 0
        return 0, 0, Code.OK, 0

    def deadman_fired(self, command: Command) -> _Answer:
        account = self.accounts.get(command.account)
        if account is None or not command.flags & FLAG_SYSTEM:
            return Code.COMMAND_MALFORMED
        if not 0 < account.deadman_due_ns <= command.at_ns:
            return 0, 0, Code.OK, 0
        account.deadman_due_ns = 0
        lots, count = self._sweep(_Scope(command.account, 0, None), Ending.DEADMAN)
        return 0, lots, Code.OK, count

    def expire(self, command: Command) -> _Answer:
        series = self.series.get(command.series)
        if series is None or not command.flags & FLAG_SYSTEM:
            return Code.COMMAND_MALFORMED
        due = [order for order in series.orders.values() if 0 < order.expire_ns <= command.at_ns]
        return self._expire_all(series, due)

    def _expire_all(self, series: Series, due: Iterable[Order]) -> _Answer:
        before = len(self.rows.endings)
        due = sorted(due, key=lambda order: (order.expire_ns, order.number))
        numbers = {order.number for order in due}
        for order in due:
            if order.open:
                series.end(order, Ending.EXPIRED, swept=lambda leg: leg.number in numbers)
        settle(series)
        ended = self.rows.endings[before:]
        return 0, sum(row.lots for row in ended), Code.OK, len(ended)

    # --- phases ---

    def phase(self, command: Command) -> _Answer:
        series = self.series.get(command.series)
        if series is None:
            return Code.UNKNOWN_SERIES
        if command.target not in list(Phase):
            return Code.COMMAND_MALFORMED
        if series.phase == Phase.ENDED:
            return Code.SERIES_ENDED
        if not 0 <= command.price <= series.settings.price_max:
            return Code.PRICE_OUT_OF_RANGE
        if command.target == Phase.CONTINUOUS and series.is_crossed():
            return Code.BOOK_CROSSED
        series.reference = command.price or series.reference
        self._enter(series, Phase(command.target))
        return 0, 0, Code.OK, len(self.rows.fills)

    def uncross(self, command: Command) -> _Answer:
        series = self.series.get(command.series)
        if series is None:
            return Code.UNKNOWN_SERIES
        after = command.target or Phase.CONTINUOUS
        if after not in list(Phase) or after == Phase.ENDED:
            return Code.COMMAND_MALFORMED
        if not series.collects:
            return Code.PHASE_NOT_ALLOWED
        if not 0 <= command.price <= series.settings.price_max:
            return Code.PRICE_OUT_OF_RANGE
        series.reference = command.price or series.reference
        uncross(series)
        self._enter(series, Phase(after))
        return 0, 0, Code.OK, len(self.rows.fills)

    def _enter(self, series: Series, after: Phase) -> None:
        before = series.phase
        series.phase = after
        if before != after:
            series.rows.phases.append(PhaseChange(series.rows.command, series.number, before, after))
        if after in (Phase.CONTINUOUS, Phase.CLOSED):
            end_auction_orders(series, 0)
        if after == Phase.CLOSED:
            days = [order for order in series.orders.values() if order.tif == TimeInForce.DAY]
            self._expire_all(series, days)
        elif after == Phase.ENDED:
            self._sweep(_Scope(0, series.number, None), Ending.SERIES_ENDED)
        elif after == Phase.CONTINUOUS and series.last_trade:
            # Stops that were entered while nothing traded are held against the last trade.
            series.traded_low = min(series.traded_low or series.last_trade, series.last_trade)
            series.traded_high = max(series.traded_high, series.last_trade)
        settle(series)


def _new_expiry_refusal(order: Order, command: Command) -> Code:
    """Whether a replace may give the order its expiry; orders for this moment or for an auction have none."""
    expire_ns = command.terms.expire_ns
    if expire_ns and order.tif not in (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD):
        return Code.BAD_EXPIRY
    return Code.ALREADY_EXPIRED if expire_ns and expire_ns <= command.at_ns else Code.OK


def _moved_refusal(series: Series, order: Order, price: int, lots: int) -> Code:
    """What the book says against the order at its new price, looked at with the order still in its old place."""
    limit, before = order.limit, order.lots
    order.limit, order.lots = price, lots
    code = Code.OK if order.number in series.stops else book_refusal(series, order)
    order.limit, order.lots = limit, before
    return code


@dataclass(frozen=True, slots=True)
class _Scope:
    """Whose orders a sweep ends; 0 and None are all."""

    account: int
    series: int
    side: Side | None

    def wanted(self, order: Order) -> bool:
        return (not self.account or order.account == self.account) and (self.side is None or order.side == self.side)

    def orders(self, market: ReferenceMarket) -> list[Order]:
        """An account's orders in order of acceptance; else by series: bids and asks in priority, stops, parked pegs."""
        if self.account:
            found = list(market.accounts[self.account].orders.values())
            if self.series:
                found = [order for order in found if order.series == self.series]
        else:
            numbers = [self.series] if self.series else sorted(market.series)
            found = [order for number in numbers for order in market.series[number].standing()]
        return [order for order in found if self.wanted(order)]


_Answer = Code | tuple[int, int, Code, int]
"""A refusal, or order, lots, OK and count of the result."""

_HANDLERS: dict[int, Callable[[ReferenceMarket, Command], _Answer]] = {
    Kind.NEW: ReferenceMarket.new,
    Kind.CANCEL: ReferenceMarket.cancel,
    Kind.REDUCE: ReferenceMarket.reduce,
    Kind.MASS_CANCEL: ReferenceMarket.mass_cancel,
    Kind.REPLACE: ReferenceMarket.replace,
    Kind.KILL: ReferenceMarket.kill,
    Kind.REVIVE: ReferenceMarket.revive,
    Kind.DEADMAN: ReferenceMarket.deadman,
    Kind.DEADMAN_FIRED: ReferenceMarket.deadman_fired,
    Kind.EXPIRE: ReferenceMarket.expire,
    Kind.PHASE: ReferenceMarket.phase,
    Kind.UNCROSS: ReferenceMarket.uncross,
    Kind.TICK: lambda _market, _command: (0, 0, Code.OK, 0),
}
