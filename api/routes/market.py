"""What everybody may see of trading: depth, trades, candles, tickers.

The depth is the hub's, so it is as young as the last commit; a body is made once for all who ask. The rest is the read
models'.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import orjson
from fastapi import Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import wire
from api.auth.authentication import authenticate
from api.auth.principal import Principal
from api.authorization import authorize
from api.doors import Doors
from api.live import DEPTH
from api.live.tape import INTERVALS
from api.paging import Paging
from api.problems import problem, problem_of
from api.replies import After, Cursor, Limit, as_of, check_in_log, doors_of, reply
from api.routes.orders import ActionRoute
from api.routes.registry import SeriesPath, action, router_of
from api.routes.series import found_series
from api.schemas.base import Page, Time, good
from api.schemas.market import Candles, Interval, Ticker, Tickers, Trade
from api.series_facts import SeriesFact
from api.wire import SIDES, rfc3339, trade_id
from domain.rejections import Reason, refuse
from projections import market

router = router_of("market")

DEPTH_DEFAULT: Final = 50
BODIES_MAX: Final = 4_096
MINUTE_SECONDS: Final = 60
LOOK_SECONDS: Final = 0.002
"""How often the hub's position is looked at while somebody waits for it."""


# -- depth: plain ASGI -------------------------------------------------------------------------------------------------


class _BookEndpoint:
    """The depth of a series: `?depth=` levels of each side, at most 500, `?after=` a position."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[int, int], tuple[Any, int, bytes]] = OrderedDict()
        """(depth's sides, position, body) by series and number of levels; a depth is replaced, never changed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        doors: Doors = scope["app"].state.doors
        authorize(authenticate(doors, scope, b""), "market.read")
        levels, after = _asked(scope["query_string"])
        if after is not None:
            await _shown(doors, after)
        fact = found_series(doors, scope["path_params"]["series"])
        view = doors.live.views.get(fact.number)
        depth = None if view is None else view.depth
        key = (fact.number, levels)
        known = self._bodies.get(key)
        if known is None or known[0] is not depth:
            known = (depth, 0 if depth is None else depth.position, self._body(doors, fact, levels))
            self._bodies[key] = known
            if len(self._bodies) > BODIES_MAX:
                self._bodies.popitem(last=False)
        body = known[2]
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-position", b"%d" % doors.live.position),
            (b"etag", b'"%d"' % known[1]),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    @staticmethod
    def _body(doors: Doors, fact: SeriesFact, levels: int) -> bytes:
        """The body as of the last change of the depth, whose position it states."""
        view = doors.live.view(fact.number)
        texts, depth = view.texts, view.depth
        return orjson.dumps(
            {
                "series": fact.id,
                "symbol": fact.symbol,
                "position": depth.position,
                "bids": [(texts.price(p), texts.quantity(lots), orders) for p, lots, orders in depth.bids[:levels]],
                "asks": [(texts.price(p), texts.quantity(lots), orders) for p, lots, orders in depth.asks[:levels]],
                "checksum": depth.checksum,
            }
        )


def _asked(query: bytes) -> tuple[int, int | None]:
    """(levels, position to wait for) of a query. Raises Problem `value_out_of_range`."""
    if not query:
        return DEPTH_DEFAULT, None
    found = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    levels = _number(found, "depth", 1, DEPTH)
    return DEPTH_DEFAULT if levels is None else levels, _number(found, "after", 0, 2**53 - 1)


def _number(found: dict[str, list[str]], name: str, low: int, high: int) -> int | None:
    if name not in found:
        return None
    text = found[name][-1]
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and low <= int(text) <= high):
        raise problem_of(refuse(Reason.VALUE_OUT_OF_RANGE, name, f"must be {low} to {high}", text))
    return int(text)


async def _shown(doors: Doors, after: int) -> None:
    """Wait until the hub shows this position. Raises Problem `value_out_of_range` or `projection_lagging`."""
    check_in_log(doors, after)
    waited = 0.0
    while doors.live.position < after:
        doors.live.hurry()
        if waited >= doors.settings.read_wait_seconds:
            raise problem("projection_lagging", f"after: the hub shows position {doors.live.position}.")
        await asyncio.sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS


BOOK_ROUTE: Final = ActionRoute("/v1/series/{series}/book", _BookEndpoint(), method="GET", name="market.read")


# -- trades, candles, tickers ------------------------------------------------------------------------------------------


@router.get("/series/{series}/trades", response_model=Page[Trade])
async def list_trades(
    request: Request,
    _principal: Annotated[Principal, action("market.read")],
    series: SeriesPath,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Trades of a series, the latest first."""
    doors = doors_of(request)
    fact = found_series(doors, series)
    paging = Paging(doors, limit, cursor, {"series": series}, address=f"/v1/series/{series}/trades")
    await as_of(doors, after)
    rows = await paging.rows(market.series_trades, fact.number)

    def body(row: Any) -> dict[str, Any]:
        return {
            "trade": trade_id(row.command, row.fill),
            "price": fact.price(row.price_ticks),
            "quantity": fact.quantity(row.lots),
            "notional": fact.money(row.notional_minor),
            "taker_side": SIDES[row.taker_side],
            "primary": bool(row.is_primary),
            "at": rfc3339(row.at_ns),
            "position": row.position,
        }

    return paging.reply(rows, body, lambda row: [row.command, row.fill])


@router.get("/series/{series}/candles", response_model=Candles)
async def list_candles(
    request: Request,
    _principal: Annotated[Principal, action("market.read")],
    series: SeriesPath,
    interval: Interval = "1m",
    since: Annotated[Time | None, Query(description="Candles that start at this time or later.")] = None,
    before: Annotated[Time | None, Query(description="Candles that start before this time.")] = None,
    after: After = None,
    limit: Limit = 100,
) -> Response:
    """Candles of a series, the latest first."""
    doors = doors_of(request)
    fact = found_series(doors, series)
    since_ns = None if since is None else good(wire.at_ns_of(since, "since"))
    before_ns = None if before is None else good(wire.at_ns_of(before, "before"))
    await as_of(doors, after)
    rows = await doors.reads.ask(
        lambda connection: market.series_candles(
            connection,
            fact.number,
            INTERVALS[interval] * MINUTE_SECONDS,
            before_ns=before_ns,
            since_ns=since_ns,
            limit=limit,
        )
    )
    candles = [
        {
            "start": rfc3339(row.start_ns),
            "open": fact.price(row.open_ticks),
            "high": fact.price(row.high_ticks),
            "low": fact.price(row.low_ticks),
            "close": fact.price(row.close_ticks),
            "quantity": fact.quantity(row.lots),
            "notional": fact.money(row.notional_minor),
            "trades": row.trades,
        }
        for row in rows
    ]
    return reply({"series": fact.id, "interval": interval, "candles": candles}, position=doors.reads.position())


@router.get("/series/{series}/ticker", response_model=Ticker)
async def get_ticker(
    request: Request, _principal: Annotated[Principal, action("market.read")], series: SeriesPath, after: After = None
) -> Response:
    """Last price, best prices and the last 24 hours of a series."""
    doors = doors_of(request)
    fact = found_series(doors, series)
    await as_of(doors, after)
    now_ns = doors.clock()
    found = await doors.reads.ask(lambda connection: market.tickers(connection, now_ns, [fact.number]))
    return reply(ticker_body(fact, found[fact.number]), position=doors.reads.position())


@router.get("/tickers", response_model=Tickers)
async def list_tickers(
    request: Request,
    _principal: Annotated[Principal, action("market.read")],
    series: Annotated[list[str] | None, Query(max_length=100, description="Ids or symbols; all where absent.")] = None,
    after: After = None,
) -> Response:
    """Tickers of the series named, or of all that have traded or have an open order."""
    doors = doors_of(request)
    wanted = None if series is None else [good(doors.series.named(text)).number for text in series]
    await as_of(doors, after)
    now_ns = doors.clock()
    found = await doors.reads.ask(lambda connection: market.tickers(connection, now_ns, wanted))
    tickers = []
    for number, ticker in found.items():
        fact = doors.series.of(number)
        if fact is not None:
            tickers.append(ticker_body(fact, ticker))
    return reply({"tickers": tickers}, position=doors.reads.position())


def ticker_body(fact: SeriesFact, ticker: market.Ticker) -> dict[str, Any]:
    def price(ticks: int | None) -> str | None:
        return None if ticks is None else fact.price(ticks)

    return {
        "series": fact.id,
        "symbol": fact.symbol,
        "last": price(ticker.last_ticks),
        "last_at": None if ticker.last_at_ns is None else rfc3339(ticker.last_at_ns),
        "bid": price(ticker.bid_ticks),
        "ask": price(ticker.ask_ticks),
        "spread": price(ticker.spread_ticks),
        "day": {
            "high": price(ticker.high_ticks),
            "low": price(ticker.low_ticks),
            "change": price(ticker.change_ticks),
            "quantity": fact.quantity(ticker.lots),
            "notional": fact.money(ticker.notional_minor),
            "trades": ticker.trades,
        },
    }
