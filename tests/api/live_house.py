"""A small house behind real sockets: the doors' WebSocket served by uvicorn on a loopback port, in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.auth.store import AuthStore
from api.bootstrap import House, places
from api.doors import Doors
from api.live import Live
from api.settings import Settings
from api.websocket import connections_of
from api.websocket.protocol import WebSocketProtocol
from ledger.tables import Limits
from ledger.writer import Writer
from tests.api import small_house

LIMITS = Limits(orders=1 << 14, levels=1 << 13, accounts=1 << 10)
SETTINGS = Settings(key_requests_per_second=100_000, address_requests_per_second=100_000)


@dataclass
class LiveHouse:
    """What is served."""

    doors: Doors
    app: FastAPI
    port: int = 0
    loop: asyncio.AbstractEventLoop | None = None
    _server: uvicorn.Server | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/ws"

    @property
    def writer(self) -> Writer:
        return self.doors.writer


@contextlib.contextmanager
def doors_of(
    folder: Path, settings: Settings = SETTINGS, limits: Limits = LIMITS, *, found: bool = True
) -> Iterator[Doors]:
    """The doors of a house with parties, a series and money; the writer runs, the hub does not yet.

    `found`: whether they are to be recorded, or were before.
    """
    with House(places(folder), limits=limits) as house:
        if found:
            small_house._found(small_house.SmallHouse(house, now_ns=time.time_ns() - 10**12))
        live = Live(house, clock=time.time_ns)
        writer = house.writer()
        auth = AuthStore.open(folder, places(folder).log_url, settings)
        auth.start()
        writer.start()
        try:
            yield Doors(
                house,
                writer,
                live=live,
                reads=None,  # type: ignore[arg-type]
                auth=auth,
                settings=settings,
                clock=time.time_ns,
            )
        finally:
            live.stop()
            writer.close()
            auth.close()


@contextlib.contextmanager
def served(
    folder: Path,
    settings: Settings = SETTINGS,
    limits: Limits = LIMITS,
    *,
    found: bool = True,
    send_bytes: int | None = None,
    **config: Any,
) -> Iterator[LiveHouse]:
    """Serve it until the block ends; `send_bytes`: how much the system keeps for a client that does not read."""
    with doors_of(folder, settings, limits, found=found) as doors:
        house = LiveHouse(doors, create_app(doors))
        listening = socket.socket()
        if send_bytes is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
        listening.bind(("127.0.0.1", 0))
        listening.listen(512)
        house.port = listening.getsockname()[1]
        options: dict[str, Any] = {
            "ws": WebSocketProtocol,
            "ws_max_size": 1 << 20,
            "ws_per_message_deflate": False,
            "lifespan": "off",
            "log_level": "warning",
        }
        server = uvicorn.Server(uvicorn.Config(house.app, **(options | config)))
        began = threading.Event()

        async def serve() -> None:
            house.loop = asyncio.get_running_loop()
            doors.live.start(house.loop)
            began.set()
            await server.serve(sockets=[listening])

        thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served")
        thread.start()
        try:
            assert began.wait(10)
            yield house
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def connections(house: LiveHouse) -> int:
    return len(connections_of(house.app))


def loads(text: str | bytes | bytearray) -> dict[str, Any]:
    found = json.loads(text)
    assert type(found) is dict
    return found
