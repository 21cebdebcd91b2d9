"""What happens to every request before a route sees it and after it answered: one pure ASGI layer, on the hot path.

It gives the request an id, bounds header fields, body and the time a body takes, adds the headers that every answer
carries, writes the access log, and turns whatever was not expected into the problem `internal`, of which the client
learns no more than the request's id.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access_log import Access, access_log
from api.auth.authentication import PRINCIPAL, RATE
from api.auth.limits import raw_rate_headers
from api.problems import Problem, problem, problem_response
from api.settings import Settings

HEADER_BYTES_MAX: Final = 32 * 1024
BODY_SECONDS: Final = 30.0
"""How long a body may take to arrive; looked after every `_SWEEP_SECONDS`."""
_SWEEP_SECONDS: Final = 5.0
REQUEST_ID: Final = "tallystick.request_id"
"""Key of a scope: the id of the request."""

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
_NO_STORE: Final = (b"cache-control", b"no-store")

_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_ORDERS: Final = "/v1/orders"
_BATCH: Final = "/v1/orders/batch"
_API: Final = "/v1/"
_GONE: Final[Message] = {"type": "http.disconnect"}


class Doorway:
    """The layer around the application: `app.add_middleware(Doorway, settings=settings)`."""

    def __init__(self, app: ASGIApp, settings: Settings, *, body_seconds: float = BODY_SECONDS) -> None:
        self.app = app
        self.log = structlog.get_logger()
        self.access = access_log(settings)
        self.headers = (*_HEADERS, _HSTS) if settings.is_https else _HEADERS
        self.slow_bodies = _SlowBodies(body_seconds)
        self._body_bytes_max = settings.body_bytes_max
        self._order_bytes_max = settings.order_bytes_max
        self._prefix = f"req_{secrets.token_hex(6)}"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await _Exchange(self, scope, receive, send).run()
            return
        if scope["type"] == "websocket":
            scope[REQUEST_ID] = self.request_id(scope)
        await self.app(scope, receive, send)
        if scope["type"] == "lifespan" and self.access is not None:
            self.access.flush()

    def request_id(self, scope: Scope) -> str:
        """The client's own X-Request-Id if it is a plain one, else a new one."""
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _ID.fullmatch(value):
                return str(value, "ascii")
        return f"{self._prefix}{next(self._numbers):x}"

    def body_limit(self, path: str) -> int:
        is_order = path.startswith(_ORDERS) and path != _BATCH
        return self._order_bytes_max if is_order else self._body_bytes_max


class _SlowBodies:
    """Ends the waiting for bodies that do not come. A timer of its own for each request would cost more than this."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[_Exchange, tuple[float, asyncio.Task[object]]] = {}
        self._sweeping = False

    def add(self, exchange: _Exchange) -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = task.get_loop()
        self._waiting[exchange] = (loop.time() + self._seconds, task)
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(min(_SWEEP_SECONDS, self._seconds), self._sweep, loop)

    def remove(self, exchange: _Exchange) -> None:
        self._waiting.pop(exchange, None)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for exchange, (until, task) in list(self._waiting.items()):
            if until <= now:
                del self._waiting[exchange]
                exchange.is_overdue = True
                task.cancel()
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            loop.call_later(min(_SWEEP_SECONDS, self._seconds), self._sweep, loop)


class _Exchange:
    """One request and its answer."""

    __slots__ = (
        "_body_bytes",
        "_door",
        "_fault",
        "_is_gone",
        "_limit",
        "_receive",
        "_scope",
        "_send",
        "_status",
        "is_overdue",
    )

    def __init__(self, door: Doorway, scope: Scope, receive: Receive, send: Send) -> None:
        self._door = door
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limit = door.body_limit(scope["path"])
        self._body_bytes = 0
        self._fault: Problem | None = None
        """What is wrong with the body; it takes the place of whatever the application makes of it."""
        self._status = 0
        """Of the answer that has begun; 0 before, and for a client that left."""
        self._is_gone = False
        """Whether the client left before its whole body was here."""
        self.is_overdue = False

    async def run(self) -> None:
        door, scope = self._door, self._scope
        began_ns = time.perf_counter_ns()
        scope[REQUEST_ID] = door.request_id(scope)
        try:
            self._fault = self._fault_of_head()
            if self._fault is None:
                await door.app(scope, self._receive_bounded, self._send_adorned)
            if not self._status and not self._is_gone:
                await self._answer(self._fault or problem("internal"))
        except Problem as error:
            await self._answer(self._fault or error)
        except ClientDisconnect:
            pass  # Nobody is there to be answered.
        except Exception:
            door.log.exception("request_failed", request_id=scope[REQUEST_ID], path=scope["path"])
            await self._answer(self._fault or problem("internal"))
        finally:
            if door.access is not None:
                self._write_access(time.perf_counter_ns() - began_ns)

    def _fault_of_head(self) -> Problem | None:
        size = 0
        for name, value in self._scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length" and (not value.isdigit() or int(value) > self._limit):
                return self._too_large()
        return problem("headers_too_large") if size > HEADER_BYTES_MAX else None

    def _too_large(self) -> Problem:
        return problem("body_too_large", f"At most {self._limit} bytes.", headers={"Connection": "close"})

    async def _receive_bounded(self) -> Message:
        if self._fault is not None:
            return _GONE
        if self._status:
            # The answer is on its way: the application only waits for the client to leave.
            return await self._receive()
        slow_bodies = self._door.slow_bodies
        slow_bodies.add(self)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.is_overdue or task is None:
                raise
            task.uncancel()
            self._fault = problem("body_too_slow", headers={"Connection": "close"})
            return _GONE
        finally:
            slow_bodies.remove(self)
        if message["type"] == "http.disconnect":
            self._is_gone = True
            return message
        self._body_bytes += len(message.get("body", b""))
        if self._body_bytes > self._limit:
            self._fault = self._too_large()
            return _GONE
        return message

    async def _send_adorned(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self._fault is not None:
                # The application answers to a body that it did not get; the client is told what was wrong.
                await self._answer(self._fault)
                return
            self._adorn(message)
        elif self._fault is not None:
            return
        await self._send(message)

    def _adorn(self, message: Message) -> None:
        scope = self._scope
        self._status = message["status"]
        own = message.get("headers", ())
        headers = [*own, (b"x-request-id", scope[REQUEST_ID].encode()), *self._door.headers]
        rate = scope.get(RATE)
        if rate is not None:
            headers += raw_rate_headers(rate)
        if scope["path"].startswith(_API):
            for name, _ in own:
                if name == b"cache-control":
                    break
            else:
                headers.append(_NO_STORE)
        message["headers"] = headers

    async def _answer(self, found: Problem) -> None:
        """Send the problem, unless an answer has begun."""
        if self._status:
            return
        response = problem_response(found, self._scope[REQUEST_ID])
        start: Message = {
            "type": "http.response.start",
            "status": response.status_code,
            "headers": list(response.raw_headers),
        }
        self._adorn(start)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": bytes(response.body)})

    def _write_access(self, nanoseconds: int) -> None:
        scope = self._scope
        client, principal = scope.get("client"), scope.get(PRINCIPAL)
        party, key = (None, None) if principal is None else (principal.party, principal.key)
        assert self._door.access is not None
        self._door.access.add(
            Access(
                time.time_ns(),
                scope[REQUEST_ID],
                scope["method"],
                scope["path"],
                self._status,
                nanoseconds // 1_000,
                None if client is None else client[0],
                party,
                key,
            )
        )


def request_id_of_scope(scope: Scope) -> str:
    """The id of a request or a socket; "req_0" outside of the doorway."""
    return str(scope.get(REQUEST_ID, "req_0"))
