"""The language in which the rulebook's tests speak to an engine: buy, sell, replace, wait, look at what happened."""

from __future__ import annotations

from typing import Any

from matching.layout import Side
from matching.reference_auction import Certificate
from matching.reference_rows import Command, Place, Rows, Standing, Terms, Uncross
from matching.reference_settings import Settings
from matching.rulebook_layout import (
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_SIDE,
    HIGHEST,
    KEEP,
    LOWEST,
    Code,
    Ending,
    Kind,
    Peg,
    Phase,
    SelfTrade,
    TimeInForce,
)
from tests.conformance.engine import Engine

PPM = 1_000_000


class Venue:
    """A market under test. Series 1 is listed; parties appear when they first act, each its own owner."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.rows = Rows()
        """Of the last step."""
        self.now = 0
        self.commands = 0
        self.parties: dict[str, int] = {}

    def list_series(
        self,
        number: int = 1,
        *,
        phase: Phase = Phase.CONTINUOUS,
        last_trade: int = 0,
        reference: int = 0,
        **settings: Any,
    ) -> Venue:
        self.engine.add_series(number, Settings(**settings), phase=phase, last_trade=last_trade, reference=reference)
        return self

    def party(self, name: str, *, owner: str = "", traits: int = 0, refuses: int = 0) -> int:
        """The number of a party; the first call registers it."""
        if name not in self.parties:
            of = self.party(owner) if owner else 0
            self.parties[name] = len(self.parties) + 1
            self.engine.add_account(self.parties[name], owner=of, traits=traits, refuses=refuses)
        return self.parties[name]

    # --- steps ---

    def run(self, kind: int, **columns: Any) -> Rows:
        self.commands += 1
        self.rows = self.engine.run(Command(self.commands, kind, self.now, **columns))
        return self.rows

    def order(
        self,
        side: Side,
        lots: int,
        at: int | None = None,
        *,
        by: str | int = "",
        market: bool = False,
        post_only: bool = False,
        tif: int = TimeInForce.GTC,
        series: int = 1,
        flags: int = 0,
        **terms: int,
    ) -> Code:
        """A new order; without a price it is a market order or an uncapped peg. Returns the code of its result."""
        is_market = market or (at is None and not terms.get("peg"))
        worst = HIGHEST if side == Side.BUY else LOWEST
        account = by if isinstance(by, int) else self.party(by or ("buyer" if side == Side.BUY else "seller"))
        rows = self.run(
            Kind.NEW,
            price=worst if at is None else at,
            lots=lots,
            account=account,
            series=series,
            side=side,
            tif=tif,
            flags=flags | FLAG_MARKET * is_market | FLAG_POST_ONLY * post_only,
            terms=Terms(**terms),
        )
        return rows.code

    def buy(self, lots: int, at: int | None = None, **more: Any) -> int:
        """Buy, and be accepted; returns the order's number."""
        code = self.order(Side.BUY, lots, at, **more)
        assert code == Code.OK, code
        return self.rows.results[0].order

    def sell(self, lots: int, at: int | None = None, **more: Any) -> int:
        code = self.order(Side.SELL, lots, at, **more)
        assert code == Code.OK, code
        return self.rows.results[0].order

    def replace(self, order: int, *, by: str, lots: int = KEEP, at: int = 0, expire_ns: int = 0) -> Code:
        terms = Terms(expire_ns=expire_ns)
        return self.run(Kind.REPLACE, target=order, account=self.party(by), lots=lots, price=at, terms=terms).code

    def reduce(self, order: int, lots: int, *, by: str) -> Code:
        return self.run(Kind.REDUCE, target=order, account=self.party(by), lots=lots).code

    def cancel(self, order: int, *, by: str) -> Code:
        return self.run(Kind.CANCEL, target=order, account=self.party(by)).code

    def mass_cancel(self, *, by: str = "", series: int = 0, side: Side | None = None) -> Code:
        flags = 0 if side is None else FLAG_SIDE
        account = self.party(by) if by else 0
        return self.run(Kind.MASS_CANCEL, account=account, series=series, side=side or 0, flags=flags).code

    def kill(self, *, by: str = "", series: int = 0, revive: bool = False) -> Code:
        kind = Kind.REVIVE if revive else Kind.KILL
        return self.run(kind, account=self.party(by) if by else 0, series=series).code

    def deadman(self, by: str, timeout_ns: int) -> Code:
        return self.run(Kind.DEADMAN, account=self.party(by), lots=timeout_ns).code

    def wait_until(self, now: int) -> Rows:
        """Let time pass; the rows are those of everything that fell due."""
        self.now = now
        found = Rows()
        for command in self.engine.due(now, self.commands + 1):
            self.commands = command.command
            found.join(self.engine.run(command))
        self.rows = found
        return found

    def enter(self, phase: Phase, *, series: int = 1, reference: int = 0) -> Code:
        return self.run(Kind.PHASE, series=series, target=phase, price=reference).code

    def uncross(self, *, after: int = 0, reference: int = 0, series: int = 1) -> Uncross:
        """End an auction; returns the row of the uncrossing."""
        rows = self.run(Kind.UNCROSS, series=series, target=after, price=reference)
        assert rows.code == Code.OK, rows.code
        return rows.uncrosses[0]

    def indicative(self, *, reference: int = 0) -> Certificate:
        return self.engine.indicative(1, reference=reference)

    # --- what the last step did ---

    @property
    def fills(self) -> list[tuple[int, int, int, int]]:
        """Maker, taker, price, lots."""
        return [(row.maker, row.taker, row.price, row.lots) for row in self.rows.fills]

    @property
    def ended(self) -> list[tuple[int, int, Ending]]:
        return [(row.order, row.lots, Ending(row.reason)) for row in self.rows.endings]

    @property
    def triggered(self) -> list[tuple[int, int]]:
        return [(row.order, row.price) for row in self.rows.triggers]

    @property
    def repriced(self) -> list[tuple[int, int]]:
        return [(row.order, row.price) for row in self.rows.repricings]

    @property
    def prevented(self) -> list[tuple[int, int, int, int]]:
        """Maker, taker, price, lots."""
        return [(row.maker, row.taker, row.price, row.lots) for row in self.rows.prevented]

    @property
    def skips(self) -> list[tuple[int, int, int]]:
        """Taking order, orders, lots."""
        return [(row.order, row.orders, row.lots) for row in self.rows.skips]

    @property
    def phases(self) -> list[tuple[Phase, Phase]]:
        return [(Phase(row.before), Phase(row.after)) for row in self.rows.phases]

    # --- how the market stands ---

    def _side(self, side: Side, series: int = 1) -> list[tuple[int, int, int]]:
        return [
            (order.order, order.price, order.shown)
            for order in self.engine.standing(series)
            if order.side == side and order.place == Place.RESTING
        ]

    @property
    def bids(self) -> list[tuple[int, int, int]]:
        """Order, price and displayed lots of series 1, in priority."""
        return self._side(Side.BUY)

    @property
    def asks(self) -> list[tuple[int, int, int]]:
        return self._side(Side.SELL)

    def _placed(self, place: Place) -> list[int]:
        return [order.order for order in self.engine.standing(1) if order.place == place]

    @property
    def pending(self) -> list[int]:
        return self._placed(Place.PENDING)

    @property
    def parked(self) -> list[int]:
        return self._placed(Place.PARKED)

    def find(self, order: int, *, series: int = 1) -> Standing | None:
        return next((found for found in self.engine.standing(series) if found.order == order), None)

    def lots(self, order: int) -> int:
        """Open lots; 0 for an order that is not open."""
        found = self.find(order)
        return found.lots if found else 0


__all__ = ["PPM", "Code", "Ending", "Peg", "Phase", "SelfTrade", "Side", "TimeInForce", "Venue"]
