"""What everybody may see of trading, and whether the doors are open."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from api.problems import problem
from api.web import pages
from tests.api.doors import SERIES, SYMBOL, RunningDoors, running_doors


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoors]:
    """Three trades at 12.00, 12.10 and 12.10, and a book of two levels a side."""
    with running_doors(tmp_path_factory.mktemp("market")) as running:
        studio, alice, bob = (running.client(name) for name in ("studio", "alice", "bob"))
        studio.sell("2.0", "12.00", primary=True)
        studio.sell("10.0", "12.10", primary=True)
        studio.sell("1.0", "12.50", primary=True)
        alice.buy("3.0", "12.10")
        bob.buy("1.0", "12.20", type="market")
        alice.buy("1.5", "11.90")
        bob.buy("0.5", "11.90")
        bob.buy("4.0", "11.50")
        running.settle()
        yield running


def get(house: RunningDoors, address: str) -> Any:
    answer = house.client().get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_depth_is_told_by_level_from_the_best_outward(house: RunningDoors) -> None:
    book = get(house, f"/v1/series/{SERIES}/book")
    assert book["bids"] == [["11.90", "2.0", 2], ["11.50", "4.0", 1]]
    assert book["asks"] == [["12.10", "8.0", 1], ["12.50", "1.0", 1]]
    assert (book["series"], book["symbol"]) == (SERIES, SYMBOL)
    assert book["checksum"] != zlib.crc32(b"")


def test_the_depth_is_as_deep_as_asked(house: RunningDoors) -> None:
    book = get(house, f"/v1/series/{SERIES}/book?depth=1")
    assert (book["bids"], book["asks"]) == ([["11.90", "2.0", 2]], [["12.10", "8.0", 1]])


@pytest.mark.parametrize("depth", ["0", "501", "-1", "x", "", "1.5", "\u0661"])
def test_a_depth_out_of_range_is_refused(house: RunningDoors, depth: str) -> None:
    answer = house.client().get(f"/v1/series/{SERIES}/book?depth={depth}")
    assert (answer.status_code, answer.json()["code"]) == (422, "value_out_of_range")


def test_the_depth_changes_with_the_next_order(house: RunningDoors) -> None:
    before = house.client().get(f"/v1/series/{SERIES}/book")
    placed = house.client("bob").buy("0.5", "1.00").json()
    after = house.client().get(f"/v1/series/{SERIES}/book?after={placed['position']}")
    assert after.json()["bids"][-1] == ["1.00", "0.5", 1] and after.headers["etag"] != before.headers["etag"]
    house.client("bob").delete(f"/v1/orders/{placed['id']}")
    house.settle()
    assert get(house, f"/v1/series/{SERIES}/book")["bids"] == before.json()["bids"]


def test_a_depth_after_a_position_that_the_log_does_not_have_is_refused(house: RunningDoors) -> None:
    answer = house.client().get(f"/v1/series/{SERIES}/book?after=900000")
    assert (answer.status_code, answer.json()["code"]) == (422, "value_out_of_range")


def test_trades_are_told_the_latest_first_and_name_nobody(house: RunningDoors) -> None:
    trades = get(house, f"/v1/series/{SERIES}/trades")["data"]
    assert [(trade["price"], trade["quantity"]) for trade in trades] == [
        ("12.10", "1.0"),
        ("12.10", "1.0"),
        ("12.00", "2.0"),
    ]
    assert {trade["taker_side"] for trade in trades} == {"buy"}
    assert "pty_" not in str(trades) and "ord_" not in str(trades)


def test_trades_are_paged(house: RunningDoors) -> None:
    whole = get(house, f"/v1/series/{SERIES}/trades")["data"]
    first = house.client().get(f"/v1/series/{SERIES}/trades?limit=2")
    assert first.headers["link"] == (
        f'</v1/series/{SERIES}/trades?limit=2&cursor={first.json()["next_cursor"]}>; rel="next"'
    )
    rest = get(house, f"/v1/series/{SERIES}/trades?limit=2&cursor={first.json()['next_cursor']}")
    assert first.json()["data"] + rest["data"] == whole and not rest["has_more"]


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
def test_candles_sum_up_the_trades(house: RunningDoors, interval: str) -> None:
    candles = get(house, f"/v1/series/{SERIES}/candles?interval={interval}")["candles"]
    assert sum(candle["trades"] for candle in candles) == 3
    assert (candles[-1]["open"], candles[0]["close"]) == ("12.00", "12.10")


def test_candles_are_narrowed_in_time(house: RunningDoors) -> None:
    address = f"/v1/series/{SERIES}/candles"
    assert get(house, f"{address}?before=2020-01-01T00:00:00Z")["candles"] == []
    assert get(house, f"{address}?since=2020-01-01T00:00:00Z")["candles"] != []
    assert house.client().get(f"{address}?since=yesterday").status_code == 422
    assert house.client().get(f"{address}?interval=2m").status_code == 422


def test_the_ticker_has_the_last_price_the_best_prices_and_the_day(house: RunningDoors) -> None:
    ticker = get(house, f"/v1/series/{SERIES}/ticker")
    assert (ticker["last"], ticker["bid"], ticker["ask"], ticker["spread"]) == ("12.10", "11.90", "12.10", "0.20")
    assert ticker["day"] == {
        "high": "12.10",
        "low": "12.00",
        "change": "0.10",
        "quantity": "4.0",
        "notional": "96.40",
        "trades": 3,
    }
    assert get(house, f"/v1/tickers?series={SYMBOL}")["tickers"] == [ticker]
    assert get(house, "/v1/tickers")["tickers"] == [ticker]


@pytest.mark.parametrize("series", ["ser_2", "ser_", "ser_01", "nothing", "ord_1"])
@pytest.mark.parametrize("part", ["", "/book", "/trades", "/candles", "/ticker", "/list_prices"])
def test_a_series_that_is_not_listed_is_not_found(house: RunningDoors, series: str, part: str) -> None:
    answer = house.client().get(f"/v1/series/{series}{part}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_doors_say_that_they_are_open(house: RunningDoors) -> None:
    assert get(house, "/v1/health") == {"status": "ok"}
    assert get(house, "/v1/ready")["status"] == "ready"
    status = get(house, "/v1/status")
    assert status["accepts_orders"] and status["log_position"] == status["live_position"] == status["reads_position"]
    assert abs(get(house, "/v1/time")["unix_ms"] - house.doors.clock() // 1_000_000) < 5_000


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/series/", 404, "not_found"),
        ("PUT", "/v1/orders", 405, "method_not_allowed"),
        ("GET", "/v1/orders/batch/", 404, "not_found"),
        ("POST", f"/v1/series/{SERIES}/book", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_here_is_a_problem(house: RunningDoors, method: str, address: str, status: int, code: str) -> None:
    answer = house.client().request(method, address)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("allow" in answer.headers) == (status == 405)


def test_a_browser_is_shown_a_page_for_an_address_where_nothing_is(house: RunningDoors) -> None:
    browsers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    shown = house.client().get("/nothing", headers=browsers)
    assert shown.status_code == 404
    assert shown.headers["content-type"].startswith("text/html") and "There is nothing here" in shown.text
    for address, headers in (("/v1/nothing", browsers), ("/nothing", {"Accept": "*/*"}), ("/static/x/y", browsers)):
        told = house.client().get(address, headers=headers)
        assert told.status_code == 404 and "text/html" not in told.headers.get("content-type", ""), address


def test_a_page_for_nothing_that_may_not_be_asked_for_is_that_problem(
    house: RunningDoors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_often(*_: object) -> NoReturn:
        raise problem("rate_limited", retry_after_ms=1_000)

    monkeypatch.setattr(pages, "nothing_here", too_often)
    answer = house.client().get("/nothing", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "rate_limited", "1")
