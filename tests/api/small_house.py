"""A small house with everything the log can tell: sales, a resale, refunds, two agreements, two months."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from api.bootstrap import House, places
from domain.commands import (
    AdoptFeeSchedule,
    AdoptTerms,
    Command,
    FreezeParty,
    ListSeries,
    PublishModelVersion,
    RecordDeposit,
    RefundSale,
    RegisterCurrency,
    RegisterModel,
    RegisterModelVersion,
    RegisterParty,
    SignAgreement,
)
from domain.rejections import Refusal
from domain.values import HOUSE, DigestBasis, PartyKind, Purpose, Role, TermKind, UnitKind
from ledger.sequencer import Ask, OrderReplies, Orders
from ledger.tables import Limits
from matching.layout import COMMAND, FLAG_PRIMARY, Side, TimeInForce

SEPTEMBER_NS = 1_789_300_800_000_000_000
"""2026-09-13T12:00:00Z."""
OCTOBER_NS = SEPTEMBER_NS + 20 * 86_400 * 10**9
OFFICE, STUDIO, AGENT, BUYER, COLLECTOR = range(1, 6)
LIMITS = Limits(orders=1024, levels=1024, accounts=1024)
PRICE = 101
DIGEST = bytes(range(32))


@dataclass(slots=True)
class SmallHouse:
    """The house of a data folder and the time in it."""

    house: House
    now_ns: int = SEPTEMBER_NS

    def ask(self, command: Command, actor: int = HOUSE) -> None:
        self.now_ns += 10**9
        answer = self.house.process([Ask(command, actor, at_ns=self.now_ns)])[0]
        assert not isinstance(answer, Refusal), answer

    def order(self, party: int, side: Side, lots: int, price: int = PRICE, *, flags: int = 0) -> Any:
        """The RESULT row of an order that trades at once what it can; an issuer's rests."""
        self.now_ns += 10**9
        row = np.zeros(1, COMMAND)
        row["kind"] = 1
        row["account"] = row["actor"] = party
        row["series"] = 1
        row["side"] = side
        row["price"] = price
        row["lots"] = lots
        row["tif"] = TimeInForce.GTC
        row["flags"] = flags
        row["at_ns"] = self.now_ns
        replies = self.house.process([Orders(row, stamped=True)])[0]
        assert isinstance(replies, OrderReplies) and replies.results["code"][0] == 0, replies
        return replies.results[0]

    def agree(self, platform_ppb: int, agents: tuple[tuple[int, int], ...]) -> None:
        terms = SignAgreement(model=1, platform_ppb=platform_ppb, agents=agents, data_ppb=0, upstream_ppb=0)
        self.ask(terms, OFFICE)


def tell(data: Path) -> None:
    """Write the story into a data folder.

    September: 3 and 4 lots sold at 101, 2 of them resold at 150 with a royalty of 5 %, 1 lot refunded. October: a new
    agreement without the agent, then 5 lots sold.
    """
    with House(places(data), clock=lambda: SEPTEMBER_NS, limits=LIMITS) as house:
        small = SmallHouse(house)
        _found(small)
        small.order(STUDIO, Side.SELL, 100, flags=FLAG_PRIMARY)
        sold = small.order(BUYER, Side.BUY, 3)
        small.order(COLLECTOR, Side.BUY, 4)
        small.order(COLLECTOR, Side.SELL, 2, 100)
        small.order(BUYER, Side.BUY, 2, 100)
        small.ask(
            RefundSale(
                trade_command=int(sold["command"]),
                trade_fill=0,
                trade_lots=3,
                series=1,
                buyer=BUYER,
                lots=1,
                price_ticks=PRICE,
                waterfall_version=1,
                reason="Not what was promised.",
            ),
            OFFICE,
        )
        small.now_ns = OCTOBER_NS
        small.agree(200_000_000, ())
        small.order(BUYER, Side.BUY, 5)
        small.ask(FreezeParty(party=COLLECTOR, note="Asked where the money came from."), OFFICE)


def _found(small: SmallHouse) -> None:
    """Parties, a model, its series, its agreement, and money."""
    company, person = PartyKind.COMPANY, PartyKind.INDIVIDUAL
    office = Role.FINANCE | Role.RISK
    small.ask(RegisterParty(kind=company, legal_name="The Office", country="NL", roles=office))
    small.ask(RegisterParty(kind=company, legal_name="Studio", country="DE", roles=Role.DEVELOPER))
    small.ask(RegisterParty(kind=person, legal_name="Ada Agent", country="DE", roles=Role.AGENT))
    small.ask(RegisterParty(kind=person, legal_name="Bert Buyer", country="DE", roles=Role.TRADER))
    small.ask(RegisterParty(kind=person, legal_name="Cora Collector", country="DE", roles=Role.TRADER))
    small.ask(RegisterCurrency(code="EUR", exponent=2))
    small.ask(AdoptFeeSchedule(maker_ppm=0, taker_ppm=1_000), OFFICE)
    small.ask(RegisterModel(developer=STUDIO, key="studio/one", title="One", source="a test"), STUDIO)
    small.ask(RegisterModelVersion(model=1, semver="1.0.0", digest=DIGEST, digest_basis=DigestBasis.ARTIFACT), STUDIO)
    small.ask(PublishModelVersion(model_version=1), STUDIO)
    small.ask(
        AdoptTerms(
            developer=STUDIO,
            purpose=Purpose.ANY,
            territory=("worldwide",),
            term=TermKind.PERPETUAL,
            unit=UnitKind.SEAT,
            transferable=True,
            derivatives_allowed=False,
            resale_royalty_ppm=50_000,
            text_digest=DIGEST,
            license="MIT",
        ),
        STUDIO,
    )
    small.agree(100_000_000, ((AGENT, 333_333_333),))
    small.ask(
        ListSeries(
            symbol="ONE/EUR",
            model_version=1,
            terms=1,
            currency=1,
            tick_minor=1,
            lot_size="1",
            unit_name="seat",
            supply_cap_lots=1_000,
            max_order_lots=500,
            max_notional_minor=10**9,
        ),
        STUDIO,
    )
    for party in (BUYER, COLLECTOR):
        small.ask(
            RecordDeposit(
                party=party, currency=1, amount_minor=100_000, reference=f"r-{party}", effective_day="2026-09-13"
            ),
            OFFICE,
        )
