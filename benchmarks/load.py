"""Clients for benches of the doors, each in a process of its own: they must cost less than what they measure.

A `Worker` is such a process. `ask` sends requests over keep-alive connections, one at a time on each, and `watch`
subscribes to the book of a series over many sockets. Both speak their protocol as far as they need it and no further.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import numpy as np
import uvloop

from api.auth.signatures import HmacSigner, signed_headers

PATIENCE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02
TAIL_BYTES: Final = 256
"""How much of the end of a body is looked at."""


class Worker:
    """A process that runs one function at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()

    def start(self, function: Callable[..., Any], *args: Any) -> None:
        """Run a function of a module."""
        self.connection.send((function, args))

    def wait(self, seconds: float = PATIENCE_SECONDS) -> Any:
        """What the function returns, or tells before. Raises what it raises, or TimeoutError."""
        if not self.connection.poll(seconds):
            raise TimeoutError(f"a worker said nothing for {seconds} s")
        said = self.connection.recv()
        if isinstance(said, Exception):
            raise said
        return said

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        self.start(function, *args)
        return self.wait()


def _work(connection: Connection) -> None:
    while True:
        function, args = connection.recv()
        try:
            found = function(connection, *args)
        except Exception as error:  # noqa: BLE001  (whoever asked for it raises it)
            found = RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(found)


# -- requests ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to one address, all alike but for their bodies."""

    port: int
    connections: int
    method: str
    target: str
    bodies: Sequence[bytes]
    status: int
    """That every answer must have."""
    keys: Sequence[tuple[str, str]] = ()
    """(id, secret) of the HMAC key of each body; none: nothing is signed."""
    ending: bytes = b""
    """What the last bytes of every answer must hold."""
    segment: int = 1_000
    """Requests that are signed at once, before the time that is measured: a signature does not live long."""
    pace_seconds: float = 0.0
    """Between the requests of a connection; 0: as fast as they are answered."""


class Asked(NamedTuple):
    """What came of a load."""

    seconds: float
    """Without signing."""
    latencies_ns: Any
    """[requests], in the order of their answers."""
    body: bytes
    """The end of the last answer's, or all of it if it came in one piece."""


def ask(_connection: Connection, load: Load) -> Asked:
    """Send the requests of a load. Raises RuntimeError for an answer that is not as it must be."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_ask(load))


async def _ask(load: Load) -> Asked:
    loop = asyncio.get_running_loop()
    run = _Run(load)
    clients = []
    for _ in range(load.connections):
        _, client = await loop.create_connection(lambda: _Client(run), "127.0.0.1", load.port)
        clients.append(client)
    seconds = 0.0
    for first in range(0, len(load.bodies), load.segment):
        run.begin(list(_requests(load, first)), len(clients), loop.create_future())
        began = time.perf_counter()
        for client in clients:
            client.ask()
        await run.done
        seconds += time.perf_counter() - began
    for client in clients:
        client.close()
    return Asked(seconds, np.array(run.latencies_ns, np.int64), run.body)


def _requests(load: Load, first: int) -> Iterator[bytes]:
    """The requests of a segment as they go over the wire."""
    head = f"{load.method} {load.target} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
    for at in range(first, min(first + load.segment, len(load.bodies))):
        body = load.bodies[at]
        lines = [head]
        if body:
            lines.append(f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
        if load.keys:
            signed = signed_headers(HmacSigner(*load.keys[at]), load.method, load.target, body)
            lines += [f"{name}: {value}\r\n" for name, value in signed.items()]
        lines.append("\r\n")
        yield "".join(lines).encode() + body


class _Run:
    """What the clients of a load share."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.status = b"HTTP/1.1 %d" % load.status
        self.latencies_ns: list[int] = []
        self.body = b""
        self.requests: Iterator[bytes] = iter(())
        self.done: asyncio.Future[None]
        self._busy = 0

    def begin(self, requests: list[bytes], clients: int, done: asyncio.Future[None]) -> None:
        self.requests, self._busy, self.done = iter(requests), clients, done

    def leave(self) -> None:
        """A client found nothing more to ask."""
        self._busy -= 1
        if not self._busy and not self.done.done():
            self.done.set_result(None)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._pace_seconds = run.load.pace_seconds
        self._due = 0.0
        self._began_ns = 0
        self._head = b""
        """Of an answer whose head is not whole yet."""
        self._missing = 0
        """Bytes of a body that are still to come."""
        self._tail = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.fail("the server closed a connection")

    def close(self) -> None:
        self._transport.abort()

    def ask(self) -> None:
        request = next(self._run.requests, None)
        if request is None:
            self._run.leave()
            return
        self._began_ns = time.perf_counter_ns()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        else:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            at = data.find(b"content-length: ", 0, end) + 16
            self._missing = int(data[at : data.find(b"\r\n", at)]) - (len(data) - end - 4)
            self._tail = data[end + 4 :]
            if not data.startswith(self._run.status):
                self._run.fail(data[: end + 1_000].decode("latin-1"))
                return
        if self._missing <= 0:
            self._answered()

    def _answered(self) -> None:
        run = self._run
        run.latencies_ns.append(time.perf_counter_ns() - self._began_ns)
        run.body = self._tail
        if run.load.ending and run.load.ending not in self._tail[-TAIL_BYTES:]:
            run.fail(self._tail[-TAIL_BYTES:].decode("latin-1"))
        elif self._pace_seconds:
            self._due = max(self._due + self._pace_seconds, self._loop.time())
            self._loop.call_at(self._due, self.ask)
        else:
            self.ask()


# -- sockets -----------------------------------------------------------------------------------------------------------


class Watched(NamedTuple):
    """What one subscriber of a book was told in updates, one row for each."""

    seqs: Any
    """Log position that the message ends with."""
    at_ns: Any
    """`time.time_ns` when it had been read."""
    deltas: Any
    """Levels in it."""
    snapshots: int
    """How often the book was told from the start: once, and again whenever the subscriber was too slow."""


def watch(connection: Connection, port: int, series: str, subscribers: int) -> list[Watched]:
    """Subscribe so often to the book of a series. Sends None when all have its snapshot, and ends when told anything.

    Raises RuntimeError where a socket is closed.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_watch(connection, port, series, subscribers))


async def _watch(connection: Connection, port: int, series: str, subscribers: int) -> list[Watched]:
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    clients = []
    for _ in range(subscribers):
        _, client = await loop.create_connection(lambda: _Subscriber(port, series, failed), "127.0.0.1", port)
        clients.append(client)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for client in clients:
            await client.ready.wait()
    connection.send(None)
    while not connection.poll():
        if failed.done():
            failed.result()
        await asyncio.sleep(LOOK_SECONDS)
    connection.recv()
    failed.cancel()
    for client in clients:
        client.close()
    return [client.watched() for client in clients]


_BOOK: Final = b'{"channel":"book","type":'
_UPDATE: Final = _BOOK + b'"update"'
_TEXT, _PING, _CLOSE = 0x81, 0x89, 0x88
"""First byte of a frame that is whole."""


def _masked(first: int, payload: bytes) -> bytes:
    """A short frame as a client sends it; a mask of zeros is one, too."""
    assert len(payload) < 126, payload
    return bytes((first, 0x80 | len(payload), 0, 0, 0, 0)) + payload


class _Subscriber(asyncio.Protocol):
    """One socket."""

    def __init__(self, port: int, series: str, failed: asyncio.Future[None]) -> None:
        self.ready = asyncio.Event()
        self._port = port
        self._subscribe = b'{"op":"subscribe","channel":"book","series":["%b"]}' % series.encode()
        self._failed = failed
        self._transport: Any = None
        self._is_open = False
        self._buffer = b""
        self._rows: list[tuple[int, int, int]] = []
        self._snapshots = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(
            f"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {secrets.token_hex(8)}{secrets.token_hex(3)}==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, _error: Exception | None) -> None:
        self._fail("the server closed a socket")

    def close(self) -> None:
        self._transport.abort()

    def watched(self) -> Watched:
        rows = np.array(self._rows, np.int64).reshape(-1, 3)
        return Watched(rows[:, 0], rows[:, 1], rows[:, 2], self._snapshots)

    def _fail(self, why: str) -> None:
        if not self._failed.done():
            self._failed.set_exception(RuntimeError(why))

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        at = 0 if self._is_open else self._open(data)
        while (frame := _frame(data, at)) is not None:
            first, start, at = frame
            self._take(first, data[start:at])
        self._buffer = data[at:]

    def _open(self, data: bytes) -> int:
        """Where the frames begin; 0 while the handshake has not been answered."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return 0
        if not data.startswith(b"HTTP/1.1 101"):
            self._fail(data.decode("latin-1"))
        self._is_open = True
        self._transport.write(_masked(_TEXT, self._subscribe))
        return end + 4

    def _take(self, first: int, payload: bytes) -> None:
        if first == _TEXT and payload.startswith(_UPDATE):
            at = payload.index(b'"seq":') + 6
            seq = int(payload[at : payload.index(b",", at)])
            # Each level is an array that begins with a text, and nothing else is.
            self._rows.append((seq, time.time_ns(), payload.count(b'["')))
        elif first == _TEXT and payload.startswith(_BOOK):
            self._snapshots += 1
            self.ready.set()
        elif first == _PING:
            self._transport.write(_masked(0x8A, payload))
        elif first == _CLOSE:
            self._fail(f"the server closed a socket: {payload[2:].decode('latin-1')}")


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """(first byte, start of the payload, its end) of the frame at a place; None if it is not whole."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    if length > 125:
        start += 2 if length == 126 else 8
        length = int.from_bytes(data[at + 2 : start])
    end = start + length
    return None if len(data) < end or len(data) < start else (data[at], start, end)
