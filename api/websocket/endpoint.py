"""The socket itself: `/v1/ws`. It moves messages between the client and its session, and ends what does not move.

Each socket has one task that reads and one that writes, so a client that does not read its messages stops nobody else.
Reading waits while too many orders of the client are under way.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import structlog
from fastapi import APIRouter, Depends, WebSocket
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from api.auth.principal import Principal
from api.authorization import PrincipalFor
from api.doors import Doors
from api.middleware import request_id_of_scope
from api.problems import Problem, problem_response
from api.websocket.connections import Connections
from api.websocket.protocol import ABORT, WRITER, Writer, frame_of
from api.websocket.session import Session, Work

PATH: Final = "/v1/ws"
ORDERS_UNDER_WAY_MAX: Final = 64
STUCK_SECONDS: Final = 10.0
"""A message that could not be written for so long ends the socket: it is half open, or its client does not read."""
CLOSE_SECONDS: Final = 2.0
"""How long it may take until a close can be written."""
GONE_SECONDS: Final = 15.0
"""How long after a close the connection may live; until then the server waits for the client's own close."""

router = APIRouter()


class _Admission(PrincipalFor):
    """Who knocks, or why the door stays shut: told as a problem of HTTP, since the handshake is not answered yet."""

    async def __call__(self, connection: HTTPConnection) -> Principal | Problem:  # type: ignore[override]
        try:
            return await super().__call__(connection)
        except Problem as found:
            return found


@router.websocket(PATH)
async def stream(websocket: WebSocket, admitted: Any = Depends(_Admission("ws.connect"))) -> None:  # noqa: B008
    """Everything that moves, and orders: see the reference of the WebSocket."""
    try:
        if isinstance(admitted, Problem):
            raise admitted
        socket = _Socket(websocket, admitted)
    except Problem as found:
        await websocket.send_denial_response(problem_response(found, request_id_of_scope(dict(websocket.scope))))
    else:
        await socket.run()


def connections_of(app: Any) -> Connections:
    """The sockets of an application."""
    found: Connections | None = getattr(app.state, "connections", None)
    if found is None:
        doors: Doors = app.state.doors
        found = app.state.connections = Connections(doors)
    return found


class _Socket:
    """Counts from the start; raises Problem `too_many_connections`."""

    def __init__(self, websocket: WebSocket, principal: Principal) -> None:
        self._websocket = websocket
        self._connections = connections_of(websocket.app)
        self._awake = asyncio.Event()
        self._session = Session(
            websocket.app.state.doors,
            websocket.scope,
            principal,
            wake=self._flush,
            admit=lambda signed_in: self._connections.sign_in(self, signed_in),
        )
        self._room = asyncio.Semaphore(ORDERS_UNDER_WAY_MAX)
        self._under_way: set[asyncio.Task[None]] = set()
        self._writing_since: float | None = None
        self._flushing = False
        self._writer: Writer | None = websocket.scope.get("extensions", {}).get(WRITER)
        self._loop = asyncio.get_running_loop()
        self._connections.add(self, principal, None if websocket.client is None else websocket.client.host)

    async def run(self) -> None:
        try:
            await self._websocket.accept()
            writer = self._loop.create_task(self._write())
            reader = self._loop.create_task(self._read())
            try:
                await asyncio.wait((reader, writer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (reader, writer):
                    task.cancel()
                results = await asyncio.gather(reader, writer, return_exceptions=True)
            for found in results:
                if isinstance(found, Exception) and not isinstance(found, _GONE):
                    raise found
        finally:
            self._connections.remove(self)
            # What the client has asked for is answered by the log, whether or not the client still listens.
            if self._under_way:
                await asyncio.wait(self._under_way)
            await self._session.end()

    # -- both ways -----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        session = self._session
        while session.closing is None:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text: str | bytes | None = message.get("text")
            work = session.receive(message.get("bytes") or b"" if text is None else text)
            if work is not None:
                await self._room.acquire()
                self._follow_up(work)
        self._awake.set()
        await asyncio.Event().wait()  # The writer says goodbye.

    def _follow_up(self, work: Work) -> None:
        task = self._loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._room.release()
        self._under_way.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            structlog.get_logger().error("socket_failed", exc_info=failure)
            self.close_soon(1011, "internal")

    def _flush(self) -> None:
        """Write what the connection takes at once; the rest is the writing task's."""
        if self._flushing:
            return
        if self._writer is None or self._writing_since is not None or self._session.closing is not None:
            self._awake.set()
            return
        outbox = self._session.outbox
        self._flushing = True
        while (write := self._writer()) is not None and not outbox.failed:
            text = outbox.take()
            if text is None:
                break
            write(frame_of(text))
        else:
            self._awake.set()
        self._flushing = False

    async def _write(self) -> None:
        session, outbox, send = self._session, self._session.outbox, self._websocket.send
        while True:
            self._awake.clear()
            while not outbox.failed and (text := outbox.take()) is not None:
                self._writing_since = self._loop.time()
                await send({"type": "websocket.send", "text": text})
                self._writing_since = None
            if outbox.failed:
                session.closing = (4008, "slow_consumer")
            if session.closing is not None:
                break
            await self._awake.wait()
        outbox.clear()
        code, reason = session.closing
        await self._close(code, reason)

    async def _close(self, code: int, reason: str) -> None:
        # A client that reads nothing learns of no close, and must not keep the connection by that.
        self._loop.call_later(GONE_SECONDS, self._abort)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code, reason)
        except TimeoutError:
            self._abort()

    def _abort(self) -> None:
        """End the connection without another word, whatever still waits to be written."""
        abort = self._websocket.scope.get("extensions", {}).get(ABORT)
        if abort is not None:
            abort()

    # -- what the connections do with it -------------------------------------------------------------------------------

    def each_second(self, heartbeat: str) -> None:
        self._session.each_second(heartbeat)
        since = self._writing_since
        patience = STUCK_SECONDS if self._session.closing is None else CLOSE_SECONDS
        if since is not None and self._loop.time() - since > patience:
            self._abort()
        if self._session.closing is not None:
            self._awake.set()

    def close_soon(self, code: int, reason: str) -> None:
        if self._session.closing is None:
            self._session.closing = (code, reason)
        self._awake.set()


_GONE: Final = (WebSocketDisconnect, ConnectionError, asyncio.CancelledError)
