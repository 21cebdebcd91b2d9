"""What a client may do wrong to the socket: each gets a problem with a code or a close with a reason, never a crash."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus

from api.live import Channel, Key
from api.problems import PROBLEMS
from api.settings import Settings
from api.websocket import connections, outbox, session
from api.websocket.outbox import Outbox
from api.websocket.requests import MESSAGE_BYTES_MAX, OPS, Unreadable, read
from ledger.outages import LogUnavailable
from ledger.recorder import LogRecorder
from ledger.sequencer import Orders
from matching.layout import COMMAND, Kind, Side
from tests.api.live_house import LiveHouse, loads, served
from tests.api.live_house import connections as open_sockets
from tests.api.small_house import BUYER
from tests.api.stream_client import ClientBook
from tests.api.talker import talking
from tests.api.test_websocket import eventually, order, place, settle

BOOK, OTHER_BOOK = Key(Channel.BOOK, 1), Key(Channel.BOOK, 2)
MINE = Key(Channel.ORDERS, 1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveHouse]:
    with served(tmp_path_factory.mktemp("house")) as house:
        yield house


# -- reading messages --------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(OPS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(
    ["op", "req_id", "channel", "series", "interval", "from_seq", "order", "id", "key", "nonce", "enabled", "x"]
)


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_any_bytes_are_read_as_a_request_or_a_problem_of_the_catalogue(message: bytes | str) -> None:
    found = read(message)
    if isinstance(found, Unreadable):
        assert found.problem.code in PROBLEMS


@given(st.dictionaries(names, json_values, max_size=6), st.sampled_from(OPS) | json_values)
def test_any_object_is_read_as_a_request_or_a_problem_of_the_catalogue(body: dict[str, Any], op: Any) -> None:
    message = json.dumps({**body, "op": op})
    found = read(message)
    if isinstance(found, Unreadable):
        assert found.problem.code in PROBLEMS
        assert found.op is None or found.op == op
    else:
        assert found.op == op


def test_what_is_wrong_with_a_message_is_named(house: LiveHouse) -> None:
    deep = "[" * 30 + "]" * 30
    wrong: list[tuple[str | bytes, str]] = [
        ("", "malformed_json"),
        ("{", "malformed_json"),
        ('{"op": "ping", "x": "\\ud800"}', "malformed_json"),
        (b"\xff\xfe", "malformed_json"),
        ("NaN", "malformed_json"),
        ("[]", "wrong_type"),
        ("7", "wrong_type"),
        ("{}", "missing_field"),
        ('{"op": "nope"}', "wrong_type"),
        ('{"op": ["ping"]}', "wrong_type"),
        ('{"op": "ping", "extra": 1}', "unknown_field"),
        ('{"op": "ping", "req_id": 1.5}', "validation_failed"),
        (f'{{"op": "ping", "extra": {deep}}}', "nesting_too_deep"),
        ('{"op": "subscribe"}', "missing_field"),
        ('{"op": "subscribe", "channel": "gossip"}', "wrong_type"),
        ('{"op": "subscribe", "channel": "book"}', "missing_field"),
        ('{"op": "subscribe", "channel": "book", "series": "ONE/EUR"}', "wrong_type"),
        ('{"op": "subscribe", "channel": "book", "series": []}', "too_many_items"),
        ('{"op": "subscribe", "channel": "book", "series": ["NO/EUR"]}', "unknown_symbol"),
        ('{"op": "subscribe", "channel": "book", "series": ["ser_zz"]}', "unknown_series"),
        ('{"op": "subscribe", "channel": "book", "series": ["ONE/EUR"], "interval": "1m"}', "unknown_field"),
        ('{"op": "subscribe", "channel": "book", "series": ["ONE/EUR"], "from_seq": -1}', "value_out_of_range"),
        ('{"op": "subscribe", "channel": "candles", "series": ["ONE/EUR"]}', "missing_field"),
        ('{"op": "subscribe", "channel": "orders", "series": ["ONE/EUR"]}', "unknown_field"),
        ('{"op": "subscribe", "channel": "orders"}', "unauthenticated"),
        ('{"op": "resume", "channel": "book", "series": ["ONE/EUR"]}', "missing_field"),
        ('{"op": "auth"}', "validation_failed"),
        ('{"op": "order.place", "order": 1}', "wrong_type"),
        ('{"op": "order.place", "order": {}}', "unauthenticated"),
    ]
    with talking(house) as talker:
        for message, code in wrong:
            talker.socket.send(message)
            answer = talker.next()
            assert not answer["ok"]
            assert answer["problem"]["code"] == code, (message, answer)
            assert answer["problem"]["type"] == f"/problems/{code}"
            assert answer["problem"]["status"] in range(400, 500)
        assert talker.accepted(op="ping")["ok"]


def test_the_id_of_a_request_comes_back_even_with_a_problem(house: LiveHouse) -> None:
    with talking(house) as talker:
        talker.socket.send('{"op": "subscribe", "req_id": "mine", "chanel": "book"}')
        answer = talker.next()
        assert (answer["op"], answer["req_id"], answer["problem"]["status"]) == ("subscribe", "mine", 422)


def test_a_message_of_64_kib_is_read_and_a_longer_one_closes_the_socket(house: LiveHouse) -> None:
    with talking(house) as talker:
        padding = MESSAGE_BYTES_MAX - len('{"op":"ping"}')
        talker.socket.send('{"op":"ping"' + " " * padding + "}")
        assert talker.next()["ok"]
        talker.socket.send('{"op":"ping"' + " " * (padding + 1) + "}")
        assert talker.next()["problem"]["code"] == "body_too_large"
        assert talker.until_closed() == (1009, "body_too_large")


def test_floods_meet_the_limit_but_cancels_do_not(tmp_path: Path) -> None:
    settings = Settings(address_requests_per_second=20, key_requests_per_second=20)
    with served(tmp_path, settings) as house:
        with talking(house) as talker:
            codes = set()
            for message in ["{"] * 30 + ['{"op": "ping"}'] * 30:
                talker.socket.send(message)
                answer = talker.next()
                codes.add("" if answer["ok"] else answer["problem"]["code"])
            assert "rate_limited" in codes
        eventually(lambda: open_sockets(house) == 0)
        time.sleep(1)
        with talking(house, BUYER) as talker:
            answers = [talker.ask(op="ping") for _ in range(40)]
            assert answers[-1]["problem"]["code"] == "rate_limited"
            for _ in range(10):
                talker.accepted(op="order.cancel_all")


def test_too_many_sockets_of_one_address_are_refused_at_the_handshake(
    house: LiveHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PER_ADDRESS_MAX", 2)
    with talking(house), talking(house):
        with pytest.raises(InvalidStatus) as refused, talking(house):
            pass
        assert refused.value.response.status_code == 429
        assert loads(refused.value.response.body)["code"] == "too_many_connections"
    eventually(lambda: open_sockets(house) == 0)
    with talking(house) as talker:
        assert talker.accepted(op="ping")


# -- slow and silent clients -------------------------------------------------------------------------------------------


def an_outbox(snapshots: list[Key]) -> Outbox:
    def snapshot(key: Key) -> list[str]:
        snapshots.append(key)
        return [f"snapshot of {key.number}"]

    return Outbox(snapshot, lambda: None)


def everything(box: Outbox) -> list[str]:
    texts = []
    while (text := box.take()) is not None:
        texts.append(text)
    return texts


def test_a_slow_reader_is_told_where_its_channels_stand_instead_of_all_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "QUEUE_MESSAGES", 4)
    snapshots: list[Key] = []
    box = an_outbox(snapshots)
    box.answer("answer")
    box.tell(MINE, "my order")
    box.tell(BOOK, "1")
    box.tell(OTHER_BOOK, "2")
    assert not snapshots and not box.conflated
    box.tell(BOOK, "3")
    # What a snapshot says already is not told again.
    box.tell(BOOK, "4")
    assert (box.conflated, len(box), box.failed) == (1, 2, False)
    assert everything(box) == ["answer", "my order", "snapshot of 1", "snapshot of 2"]
    box.tell(BOOK, "5")
    assert everything(box) == ["5"]


def test_a_channel_that_was_left_or_begun_anew_gets_no_late_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "QUEUE_MESSAGES", 1)
    snapshots: list[Key] = []
    box = an_outbox(snapshots)
    for key in (BOOK, OTHER_BOOK):
        box.tell(key, "x")
    box.forget(BOOK)
    box.restart(OTHER_BOOK, ["anew"])
    assert everything(box) == ["anew"]
    assert not snapshots


def test_answers_and_private_messages_are_never_dropped_but_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "QUEUE_BYTES", 100)
    box = an_outbox([])
    box.tell(BOOK, "x" * 60)
    box.tell(MINE, "y" * 60)
    assert (box.failed, box.conflated) == (False, 1)
    box.answer("z" * 60)
    assert box.failed


def many_rows(count: int) -> Any:
    rows = np.zeros(count, COMMAND)
    rows["kind"], rows["series"], rows["side"], rows["lots"] = Kind.NEW, 1, Side.BUY, 1
    rows["account"] = rows["actor"] = BUYER
    rows["price"] = np.arange(count) % 40 + 1
    return rows


def stir(house: LiveHouse, rounds: int) -> None:
    """Change forty levels, again and again, and leave the book as it was."""
    cancel = np.zeros(1, COMMAND)
    cancel["kind"], cancel["account"], cancel["actor"] = Kind.MASS_CANCEL, BUYER, BUYER
    for _ in range(rounds):
        house.writer.submit(Orders(many_rows(40))).result()
        settle(house)
        house.writer.submit(Orders(cancel)).result()
        settle(house)


def small_buffers(house: LiveHouse) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", house.port))
    return made


def test_a_client_that_reads_late_ends_with_the_servers_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "QUEUE_MESSAGES", 16)
    with served(tmp_path, send_bytes=4096) as house, talking(house, sock=small_buffers(house), max_queue=1) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        boxes = boxes_of(house)
        rounds = 0
        while not boxes[0].conflated:
            assert (rounds := rounds + 1) < 400
            stir(house, 10)
            assert len(boxes[0]) <= 16
        house.writer.submit(Orders(many_rows(3))).result()
        settle(house)
        book = ClientBook()
        until = time.monotonic() + 20
        while len(book.bids) != 3 or book.snapshots < 2:
            assert time.monotonic() < until
            message = talker.of("book")
            # A snapshot may come at any time; every update follows what was told before it.
            book.take(message)
        assert book.sides()[0] == [("0.03", "1", 1), ("0.02", "1", 1), ("0.01", "1", 1)]


def test_a_client_that_does_not_read_its_private_messages_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "QUEUE_MESSAGES", 16)
    monkeypatch.setattr("api.websocket.endpoint.CLOSE_SECONDS", 0.2)
    with (
        served(tmp_path, send_bytes=4096) as house,
        talking(house, BUYER, sock=small_buffers(house), max_queue=1) as talker,
    ):
        talker.accepted(op="subscribe", channel="orders")
        (box,) = boxes_of(house)
        rounds = 0
        while not box.failed:
            assert (rounds := rounds + 1) < 400
            stir(house, 5)
        assert box.failed
        eventually(lambda: open_sockets(house) == 0)
        assert talker.until_closed()[0] in (0, 4008)


def test_a_socket_whose_client_answers_no_ping_is_closed(tmp_path: Path) -> None:
    with served(tmp_path, ws_ping_interval=0.2, ws_ping_timeout=0.2) as house, socket.socket() as silent:
        silent.connect(("127.0.0.1", house.port))
        silent.sendall(
            b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert silent.recv(4096).startswith(b"HTTP/1.1 101")
        assert open_sockets(house) == 1
        eventually(lambda: open_sockets(house) == 0)


def test_a_write_that_does_not_end_ends_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.websocket.endpoint.STUCK_SECONDS", 0.3)
    with served(tmp_path, send_bytes=4096) as house, talking(house, sock=small_buffers(house), max_queue=1) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        (box,) = boxes_of(house)
        rounds = 0
        while not len(box):
            assert (rounds := rounds + 1) < 400
            stir(house, 20)
        eventually(lambda: open_sockets(house) == 0)
        assert talker.until_closed()[0] == 0


def boxes_of(house: LiveHouse) -> list[Outbox]:
    return [found._session.outbox for found in house.app.state.connections._open]


# -- the house's own faults --------------------------------------------------------------------------------------------


def test_a_hub_that_failed_closes_every_socket_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(tmp_path) as house, talking(house, BUYER) as talker:
        monkeypatch.setattr("api.live.hub.decode_block", lambda _: 1 // 0)
        place(talker, "buy", "1", "0.50")
        assert talker.until_closed() == (1011, "internal")
        assert isinstance(house.doors.live.failure, ZeroDivisionError)


def test_a_log_that_cannot_be_read_for_a_while_delays_the_stream_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.hub.RETRY_SECONDS", 0.01)
    readable = threading.Event()
    page = LogRecorder.page

    def sometimes(self: LogRecorder, *where: Any, **bounds: Any) -> Any:
        if not readable.is_set() and threading.current_thread().name == "tallystick-live":
            raise LogUnavailable("away")
        return page(self, *where, **bounds)

    monkeypatch.setattr(LogRecorder, "page", sometimes)
    with served(tmp_path) as house, talking(house, BUYER) as talker:
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])
        assert not talker.of("book")["bids"]
        place(talker, "buy", "1", "0.50")
        assert house.doors.live.position < house.doors.house.store.position
        readable.set()
        assert talker.of("book")["bids"] == [["0.50", "1", 1]]


def test_a_writer_that_stopped_is_answered_as_a_problem(tmp_path: Path) -> None:
    with served(tmp_path) as house, talking(house, BUYER) as talker:
        house.writer.close()
        problem = talker.refused(op="order.place", order=order("buy", "1", "0.50"))
        assert (problem["code"], problem["status"]) == ("writer_stopped", 503)
        talker.accepted(op="subscribe", channel="book", series=["ONE/EUR"])


def test_sockets_come_and_go_without_leaving_anything(house: LiveHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.live.live.LINGER_SECONDS", 0)
    for _ in range(20):
        with ExitStack() as stack:
            talker = stack.enter_context(talking(house))
            talker.send(op="subscribe", channel="book", series=["ONE/EUR"])
    eventually(lambda: open_sockets(house) == 0)
    eventually(lambda: house.doors.live.open_channels == 0)
    assert not house.app.state.connections._counts


def test_orders_under_way_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.websocket.endpoint.ORDERS_UNDER_WAY_MAX", 2)
    monkeypatch.setattr(session, "OWN_ORDERS_MAX", 3)
    with served(tmp_path) as house:
        with talking(house, BUYER) as talker:
            talker.accepted(op="cancel_on_disconnect", enabled=True)
            for number in range(10):
                talker.send(op="order.place", order=order("buy", "1", "0.50"), req_id=number)
            assert sorted(talker.next()["req_id"] for _ in range(10)) == list(range(10))
            eventually(lambda: house.doors.live.book(1).bids != ())
        # More than are remembered: all of the party's go.
        eventually(lambda: house.doors.live.book(1).bids == ())
