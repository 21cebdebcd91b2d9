"""A client that speaks with the socket of the doors, one message after the other."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from api.auth.keys import KeyRequest
from api.auth.signatures import HmacSigner, Signer, signed_headers
from api.websocket.schemas import check
from tests.api.live_house import LiveHouse, loads

PATIENCE_SECONDS = 10.0


class Talker:
    """Heartbeats are passed over unless asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._numbers = itertools.count(1)
        self._waiting: list[dict[str, Any]] = []

    def send(self, **request: Any) -> None:
        self.socket.send(json.dumps(request))

    def next(self, *, heartbeats: bool = False) -> dict[str, Any]:
        """The next message."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._waiting.pop(0) if self._waiting else self._receive(until)
            if heartbeats or message.get("channel") != "heartbeat":
                return message

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request; messages that come before it stay to be read."""
        number = next(self._numbers)
        self.send(**request, req_id=number)
        kept: list[dict[str, Any]] = []
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._receive(until)
            if message.get("req_id") == number:
                self._waiting += kept
                return message
            kept.append(message)

    def _receive(self, until: float) -> dict[str, Any]:
        """Whatever comes, held to the models of the reference. Raises TimeoutError although heartbeats come always."""
        message = loads(self.socket.recv(max(until - time.monotonic(), 0)))
        check(message)
        return message

    def accepted(self, **request: Any) -> dict[str, Any]:
        answer = self.ask(**request)
        assert answer["ok"], answer
        return answer

    def refused(self, **request: Any) -> dict[str, Any]:
        answer = self.ask(**request)
        assert not answer["ok"], answer
        problem = answer["problem"]
        assert type(problem) is dict
        return problem

    def of(self, channel: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next message of a channel that is wanted; those of others before it are dropped."""
        while True:
            message = self.next()
            if message.get("channel") == channel and wanted(message):
                return message

    def until_closed(self) -> tuple[int, str]:
        """Read until the server closes; code and reason of its close, 0 if it said nothing."""
        try:
            while True:
                self.socket.recv(PATIENCE_SECONDS)
        except ConnectionClosed as closed:
            return (0, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)

    def sign_in(self, signer: Signer, **changed: Any) -> dict[str, Any]:
        return self.ask(**auth(signer, **changed))


def auth(signer: Signer, **changed: Any) -> dict[str, Any]:
    """A signed request to sign in."""
    headers = signed_headers(signer, "GET", "/v1/ws")
    return {
        "op": "auth",
        "key": headers["X-Api-Key"],
        "timestamp": headers["X-Timestamp"],
        "nonce": headers["X-Nonce"],
        "signature": headers["X-Signature"],
        **changed,
    }


def signer_of(house: LiveHouse, party: int, scopes: Sequence[str] = ("read", "trade")) -> HmacSigner:
    """A new API key of a party."""
    request = KeyRequest(kind="hmac", label="a test", scopes=frozenset(scopes), expires_ns=None, public_key=None)
    made = house.doors.auth.add_key(party, request)
    assert made.secret is not None
    return HmacSigner(made.key.id, made.secret)


@contextlib.contextmanager
def talking(house: LiveHouse, party: int | None = None, **options: Any) -> Iterator[Talker]:
    """A socket, signed in for a party if one is named."""
    with connect(house.url, max_size=None, **options) as socket:
        talker = Talker(socket)
        if party is not None:
            answer = talker.sign_in(signer_of(house, party))
            assert answer["ok"], answer
        yield talker
