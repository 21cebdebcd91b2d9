"""Orders over HTTP: placed, refused, repeated, changed, canceled, looked at and previewed."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from api import order_terms
from api.problems import MEDIA_TYPE, Problem
from api.schemas import orders as schemas
from ledger.sequencer import SequencerStopped
from projections.reads import ProjectionLagging
from tests.api.doors import SERIES, SYMBOL, RunningDoors, dumps, running_doors

KEYS = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoors]:
    with running_doors(tmp_path_factory.mktemp("orders")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty_books(house: RunningDoors) -> Iterator[None]:
    yield
    for name in ("alice", "bob", "studio"):
        assert house.client(name).delete("/v1/orders").status_code == 200


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{next(KEYS)}"}


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert body["type"] == f"/problems/{code}" and body["request_id"] == answer.headers["x-request-id"]
    return body


# -- placing -----------------------------------------------------------------------------------------------------------


def test_an_order_that_rests_is_answered_with_its_hold_and_position(house: RunningDoors) -> None:
    answer = house.client("alice").buy("2.5", "10.00")
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["x-position"] == str(body["position"])
    # 5 lots at 10.00, and the taker fee of 0.2 % and the tax of 5 % that it could have to pay.
    assert body == {
        "id": body["id"],
        "client_order_id": None,
        "series": SERIES,
        "symbol": SYMBOL,
        "side": "buy",
        "type": "limit",
        "price": "10.00",
        "quantity": "2.5",
        "time_in_force": "GTC",
        "status": "open",
        "remaining_quantity": "2.5",
        "fills": 0,
        "hold": {"amount": "52.60", "asset": "ccy_1"},
        "command": body["command"],
        "position": body["position"],
    }


def test_an_order_may_name_its_series_by_symbol(house: RunningDoors) -> None:
    answer = house.client("alice").post(
        "/v1/orders", json={"series": SYMBOL, "side": "buy", "quantity": "0.5", "price": "1.00"}
    )
    assert (answer.status_code, answer.json()["series"]) == (201, SERIES)


def test_an_order_that_meets_another_trades_at_once(house: RunningDoors) -> None:
    house.client("studio").sell("5.0", "12.00", primary=True)
    body = house.client("bob").buy("2.0", "12.50").json()
    assert (body["status"], body["fills"], body["remaining_quantity"]) == ("filled", 1, "0.0")
    body = house.client("bob").buy("4.0", "12.50", type="market").json()
    assert (body["status"], body["time_in_force"], body["fills"]) == ("executed", "IOC", 1)
    body = house.client("bob").buy("4.0", "12.50", time_in_force="IOC").json()
    assert (body["status"], body["fills"], body["hold"]["amount"]) == ("canceled", 0, "0.00")


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"price": "10.01"}, "price_not_on_tick", "/price"),
        ({"price": "1e3"}, "malformed_number", "/price"),
        ({"price": "0"}, "price_out_of_range", "/price"),
        ({"price": "-1.00"}, "price_out_of_range", "/price"),
        ({"price": None}, "missing_field", "/price"),
        ({"price": None, "type": "market"}, "protection_required", "/price"),
        ({"quantity": "0.3"}, "quantity_not_on_lot", "/quantity"),
        ({"quantity": "5\n"}, "malformed_number", "/quantity"),
        ({"quantity": "9" * 41}, "malformed_number", "/quantity"),
        ({"client_order_id": "two words"}, "malformed_client_order_id", "/client_order_id"),
        ({"client_order_id": ""}, "malformed_client_order_id", "/client_order_id"),
        ({"type": "market", "time_in_force": "GTC"}, "wrong_type", "/time_in_force"),
        ({"side": "BUY"}, "wrong_type", "/side"),
        ({"quantity": 5}, "wrong_type", "/quantity"),
        ({"primary": 1}, "wrong_type", "/primary"),
        ({"colour": "red"}, "unknown_field", "/colour"),
        ({"series": "lot_1"}, "wrong_type", "/series"),
    ],
)
def test_what_breaks_a_rule_is_refused_at_its_field(
    house: RunningDoors, change: dict[str, Any], code: str, pointer: str
) -> None:
    body = {"series": SERIES, "side": "buy", "quantity": "1.0", "price": "1.00"} | change
    found = problem_of(house.client("alice").post("/v1/orders", json=body), 422, code)
    assert [error["pointer"] for error in found["errors"]] == [pointer]


@pytest.mark.parametrize("series", ["ser_zz", "NONE/EUR"])
def test_a_series_that_is_not_listed_is_not_found(house: RunningDoors, series: str) -> None:
    answer = house.client("alice").post(
        "/v1/orders", json={"series": series, "side": "buy", "quantity": "1", "price": "1"}
    )
    assert answer.status_code == 404 and answer.json()["errors"][0]["pointer"] == "/series"


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "malformed_json"),
        (b"", {}, 400, "malformed_json"),
        (b"\xff\xfe", {}, 400, "malformed_json"),
        (b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", {}, 400, "nesting_too_deep"),
        (b"[" * 15, {}, 400, "malformed_json"),
        (b"[" * 3_000 + b"]" * 3_000, {}, 400, "nesting_too_deep"),
        (b"[]", {}, 422, "wrong_type"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"pad":"' + b"x" * 20_000 + b'"}', {}, 413, "body_too_large"),
    ],
)
def test_bodies_that_are_no_orders_are_problems(
    house: RunningDoors, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    sent = {"Content-Type": "application/json"} | headers
    problem_of(house.client("alice").request("POST", "/v1/orders", content=content, headers=sent), status, code)


def test_a_refusal_of_the_log_says_where_it_stands(house: RunningDoors) -> None:
    answer = house.client("alice").buy("5000.0", "900.00")
    found = problem_of(answer, 409, "insufficient_funds")
    assert answer.headers["x-position"] == str(found["position"]) and found["command"] > 0
    refusals = house.client("alice").get(f"/v1/order_refusals?after={found['position']}").json()["data"]
    assert (refusals[0]["command"], refusals[0]["code"]) == (found["command"], "insufficient_funds")


def test_who_may_not_trade_is_refused_before_the_log(house: RunningDoors) -> None:
    before = house.doors.house.store.position
    body = {"series": SERIES, "side": "buy", "quantity": "1.0", "price": "1.00"}
    problem_of(house.client("auditor").post("/v1/orders", json=body), 403, "forbidden")
    problem_of(house.client().post("/v1/orders", json=body), 401, "unauthenticated")
    problem_of(house.with_scopes("alice", "read").post("/v1/orders", json=body), 403, "forbidden")
    assert house.doors.house.store.position == before


# -- repeating ---------------------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_same_answer_and_trades_once(house: RunningDoors) -> None:
    key = new_key()
    first = house.client("alice").buy("1.0", "3.00", headers=key)
    second = house.client("alice").buy("1.0", "3.00", headers=key)
    assert "idempotent-replayed" not in first.headers and second.headers["idempotent-replayed"] == "true"
    assert (first.status_code, first.content) == (second.status_code, second.content)
    other_notation = house.client("alice").buy("1", "3", headers=key)
    assert other_notation.content == first.content
    problem_of(house.client("alice").buy("1.5", "3.00", headers=key), 422, "request_id_reused")


def test_a_repeated_refusal_is_the_same_refusal(house: RunningDoors) -> None:
    key = new_key()
    first = house.client("alice").buy("5000.0", "900.00", headers=key).json()
    second = house.client("alice").buy("5000.0", "900.00", headers=key)
    found = problem_of(second, 409, "insufficient_funds")
    assert (found["command"], found["position"]) == (first["command"], first["position"])
    assert second.headers["idempotent-replayed"] == "true"


def test_keys_of_different_parties_are_different_requests(house: RunningDoors) -> None:
    key = new_key()
    one = house.client("alice").buy("1.0", "3.00", headers=key).json()
    other = house.client("bob").buy("1.0", "3.00", headers=key).json()
    assert one["id"] != other["id"]


def test_a_request_that_is_sent_many_times_at_once_is_carried_out_once(house: RunningDoors) -> None:
    """Beside others of the same turn of the loop: with and without a key, with and without a client order id."""
    client = house.client("alice")
    repeated = client.prepared(
        "POST", "/v1/orders", {"series": SERIES, "side": "buy", "quantity": "1.0", "price": "3.00"}
    )
    key = new_key()

    async def at_once() -> tuple[list[httpx.Response], list[httpx.Response]]:
        same = [house.http.send(repeated(key)) for _ in range(25)]
        others = [
            house.http.send(
                client.prepared(
                    "POST",
                    "/v1/orders",
                    {"series": SERIES, "side": "buy", "quantity": "0.5", "price": f"{1 + at}.00"}
                    | ({"client_order_id": f"at-once-{at}"} if at % 2 else {}),
                )(new_key() if at % 3 else {})
            )
            for at in range(12)
        ]
        answers = await asyncio.gather(*same, *others)
        return answers[:25], answers[25:]

    same, others = house.run(at_once())
    assert {(answer.status_code, answer.content) for answer in same} == {(201, same[0].content)}
    assert sum("idempotent-replayed" in answer.headers for answer in same) == 24
    assert [answer.json()["price"] for answer in others] == [f"{1 + at}.00" for at in range(12)]
    assert len({answer.json()["id"] for answer in others}) == 12
    position = max(answer.json()["position"] for answer in others)
    orders = client.get(f"/v1/orders?status=open&after={max(position, same[0].json()['position'])}").json()["data"]
    assert len(orders) == 13


def test_a_writer_that_has_stopped_is_told_with_when_to_ask_again(
    house: RunningDoors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(SequencerStopped("a test"))
        return future

    with monkeypatch.context() as patched:
        patched.setattr(house.doors.writer, "submit", stopped)
        single = house.client("alice").buy("1.0", "3.00")
        many = house.client("alice").post("/v1/orders/batch", json=batch(("buy", "1.0", "2.00")))
        rare = house.client("operator").post("/v1/currencies", json={"code": "XXX", "exponent": 2})
    for answer in (single, many, rare):
        problem_of(answer, 503, "writer_stopped")
        assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_a_key_that_is_no_key_is_refused(house: RunningDoors, key: str) -> None:
    answer = house.client("alice").request(
        "POST",
        "/v1/orders",
        json={"series": SERIES, "side": "buy", "quantity": "1.0", "price": "1.00"},
        headers={"Idempotency-Key": key},
    )
    problem_of(answer, 400, "idempotency_key_invalid")


# -- batches -----------------------------------------------------------------------------------------------------------


def batch(*orders: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    return {
        "orders": [
            {"series": SERIES, "side": side, "quantity": quantity, "price": price, **more}
            for side, quantity, price in orders
        ]
    }


def test_a_batch_is_decided_in_its_order_and_says_what_became_of_each(house: RunningDoors) -> None:
    sent = batch(("buy", "1.0", "2.00"), ("buy", "5000.0", "900.00"), ("buy", "2.0", "2.05"))
    answer = house.client("alice").post("/v1/orders/batch", json=sent)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["accepted"], body["refused"]) == (2, 1)
    first, second, third = body["results"]
    assert (first["order"]["status"], third["order"]["price"]) == ("open", "2.05")
    assert second["order"] is None and second["refusal"]["code"] == "insufficient_funds"
    assert first["order"]["command"] + 2 == second["refusal"]["command"] + 1 == third["order"]["command"]


def test_a_fault_in_one_order_refuses_the_whole_batch(house: RunningDoors) -> None:
    before = house.doors.house.store.position
    sent = batch(("buy", "1.0", "2.00"), ("buy", "1.0", "2.01"))
    found = problem_of(house.client("alice").post("/v1/orders/batch", json=sent), 422, "price_not_on_tick")
    assert found["errors"][0]["pointer"] == "/orders/1/price"
    assert house.doors.house.store.position == before


@pytest.mark.parametrize(("count", "code"), [(0, "too_many_items"), (1_001, "too_many_items")])
def test_a_batch_has_one_to_a_thousand_orders(house: RunningDoors, count: int, code: str) -> None:
    sent = batch(*[("buy", "0.5", "0.05")] * count)
    problem_of(house.client("alice").post("/v1/orders/batch", json=sent), 422, code)


def test_a_repeated_batch_gets_the_same_answer(house: RunningDoors) -> None:
    key = new_key()
    sent = batch(("buy", "1.0", "2.00"), ("buy", "5000.0", "900.00"))
    first = house.client("alice").post("/v1/orders/batch", json=sent, headers=key)
    second = house.client("alice").post("/v1/orders/batch", json=sent, headers=key)
    assert first.content == second.content and second.headers["idempotent-replayed"] == "true"
    for other in (batch(("buy", "1.0", "2.00")), batch(*[("buy", "1.0", "2.00")] * 3)):
        answer = house.client("alice").post("/v1/orders/batch", json=other, headers=key)
        problem_of(answer, 422, "request_id_reused")
    problem_of(house.client("alice").buy("1.0", "2.00", headers=key), 422, "request_id_reused")


def test_nothing_of_a_batch_is_done_under_a_key_that_was_used_for_something_else(house: RunningDoors) -> None:
    bob = house.client("bob")
    tally = house.doors.house.state.tables.book.tally

    def refused(key: dict[str, str], *orders: tuple[str, str, str]) -> None:
        before = int(tally["next_order"][0])
        for _ in range(2):
            problem_of(bob.post("/v1/orders/batch", json=batch(*orders), headers=key), 422, "request_id_reused")
        assert int(tally["next_order"][0]) == before, "no order was placed"

    single = new_key()
    assert bob.buy("0.5", "0.10", headers=single).status_code == 201
    refused(single, ("buy", "0.5", "0.10"), ("buy", "0.5", "0.15"), ("buy", "0.5", "0.20"))
    grown = new_key()
    assert bob.post("/v1/orders/batch", json=batch(("buy", "0.5", "0.10")), headers=grown).status_code == 200
    refused(grown, ("buy", "0.5", "0.10"), ("buy", "0.5", "0.15"))
    bob.delete("/v1/orders")


# -- client order ids --------------------------------------------------------------------------------------------------


def test_an_order_is_found_and_canceled_by_its_client_order_id(house: RunningDoors) -> None:
    placed = house.client("alice").buy("1.0", "2.00", client_order_id="mine-1").json()
    found = house.client("alice").get(f"/v1/orders/client:mine-1?after={placed['position']}").json()
    assert (found["id"], found["client_order_id"]) == (placed["id"], "mine-1")
    problem_of(house.client("bob").get("/v1/orders/client:mine-1"), 404, "not_found")
    house.doors.client_orders.clear()  # As after a restart: then the read model knows it.
    assert house.client("alice").delete("/v1/orders/client:mine-1").json()["id"] == placed["id"]


def test_a_client_order_id_is_taken_while_its_order_lives(house: RunningDoors) -> None:
    house.client("alice").buy("1.0", "2.00", client_order_id="mine-2")
    found = problem_of(house.client("alice").buy("1.0", "2.05", client_order_id="mine-2"), 409, "client_order_id_taken")
    assert found["errors"][0]["pointer"] == "/client_order_id"
    assert house.client("bob").buy("1.0", "2.00", client_order_id="mine-2").status_code == 201


# -- changing and canceling --------------------------------------------------------------------------------------------


def test_an_open_order_is_reduced_and_keeps_the_rest(house: RunningDoors) -> None:
    placed = house.client("alice").buy("2.0", "2.00").json()
    answer = house.client("alice").patch(f"/v1/orders/{placed['id']}", json={"reduce_by": "0.5"})
    assert (answer.status_code, answer.json()["remaining_quantity"]) == (200, "1.5")
    answer = house.client("alice").patch(f"/v1/orders/{placed['id']}", json={"reduce_by": "1.5"})
    problem_of(answer, 409, "lots_not_reducible")


def test_an_order_is_changed_only_as_it_was_read(house: RunningDoors) -> None:
    placed = house.client("alice").buy("2.0", "2.00").json()
    address = f"/v1/orders/{placed['id']}"
    etag = house.client("alice").get(f"{address}?after={placed['position']}").headers["etag"]
    changed = house.client("alice").patch(address, json={"reduce_by": "0.5"}, headers={"If-Match": etag})
    assert changed.status_code == 200
    answer = house.client("alice").patch(address, json={"reduce_by": "0.5"}, headers={"If-Match": etag})
    problem_of(answer, 412, "precondition_failed")
    assert answer.headers["etag"] != etag
    again = house.client("alice").patch(
        address, json={"reduce_by": "0.5"}, headers={"If-Match": answer.headers["etag"]}
    )
    assert again.status_code == 200


def test_an_order_of_another_is_as_if_it_did_not_exist(house: RunningDoors) -> None:
    placed = house.client("alice").buy("2.0", "2.00").json()
    address = f"/v1/orders/{placed['id']}"
    problem_of(house.client("bob").get(f"{address}?after={placed['position']}"), 404, "not_found")
    problem_of(house.client("bob").patch(address, json={"reduce_by": "0.5"}), 404, "not_found")
    problem_of(house.client("bob").delete(address), 404, "unknown_order")
    assert house.client("auditor").get(address).status_code == 200
    assert house.client("alice").delete(address).status_code == 200
    problem_of(house.client("alice").delete(address), 409, "order_not_open")
    problem_of(house.client("bob").delete(address), 404, "unknown_order")


def test_all_orders_of_a_party_are_canceled_and_nobody_elses(house: RunningDoors) -> None:
    for price in ("2.00", "2.05", "2.10"):
        house.client("alice").buy("1.0", price)
    of_bob = house.client("bob").buy("1.0", "2.00").json()
    body = house.client("alice").delete(f"/v1/orders?series={SYMBOL}").json()
    assert body["orders"] == 3
    house.settle()
    assert house.client("alice").get("/v1/orders?status=open").json()["data"] == []
    assert [row["id"] for row in house.client("bob").get("/v1/orders?status=open").json()["data"]] == [of_bob["id"]]


@pytest.mark.parametrize("order", ["ord_zzz", "ser_1", "ord_01", "client:nobody", "client:%00", "%20"])
def test_an_order_that_does_not_exist_is_not_found(house: RunningDoors, order: str) -> None:
    assert house.client("alice").get(f"/v1/orders/{order}").status_code == 404
    assert house.client("alice").delete(f"/v1/orders/{order}").status_code == 404


# -- looking -----------------------------------------------------------------------------------------------------------


def test_an_order_tells_its_whole_life(house: RunningDoors) -> None:
    house.client("studio").sell("1.0", "12.00", primary=True)
    placed = house.client("alice").buy("3.0", "12.00").json()
    house.client("alice").patch(f"/v1/orders/{placed['id']}", json={"reduce_by": "0.5"})
    canceled = house.client("alice").delete(f"/v1/orders/{placed['id']}").json()
    life = house.client("alice").get(f"/v1/orders/{placed['id']}?after={canceled['position']}").json()
    assert (life["status"], life["end_reason"]) == ("partly_filled_and_canceled", "user")
    assert (life["quantity"], life["filled_quantity"], life["canceled_quantity"]) == ("3.0", "1.0", "2.0")
    assert (life["average_price"], life["notional"], life["fees"], life["taxes"]) == ("12.00", "24.00", "0.05", "1.20")
    assert [fill["quantity"] for fill in life["life"]] == ["1.0"]
    assert [row["quantity"] for row in life["reductions"]] == ["0.5"]
    fills = house.client("alice").get(f"/v1/fills?order={placed['id']}").json()["data"]
    assert fills == life["life"]


def test_pages_of_orders_are_led_through_by_a_cursor_that_carries_the_filters(house: RunningDoors) -> None:
    sent = batch(*[("buy", "0.5", f"1.{place}0") for place in range(1, 8)])
    placed = house.client("alice").post("/v1/orders/batch", json=sent).json()
    seen: list[str] = []
    page = house.client("alice").get(f"/v1/orders?status=open&side=buy&limit=3&after={placed['position']}").json()
    while True:
        seen += [row["price"] for row in page["data"]]
        if not page["has_more"]:
            break
        page = house.client("alice").get(f"/v1/orders?limit=3&cursor={page['next_cursor']}").json()
    assert seen == [f"1.{place}0" for place in range(7, 0, -1)]


def test_a_cursor_belongs_to_its_filters_and_to_this_server(house: RunningDoors) -> None:
    placed = house.client("alice").post("/v1/orders/batch", json=batch(*[("buy", "0.5", "1.00")] * 3)).json()
    page = house.client("alice").get(f"/v1/orders?side=buy&limit=1&after={placed['position']}").json()
    cursor = page["next_cursor"]
    problem_of(house.client("alice").get(f"/v1/orders?side=sell&cursor={cursor}"), 400, "cursor_invalid")
    problem_of(house.client("alice").get(f"/v1/orders?cursor={cursor}x"), 400, "cursor_invalid")
    problem_of(house.client("alice").get("/v1/orders?cursor=abc"), 400, "cursor_invalid")


def test_reading_after_a_position_that_the_log_does_not_have_is_refused(house: RunningDoors) -> None:
    problem_of(house.client("alice").get("/v1/orders?after=9000000"), 422, "value_out_of_range")


def test_reading_while_the_read_models_are_behind_is_told_as_lagging(
    house: RunningDoors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lags(position: int, seconds: float) -> None:
        assert seconds == house.doors.settings.read_wait_seconds
        raise ProjectionLagging(position, position - 1)

    monkeypatch.setattr(house.doors.reads, "wait", lags)
    answer = house.client("alice").get("/v1/orders?after=5")
    found = problem_of(answer, 503, "projection_lagging")
    assert answer.headers["retry-after"] == "1" and found["retry_after_ms"] == 1_000


# -- preview -----------------------------------------------------------------------------------------------------------


def preview(house: RunningDoors, name: str, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    house.settle()
    body = {"series": SERIES, "side": side, "quantity": quantity, "price": price, **more}
    answer = house.client(name).post("/v1/orders/preview", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_preview_says_what_the_order_then_does(house: RunningDoors) -> None:
    house.client("studio").sell("1.0", "12.00", primary=True)
    house.client("studio").sell("1.5", "12.10", primary=True)
    house.client("bob").buy("2.5", "11.90")
    said = preview(house, "alice", "buy", "4.0", "12.10")
    before = house.client("alice").get("/v1/balances").json()["balances"][0]
    placed = house.client("alice").buy("4.0", "12.10").json()
    house.settle()
    fills = house.client("alice").get(f"/v1/fills?order={placed['id']}").json()["data"]
    assert said["fillable_quantity"] == "2.5" and len(fills) == 2
    assert said["resting_quantity"] == placed["remaining_quantity"] == "1.5"
    order = house.client("alice").get(f"/v1/orders/{placed['id']}").json()
    assert (said["notional"], said["fee"], said["tax"]) == (order["notional"], order["fees"], order["taxes"])
    assert said["average_price"] == order["average_price"]
    assert said["hold"]["asset"] == "ccy_1" and said["available"] == before["available"]
    assert said["would_be_refused"] is None


def test_a_preview_counts_the_lots_ahead(house: RunningDoors) -> None:
    house.client("bob").buy("2.5", "9.00")
    house.client("bob").buy("1.0", "9.00")
    said = preview(house, "alice", "buy", "1.0", "9.00")
    assert (said["ahead_quantity"], said["resting_quantity"], said["fillable_quantity"]) == ("3.5", "1.0", "0.0")


@pytest.mark.parametrize(
    ("name", "side", "quantity", "price", "more", "code"),
    [
        ("alice", "buy", "5000.0", "900.00", {}, "insufficient_funds"),
        ("alice", "sell", "100.0", "900.00", {}, "insufficient_units"),
        ("alice", "buy", "6000.0", "0.05", {}, "lots_out_of_range"),
        ("alice", "sell", "1.0", "1.00", {"primary": True}, "role_required"),
        ("rival", "sell", "1.0", "1.00", {"primary": True}, "not_the_issuer"),
    ],
)
def test_a_preview_knows_the_refusal_that_would_come(
    house: RunningDoors, name: str, side: str, quantity: str, price: str, more: dict[str, Any], code: str
) -> None:
    said = preview(house, name, side, quantity, price, **more)
    assert said["would_be_refused"] == code
    assert house.client(name).place(side, quantity, price, **more).json()["code"] == code


# -- the two schemas ---------------------------------------------------------------------------------------------------

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=4,
)
FIELD_VALUES = {
    "series": st.sampled_from([SERIES, SYMBOL]),
    "side": st.sampled_from(["buy", "sell", "BUY"]),
    "quantity": st.sampled_from(["1", "0.5", "x"]),
    "type": st.sampled_from(["limit", "market", "stop"]),
    "price": st.sampled_from(["1", None]),
    "time_in_force": st.sampled_from(["GTC", "IOC", "FOK", None]),
    "primary": st.booleans(),
    "client_order_id": st.sampled_from(["a", None]),
}
BODIES = st.fixed_dictionaries(
    {}, optional={name: values | ANY_JSON for name, values in FIELD_VALUES.items()} | {"extra": st.just(1)}
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(BODIES | ANY_JSON)
def test_the_hot_path_reads_the_orders_that_the_published_schema_reads(body: Any) -> None:
    raw = dumps(body)
    try:
        read = schemas.PlaceOrder.model_validate(json.loads(raw))
    except ValidationError:
        with pytest.raises(msgspec.MsgspecError):
            order_terms._ORDER_DECODER.decode(raw)
        with pytest.raises(Problem):
            order_terms.read_order(raw)
    else:
        decoded = order_terms.read_order(raw)
        assert msgspec.to_builtins(decoded) == read.model_dump()


def test_the_two_schemas_have_the_same_fields_and_defaults() -> None:
    published = {
        name: field.default for name, field in schemas.PlaceOrder.model_fields.items() if not field.is_required()
    }
    hot = {field.name: field.default for field in msgspec.structs.fields(order_terms.PlaceOrder) if not field.required}
    assert published == hot
    assert set(schemas.PlaceOrder.model_fields) == {f.name for f in msgspec.structs.fields(order_terms.PlaceOrder)}
