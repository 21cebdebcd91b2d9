"""An answer leaves in one write, and nothing that is written is lost, changed or kept back."""

import asyncio
from typing import Any

import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from api.http_protocol import GATHERED_BYTES_MAX, Gathering, HttpProtocol


class Wire:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def resume_reading(self) -> None: ...

    def pause_reading(self) -> None: ...


async def _answer(app: Any, *requests: bytes) -> Wire:
    """What goes over the wire of a connection on which requests come."""
    config = uvicorn.Config(app, http=HttpProtocol, log_config=None, lifespan="off", server_header=False)
    config.date_header = False
    config.load()
    state = uvicorn.server.ServerState()
    protocol = HttpProtocol(config, state, {})
    wire = Wire()
    protocol.connection_made(wire)  # type: ignore[arg-type]
    for request in requests:
        protocol.data_received(request)
    await asyncio.gather(*state.tasks)
    await asyncio.sleep(0)
    protocol._unset_keepalive_if_required()
    return wire


async def _hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


async def _streams(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"second"})


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_head_and_body_are_one_write() -> None:
    wire = asyncio.run(_answer(_hello, GET))
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"]


def test_pipelined_requests_are_answered_in_order_each_in_one_write() -> None:
    wire = asyncio.run(_answer(_hello, GET + GET))
    assert wire.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"] * 2


def test_what_a_stream_has_said_does_not_wait_for_the_rest() -> None:
    wire = asyncio.run(_answer(_streams, GET))
    assert wire.writes[0].endswith(b"5\r\nfirst\r\n") and wire.writes[1] == b"6\r\nsecond\r\n0\r\n\r\n"


def test_a_connection_that_closes_says_everything_first() -> None:
    wire = asyncio.run(_answer(_hello, b"nonsense\r\n\r\n"))
    assert wire.closed and wire.writes[0].startswith(b"HTTP/1.1 400")
    wire = asyncio.run(_answer(_hello, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"))
    assert wire.closed and wire.writes[0].endswith(b"hello")


@given(
    st.lists(st.binary(max_size=3) | st.integers(0, 2).map(lambda n: bytes(n * GATHERED_BYTES_MAX // 2)), max_size=9)
)
def test_everything_that_is_written_arrives_in_order_and_little_is_gathered(pieces: list[bytes]) -> None:
    async def write() -> list[bytes]:
        wire = Wire()
        gathering = Gathering(wire, asyncio.get_running_loop())  # type: ignore[arg-type]
        written = 0
        for piece in pieces:
            gathering.write(piece)
            written += len(piece)
            assert written - sum(map(len, wire.writes)) <= GATHERED_BYTES_MAX
        await asyncio.sleep(0)
        return wire.writes

    assert b"".join(asyncio.run(write())) == b"".join(pieces)
