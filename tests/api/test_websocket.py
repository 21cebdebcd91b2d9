"""The socket of the doors, over real sockets: who is told what, in which order, and how one goes on after a break."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from api.auth.signatures import HmacSigner
from api.bootstrap import generations, places
from api.live import Channel, Key, Live, depth
from api.websocket.protocol import WebSocketProtocol
from ledger.blocks import TOPIC, decode_block
from ledger.mapper import from_entry
from ledger.recorder import LogRecorder
from ledger.sequencer import Orders
from projections.flow import FlowFold
from projections.models import read_models
from projections.reads import Reads
from projections.runner import Follower, current_or_new
from tests.api.book_watch import Flow, texts_of, watch_books
from tests.api.live_house import LiveHouse, connections, loads, served
from tests.api.small_house import BUYER, COLLECTOR, STUDIO
from tests.api.stream_client import ClientBook
from tests.api.talker import PATIENCE_SECONDS, Talker, auth, signer_of, talking


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHouse]:
    with served(tmp_path_factory.mktemp("house")) as house:
        yield house


def order(side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    return {"series": "ONE/EUR", "side": side, "quantity": quantity, "price": price, **more}


def place(talker: Talker, side: str, quantity: str, price: str, **more: Any) -> dict[str, Any]:
    result = talker.accepted(op="order.place", order=order(side, quantity, price, **more))["result"]
    assert type(result) is dict
    return result


def settle(house: LiveHouse) -> None:
    """An order is answered when it is durable; those who watch are told a moment later."""
    eventually(lambda: house.doors.live.position == house.doors.house.store.position)


def eventually(holds: Any) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


# -- what everybody is told --------------------------------------------------------------------------------------------


def test_20_copies_of_a_book_equal_the_servers_after_10_000_updates_with_drops_and_resumes(house: LiveHouse) -> None:
    watch = asyncio.run(watch_books(house, clients=20, appends=360, rows=36, faults=0.02, seed=1))
    assert watch.compared == 60
    assert watch.changes >= 10_000 and watch.levels > 20 * 1_000, watch
    assert min(watch.drops, watch.gaps, watch.reconnects, watch.resumes) > 0, watch
    # Most breaks were mended by what was missed, not by beginning anew.
    assert watch.snapshots < 20 + watch.resumes / 2, watch
    # The writer's own book, which knows nothing of the hub, says the same.
    state = house.doors.house.state
    levels = FlowFold.of_ledger(state.tables, state.catalogue).levels()
    series = house.doors.live.view(1)
    ledger = [(int(row["price_ticks"]), int(row["lots"]), int(row["orders"])) for row in levels[levels["series"] == 1]]
    assert sorted((*series.depth.bids, *series.depth.asks)) == sorted(ledger)
    assert all(book.sides() == texts_of(series.texts, series.depth) for book in watch.books)


def test_a_trade_is_told_on_every_channel_with_one_position(house: LiveHouse) -> None:
    with talking(house, STUDIO) as seller, talking(house, BUYER) as buyer, talking(house) as anybody:
        seller.accepted(op="order.cancel_all")
        buyer.accepted(op="order.cancel_all")
        placed = place(seller, "sell", "5", "1.10", primary=True)
        settle(house)
        for channel in ("book", "trades", "ticker"):
            anybody.accepted(op="subscribe", channel=channel, series=["ONE/EUR"])
        anybody.accepted(op="subscribe", channel="candles", series=["ser_1"], interval="1h")
        told = {message["channel"]: message for message in (anybody.next() for _ in range(4))}
        assert all(message["type"] == "snapshot" and message["prev_seq"] == 0 for message in told.values())
        book = ClientBook()
        book.take(told["book"])
        assert book.sides()[1][0] == ("1.10", "5", 1)
        for channel in ("orders", "fills", "balances"):
            buyer.accepted(op="subscribe", channel=channel)
            seller.accepted(op="subscribe", channel=channel)
        bought = place(buyer, "buy", "2", "1.20")
        position = bought["position"]
        assert (bought["status"], bought["fills"]) == ("filled", 1)

        told = {message["channel"]: message for message in (anybody.next() for _ in range(4))}
        assert {message["seq"] for message in told.values()} == {position}
        book.take(told["book"])
        assert book.sides()[1][0] == ("1.10", "3", 1)
        (trade,) = told["trades"]["trades"]
        assert (trade["price"], trade["quantity"], trade["notional"]) == ("1.10", "2", "2.20")
        assert (trade["taker_side"], trade["primary"], trade["position"]) == ("buy", True, position)
        assert (told["ticker"]["last"], told["ticker"]["ask"]) == ("1.10", "1.10")
        assert told["candles"]["candles"][-1]["close"] == "1.10"

        (fill,) = buyer.of("fills", lambda message: message["type"] == "update")["fills"]
        assert (fill["trade"], fill["order"], fill["role"], fill["side"]) == (
            trade["trade"],
            bought["id"],
            "taker",
            "buy",
        )
        assert (fill["fee"], fill["position"]) == ("0.01", position)
        (fill,) = seller.of("fills", lambda message: message["type"] == "update")["fills"]
        assert (fill["trade"], fill["order"], fill["role"], fill["side"]) == (
            trade["trade"],
            placed["id"],
            "maker",
            "sell",
        )


def test_private_messages_are_of_the_own_party_alone(house: LiveHouse) -> None:
    with talking(house, BUYER) as buyer, talking(house, COLLECTOR) as other:
        for channel in ("orders", "fills", "balances"):
            assert other.accepted(op="subscribe", channel=channel)
            assert other.of(channel)["type"] == "snapshot"
        buyer.accepted(op="subscribe", channel="orders")
        mine = place(buyer, "buy", "1", "0.50")
        told = buyer.of("orders", lambda message: message["type"] == "update")
        assert [row["id"] for row in told["orders"]] == [mine["id"]]
        assert told["orders"][0]["hold"] == {"amount": "0.51", "asset": "ccy_1"}
        # What the other is told next is its own.
        theirs = place(other, "buy", "1", "0.40")
        told = other.next()
        assert [row["id"] for row in told["orders"]] == [theirs["id"]]
        assert other.next()["channel"] == "balances"
        canceled = buyer.accepted(op="order.cancel", id=mine["id"])["result"]
        assert canceled["remaining_quantity"] == "0"
        told = buyer.of("orders", lambda message: message["type"] == "update")
        assert (told["orders"][0]["status"], told["orders"][0]["end_reason"]) == ("canceled", "user")
        assert (told["seq"], told["orders"][0]["position"]) == (canceled["position"], canceled["position"])
        other.accepted(op="order.cancel_all", series="ONE/EUR")


def test_a_private_snapshot_shows_open_orders_and_balances(house: LiveHouse) -> None:
    with talking(house, BUYER) as buyer:
        buyer.accepted(op="order.cancel_all")
        orders = [place(buyer, "buy", "1", price)["id"] for price in ("0.31", "0.32")]
        settle(house)
        buyer.accepted(op="subscribe", channel="orders")
        assert [row["id"] for row in buyer.of("orders")["orders"]] == orders
        buyer.accepted(op="subscribe", channel="balances")
        money = [row for row in buyer.of("balances")["balances"] if row["code"] == "EUR"]
        assert [(row["asset"], row["kind"], row["held"]) for row in money] == [("ccy_1", "available", "0.65")]
        # A second reader of an open channel is told the same.
        with talking(house, BUYER) as second:
            second.accepted(op="subscribe", channel="orders")
            assert [row["id"] for row in second.of("orders")["orders"]] == orders
        refusal = buyer.refused(op="order.place", order=order("buy", "500", "900.00"))
        assert refusal["code"] == "insufficient_funds"
        told = buyer.of("orders", lambda message: message["type"] == "update")
        assert [(row["status"], row["code"]) for row in told["orders"]] == [("refused", "insufficient_funds")]
        assert told["orders"][0]["position"] == refusal["position"]
        buyer.accepted(op="order.cancel_all")


def test_what_changes_while_the_doors_are_busy_is_told_together(house: LiveHouse) -> None:
    with talking(house) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        book = ClientBook()
        book.take(talker.of("book"))
        assert house.loop is not None
        house.loop.call_soon_threadsafe(time.sleep, 0.5)
        flow = Flow(7)
        for _ in range(40):
            rows = flow.rows(3)
            flow.learn(rows, house.writer.submit(Orders(rows)).result())
        settle(house)
        view = house.doors.live.view(1)
        while book.sides() != texts_of(view.texts, view.depth):
            book.take(talker.of("book"))
        assert book.updates < 20
    with talking(house, STUDIO) as seller, talking(house, BUYER) as buyer, talking(house, COLLECTOR) as other:
        for party in (seller, buyer, other):
            party.accepted(op="order.cancel_all")


@pytest.mark.parametrize("deflate", [False, True])
def test_the_socket_works_on_any_protocol_of_the_server(tmp_path: Path, *, deflate: bool) -> None:
    protocol: Any = WebSocketProtocol if deflate else "websockets-sansio"
    with served(tmp_path, ws=protocol, ws_per_message_deflate=deflate) as house, talking(house, BUYER) as buyer:
        buyer.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        book = ClientBook()
        book.take(buyer.of("book"))
        for price in ("0.50", "0.51"):
            place(buyer, "buy", "1", price)
            book.take(buyer.of("book"))
        assert book.sides()[0] == [("0.51", "1", 1), ("0.50", "1", 1)]


# -- going on ----------------------------------------------------------------------------------------------------------


def test_who_comes_back_gets_exactly_what_it_missed(house: LiveHouse) -> None:
    with talking(house, BUYER) as buyer, talking(house) as staying:
        for talker in (staying, buyer):
            talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        buyer.accepted(op="subscribe", channel="orders")
        seqs = {channel: buyer.of(channel)["seq"] for channel in ("book", "orders")}
        ids = []
        for at in range(5):
            ids.append(place(buyer, "buy", "1", f"0.2{at}")["id"])
            # Else some may be told together.
            settle(house)
        told = [staying.of("book", lambda message: message["type"] == "update") for _ in ids]
        with talking(house, BUYER) as back:
            back.accepted(op="resume", channel="book", series=["ONE/EUR"], from_seq=seqs["book"])
            back.accepted(op="resume", channel="orders", from_seq=seqs["orders"])
            got = [back.next() for _ in range(10)]
        assert [message for message in got if message["channel"] == "book"] == told
        assert [row["id"] for message in got for row in message.get("orders", ())] == ids
        buyer.accepted(op="order.cancel_all")


def test_a_place_that_no_message_ends_at_begins_anew(house: LiveHouse) -> None:
    with talking(house) as talker:
        talker.accepted(op="resume", channel="book", series=["ONE/EUR"], from_seq=1)
        assert talker.of("book")["type"] == "snapshot"
        talker.accepted(op="resume", channel="ticker", series=["ONE/EUR"], from_seq=2**53 - 1)
        assert talker.of("ticker")["type"] == "snapshot"
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"], from_seq=0)
        assert talker.of("book")["type"] == "snapshot"


def test_after_unsubscribing_nothing_is_told(house: LiveHouse) -> None:
    with talking(house, BUYER) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        assert talker.accepted(op="unsubscribe", channel="book", series=["ser_1"])["subscriptions"] == 0
        talker.of("book")
        place(talker, "buy", "1", "0.21")
        talker.accepted(op="order.cancel_all")
        settle(house)
        assert talker.accepted(op="ping")["op"] == "ping"
        assert talker.next(heartbeats=True)["channel"] == "heartbeat"


def test_the_heartbeat_counts_and_names_the_position(house: LiveHouse) -> None:
    with talking(house) as talker:
        first, second = talker.next(heartbeats=True), talker.next(heartbeats=True)
        assert second["counter"] == first["counter"] + 1
        assert second["position"] == house.doors.live.position


def test_what_does_not_fit_into_one_message_comes_in_parts(house: LiveHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.messages.ROWS_MAX", 2)
    monkeypatch.setattr("api.live.parties.ORDERS_MAX", 3)
    with talking(house, BUYER) as buyer, talking(house, STUDIO) as seller:
        ids = [place(buyer, "buy", "1", "0.90")["id"] for _ in range(5)]
        settle(house)
        buyer.accepted(op="subscribe", channel="orders")
        parts = [buyer.of("orders") for _ in range(2)]
        assert [row["id"] for part in parts for row in part["orders"]] == ids[2:]
        assert [(part.get("more"), part["omitted"], part["prev_seq"]) for part in parts] == [(True, 2, 0), (None, 2, 0)]
        assert parts[0]["seq"] == 0 < parts[1]["seq"]
        buyer.accepted(op="subscribe", channel="fills")
        begun = buyer.of("fills")["seq"]
        sold = place(seller, "sell", "5", "0.90", primary=True)["position"]
        parts = [buyer.of("fills") for _ in range(3)]
        assert [len(part["fills"]) for part in parts] == [2, 2, 1]
        assert [(part["prev_seq"], part["seq"], part.get("more")) for part in parts] == [
            (begun, begun, True),
            (begun, begun, True),
            (begun, sold, None),
        ]
        # Whoever has read only some of the parts is told all of them again.
        buyer.accepted(op="resume", channel="fills", from_seq=begun)
        assert [buyer.of("fills") for _ in range(3)] == parts


# -- who asks ----------------------------------------------------------------------------------------------------------


def test_a_signature_signs_in_once(house: LiveHouse) -> None:
    signer = signer_of(house, BUYER)
    with talking(house) as talker:
        assert talker.refused(op="subscribe", channel="orders")["code"] == "unauthenticated"
        assert talker.refused(op="order.place", order=order("buy", "1", "1.00"))["code"] == "unauthenticated"
        assert talker.refused(op="order.cancel", id="ord_1")["code"] == "unauthenticated"
        wrong = HmacSigner(signer.key_id, "not the secret")
        assert talker.sign_in(wrong)["problem"]["code"] == "signature_invalid"
        assert talker.sign_in(signer, timestamp="1")["problem"]["code"] == "signature_expired"
        request = auth(signer)
        assert talker.ask(**request)["party"] == "pty_4"
        assert talker.refused(**auth(signer))["code"] == "forbidden"
        talker.accepted(op="subscribe", channel="orders")
    with talking(house) as talker:
        assert talker.refused(**request)["code"] == "nonce_reused"


def test_a_key_in_the_query_signs_nobody_in(house: LiveHouse) -> None:
    signer = signer_of(house, BUYER)
    query = "&".join(f"{name}={value}" for name, value in auth(signer).items())
    with connect(f"{house.url}?{query}") as socket:
        assert Talker(socket).refused(op="subscribe", channel="orders")["code"] == "unauthenticated"


def test_a_key_may_only_do_what_its_scopes_say(house: LiveHouse) -> None:
    with talking(house) as talker:
        assert talker.sign_in(signer_of(house, BUYER, ["read"]))["scopes"] == ["read"]
        talker.accepted(op="subscribe", channel="balances")
        assert talker.refused(op="order.place", order=order("buy", "1", "1.00"))["code"] == "forbidden"
        assert talker.refused(op="order.cancel_all")["code"] == "forbidden"
        assert talker.refused(op="cancel_on_disconnect", enabled=True)["code"] == "forbidden"


def test_a_session_signs_in_from_pages_of_ours_alone(house: LiveHouse) -> None:
    auth_store = house.doors.auth
    user = auth_store.add_user("bert", "a long enough password", BUYER)
    cookie = {"Cookie": f"session={auth_store.start_session(user).token}"}
    ours = f"http://127.0.0.1:{house.port}"
    with talking(house, origin=ours, additional_headers=cookie) as talker:
        talker.accepted(op="subscribe", channel="balances")
    for foreign in ("http://evil.example", "null", f"https://127.0.0.1:{house.port}"):
        with pytest.raises(InvalidStatus) as refused, talking(house, origin=foreign, additional_headers=cookie):
            pass
        response = refused.value.response
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
        assert loads(response.body)["code"] == "origin_not_allowed"


def test_a_revoked_key_ends_its_sockets_within_a_second_or_so(house: LiveHouse) -> None:
    signer = signer_of(house, BUYER)
    with talking(house) as talker:
        assert talker.sign_in(signer)["ok"]
        key = house.doors.auth.key(signer.key_id.encode())
        assert key is not None
        house.doors.auth.revoke_key(key.number)
        began = time.monotonic()
        assert talker.until_closed() == (4001, "unauthenticated")
        assert time.monotonic() - began < 3


# -- orders ------------------------------------------------------------------------------------------------------------


def test_orders_over_the_socket_meet_the_rules_of_those_over_http(house: LiveHouse) -> None:
    with talking(house, BUYER) as talker:
        refused = {
            "price_not_on_tick": order("buy", "1", "1.005"),
            "quantity_not_on_lot": order("buy", "1.5", "1.00"),
            "unknown_symbol": {**order("buy", "1", "1.00"), "series": "TWO/EUR"},
            "unknown_field": order("buy", "1", "1.00", colour="red"),
            "wrong_type": order("buy", 1, "1.00"),  # type: ignore[arg-type]
            "missing_field": {"series": "ONE/EUR", "side": "buy", "price": "1.00"},
            "malformed_client_order_id": order("buy", "1", "1.00", client_order_id="a b"),
            "role_required": order("sell", "1", "1.00", primary=True),
        }
        for code, body in refused.items():
            assert talker.refused(op="order.place", order=body)["code"] == code
        assert talker.refused(op="order.cancel", id="ord_zzz")["code"] == "unknown_order"
        assert talker.refused(op="order.cancel", id="trd_1-0")["status"] in (404, 422)


def test_a_repeated_idempotency_key_places_one_order(house: LiveHouse) -> None:
    with talking(house, BUYER) as talker:
        asked = {"op": "order.place", "order": order("buy", "1", "0.77"), "idempotency_key": "once"}
        first, second = talker.accepted(**asked), talker.accepted(**asked)
        assert (first["replayed"], second["replayed"]) == (False, True)
        assert first["result"] == second["result"]
        other = {**asked, "order": order("buy", "2", "0.77")}
        assert talker.refused(**other)["code"] == "request_id_reused"
        talker.accepted(op="order.cancel_all")


def test_many_orders_may_be_under_way_and_each_answer_names_its_own(house: LiveHouse) -> None:
    with talking(house, BUYER) as talker:
        for number in range(200):
            talker.send(op="order.place", order=order("buy", "1", "0.01"), req_id=f"o{number}")
        answers = [talker.next() for _ in range(200)]
        assert sorted(answer["req_id"] for answer in answers) == sorted(f"o{number}" for number in range(200))
        numbers = [answer["result"]["command"] for answer in answers]
        # They reach the log in the order in which they were sent.
        by_request = {answer["req_id"]: answer["result"]["command"] for answer in answers}
        assert [by_request[f"o{number}"] for number in range(200)] == sorted(numbers)
        assert talker.accepted(op="order.cancel_all")["result"]["orders"] == 200


def test_orders_go_with_their_socket_if_that_was_asked_for(house: LiveHouse) -> None:
    live = house.doors.live
    with talking(house, BUYER) as watching, talking(house, BUYER) as staying:
        watching.accepted(op="order.cancel_all")
        kept = place(staying, "buy", "1", "0.61")
        with talking(house, BUYER) as leaving:
            leaving.accepted(op="cancel_on_disconnect", enabled=True)
            place(leaving, "buy", "1", "0.62")
            place(leaving, "buy", "1", "0.63")
            eventually(lambda: len(live.book(1).bids) == 3)
            leaving.socket.socket.shutdown(2)
        eventually(lambda: len(live.book(1).bids) == 1)
        watching.accepted(op="subscribe", channel="orders")
        assert [row["id"] for row in watching.of("orders")["orders"]] == [kept["id"]]
        watching.accepted(op="order.cancel_all")


# -- what was asked for too much ---------------------------------------------------------------------------------------


def test_a_key_has_at_most_5_sockets(house: LiveHouse) -> None:
    signer = signer_of(house, BUYER)
    with talking(house) as a, talking(house) as b, talking(house) as c, talking(house) as d, talking(house) as e:
        for talker in (a, b, c, d, e):
            assert talker.sign_in(signer)["ok"]
        with talking(house) as sixth:
            assert sixth.sign_in(signer)["problem"]["code"] == "too_many_connections"
            assert sixth.refused(op="subscribe", channel="orders")["code"] == "unauthenticated"
            e.socket.close()
            eventually(lambda: sixth.sign_in(signer)["ok"])
    eventually(lambda: connections(house) == 0)


def test_a_socket_has_at_most_50_subscriptions(house: LiveHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.websocket.session.SUBSCRIPTIONS_MAX", 2)
    with talking(house) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        asked = {"op": "subscribe", "channel": "ticker", "series": ["ONE/EUR", "ser_1"]}
        assert talker.accepted(**asked)["subscriptions"] == 2
        assert talker.accepted(**asked)["subscriptions"] == 2
        refused = talker.refused(op="subscribe", channel="trades", series=["ONE/EUR"])
        assert (refused["code"], refused["status"]) == ("too_many_subscriptions", 429)
        talker.accepted(op="unsubscribe", channel="book", series=["ONE/EUR"])
        talker.accepted(op="subscribe", channel="trades", series=["ONE/EUR"])


# -- a start from the log ----------------------------------------------------------------------------------------------


def test_a_restarted_hub_shows_the_depth_and_the_trades_of_the_last_day(tmp_path: Path) -> None:
    shown: list[list[dict[str, Any]]] = []
    for _ in range(2):
        with served(tmp_path, found=not shown) as house, talking(house, BUYER) as buyer:
            if not shown:
                with talking(house, STUDIO) as seller:
                    place(seller, "sell", "5", "1.10", primary=True)
                place(buyer, "buy", "2", "1.20")
                place(buyer, "buy", "1", "1.00")
                settle(house)
            live = house.doors.live
            for channel in ("book", "trades", "ticker"):
                buyer.accepted(op="subscribe", channel=channel, series=["ONE/EUR"])
            messages = [buyer.of(channel) for channel in ("book", "trades", "ticker")]
            shown.append([{**message, "seq": 0, "ts": ""} for message in messages])
            assert live.failure is None
    assert shown[0] == shown[1]
    assert shown[0][1]["trades"][0]["primary"]
    assert depth.DEPTH == 500


def flow_until(house: LiveHouse, position: int) -> FlowFold:
    """The fold of the log up to a position."""
    fold = FlowFold()
    for entry in house.doors.house.recorder.read(1, stop_position=position):
        if entry.topic == TOPIC:
            fold.apply_block(decode_block(entry.state))
        else:
            fold.apply_fact(*from_entry(entry.stream, entry.version, entry.topic, entry.state))
    return fold


def test_a_hub_that_starts_behind_catches_up_and_knows_the_whole_life_of_orders(house: LiveHouse) -> None:
    with talking(house, STUDIO) as seller, talking(house, BUYER) as buyer:
        placed = place(buyer, "buy", "3", "1.00")
        sold = place(seller, "sell", "1", "1.00", primary=True)
        settle(house)
        told: list[str] = []

        async def follow(live: Live, until: int) -> None:
            live.start(asyncio.get_running_loop())
            await soon(lambda: live.position >= until)
            live.subscribe(Key(Channel.ORDERS, BUYER), Told(told))
            await soon(lambda: bool(told))

        ledger = house.doors.house
        behind = Live(
            ledger, clock=time.time_ns, fold=flow_until(house, sold["position"] - 1), position=sold["position"] - 1
        )
        try:
            assert behind.position < ledger.store.position
            asyncio.run(follow(behind, ledger.store.position))
        finally:
            behind.stop()
        now, shown = house.doors.live.view(1), behind.view(1)
        assert (shown.depth, shown.trades, shown.candles) == (now.depth, now.trades, now.candles)
        (order,) = (row for row in loads(told[0])["orders"] if row["id"] == placed["id"])
        assert (order["quantity"], order["filled_quantity"], order["remaining_quantity"]) == ("3", "1", "2")
        buyer.accepted(op="order.cancel_all")


async def soon(holds: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


class Told:
    """Keeps what a subscriber is told."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def tell(self, _key: Key, text: str) -> None:
        self._texts.append(text)

    def restart(self, _key: Key, snapshot: list[str]) -> None:
        self._texts += snapshot


def test_what_a_channel_no_longer_remembers_is_told_from_the_read_models(tmp_path: Path) -> None:
    models = read_models()
    with served(tmp_path) as house, ExitStack() as stack:
        recorder = stack.enter_context(LogRecorder(places(tmp_path).log_url))
        follower = Follower(recorder, current_or_new(generations(places(tmp_path)), models), models)
        thread = threading.Thread(target=follower.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(follower.stop)
        house.doors.reads = stack.enter_context(Reads(generations(places(tmp_path))))
        with talking(house, STUDIO) as seller, talking(house, BUYER) as buyer:
            place(seller, "sell", "5", "1.10", primary=True)
            before = place(buyer, "buy", "1", "1.10")["position"]
            bought = place(buyer, "buy", "2", "1.10")
            settle(house)
            for channel in ("trades", "fills", "orders"):
                of = {"series": ["ONE/EUR"]} if channel == "trades" else {}
                buyer.accepted(op="resume", channel=channel, from_seq=before, **of)
                assert buyer.of(channel)["type"] == "snapshot"
                told = buyer.of(channel)
                assert (told["type"], told["from_seq"], told["complete"]) == ("replay", before, True)
                (row,) = told[channel]
                assert (row["quantity"], row["position"]) == ("2", bought["position"])
                assert channel != "orders" or (row["id"], row["status"]) == (bought["id"], "filled")
