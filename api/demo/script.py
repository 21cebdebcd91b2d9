"""The seeded history of the demo market: one generator, the same steps for the same seed on every machine.

How an engine runs it::

    steps = history(seed)
    answer = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            break
        match step:
            case Submit():   answer = submit(step)           # not looked at
            case Orders():   answer = place(step.rows)       # RESULT rows, one per row, in the same order
            case EndOfDay(): answer = wait_for_the_shadow()  # not looked at

The steps depend on nothing but the seed and these RESULT rows, so a history that was interrupted resumes by taking the
rows of the steps already done from the log. Times never decrease. Every `Submit` is accepted; orders may be refused, as
in a market: funds run out, a series is halted, an order to cancel has been filled.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import date, timedelta
from typing import Final

import numpy as np

from api.demo import cast, market, setup
from api.demo.flow import (
    QUOTED,
    RESTOCK_LOTS,
    STOCK_LOTS,
    Board,
    Buyers,
    Issuers,
    Makers,
    popularity,
    rows_of,
    shuffled,
    timed,
)
from api.demo.numbers import Draws, Integers
from api.demo.steps import Answer, EndOfDay, Orders, Rows, Step, Submit
from domain.commands import (
    AdoptFeeSchedule,
    Command,
    FreezeParty,
    HaltSeries,
    RecordWithdrawal,
    RefundSale,
    ResumeSeries,
    SignAgreement,
    UnfreezeParty,
)
from domain.values import DAY_NS, HaltReason
from matching.layout import RESULT, Kind

Script = Generator[Step, Answer, None]

SEED: Final = 20_261_114
"""The seed whose final state hash is published."""

HOUR_NS: Final = 3_600 * 10**9
MINUTE_NS: Final = 60 * 10**9
SESSIONS: Final = (3, 6, 9, 12, 15, 18, 21)
"""Hours at which a session of two hours begins."""
BUYS_PER_SESSION: Final = 130
RESALES_PER_SESSION: Final = 60
SECOND_THOUGHTS_PER_SESSION: Final = 20

NEW_TAKER_PPM: Final = 400
FEE_DAY: Final = 46
FREEZE_DAY: Final = 40
MASS_CANCEL_EVERY: Final = 15
REFUND_EVERY: Final = 2
HALT_EVERY: Final = 9
TOP_UP_EVERY: Final = 7
TOP_UP_MINOR: Final = 200_000_000
PAY_OUT_MINOR: Final = 10_000_000
SIGNINGS: Final = range(12, 72, 2)
"""Days on which an agreement is signed anew; it takes effect ten days later, at midnight."""
NOTICE_DAYS: Final = 10


def history(seed: int, *, days: int = market.DAYS) -> Script:
    """The eve, then `days` trading days: registrations, prices on their real dates, trading."""
    assert 1 <= days <= market.DAYS, days
    yield from setup.eve()
    season = _Season(seed)
    yield from season.opening()
    for number in range(1, days + 1):
        yield from season.day(number, days)


class _Season:
    """The trading days and what they carry from one to the next."""

    def __init__(self, seed: int) -> None:
        self._draws = Draws(seed)
        self._parties = cast.number_of()
        self._listings = setup.listings()
        self._board = board(self._draws, self._listings)
        places = len(self._listings) + 1
        self._ends_ns = _numbers([0, *(listing.ends_ns or 0 for listing in self._listings)])
        self._issuers = Issuers(
            self._board, orders=np.zeros(places, dtype=np.int64), asked_lots=np.zeros(places, dtype=np.int64)
        )
        self._makers = Makers(
            self._board,
            accounts=_numbers(self._parties[member.key] for member in cast.MAKERS),
            series=quoted(self._board, self._listings),
        )
        self._buyers = Buyers(self._board, accounts=_numbers(self._parties[member.key] for member in cast.BUYERS))

    # -- the eve -------------------------------------------------------------------------------------------------------

    def opening(self) -> Script:
        """Every issuer's first offer, and the stock of the market makers."""
        eve_ns = setup.day_ns(market.EVE)
        rows = timed(
            self._issuers.offers(np.arange(1, len(self._listings) + 1)), eve_ns + 20 * HOUR_NS, eve_ns + 21 * HOUR_NS
        )
        self._issuers.learn(rows, (yield from _placed(rows)))
        yield from self._stock(STOCK_LOTS, eve_ns + 22 * HOUR_NS)

    # -- a day ---------------------------------------------------------------------------------------------------------

    def day(self, number: int, of: int) -> Script:
        """From midnight to midnight UTC; `number` counts trading days from 1."""
        day = (date.fromisoformat(market.FIRST_DAY) + timedelta(days=number - 1)).isoformat()
        midnight_ns = setup.day_ns(day)
        yield from _placed(timed(self._makers.cancels(), midnight_ns, midnight_ns + 10 * MINUTE_NS))
        yield from self._prices(day, midnight_ns + 15 * MINUTE_NS)
        yield from self._office(number, day, midnight_ns + HOUR_NS)
        if number % 7 == 0:
            yield from self._stock(RESTOCK_LOTS, midnight_ns + 80 * MINUTE_NS)
        quotes = timed(self._makers.quotes(self._draws), midnight_ns + 2 * HOUR_NS, midnight_ns + 150 * MINUTE_NS)
        self._makers.learn((yield from _placed(quotes)))

        halted = self._halted(number)
        for session in SESSIONS:
            begins_ns = midnight_ns + session * HOUR_NS
            if halted and session == SESSIONS[2]:
                yield self._staff("risk", begins_ns, HaltSeries(series=halted, reason=HaltReason.RISK))
            if halted and session == SESSIONS[4]:
                yield self._staff("risk", begins_ns, ResumeSeries(series=halted))
            yield from self._session(begins_ns)
        if number % REFUND_EVERY == 0:
            yield from self._refund(midnight_ns + 23 * HOUR_NS)
        if number % MASS_CANCEL_EVERY == 0:
            party = self._buyers.accounts[number // MASS_CANCEL_EVERY % len(self._buyers.accounts)]
            sweep = rows_of(1, kind=Kind.MASS_CANCEL, account=int(party))
            yield from _placed(timed(sweep, midnight_ns + 23 * HOUR_NS + 30 * MINUTE_NS, midnight_ns + DAY_NS))
        yield EndOfDay(midnight_ns + DAY_NS - MINUTE_NS, day, number, of)

    def _prices(self, day: str, at_ns: int) -> Script:
        """The price changes of the day, with new offers at the new prices, and offers that are sold down renewed."""
        changed = []
        for series, listing in enumerate(self._listings, start=1):
            for price in listing.asset.prices[1:]:
                if price.day == day:
                    yield Submit(at_ns, listing.issuer, setup.list_price(series, listing.asset, price))
                    self._board.price_ticks[series] = price.price_minor // setup.TICK_MINOR
                    changed.append(series)
        renewed = np.union1d(_numbers(changed), self._issuers.sold_down())
        rows = timed(self._issuers.offers(renewed), at_ns, at_ns + 30 * MINUTE_NS)
        self._issuers.learn(rows, (yield from _placed(rows)))

    def _stock(self, lots: int, from_ns: int) -> Script:
        """Market makers buy from the issuers."""
        rows = self._makers.stock(self._draws, lots)
        self._issuers.asked(rows)
        yield from _placed(timed(rows, from_ns, from_ns + 30 * MINUTE_NS))

    def _session(self, begins_ns: int) -> Script:
        """Two hours of buying, reselling and changing one's mind."""
        self._close_ended(begins_ns)
        draws, buyers = self._draws, self._buyers
        buys = buyers.buys(draws, BUYS_PER_SESSION)
        self._issuers.asked(buys)
        rows = shuffled(
            draws,
            np.concatenate(
                [
                    buys,
                    buyers.resales(draws, RESALES_PER_SESSION),
                    buyers.second_thoughts(draws, SECOND_THOUGHTS_PER_SESSION),
                ]
            ),
        )
        rows = timed(rows, begins_ns, begins_ns + 2 * HOUR_NS)
        buyers.learn(rows, (yield from _placed(rows)))

    def _close_ended(self, now_ns: int) -> None:
        """No more flow for what ends before the session is over."""
        self._board.open[(self._ends_ns != 0) & (self._ends_ns <= now_ns + 2 * HOUR_NS)] = 0

    # -- the house's own business --------------------------------------------------------------------------------------

    def _office(self, number: int, day: str, at_ns: int) -> Script:
        """Payments, fees, a freeze, agreements: whatever falls on this day."""
        if number % TOP_UP_EVERY == 0:
            for member in cast.BUYERS:
                party = self._parties[member.key]
                payment = setup.deposit(party, TOP_UP_MINOR, f"top-up-{number}-{member.key}", day)
                yield self._staff("finance", at_ns, payment)
        if number % 30 == 0:
            for member in cast.MAKERS:
                pay_out = RecordWithdrawal(
                    party=self._parties[member.key],
                    currency=setup.USD,
                    amount_minor=PAY_OUT_MINOR,
                    reference=f"pay-out-{number}-{member.key}",
                    effective_day=day,
                )
                yield self._staff("finance", at_ns, pay_out)
        if number == FEE_DAY:
            fees = AdoptFeeSchedule(maker_ppm=setup.MAKER_PPM, taker_ppm=NEW_TAKER_PPM)
            yield self._staff("finance", at_ns, fees)
        suspect = self._parties[cast.BUYERS[-1].key]
        if number == FREEZE_DAY:
            yield self._staff("risk", at_ns, FreezeParty(party=suspect, note="Questions about the origin of funds."))
        if number == FREEZE_DAY + 2:
            yield self._staff("risk", at_ns, UnfreezeParty(party=suspect, note="Answered."))
        if number in SIGNINGS:
            yield self._staff("finance", at_ns, self._new_agreement(number))

    def _new_agreement(self, number: int) -> SignAgreement:
        """More for the data and less for the platform, for one demo asset with lineage after the other."""
        with_data = [place for place, listing in enumerate(self._listings) if listing.asset.edges]
        place = with_data[SIGNINGS.index(number) * 5]
        asset = self._listings[place].asset
        agents = [self._parties[member.key] for member in cast.AGENTS]
        first_ns = setup.day_ns(market.FIRST_DAY)
        return SignAgreement(
            model=place + 1,
            effective_at_ns=first_ns + (number - 1 + NOTICE_DAYS) * DAY_NS,
            platform_ppb=setup.PLATFORM_PPB - 10_000_000,
            agents=setup.agent_shares(place, agents),
            data_ppb=setup.DATA_PPB + 30_000_000,
            upstream_ppb=setup.UPSTREAM_PPB if asset.bases else 0,
        )

    def _halted(self, number: int) -> int:
        """The series that is halted from 09:00 to 15:00 on this day, or 0."""
        if number % HALT_EVERY:
            return 0
        series = self._makers.series
        return int(series[number // HALT_EVERY % len(series)])

    def _refund(self, at_ns: int) -> Script:
        """The latest purchase that was filled by an issuer's offer at once and whole, at the price that was asked.

        Only series that are not resold, so that the seller was the issuer and the lots are still there; only listed
        assets, as their waterfall is still the first.
        """
        held = self._buyers.purchases
        listed = _numbers([0, *(listing.asset.basis == "listed" for listing in self._listings)])
        fits = (held.fills == 1) & (held.lots > 0) & (self._board.resale[held.series] == 0) & (listed[held.series] == 1)
        fits &= held.price == self._board.price_ticks[held.series]
        places = np.flatnonzero(fits)
        if not len(places):
            return
        place = int(places[-1])
        lots = int(held.lots[place])
        refund = RefundSale(
            trade_command=int(held.command[place]),
            trade_fill=0,
            trade_lots=lots,
            series=int(held.series[place]),
            buyer=int(held.account[place]),
            lots=(lots + 1) // 2,
            price_ticks=int(held.price[place]),
            waterfall_version=1,
            reason="The buyer returns what it did not need.",
        )
        held.lots[place] = 0
        yield self._staff("finance", at_ns, refund)

    def _staff(self, member: str, at_ns: int, command: Command) -> Submit:
        return Submit(at_ns, self._parties[member], command)


def _placed(rows: Rows) -> Generator[Step, Answer, Rows]:
    """The RESULT rows of the orders; none are sent where there are none."""
    if not len(rows):
        return np.zeros(0, dtype=RESULT)
    results: Rows = yield Orders(rows)
    assert results.dtype == RESULT and len(results) == len(rows), (results.dtype, len(results), len(rows))
    return results


def _numbers(values: Iterable[int]) -> Integers:
    return np.array(list(values), dtype=np.int64)


def board(draws: Draws, listings: tuple[setup.Listing, ...]) -> Board:
    return Board(
        price_ticks=_numbers([0, *(listing.asset.prices[0].price_minor // setup.TICK_MINOR for listing in listings)]),
        issuer=_numbers([0, *(listing.issuer for listing in listings)]),
        resale=_numbers([0, *(listing.resale for listing in listings)]),
        open=_numbers([0, *(1 for _ in listings)]),
        popularity=np.concatenate([_numbers([0]), popularity(draws, len(listings))]),
    )


def quoted(board: Board, listings: tuple[setup.Listing, ...]) -> Integers:
    """The most popular series that are resold and do not end."""
    lasting = _numbers([0, *(listing.ends_ns is None for listing in listings)])
    weights = board.popularity * board.resale * lasting
    return np.sort(np.argsort(-weights, kind="stable")[:QUOTED]).astype(np.int64)
