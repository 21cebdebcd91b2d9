"""What a party has: cash with what each hold is for, license units with their grants, the statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from api.web.numbers import Numbers
from api.web.views.license_words import term_words
from api.web.words import Words
from api.wire import GRANT, ORDER, SERIES, public_id
from domain.values import AccountKind, PostingCode
from matching.layout import Side
from projections import assets, market, traders

LINES: Final = 50
ORDERS_MAX: Final = 10_000
SHORT: Final = 12
"""Rows of a list until all of it is asked for."""


@dataclass(frozen=True, slots=True)
class Cash:
    code: str
    exponent: int
    available: int
    held: int


@dataclass(frozen=True, slots=True)
class OpenOrder:
    id: str
    series_id: str
    symbol: str
    buy: bool
    price: int
    tick_minor: int
    exponent: int
    lot_size: str
    resting: int
    filled: int
    hold: str
    at_ns: int
    command: int


@dataclass(frozen=True, slots=True)
class Holding:
    series_id: str
    symbol: str
    available: int
    held: int
    lot_size: str
    last: int | None
    tick_minor: int
    exponent: int
    value_minor: int | None
    grant_id: str | None
    since_ns: int | None
    term: str


@dataclass(frozen=True, slots=True)
class StatementLine:
    at_ns: int
    code: str
    series_id: str | None
    symbol: str
    amount: int
    balance: int
    exponent: int
    command: int


@dataclass(frozen=True, slots=True)
class Portfolio:
    balances: Sequence[Cash]
    orders: Sequence[OpenOrder]
    holdings: Sequence[Holding]
    orders_in_all: int
    holdings_in_all: int
    lines: Sequence[StatementLine]
    older: str | None
    """Where the next page of the statement begins."""


def load(connection: Connection, party: int, query: Mapping[str, str], now_ns: int, t: Words, n: Numbers) -> Portfolio:
    """The portfolio of a party; `cursor` of the query is where its statement goes on."""
    currencies = {row.currency: row for row in assets.all_currencies(connection)}
    listed = _Series(connection)
    cash = [row for row in traders.balances(connection, party) if row.asset < 0 and row.kind == AccountKind.AVAILABLE]
    held = traders.holds(connection, party, limit=ORDERS_MAX)[::-1]
    holdings = _holdings(connection, party, listed, now_ns, t, n)
    holdings.sort(key=lambda holding: (-(holding.value_minor or 0), holding.symbol))
    lines, older = _lines(connection, party, cash, currencies, query.get("cursor", ""), listed)
    return Portfolio(
        balances=[
            Cash(currencies[-row.asset].code, currencies[-row.asset].exponent, row.available, row.held) for row in cash
        ],
        orders=[_order(row, listed.of(row.series), n) for row in (held if query.get("orders") else held[:SHORT])],
        orders_in_all=len(held),
        holdings=holdings if query.get("holdings") else holdings[:SHORT],
        holdings_in_all=len(holdings),
        lines=lines,
        older=older,
    )


class _Series:
    """Series rows, each read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[int, Any] = {}

    def of(self, number: int) -> Any:
        if number not in self._known:
            self._known[number] = assets.series_row(self._connection, number)
        return self._known[number]


def _order(row: Any, series: Any, n: Numbers) -> OpenOrder:
    buy = row.side == Side.BUY
    hold = (
        f"{n.money(row.hold, series.exponent)} {series.currency_code}" if buy else n.quantity(row.hold, series.lot_size)
    )
    return OpenOrder(
        id=public_id(ORDER, row.order_number),
        series_id=public_id(SERIES, row.series),
        symbol=series.symbol,
        buy=buy,
        price=row.price_ticks,
        tick_minor=series.tick_minor,
        exponent=series.exponent,
        lot_size=series.lot_size,
        resting=row.resting_lots,
        filled=row.filled_lots,
        hold=hold,
        at_ns=row.at_ns,
        command=row.command,
    )


def _holdings(connection: Connection, party: int, listed: _Series, now_ns: int, t: Words, n: Numbers) -> list[Holding]:
    rows = traders.holdings(connection, party)
    tickers = market.tickers(connection, now_ns, [row.series for row in rows])
    grants = {row.series: row for row in traders.all_grants(connection, holder=party, limit=10_000)}
    found = []
    for row in rows:
        series, last, grant = listed.of(row.series), tickers[row.series].last_ticks, grants.get(row.series)
        terms = assets.terms_row(connection, series.terms)
        found.append(
            Holding(
                series_id=public_id(SERIES, row.series),
                symbol=series.symbol,
                available=row.available,
                held=row.held,
                lot_size=series.lot_size,
                last=last,
                tick_minor=series.tick_minor,
                exponent=series.exponent,
                value_minor=None if last is None else last * series.tick_minor * (row.available + row.held),
                grant_id=None if grant is None else public_id(GRANT, grant.grant_number),
                since_ns=None if grant is None else grant.at_ns,
                term=term_words(terms, t, n),
            )
        )
    return found


def _lines(
    connection: Connection,
    party: int,
    cash: Sequence[Any],
    currencies: Mapping[int, Any],
    cursor: str,
    listed: _Series,
) -> tuple[list[StatementLine], str | None]:
    """Lines of the first currency, newest first, before `command-line` of the cursor."""
    if not cash:
        return [], None
    currency = currencies[-cash[0].asset]
    command, _, line = cursor.partition("-")
    after = (int(command), int(line)) if command.isdecimal() and line.isdecimal() and len(cursor) < 40 else None
    rows = traders.statement(connection, party, currency.currency, after=after, limit=LINES + 1).lines
    lines = [
        StatementLine(
            at_ns=row.at_ns,
            code=PostingCode(row.code).name.lower(),
            series_id=public_id(SERIES, row.series) if row.series else None,
            symbol=listed.of(row.series).symbol if row.series else "",
            amount=row.amount_minor,
            balance=row.balance_minor,
            exponent=currency.exponent,
            command=row.command,
        )
        for row in rows[:LINES]
    ]
    older = f"{rows[LINES - 1].command}-{rows[LINES - 1].line}" if len(rows) > LINES else None
    return lines, older
