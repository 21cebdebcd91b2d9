"""The tests' own language: a market drawn as a picture, traders by name, fills as text.

    market = a_market('''
        ask  5 @ 102  carol
        ask  5 @ 101  bob
    ''')
    market.buy(7, at=102, trader="alice", expect=["5 @ 101 bob", "2 @ 102 carol"])
    assert market.depth() == "ask 3 @ 102"

A line is side, lots, price in ticks and trader. Whoever asks is given the lots first, and everybody starts with MONEY;
the `studio` issues the series, so what it asks is a primary sale. Every command proves the invariants of the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.values import AccountKind, PostingCode
from ledger.reference import Account, ReferenceLedger
from matching.layout import FLAG_MARKET, FLAG_PRIMARY, FLAG_SYSTEM, PPB, Code, Kind, Section, Side, TimeInForce

MONEY = 10**9
STUDIO = "studio"
HOUSE = 0
CURRENCY = 1
SERIES = 1


def a_market(picture: str = "", **rules: Any) -> Market:
    """A market of one series under `rules` (see Market), with the orders of the picture resting."""
    market = Market(**rules)
    for line in picture.strip().splitlines():
        word, lots, _, price, trader = line.split()
        if word == "bid":
            market.buy(int(lots), at=int(price), trader=trader)
        elif trader == STUDIO:
            market.issue(int(lots), at=int(price))
        else:
            market.give(int(lots), trader)
            market.sell(int(lots), at=int(price), trader=trader)
    return market


@dataclass(slots=True)
class Market:
    """One series, traded by named parties, on a ledger that checks itself.

    `waterfall` has weights in parts per billion by name (`house` is the platform); the studio is the developer.
    """

    maker_ppm: int = 0
    taker_ppm: int = 0
    tax_ppm: int = 0
    royalty_ppm: int = 0
    tick_minor: int = 10
    price_max: int = 1_000_000
    lots_max: int = 100_000
    notional_max: int = 9 * 10**11
    supply_cap: int = 1_000_000
    resale: bool = True
    waterfall: dict[str, int] = field(default_factory=lambda: {"house": PPB // 10, STUDIO: PPB - PPB // 10})
    ledger: ReferenceLedger = field(default_factory=lambda: ReferenceLedger(check=True))
    parties: dict[str, int] = field(default_factory=dict)
    commands: int = 0

    def __post_init__(self) -> None:
        self.open(HOUSE, -CURRENCY, AccountKind.OUTSIDE)
        self.open(HOUSE, -CURRENCY, AccountKind.FEE_REVENUE)
        self.open(HOUSE, -CURRENCY, AccountKind.TAX_COLLECTED)
        self.open(-SERIES, -CURRENCY, AccountKind.SUSPENSE)
        self.open(-SERIES, SERIES, AccountKind.ISSUANCE)
        issuer = self.party(STUDIO)
        self.list_series(issuer)
        if self.waterfall:
            self.split(self.waterfall)

    # -- who and what --------------------------------------------------------------------------------------------------

    def party(self, name: str) -> int:
        """Number of a party, registered with MONEY at its first mention."""
        if name not in self.parties:
            number = self.parties[name] = len(self.parties) + 1
            self.rates(name)
            cash = self.open(number, -CURRENCY, AccountKind.AVAILABLE)
            self.journal((self.open(HOUSE, -CURRENCY, AccountKind.OUTSIDE), cash, MONEY))
        return self.parties[name]

    def rates(self, name: str, **rules: Any) -> None:
        """Set what a party may do and pays from its next order on; the market's rules where nothing is said."""
        usual = {"maker_ppm": self.maker_ppm, "taker_ppm": self.taker_ppm, "tax_ppm": self.tax_ppm}
        self.ledger.set_party(self.party(name), **({"developer": name == STUDIO} | usual | rules))

    def list_series(self, issuer: int) -> None:
        self.ledger.set_series(
            SERIES,
            currency=CURRENCY,
            tick_minor=self.tick_minor,
            price_max=self.price_max,
            lots_max=self.lots_max,
            notional_max=self.notional_max,
            supply_cap=self.supply_cap,
            issuer=issuer,
            resale=self.resale,
            royalty_ppm=self.royalty_ppm,
        )

    def split(self, weights: dict[str, int]) -> int:
        """Put the next version of the waterfall in force; returns its number."""
        rows = [(self.payee(name), weight) for name, weight in weights.items()]
        return self.ledger.set_waterfall(SERIES, rows, self.payee(STUDIO))

    def payee(self, name: str) -> int:
        if name == "house":
            return self.open(HOUSE, -CURRENCY, AccountKind.PLATFORM_REVENUE)
        return self.open(self.party(name), -CURRENCY, AccountKind.AVAILABLE)

    # -- commands ------------------------------------------------------------------------------------------------------

    def command(self, kind: Kind, *, legs: Sequence[dict[str, int]] = (), **columns: Any) -> Code:
        """Run one command of this series and return the code of its result."""
        self.commands += 1
        blank = {"at_ns": self.commands, "price": 0, "lots": 0, "target": 0, "account": 0, "series": SERIES, "actor": 0}
        row = {"command": self.commands, "kind": kind, "side": 0, "tif": 0, "flags": 0} | blank | columns
        self.ledger.execute(row, legs)
        return Code(self.result[4])

    def order(
        self,
        side: Side,
        lots: int,
        *,
        at: int,
        trader: str,
        tif: TimeInForce = TimeInForce.GTC,
        flags: int = 0,
        expect: list[str] | None = None,
        refused: Code = Code.OK,
    ) -> int:
        """A new order; returns its number. `expect` are its fills, as "lots @ price maker"."""
        first_fill = len(self.ledger.rows[Section.FILLS])
        columns: dict[str, Any] = {"price": at, "lots": lots, "side": side, "tif": tif, "flags": flags}
        makers = {order.number: order.party for order in self.ledger.open_orders.values()}
        code = self.command(Kind.NEW, account=self.party(trader), **columns)
        assert code == refused, code
        names = {number: name for name, number in self.parties.items()}
        fills = self.ledger.rows[Section.FILLS][first_fill:]
        if expect is not None:
            assert [f"{lots} @ {price} {names[makers[maker]]}" for _, maker, _, price, lots in fills] == expect
        return self.result[1]

    def buy(self, lots: int, **order: Any) -> int:
        return self.order(Side.BUY, lots, **order)

    def sell(self, lots: int, **order: Any) -> int:
        return self.order(Side.SELL, lots, **order)

    def issue(self, lots: int, **order: Any) -> int:
        """A primary sale by the studio."""
        return self.order(Side.SELL, lots, trader=STUDIO, flags=FLAG_PRIMARY, **order)

    def market_buy(self, lots: int, **order: Any) -> int:
        return self.order(Side.BUY, lots, flags=FLAG_MARKET, **order)

    def cancel(self, order: int, *, trader: str) -> Code:
        return self.command(Kind.CANCEL, target=order, account=self.party(trader))

    def reduce(self, order: int, *, by: int, trader: str) -> Code:
        return self.command(Kind.REDUCE, target=order, lots=by, account=self.party(trader))

    def end_series(self) -> Code:
        """What the sequencer sends when a series ends: every order of it leaves."""
        return self.command(Kind.MASS_CANCEL, flags=FLAG_SYSTEM)

    def refund(self, lots: int, *, at: int, buyer: str, version: int = 1) -> Code:
        return self.command(Kind.REFUND, account=self.party(buyer), lots=lots, price=at, target=version)

    def give(self, lots: int, trader: str) -> None:
        """Units that were issued before the story begins."""
        units = self.open(self.party(trader), SERIES, AccountKind.AVAILABLE)
        self.journal((self.open(-SERIES, SERIES, AccountKind.ISSUANCE), units, lots))

    def spend(self, amount_minor: int, trader: str) -> None:
        """Take money out of the market."""
        outside = self.open(HOUSE, -CURRENCY, AccountKind.OUTSIDE)
        self.journal((self.payee(trader), outside, amount_minor))

    def journal(self, *legs: tuple[int, int, int], refused: Code = Code.OK) -> None:
        rows = [{"debit": debit, "credit": credit, "amount": amount, "code": 15} for debit, credit, amount in legs]
        assert self.command(Kind.JOURNAL, legs=rows) == refused, self.result

    def open(self, owner: int, asset: int, kind: AccountKind) -> int:
        """Number of an account; only one that does not exist takes a command."""
        number = self.ledger.find_account(owner, asset, kind)
        if number is None:
            self.command(Kind.OPEN_ACCOUNT, account=owner, series=asset, flags=kind)
            number = self.result[5]
        return number

    # -- questions -----------------------------------------------------------------------------------------------------

    @property
    def result(self) -> tuple[int, ...]:
        """The latest row of `results`."""
        return self.ledger.rows[Section.RESULTS][-1]

    def depth(self) -> str:
        """The book, best price first on each side, asks then bids: "ask 3 @ 102, bid 1 @ 99"."""
        book = self.ledger.series[SERIES].book
        asks = [f"ask {level.lots} @ {level.price}" for level in book.depth(Side.SELL)]
        return ", ".join(asks + [f"bid {level.lots} @ {level.price}" for level in book.depth(Side.BUY)])

    def account(self, owner: int, asset: int, kind: AccountKind) -> Account:
        return self.ledger.accounts[self.ledger.account_numbers[owner, asset, kind]]

    def cash(self, name: str) -> Account:
        return self.ledger.accounts[self.payee(name)]

    def units(self, name: str) -> Account:
        return self.account(self.party(name), SERIES, AccountKind.AVAILABLE)

    def earned(self, name: str) -> int:
        """What a party has gained since it came with MONEY; the house began with nothing."""
        return self.cash(name).balance - (0 if name == "house" else MONEY)

    def revenue(self, kind: AccountKind) -> int:
        return self.account(HOUSE, -CURRENCY, kind).balance

    def suspense(self) -> int:
        return self.account(-SERIES, -CURRENCY, AccountKind.SUSPENSE).balance

    def postings(self) -> list[tuple[str, int]]:
        """Code and amount of what the latest command posted, in order."""
        rows = self.ledger.rows[Section.POSTINGS]
        return [
            (PostingCode(code).name, amount) for command, _, _, amount, code, _ in rows if command == self.result[0]
        ]

    def endings(self) -> list[tuple[int, ...]]:
        """Order, lots and reason of every ending so far."""
        return [(order, lots, reason) for _, order, lots, reason, _ in self.ledger.rows[Section.ENDINGS]]
