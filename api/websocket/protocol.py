"""uvicorn's WebSocket protocol with two short cuts for a server that tells many the same. Give it to uvicorn as `ws`.

*Writing*: what a server sends is not masked, so a message has the same bytes on every socket. It is framed once, and
written without the way through ASGI wherever the socket takes it at once.

*Aborting*: a server that closes a connection whose client reads nothing waits for its buffer to drain, which it never
does, and the socket stays for as long as the client likes. Aborting drops the buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

ABORT: Final = "tallystick.abort"
"""Key of the scope's extensions: a function that drops the connection."""
WRITER: Final = "tallystick.writer"
"""Key of the scope's extensions: a `Writer` of the connection."""
FRAMES_MAX: Final = 8
"""Frames that are remembered: a message goes to all its readers before the next one does."""

Writer = Callable[[], Callable[[bytes], Any] | None]
"""What writes a frame right now, or None where that would have to wait, or needs the way through ASGI."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Half-open connections end after one unanswered ping, and whole ones when the application says so."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # The application has been started, but runs no earlier than the loop's next turn.
            extensions: dict[str, Any] | None = self.scope["extensions"]
            assert extensions is not None
            extensions[ABORT] = self.transport.abort
            extensions[WRITER] = self.writer

    def writer(self) -> Callable[[bytes], Any] | None:
        is_open = self.handshake_complete and self.conn.state is State.OPEN and not self.close_sent
        if not is_open or self.conn.extensions or not self.writable.is_set() or self.transport.is_closing():
            return None
        return self.transport.write

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


@lru_cache(maxsize=FRAMES_MAX)
def frame_of(text: str) -> bytes:
    """The frame of a text message; those that go to many sockets are made once."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
