"""Simulated traders who go on where the history of the demo ends, in real time and at a calm rate.

They send orders to the writer as a door does, know what anybody knows who trades (list prices, their own orders and
their answers), and choose by a seeded lot; what they come upon is the real market, with whoever else trades in it. The
five market makers keep quotes around a level that wanders below each list price; the buyers take, bid, resell and
change their minds; an issuer renews its offer when it is sold out; finance credits whoever ran out of money.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from api.demo import cast, market, setup
from api.demo.flow import PER_MILLE, PRIMARY_LOTS, rows_of
from api.demo.numbers import Draws, Integers
from api.demo.script import board, quoted
from api.demo.steps import Rows
from domain.commands import RecordDeposit
from domain.rejections import Reason, Refusal
from ledger.outages import LogConflict, LogOutage
from ledger.sequencer import Ask, OrderReplies, Orders, SequencerStopped
from ledger.writer import Writer
from matching.layout import FLAG_MARKET, FLAG_PRIMARY, Kind, Side, TimeInForce

GUEST: Final = "buyer-8"
"""Whoever tries the demo trades for this member of the cast, so the simulated traders leave it alone."""

REQUOTES: Final = 45
TAKES: Final = 33
BIDS: Final = 12
"""What a turn does, so often of 100; the rest are resales."""
PAUSE_MS: Final = (120, 480)
"""Between two turns."""

LEVEL_BELOW: Final = (10, 60)
"""Where the makers see the price of a series: so many per mille below its list price."""
STEP: Final = 4
HALF_SPREAD: Final = 4
BETWEEN_MAKERS: Final = 3
"""Per mille: a step of the level, half of the best spread, and the distance from one maker's quote to the next's."""
BIDS_MAX: Final = 300
"""Resting orders of the buyers; beyond it the oldest is canceled."""
CREDIT_MINOR: Final = 200_000_000
RESTOCK_LOTS: Final = 100
SECOND_NS: Final = 10**9


class Crowd:
    """What the traders want next. Not thread-safe; depends on nothing but the seed and the answers."""

    def __init__(self, seed: int, days: int) -> None:
        """The market as it is after `days` days of the history with this seed."""
        self._parties = cast.number_of()
        listings = setup.listings()
        self._board = board(Draws(seed), listings)
        self._board.price_ticks[:] = _list_prices(listings, days)
        self._quoted = quoted(self._board, listings)
        self._draws = Draws(seed + 1)
        self._makers = [self._parties[member.key] for member in cast.MAKERS]
        self._buyers = [self._parties[member.key] for member in cast.BUYERS if member.key != GUEST]
        self._levels = self._draws.between(*LEVEL_BELOW, len(self._quoted))
        self._quotes = np.zeros((len(self._makers), len(self._quoted), 2), dtype=np.int64)
        """Numbers of the makers' resting bids and asks."""
        self._resting: deque[tuple[int, int]] = deque()
        """(party, order) of the buyers' bids and asks that may still rest."""
        self._held: deque[tuple[int, int, int]] = deque(maxlen=1_000)
        """(party, series, lots) of purchases."""
        self._short: deque[tuple[int, int]] = deque()
        """(party, series) of makers whose stock ran out."""
        self._sold_out: deque[int] = deque()
        """Series that nobody sells any more at the list price."""
        self.wants_money: set[int] = set()
        """Parties that could not pay; whoever credits them takes them out."""

    def favorite(self) -> tuple[int, int]:
        """(series, list price in ticks) of what most buyers want."""
        place = int(np.argmax(self._board.popularity[self._quoted] * self._open()))
        series = int(self._quoted[place])
        return series, int(self._board.price_ticks[series])

    def opening(self) -> Rows:
        """Every maker's quotes of the history canceled, and new ones around today's level."""
        sweep = rows_of(len(self._makers), kind=Kind.MASS_CANCEL, account=_numbers(self._makers))
        places = range(len(self._quoted))
        quotes = [self._quote(maker, place) for place in places for maker in range(len(self._makers))]
        return np.concatenate([sweep, *quotes])

    def next(self) -> Rows:
        """The orders of one turn: one trader's."""
        if self._sold_out:
            series = self._sold_out.popleft()
            return rows_of(
                1,
                account=int(self._board.issuer[series]),
                series=series,
                side=Side.SELL,
                price=int(self._board.price_ticks[series]),
                lots=PRIMARY_LOTS,
                flags=FLAG_PRIMARY,
            )
        if self._short:
            party, series = self._short.popleft()
            return self._buy(party, series, RESTOCK_LOTS)
        if len(self._resting) > BIDS_MAX:
            party, order = self._resting.popleft()
            return rows_of(1, kind=Kind.CANCEL, account=party, target=order)
        drawn = self._one(100)
        if drawn < REQUOTES:
            return self._requote()
        if drawn < REQUOTES + TAKES:
            return self._buy(self._buyer(), self._series(), 1 + self._one(12))
        if drawn < REQUOTES + TAKES + BIDS:
            return self._bid()
        return self._resell()

    def learn(self, rows: Rows, results: Rows) -> None:
        """RESULT rows of the orders of `opening` or `next`."""
        for row, result in zip(rows, results, strict=True):
            if row["kind"] == Kind.NEW:
                self._learn(row, result)

    # -- turns ---------------------------------------------------------------------------------------------------------

    def _requote(self) -> Rows:
        """One maker takes its two quotes back and puts new ones, a step up or down."""
        maker = self._one(len(self._makers))
        # The most popular series come first by far: the list is sorted by number, so choose by weight.
        place = int(self._draws.pick(np.cumsum(self._board.popularity[self._quoted] * self._open()), 1)[0])
        step = self._one(2 * STEP + 1) - STEP
        self._levels[place] = min(max(int(self._levels[place]) + step, LEVEL_BELOW[0]), LEVEL_BELOW[1])
        resting = self._quotes[maker, place]
        resting = resting[resting > 0]
        cancels = rows_of(len(resting), kind=Kind.CANCEL, account=self._makers[maker], target=resting)
        self._quotes[maker, place] = 0
        return np.concatenate([cancels, self._quote(maker, place)])

    def _quote(self, maker: int, place: int) -> Rows:
        """A bid and an ask of one maker around the level of a series."""
        series = int(self._quoted[place])
        away = HALF_SPREAD + BETWEEN_MAKERS * ((maker + place) % len(self._makers))
        below = int(self._levels[place])
        rows = rows_of(2, account=self._makers[maker], series=series)
        rows["side"] = (Side.BUY, Side.SELL)
        rows["price"] = (self._priced(series, -below - away), max(2, self._priced(series, min(away - below, -1))))
        rows["lots"] = self._draws.between(10, 60, 2)
        return rows

    def _buy(self, party: int, series: int, lots: int) -> Rows:
        """Takes at the list price or better; every fifth as a market order."""
        as_market = self._one(5) == 0
        return rows_of(
            1,
            account=party,
            series=series,
            price=self._priced(series, 20 if as_market else 0),
            lots=lots,
            tif=TimeInForce.IOC,
            flags=FLAG_MARKET if as_market else 0,
        )

    def _bid(self) -> Rows:
        series = self._series()
        price = self._priced(series, -(LEVEL_BELOW[0] + self._one(LEVEL_BELOW[1])))
        return rows_of(1, account=self._buyer(), series=series, price=price, lots=1 + self._one(20))

    def _resell(self) -> Rows:
        """A part of the oldest purchase that is remembered, at once or offered just below the list price."""
        if not self._held:
            return self._bid()
        party, series, lots = self._held.popleft()
        at_once = self._one(2) == 0
        return rows_of(
            1,
            account=party,
            series=series,
            side=Side.SELL,
            price=self._priced(series, -100 if at_once else -self._one(30)),
            lots=1 + self._one(lots),
            tif=TimeInForce.IOC if at_once else TimeInForce.GTC,
        )

    # -- answers -------------------------------------------------------------------------------------------------------

    def _learn(self, row: Any, result: Any) -> None:
        party, series = int(row["account"]), int(row["series"])
        buys = row["side"] == Side.BUY
        code = int(result["code"])
        if code in (Reason.SERIES_ENDED, Reason.UNKNOWN_SERIES):
            self._board.open[series] = 0
        elif code == Reason.INSUFFICIENT_FUNDS:
            self.wants_money.add(party)
        elif code == Reason.INSUFFICIENT_UNITS and party in self._makers:
            self._short.append((party, series))
        if code:
            return
        rests = int(result["lots"]) > 0
        if party in self._makers:
            if rests:
                place = int(np.searchsorted(self._quoted, series))
                self._quotes[self._makers.index(party), place, 0 if buys else 1] = int(result["order"])
        elif rests and party in self._buyers:
            self._resting.append((party, int(result["order"])))
        if row["tif"] == TimeInForce.IOC and buys:
            if not result["fills"]:
                self._sold_out.append(series)
            elif party in self._buyers and self._board.resale[series]:
                self._held.append((party, series, int(row["lots"])))

    # -- lots ----------------------------------------------------------------------------------------------------------

    def _one(self, bound: int) -> int:
        return int(self._draws.below(bound, 1)[0])

    def _open(self) -> Integers:
        return self._board.open[self._quoted]

    def _series(self) -> int:
        return int(self._draws.pick(self._board.likely(), 1)[0])

    def _buyer(self) -> int:
        return self._buyers[self._one(len(self._buyers))]

    def _priced(self, series: int, per_mille: int) -> int:
        """The list price, so many per mille higher; at least one tick."""
        return max(1, int(self._board.price_ticks[series]) * (PER_MILLE + per_mille) // PER_MILLE)


class LiveTraders:
    """The crowd on a thread of its own, until closed or until the writer stops."""

    def __init__(self, crowd: Crowd, writer: Writer, clock: Callable[[], int], *, seed: int) -> None:
        self._crowd = crowd
        self._writer = writer
        self._clock = clock
        self._pauses = Draws(seed + 2)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._trade, name="tallystick-traders", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End after the present turn; the writer must still answer."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _trade(self) -> None:
        try:
            self._send(self._crowd.opening())
            while not self._closing.wait(int(self._pauses.between(*PAUSE_MS, 1)[0]) / 1_000):
                self._send(self._crowd.next())
                self._credit()
        except (SequencerStopped, LogOutage, LogConflict):
            return  # The writer has stopped, and says why in the logs.

    def _send(self, rows: Rows) -> None:
        replies = self._writer.submit(Orders(rows)).result()
        assert isinstance(replies, OrderReplies)
        self._crowd.learn(rows, replies.results)

    def _credit(self) -> None:
        now_ns = self._clock()
        day = datetime.fromtimestamp(now_ns // SECOND_NS, UTC).date().isoformat()
        while self._crowd.wants_money:
            party = self._crowd.wants_money.pop()
            payment = RecordDeposit(
                party=party,
                currency=setup.USD,
                amount_minor=CREDIT_MINOR,
                reference=f"live-{party}-{now_ns}",
                effective_day=day,
            )
            answer = self._writer.submit(Ask(payment, cast.number_of()["finance"])).result()
            assert not isinstance(answer, Refusal), answer


def _list_prices(listings: Sequence[setup.Listing], days: int) -> Integers:
    """In ticks by series, as they are on the last of `days` trading days."""
    last = (date.fromisoformat(market.FIRST_DAY) + timedelta(days=days - 1)).isoformat()
    in_force = [[price for price in listing.asset.prices if price.day <= last][-1] for listing in listings]
    return _numbers([0, *(price.price_minor // setup.TICK_MINOR for price in in_force)])


def _numbers(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)
