"""Whatever comes in, an answer goes out: with an id, within bounds, with the headers of the house, and in the log."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
import pytest
import structlog
from fastapi import FastAPI, Request
from starlette.types import Message, Receive, Scope, Send

from api.access_log import Access, AccessLog
from api.auth.authentication import PRINCIPAL, RATE
from api.auth.limits import Limiter
from api.auth.principal import ANONYMOUS
from api.middleware import CONTENT_SECURITY_POLICY, HEADER_BYTES_MAX, REQUEST_ID, Doorway, request_id_of_scope
from api.problems import problem
from api.settings import Settings
from tests.api.auth_world import a_scope

QUIET = Settings(log_level="error")
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Answer:
    def __init__(self, sent: Sequence[Message]) -> None:
        self.sent = sent
        assert [message["type"] for message in sent] == ["http.response.start"] + ["http.response.body"] * (
            len(sent) - 1
        )
        self.status: int = sent[0]["status"]
        self.raw_headers: list[tuple[bytes, bytes]] = list(sent[0]["headers"])
        self.headers = {name.decode(): value.decode() for name, value in self.raw_headers}
        self.body = b"".join(message.get("body", b"") for message in sent[1:])

    @property
    def code(self) -> str:
        return str(orjson.loads(self.body)["code"])


def answer_of(
    app: App,
    scope: Scope,
    pieces: Sequence[bytes] = (b"",),
    *,
    settings: Settings = QUIET,
    stalls: bool = False,
    body_seconds: float = 30.0,
) -> Answer:
    """What the doorway answers to a request whose body comes in pieces, or stops coming after them."""

    async def run() -> Answer:
        left = list(pieces)
        sent: list[Message] = []

        async def receive() -> Message:
            if not left:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or stalls}

        async def send(message: Message) -> None:
            sent.append(message)

        async with asyncio.timeout(10):
            await Doorway(app, settings, body_seconds=body_seconds)(scope, receive, send)
        return Answer(sent)

    return asyncio.run(run())


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body."""
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RuntimeError("the client is gone")
        length += len(message["body"])
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(length).encode()})


def fastapi_echo() -> FastAPI:
    app = FastAPI()

    @app.post("/v1/orders")
    @app.post("/v1/orders/batch")
    async def orders(request: Request, _body: dict[str, Any]) -> int:
        return len(await request.body())

    return app


# -- ids ---------------------------------------------------------------------------------------------------------------


def test_every_request_has_an_id_of_its_own() -> None:
    doorway = Doorway(echo, QUIET)
    ids = {doorway.request_id(a_scope()) for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"req_[0-9a-f]{13,}", one) for one in ids)
    assert not {Doorway(echo, QUIET).request_id(a_scope())} & ids


@pytest.mark.parametrize("sent", ["abc-1", "A.b_c", "x" * 64])
def test_a_plain_id_of_the_client_is_kept(sent: str) -> None:
    assert answer_of(echo, a_scope(headers={"X-Request-Id": sent})).headers["x-request-id"] == sent


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "<script>", "a\x00", "é"])
def test_a_strange_id_of_the_client_is_not(sent: str) -> None:
    assert answer_of(echo, a_scope(headers={"X-Request-Id": sent})).headers["x-request-id"].startswith("req_")


def test_a_socket_has_an_id_too() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(request_id_of_scope(scope))

    async def never(*_message: Message) -> Any:
        raise AssertionError

    asyncio.run(Doorway(app, QUIET)(a_scope(kind="websocket"), never, never))
    assert seen[0].startswith("req_")
    assert request_id_of_scope({}) == "req_0"


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v1/orders", 16 * 1024),
        ("/v1/orders/preview", 16 * 1024),
        ("/v1/orders/ord_1", 16 * 1024),
        ("/v1/orders/batch", 1024 * 1024),
        ("/v1/models", 1024 * 1024),
    ],
)
def test_a_body_is_as_long_as_its_resource_takes(path: str, limit: int) -> None:
    at_limit = a_scope("POST", path, {"content-length": str(limit)})
    assert answer_of(echo, at_limit, [b"x" * limit]).body == str(limit).encode()
    above = answer_of(echo, a_scope("POST", path, {"content-length": str(limit + 1)}), [b"x" * (limit + 1)])
    assert (above.status, above.code, above.headers["connection"]) == (413, "body_too_large", "close")


@pytest.mark.parametrize("app", [echo, fastapi_echo()], ids=["plain", "fastapi"])
def test_a_body_without_a_length_is_cut_where_it_gets_too_long(app: App) -> None:
    scope = a_scope("POST", "/v1/orders", {"content-type": "application/json"})
    pieces = [b"x" * 1024] * 17
    found = answer_of(app, scope, pieces)
    assert (found.status, found.code) == (413, "body_too_large")
    assert orjson.loads(found.body)["request_id"] == found.headers["x-request-id"]


def test_no_more_of_a_long_body_is_read_than_its_limit() -> None:
    taken = 0

    async def run() -> None:
        async def receive() -> Message:
            nonlocal taken
            taken += 1
            return {"type": "http.request", "body": b"x" * 4096, "more_body": True}

        async def send(_message: Message) -> None: ...

        await Doorway(echo, QUIET)(a_scope("POST", "/v1/orders"), receive, send)

    asyncio.run(run())
    assert taken == 5


def test_a_length_that_is_none_is_refused() -> None:
    for length in ("-1", "1e3", "", "99999999999999999999"):
        assert answer_of(echo, a_scope("POST", headers={"content-length": length})).code == "body_too_large"


@pytest.mark.parametrize("app", [echo, fastapi_echo()], ids=["plain", "fastapi"])
@pytest.mark.parametrize("pieces", [[], [b"{"]])
def test_a_body_that_stops_coming_is_not_waited_for(app: App, pieces: list[bytes]) -> None:
    scope = a_scope("POST", "/v1/orders", {"content-type": "application/json"})
    found = answer_of(app, scope, pieces, stalls=True, body_seconds=0.05)
    assert (found.status, found.code, found.headers["connection"]) == (408, "body_too_slow", "close")


@pytest.mark.parametrize("app", [None, fastapi_echo()], ids=["plain", "fastapi"])
def test_a_client_that_leaves_before_its_body_is_whole_is_no_mistake_of_ours(app: App | None) -> None:
    async def quiet(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    statuses: list[int] = []

    async def run() -> None:
        parts: list[Message] = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return parts.pop(0)

        async def send(message: Message) -> None:
            statuses.append(message.get("status", 0))

        scope = a_scope("POST", headers={"content-type": "application/json"})
        await Doorway(app or quiet, QUIET)(scope, receive, send)

    with structlog.testing.capture_logs() as logs:
        asyncio.run(run())
    assert logs == []
    assert all(status < 500 for status in statuses)


def test_a_request_that_is_canceled_from_outside_stays_canceled() -> None:
    async def run() -> None:
        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(_message: Message) -> None: ...

        task = asyncio.create_task(Doorway(echo, QUIET)(a_scope("POST"), receive, send))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_header_fields_are_bounded_together() -> None:
    headers = {f"x-{number}": "x" * 1024 for number in range(HEADER_BYTES_MAX // 1024)}
    found = answer_of(echo, a_scope(headers=headers))
    assert (found.status, found.code) == (431, "headers_too_large")


# -- headers -----------------------------------------------------------------------------------------------------------


def test_every_answer_carries_the_headers_of_the_house() -> None:
    found = answer_of(echo, a_scope("GET", "/v1/time"))
    assert found.headers == {
        "content-type": "text/plain",
        "x-request-id": found.headers["x-request-id"],
        "content-security-policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
    too_large = answer_of(echo, a_scope("POST", headers={"content-length": "9999999"}))
    assert too_large.headers["content-security-policy"] == CONTENT_SECURITY_POLICY


def test_only_answers_of_the_api_are_never_stored_unless_they_say_otherwise() -> None:
    async def cached(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"max-age=60")]})
        await send({"type": "http.response.body", "body": b""})

    assert answer_of(cached, a_scope("GET", "/v1/series")).headers["cache-control"] == "max-age=60"
    assert "cache-control" not in answer_of(echo, a_scope("GET", "/static/page.js")).headers


def test_over_https_browsers_are_told_to_stay_there() -> None:
    https = Settings(behind_proxy=True, log_level="error")
    assert answer_of(echo, a_scope(), settings=https).headers["strict-transport-security"] == "max-age=31536000"


def test_what_is_left_of_a_limit_is_told() -> None:
    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        scope[RATE] = Limiter("principal", 10).spend("x", 3)
        await echo(scope, receive, send)

    found = answer_of(limited, a_scope())
    assert (found.headers["ratelimit"], found.headers["x-ratelimit-remaining"]) == ('"principal";r=7;t=1', "7")


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_a_mistake_of_ours_tells_the_client_nothing_but_the_id() -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("canary-7c1 in /secret/place")

    with structlog.testing.capture_logs() as logs:
        found = answer_of(broken, a_scope("GET", "/v1/series"))
    assert (found.status, found.code) == (500, "internal")
    assert b"canary" not in found.body and b"Traceback" not in found.body
    assert logs[0]["event"] == "request_failed"
    assert logs[0]["request_id"] == found.headers["x-request-id"]


def test_a_problem_that_nobody_caught_is_answered() -> None:
    async def refusing(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise problem("not_ready")

    assert answer_of(refusing, a_scope()).code == "not_ready"


def test_a_route_that_does_not_answer_is_a_mistake_of_ours() -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    assert answer_of(silent, a_scope()).code == "internal"


def test_an_answer_that_breaks_off_is_not_answered_again() -> None:
    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("no more")

    with structlog.testing.capture_logs():
        assert [message["type"] for message in answer_of(half, a_scope()).sent] == ["http.response.start"]


# -- the access log ----------------------------------------------------------------------------------------------------


def logged(scope: Scope, settings: Settings) -> None:
    """Let one request pass, and the server end."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope[PRINCIPAL] = ANONYMOUS._replace(party=7, how="key", key=3)
            await echo(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"canary-5", "more_body": False}

    async def send(_message: Message) -> None: ...

    async def run() -> None:
        doorway = Doorway(app, settings)
        await doorway(scope, receive, send)
        await doorway({"type": "lifespan"}, receive, send)

    asyncio.run(run())


def a_telling_request() -> Scope:
    headers = {"authorization": "canary-1", "cookie": "session=canary-2", "x-signature": "canary-3"}
    scope = a_scope("POST", "/v1/models?secret=canary-4", headers)
    scope["path"] = '/v1/models"\n\udcff'
    return scope


def test_each_request_is_one_line_of_json_without_query_headers_and_body(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    logged(a_telling_request(), Settings())
    assert stderr.getvalue().count("\n") == 1
    line = orjson.loads(stderr.getvalue())
    assert line.pop("us") >= 0
    assert re.fullmatch(r"20.*\.\d{9}Z", line.pop("timestamp"))
    assert line.pop("request_id").startswith("req_")
    assert line == {
        "event": "request",
        "level": "info",
        "method": "POST",
        "path": '/v1/models"\n?',
        "status": 200,
        "address": "192.0.2.1",
        "party": 7,
        "key": 3,
    }


def test_for_people_the_process_writes_it_as_everything_else() -> None:
    with structlog.testing.capture_logs() as logs:
        logged(a_telling_request(), Settings(log_format="console"))
    assert [(one["event"], one["status"], one["party"]) for one in logs] == [("request", 200, 7)]
    assert "canary" not in str(logs)


def test_lines_are_written_together_soon_or_when_many_wait() -> None:
    written: list[int] = []

    async def run() -> None:
        log = AccessLog(lambda lines: written.append(len(lines)))
        line = Access(0, "req_1", "GET", "/", 200, 1, None, None, None)
        for _ in range(300):
            log.add(line)
        assert written == [256]
        log.flush()
        log.flush()

    asyncio.run(run())
    assert written == [256, 44]


def test_quiet_settings_write_no_access_log() -> None:
    assert Doorway(echo, QUIET).access is None
    assert Doorway(echo, Settings(log_level="warning")).access is None


def test_the_id_of_a_request_is_known_inside() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope[REQUEST_ID])
        await echo(scope, receive, send)

    assert answer_of(app, a_scope(headers={"x-request-id": "mine"})).headers["x-request-id"] == "mine"
    assert seen == ["mine"]
