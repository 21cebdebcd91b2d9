"""A seeded stream of commands of every kind over two series, and the laws that hold after each of them.

The stream learns from the engine's rows only which orders exist, so two engines that agree are told the same.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from matching.reference_auction import Certificate, check_uncross
from matching.reference_rows import Command, Place, Rows, Terms
from matching.reference_settings import Settings
from matching.rulebook_layout import (
    CALLS,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_SIDE,
    HIGHEST,
    KEEP,
    LOWEST,
    AuctionSteps,
    BandBreach,
    Code,
    Ending,
    Kind,
    MarketRemainder,
    Peg,
    Phase,
    SelfTrade,
    TimeInForce,
)
from tests.conformance.engine import Engine
from tests.matching.rulebook.venue import Side

SERIES = (1, 2)
ACCOUNTS = {
    1: {},
    2: {"owner": 1},
    3: {"traits": 0b01},
    4: {"refuses": 0b01},
    5: {"traits": 0b10, "refuses": 0b01},
    6: {},
    7: {"owner": 6},
    8: {},
}  # fmt: skip
MIDDLE = 100


def random_settings(chance: random.Random) -> Settings:
    """Any combination of the chosen rules, with or without bands."""
    band = chance.choice([0, 6])
    return Settings(
        stops_max=12,
        pegs_max=6,
        groups_max=6,
        trade_low=MIDDLE - band if band else 0,
        trade_high=MIDDLE + band if band else 0,
        trade_ppm=chance.choice([0, 0, 30_000]),
        price_low=chance.choice([0, MIDDLE - 5]),
        price_high=chance.choice([0, MIDDLE + 5]),
        band_breach=chance.choice(list(BandBreach)),
        self_trade=chance.choice([mode for mode in SelfTrade if mode]),
        self_trade_in_auction=chance.random() < 0.3,
        iceberg_first_peak_full=chance.random() < 0.5,
        iceberg_growth_keeps_place=chance.random() < 0.5,
        replace_to_filled_cancels=chance.random() < 0.7,
        market_remainder=chance.choice(list(MarketRemainder)),
        stop_already_through_runs=chance.random() < 0.7,
        peg_without_reference_parks=chance.random() < 0.7,
        peg_mid_rounds_toward_market=chance.random() < 0.5,
        post_only_in_auction=chance.random() < 0.7,
        auction_steps=chance.choice(list(AuctionSteps)),
        auction_every_tick=chance.random() < 0.6,
        auction_tie_higher=chance.random() < 0.5,
        auction_pressure_cap_bps=chance.choice([0, 0, 200]),
        auction_market_orders=chance.random() < 0.8,
        auction_market_rests=chance.random() < 0.3,
    )


@dataclass(slots=True)
class Flow:
    """The next command, again and again."""

    chance: random.Random
    now: int = 0
    commands: int = 0
    owner: dict[int, int] = field(default_factory=dict)
    """Account by order, of the orders that were accepted lately."""
    phase: dict[int, Phase] = field(default_factory=lambda: dict.fromkeys(SERIES, Phase.CONTINUOUS))

    killed: set[tuple[int, int]] = field(default_factory=set)

    def open(self, engine: Engine) -> dict[int, Settings]:
        """List the series and register the accounts; returns the settings by series."""
        settings = {number: random_settings(self.chance) for number in SERIES}
        for number, rules in settings.items():
            engine.add_series(number, rules, reference=self.chance.choice([0, MIDDLE]))
        for number, account in ACCOUNTS.items():
            engine.add_account(number, **account)
        return settings

    def learn(self, command: Command, rows: Rows) -> None:
        """Remember what the next commands may be about."""
        if command.kind == Kind.NEW and rows.code == Code.OK:
            self.owner[rows.results[0].order] = command.account
            if len(self.owner) > 60:
                del self.owner[next(iter(self.owner))]
        for row in rows.phases:
            self.phase[row.series] = Phase(row.after)

    def next(self) -> Command:
        """A command; its time is `now`, which the caller lets pass with `pass_time`."""
        if self.killed and self.chance.random() < 0.1:
            return self._switch()
        kinds = (self._new, self._cancel, self._replace, self._reduce, self._mass, self._switch, self._phase)
        idle = sum(phase != Phase.CONTINUOUS for phase in self.phase.values())
        (make,) = self.chance.choices(kinds, (72, 8, 14, 3, 1, 1, 1 + 3 * idle))
        return make()

    def pass_time(self) -> int:
        self.now += self.chance.choice([0, 0, 0, 1, 1, 7])
        return self.now

    def number(self) -> int:
        self.commands += 1
        return self.commands

    def _command(self, kind: Kind, **columns: Any) -> Command:
        return Command(self.number(), kind, self.now, **columns)

    def _new(self) -> Command:
        chance = self.chance
        side = chance.choice(list(Side))
        # Buyers a little below the middle, sellers a little above, so that both trades and queues come about.
        price = MIDDLE + (1 if side == Side.SELL else -1) * chance.randint(-3, 6)
        worst = HIGHEST if side == Side.BUY else LOWEST
        flags, tif, terms = 0, TimeInForce.GTC, {}
        shape = chance.randrange(12)
        lots = chance.randint(1, 12)
        if shape == 0:
            tif = chance.choice([TimeInForce.IOC, TimeInForce.FOK])
        elif shape == 1:
            terms = {"display": chance.randint(1, lots), "refresh_below": chance.choice([0, 0, 1])}
        elif shape == 2:
            flags, price = FLAG_MARKET, chance.choice([worst, price])
        elif shape == 3:
            flags = chance.choice([0, FLAG_MARKET])
            terms = {"trigger": MIDDLE + chance.randint(-5, 5)}
        elif shape == 4:
            peg, offset = chance.choice([(Peg.BID, 0), (Peg.BID, 2), (Peg.MID, 1)])
            peg = Peg.ASK if peg == Peg.BID and side == Side.SELL else peg
            price = chance.choice([worst, price])
            terms = {"peg": peg, "offset": offset, "display": chance.choice([0, 1])}
        elif shape == 5:
            flags = FLAG_POST_ONLY
        elif shape == 6:
            terms = {"min_lots": chance.randint(1, lots)}
        elif shape == 7:
            tif = chance.choice([TimeInForce.DAY, TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE])
        elif shape == 8:
            tif = TimeInForce.GTD
            terms = {"expire_ns": self.now + chance.randint(1, 20)}
        if chance.random() < 0.12:
            terms["oco"] = chance.randint(1, 3)
        if chance.random() < 0.3:
            terms["self_trade"] = chance.choice(list(SelfTrade))
        return self._command(
            Kind.NEW,
            price=price,
            lots=lots,
            account=chance.choice(list(ACCOUNTS)),
            series=chance.choice((1, 1, 1, 2)),
            side=side,
            tif=tif,
            flags=flags,
            terms=Terms(**terms),
        )

    def _order(self) -> tuple[int, int]:
        """An order, most often a known one, and the account that asks for it."""
        if not self.owner:
            return 1, 1
        order = self.chance.choice(list(self.owner))
        return order, self.owner[order] if self.chance.random() < 0.97 else 8

    def _cancel(self) -> Command:
        order, account = self._order()
        return self._command(Kind.CANCEL, target=order, account=account)

    def _replace(self) -> Command:
        order, account = self._order()
        price = self.chance.choice([0, MIDDLE + self.chance.randint(-6, 6)])
        lots = self.chance.choice([KEEP, self.chance.randint(0, 15)])
        terms = Terms(expire_ns=self.chance.choice([0, 0, 0, self.now + 3]))
        return self._command(Kind.REPLACE, target=order, account=account, price=price, lots=lots, terms=terms)

    def _reduce(self) -> Command:
        order, account = self._order()
        return self._command(Kind.REDUCE, target=order, account=account, lots=self.chance.randint(1, 4))

    def _mass(self) -> Command:
        account, series = self.chance.choice([(1, 0), (3, 1), (0, 2), (6, 1)])
        flags, side = self.chance.choice([(0, 0), (FLAG_SIDE, 0), (FLAG_SIDE, 1)])
        return self._command(Kind.MASS_CANCEL, account=account, series=series, side=side, flags=flags)

    def _switch(self) -> Command:
        chance = self.chance
        if chance.random() < 0.4 and not self.killed:
            return self._command(Kind.DEADMAN, account=chance.choice(list(ACCOUNTS)), lots=chance.randint(0, 9))
        account, series = min(self.killed) if self.killed else chance.choice([(2, 0), (2, 0), (0, 2), (0, 0)])
        self.killed ^= {(account, series)}
        return self._command(
            Kind.KILL if (account, series) in self.killed else Kind.REVIVE, account=account, series=series
        )

    def _phase(self) -> Command:
        idle = [number for number in SERIES if self.phase[number] != Phase.CONTINUOUS]
        series = self.chance.choice(idle or SERIES)
        reference = self.chance.choice([0, MIDDLE, MIDDLE + 2])
        phase = self.phase[series]
        if phase in CALLS:
            after = self.chance.choice([0, 0, 0, Phase.CLOSED, Phase.HALTED])
            return self._command(Kind.UNCROSS, series=series, target=after, price=reference)
        if phase in (Phase.HALTED, Phase.CLOSED):
            target = self.chance.choice([Phase.CONTINUOUS, Phase.PRE_OPEN])
        else:
            target = self.chance.choice([*CALLS, Phase.HALTED])
        return self._command(Kind.PHASE, series=series, target=target, price=reference)


@dataclass(slots=True)
class Laws:
    """What holds after every command. Broken laws are assertions."""

    settings: dict[int, Settings]
    account: dict[int, int] = field(default_factory=dict)
    series: dict[int, int] = field(default_factory=dict)
    accepted: Counter[int] = field(default_factory=Counter)
    filled: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)
    open: dict[int, int] = field(default_factory=dict)
    """Open lots by order, before the command."""
    phase: dict[int, Phase] = field(default_factory=lambda: dict.fromkeys(SERIES, Phase.CONTINUOUS))
    book: dict[int, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = field(
        default_factory=lambda: {number: ([], []) for number in SERIES}
    )
    """Price and lots of bids and asks by series, before the command."""

    def look(self, command: Command, rows: Rows, engine: Engine) -> None:
        """Hold a command's rows and the state after it against the laws."""
        assert [row.command for row in rows.results] == [command.command]
        self._count(command, rows)
        self._auctions(rows)
        standing = {number: engine.standing(number) for number in SERIES}
        for number, orders in standing.items():
            sides = [
                [order for order in orders if order.side == side and order.place == Place.RESTING] for side in Side
            ]
            bids, asks = ([order.price for order in side] for side in sides)
            assert bids == sorted(bids, reverse=True)
            assert asks == sorted(asks)
            if self.phase[number] == Phase.CONTINUOUS:
                assert not bids or not asks or bids[0] < asks[0], (bids[0], asks[0])
            for order in orders:
                assert order.lots > 0
                assert 1 <= order.shown <= order.lots if order.place == Place.RESTING else order.shown == 0
            found = ([(order.price, order.lots) for order in side] for side in sides)
            self.book[number] = (next(found), next(found))
        self.open = {order.order: order.lots for orders in standing.values() for order in orders}
        for number, lots in self.accepted.items():
            assert lots == self.filled[number] + self.lost[number] + self.open.get(number, 0), (number, command)
        gone = [number for number in self.accepted if number not in self.open]
        for number in gone:
            for counts in (self.accepted, self.filled, self.lost):
                counts.pop(number, None)

    def _count(self, command: Command, rows: Rows) -> None:
        result = rows.results[0]
        if command.kind == Kind.NEW and result.code == Code.OK:
            self.accepted[result.order] = command.lots
            self.account[result.order] = command.account
            self.series[result.order] = command.series
        if command.kind == Kind.REPLACE and result.code == Code.OK and command.lots != KEEP:
            grown = command.lots - self.filled[command.target] - self.open[command.target]
            self.accepted[command.target] += max(grown, 0)
        for row in rows.fills:
            assert row.lots > 0
            assert 0 < row.price < HIGHEST
            self.filled[row.maker] += row.lots
            self.filled[row.taker] += row.lots
            self._pair(row.maker, row.taker)
        if command.kind == Kind.NEW and result.code == Code.OK and not command.terms.trigger:
            self._on_entry(command, self.filled[result.order])
        for ended in rows.endings:
            assert ended.lots > 0
            assert ended.reason in list(Ending)
            self.lost[ended.order] += ended.lots
        if not rows.uncrosses:
            self._bands(command, rows)
        for change in rows.phases:
            assert self.phase[change.series] == change.before != change.after
            self.phase[change.series] = Phase(change.after)

    def _bands(self, command: Command, rows: Rows) -> None:
        """Nobody takes outside the band, and with two of its rules an order that would do so trades nothing."""
        for fill in rows.fills:
            rules = self.settings[self.series[fill.taker]]
            assert rules.trade_low <= fill.price <= (rules.trade_high or HIGHEST)
        result = rows.results[0]
        for ended in rows.endings:
            rules = self.settings[self.series[ended.order]]
            whole = rules.band_breach in (BandBreach.REJECT, BandBreach.VOLATILITY_AUCTION)
            if (
                command.kind == Kind.NEW
                and ended.order == result.order
                and ended.reason == Ending.PRICE_RANGE
                and whole
            ):
                assert self.filled[ended.order] == 0

    @staticmethod
    def _on_entry(command: Command, filled: int) -> None:
        """FOK and minimum quantity are kept to the lot, whoever stands in the way."""
        if command.tif == TimeInForce.FOK:
            assert filled in (0, command.lots)
        assert filled == 0 or filled >= command.terms.min_lots

    def _pair(self, one: int, two: int) -> None:
        """Two orders that traded with each other may do so."""
        first, second = (ACCOUNTS[self.account[order]] for order in (one, two))
        assert not first.get("refuses", 0) & second.get("traits", 0)
        assert not second.get("refuses", 0) & first.get("traits", 0)
        assert self.series[one] == self.series[two]

    def _owner(self, order: int) -> int:
        account = self.account[order]
        return ACCOUNTS[account].get("owner", account)

    def _auctions(self, rows: Rows) -> None:
        for row in rows.uncrosses:
            bids, asks = self.book[row.series]
            assert check_uncross(Certificate(*row[2:9]), bids, asks, settings=self.settings[row.series]) is None
            assert row.executed + row.prevented + row.skipped == row.lots
            assert min(row.executed, row.prevented, row.skipped) >= 0
            # Stops that ran after the uncrossing may have been kept from self-trades too.
            assert rows.triggers or row.prevented == sum(prevented.lots for prevented in rows.prevented)
            for fill in auction_fills(rows):
                assert fill.price == row.price
                may = self.settings[row.series].self_trade_in_auction
                assert may or self._owner(fill.maker) != self._owner(fill.taker)


def auction_fills(rows: Rows) -> list[Any]:
    """The fills that belong to an uncrossing: the first ones, until its executed lots are reached."""
    found, left = [], rows.uncrosses[0].executed
    for fill in rows.fills:
        if left == 0:
            break
        left -= fill.lots
        found.append(fill)
    assert left == 0
    return found


def situations(command: Command, rows: Rows, laws: Laws) -> set[str]:
    """Names of what came about in a command that does not come about every day. `laws` has not looked at it yet."""
    found: set[str] = set()
    if rows.code != Code.OK:
        found.add(f"refused: {rows.code.name.lower()}")
    now = Counter[int]()
    for fill in rows.fills:
        now[fill.maker] += 1
        now[fill.taker] += 1
    for ended in rows.endings:
        name = Ending(ended.reason).name.lower()
        partly = laws.filled[ended.order] or now[ended.order]
        found.add(f"partial fill, then {name}" if partly else name)
    kind = Kind(command.kind).name.lower()
    prices = {(fill.maker, fill.taker): fill.price for fill in rows.fills}
    facts = {
        f"{kind} trades": bool(rows.fills),
        f"{kind} triggers a stop": bool(rows.triggers),
        f"{kind} moves a peg": any(row.price for row in rows.repricings),
        f"{kind} parks a peg": any(not row.price for row in rows.repricings),
        f"{kind} meets its owner": bool(rows.prevented),
        f"{kind} passes makers": bool(rows.skips),
        "stop triggers stop": len({row.price for row in rows.triggers}) > 1,
        "triggered stop trades": any(now[row.order] for row in rows.triggers),
        "several peaks in one order": len(prices) < len(rows.fills),
        "interruption": any(row.after == Phase.VOLATILITY_AUCTION for row in rows.phases)
        and command.kind != Kind.PHASE,
        "interruption by a triggered stop": bool(rows.triggers and rows.phases) and command.kind == Kind.NEW,
    }
    found |= {name for name, holds in facts.items() if holds}
    for row in rows.uncrosses:
        facts = {
            "auction without a price": row.lots == 0,
            "auction with a surplus of buyers": row.surplus > 0,
            "auction with a surplus of sellers": row.surplus < 0,
            "auction price of several": row.low < row.high,
            "auction prevents self-trades": row.prevented > 0,
            "auction skips a pair": row.skipped > 0,
            "auction keeps all apart": 0 == row.executed < row.lots,
        }
        found |= {name for name, holds in facts.items() if holds}
    return found
