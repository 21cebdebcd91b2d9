"""Order flow of the demo as arrays: issuers, market makers, buyers, resellers.

All arithmetic is in integers and in whole arrays; nothing depends on the order of a dictionary or a set. What the
script learns from the engine is only in RESULT rows: numbers of its orders, how much rests, how many fills.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from api.demo.numbers import Draws, Integers
from api.demo.steps import Rows
from matching.layout import COMMAND, FLAG_MARKET, FLAG_PRIMARY, Kind, Side, TimeInForce

PRIMARY_LOTS: Final = 5_000
"""What an issuer offers at a time."""
REFILL_LOTS: Final = 2_500
"""An issuer renews its offer after this many lots were asked for."""

QUOTED: Final = 80
"""Series that market makers quote."""
STOCK_LOTS: Final = 250
"""What a market maker buys of each series that it quotes, before the first day."""
RESTOCK_LOTS: Final = 60
"""What it buys again every week."""

PER_MILLE: Final = 1_000


def rows_of(
    count: int,
    *,
    kind: Kind | Integers = Kind.NEW,
    account: int | Integers = 0,
    series: int | Integers = 0,
    side: int | Integers = Side.BUY,
    price: int | Integers = 0,
    lots: int | Integers = 0,
    target: int | Integers = 0,
    tif: int | Integers = TimeInForce.GTC,
    flags: int | Integers = 0,
) -> Rows:
    """`count` rows whose account sent them itself; numbers and times are still 0."""
    rows = np.zeros(count, dtype=COMMAND)
    rows["kind"] = kind
    rows["account"] = account
    rows["actor"] = account
    rows["series"] = series
    rows["side"] = side
    rows["price"] = price
    rows["lots"] = lots
    rows["target"] = target
    rows["tif"] = tif
    rows["flags"] = flags
    return rows


def timed(rows: Rows, from_ns: int, until_ns: int) -> Rows:
    """The same rows, evenly spread over the time from `from_ns` to before `until_ns`."""
    if len(rows):
        rows["at_ns"] = from_ns + np.arange(len(rows), dtype=np.int64) * ((until_ns - from_ns) // len(rows))
    return rows


def shuffled(draws: Draws, rows: Rows) -> Rows:
    """The rows in an order by lot; equal lots keep their order."""
    return rows[np.argsort(draws.below(2**31, len(rows)), kind="stable")]


@dataclass(slots=True)
class Board:
    """What everybody sees of the series: place 0 is unused, so that a series' number is its place."""

    price_ticks: Integers
    issuer: Integers
    resale: Integers
    open: Integers
    """1 while the script trades it, 0 from the session on in which it ends."""
    popularity: Integers

    def likely(self) -> Integers:
        """Running sums of how often buyers choose a series."""
        return np.cumsum(self.popularity * self.open)


@dataclass(slots=True)
class Issuers:
    """Each issuer keeps one primary offer per series at its list price."""

    board: Board
    orders: Integers
    """Number of the resting offer by series; 0 none."""
    asked_lots: Integers
    """Lots that buyers asked for since the offer was made, by series."""

    def offers(self, series: Integers) -> Rows:
        """Cancels and new offers for the series, a cancel before its offer."""
        resting = self.orders[series]
        canceled = series[resting > 0]
        self.asked_lots[series] = 0
        return np.concatenate(
            [
                rows_of(
                    len(canceled),
                    kind=Kind.CANCEL,
                    account=self.board.issuer[canceled],
                    target=resting[resting > 0],
                ),
                rows_of(
                    len(series),
                    account=self.board.issuer[series],
                    series=series,
                    side=Side.SELL,
                    price=self.board.price_ticks[series],
                    lots=PRIMARY_LOTS,
                    flags=FLAG_PRIMARY,
                ),
            ]
        )

    def asked(self, buys: Rows) -> None:
        """Counts what buyers are about to ask for, whoever will sell it."""
        np.add.at(self.asked_lots, buys["series"], buys["lots"])

    def learn(self, rows: Rows, results: Rows) -> None:
        """Results of `offers`."""
        offered = rows["kind"] == Kind.NEW
        self.orders[rows["series"][offered]] = results["order"][offered]

    def sold_down(self) -> Integers:
        """The open series whose offers are due for renewal."""
        return np.flatnonzero((self.asked_lots >= REFILL_LOTS) & (self.board.open == 1)).astype(np.int64)


@dataclass(slots=True)
class Makers:
    """Market makers hold a stock and quote a bid and an ask around below the list price, new ones every day."""

    board: Board
    accounts: Integers
    series: Integers
    """The series that are quoted."""
    orders: Integers = field(init=False)
    """Numbers of the quotes: (maker, series, side)."""

    def __post_init__(self) -> None:
        self.orders = np.zeros((len(self.accounts), len(self.series), 2), dtype=np.int64)

    def stock(self, draws: Draws, lots: int) -> Rows:
        """Purchases at the list price."""
        account, series = self._pairs()
        return shuffled(
            draws,
            rows_of(
                len(account),
                account=account,
                series=series,
                price=self.board.price_ticks[series],
                lots=lots,
                tif=TimeInForce.IOC,
            ),
        )

    def cancels(self) -> Rows:
        account = np.broadcast_to(self.accounts[:, None, None], self.orders.shape)
        resting = self.orders > 0
        rows = rows_of(int(resting.sum()), kind=Kind.CANCEL, account=account[resting], target=self.orders[resting])
        self.orders[:] = 0
        return rows

    def quotes(self, draws: Draws) -> Rows:
        """A bid 4.0 to 9.0 % and an ask 0.5 to 3.0 % below the list price; bids first, so that row 2n + 1 is an ask."""
        account, series = self._pairs()
        price = self.board.price_ticks[series]
        count = len(account)
        rows = rows_of(2 * count, account=np.repeat(account, 2), series=np.repeat(series, 2))
        rows["lots"] = draws.between(10, 60, 2 * count)
        rows["side"][1::2] = Side.SELL
        rows["price"][0::2] = price * (PER_MILLE - draws.between(40, 90, count)) // PER_MILLE
        rows["price"][1::2] = -(-price * (PER_MILLE - draws.between(5, 30, count)) // PER_MILLE)
        return rows

    def learn(self, results: Rows) -> None:
        """Results of `quotes`: an order that rests keeps its number."""
        resting = np.where(results["lots"] > 0, results["order"], 0)
        self.orders[:] = resting.reshape(self.orders.shape)

    def _pairs(self) -> tuple[Integers, Integers]:
        """Every maker with every series, maker by maker."""
        return np.repeat(self.accounts, len(self.series)), np.tile(self.series, len(self.accounts))


@dataclass(slots=True)
class Purchases:
    """What buyers bought and still hold, as far as the script knows: one row per order that was filled at once."""

    command: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    account: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    series: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lots: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    price: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    fills: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def learn(self, rows: Rows, results: Rows) -> None:
        filled = (results["code"] == 0) & (results["fills"] > 0) & (rows["tif"] == TimeInForce.IOC)
        self.command = np.concatenate([self.command, results["command"][filled]])
        self.account = np.concatenate([self.account, rows["account"][filled].astype(np.int64)])
        self.series = np.concatenate([self.series, rows["series"][filled].astype(np.int64)])
        self.lots = np.concatenate([self.lots, rows["lots"][filled]])
        self.price = np.concatenate([self.price, rows["price"][filled]])
        self.fills = np.concatenate([self.fills, results["fills"][filled].astype(np.int64)])

    def pick(self, draws: Draws, places: Integers, count: int) -> Integers:
        """At most `count` different places out of `places`, in rising order."""
        if not len(places):
            return places
        return np.unique(places[draws.below(len(places), count)])


@dataclass(slots=True)
class Buyers:
    """Buyers take at the list price or better, bid below it, and resell a part of what they hold."""

    board: Board
    accounts: Integers
    purchases: Purchases = field(default_factory=Purchases)
    resting: Integers = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    """(order, account) of bids and asks that rest."""

    def buys(self, draws: Draws, count: int) -> Rows:
        """Of 20 orders 14 take at the list price, 3 are market orders, 3 rest below it."""
        series = draws.pick(self.board.likely(), count)
        account = self.accounts[draws.below(len(self.accounts), count)]
        price = self.board.price_ticks[series]
        kind = draws.below(20, count)
        below = price * (PER_MILLE - draws.between(30, 80, count)) // PER_MILLE
        above = price * (PER_MILLE + 20) // PER_MILLE
        return rows_of(
            count,
            account=account,
            series=series,
            price=np.where(kind < 14, price, np.where(kind < 17, above, below)),
            lots=draws.between(1, 12, count),
            tif=np.where(kind < 17, TimeInForce.IOC, TimeInForce.GTC),
            flags=np.where((kind >= 14) & (kind < 17), FLAG_MARKET, 0),
        )

    def resales(self, draws: Draws, count: int) -> Rows:
        """Parts of purchases, each sold at once down to 10 % below the list price (3 of 5) or offered just below it."""
        held = self.purchases
        may = (held.lots > 0) & (self.board.resale[held.series] == 1) & (self.board.open[held.series] == 1)
        places = held.pick(draws, np.flatnonzero(may).astype(np.int64), count)
        lots = 1 + (draws.words(len(places)) >> np.uint64(33)).astype(np.int64) % held.lots[places]
        held.lots[places] -= lots
        series = held.series[places]
        price = self.board.price_ticks[series]
        at_once = draws.below(5, len(places)) < 3
        offer = -(-price * (PER_MILLE - draws.between(1, 20, len(places))) // PER_MILLE)
        return rows_of(
            len(places),
            account=held.account[places],
            series=series,
            side=Side.SELL,
            price=np.where(at_once, price * 9 // 10, offer),
            lots=lots,
            tif=np.where(at_once, TimeInForce.IOC, TimeInForce.GTC),
        )

    def second_thoughts(self, draws: Draws, count: int) -> Rows:
        """Cancels of resting orders, every sixth a reduction by one lot instead."""
        if not len(self.resting):
            return rows_of(0)
        places = np.unique(draws.below(len(self.resting), count))
        orders, accounts = self.resting[places, 0], self.resting[places, 1]
        reduced = draws.below(6, len(places)) == 0
        kept = np.ones(len(self.resting), dtype=np.bool_)
        kept[places[~reduced]] = False
        self.resting = self.resting[kept]
        return rows_of(
            len(places),
            kind=np.where(reduced, Kind.REDUCE, Kind.CANCEL),
            account=accounts,
            target=orders,
            lots=np.where(reduced, 1, 0),
        )

    def learn(self, rows: Rows, results: Rows) -> None:
        """Results of buys, resales and second thoughts, in one batch or apart."""
        new = rows["kind"] == Kind.NEW
        bought = new & (rows["side"] == Side.BUY)
        self.purchases.learn(rows[bought], results[bought])
        rests = new & (results["lots"] > 0)
        added = np.stack([results["order"][rests], rows["account"][rests].astype(np.int64)], axis=1)
        self.resting = np.concatenate([self.resting, added])


def popularity(draws: Draws, count: int) -> Integers:
    """Weights of `count` series by the rank that the draws give them: the nth is worth a million over n + 2."""
    rank = np.argsort(np.argsort(draws.below(2**31, count), kind="stable"), kind="stable")
    return (1_000_000 // (rank + 3)).astype(np.int64)
