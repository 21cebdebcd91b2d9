"""uvicorn's HTTP protocol with one short cut: head and body of an answer leave in one write. It is given as `http`.

uvicorn writes the head when it is told of it and the body after that, each with a system call of its own, and a client
that waits is woken for the first. Here what is written goes out when the answer is complete, when much has gathered, or
in the loop's next turn, whatever comes first.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

GATHERED_BYTES_MAX: Final = 64 * 1024


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._direct = transport
        self._gathering = Gathering(transport, self.loop)
        self.transport = self._gathering  # type: ignore[assignment]

    def handle_websocket_upgrade(self) -> None:
        self._gathering.flush()
        self.transport = self._direct
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        self._gathering.flush()
        super().on_response_complete()


class Gathering:
    """A transport, as far as uvicorn uses one, that gathers what is written in one turn of the loop."""

    __slots__ = ("_bytes", "_loop", "_transport", "_waiting")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._bytes = 0

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes > GATHERED_BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what has gathered."""
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            self._transport.write(data)

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
