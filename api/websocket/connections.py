"""All open sockets of the doors: how many each may have, and the heartbeat they share."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final, Protocol

import structlog

from api.auth.limits import address_of
from api.auth.principal import Principal
from api.doors import Doors
from api.problems import problem
from api.websocket.session import heartbeat

PER_KEY_MAX: Final = 5
PER_USER_MAX: Final = 20
"""A person may have many tabs."""
PER_ADDRESS_MAX: Final = 200
"""Of those that are not signed in."""
HEARTBEAT_SECONDS: Final = 1.0


class Connected(Protocol):
    """One open socket."""

    def each_second(self, heartbeat: str) -> None: ...

    def close_soon(self, code: int, reason: str) -> None:
        """End the conversation after what waits."""


class Connections:
    """Belongs to the event loop."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._open: dict[Connected, Hashable] = {}
        self._counts: dict[Hashable, int] = {}
        self._counter = 0
        self._beating: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connected: Connected, principal: Principal, host: str | None) -> None:
        """Count a socket; raises Problem `too_many_connections`."""
        if len(self._open) >= self._doors.settings.connections_max:
            raise problem("too_many_connections", "The doors have as many sockets as they may have.")
        who = _who(principal, host)
        self._count(who, _most(principal))
        self._open[connected] = who
        if self._beating is None or self._beating.done():
            self._beating = asyncio.get_running_loop().create_task(self._beat())

    def sign_in(self, connected: Connected, principal: Principal) -> None:
        """Count a socket for who has signed in over it; raises Problem `too_many_connections`."""
        who = _who(principal, None)
        self._count(who, _most(principal))
        self._uncount(self._open[connected])
        self._open[connected] = who

    def remove(self, connected: Connected) -> None:
        self._uncount(self._open.pop(connected))

    def _count(self, who: Hashable, most: int) -> None:
        count = self._counts.get(who, 0)
        if count >= most:
            raise problem("too_many_connections", f"At most {most} sockets are open at a time.")
        self._counts[who] = count + 1

    def _uncount(self, who: Hashable) -> None:
        self._counts[who] -= 1
        if not self._counts[who]:
            del self._counts[who]

    async def _beat(self) -> None:
        """Each second while there is anybody to hear it, or a channel that lingers."""
        live = self._doors.live
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._open or live.open_channels:
            due = max(due + HEARTBEAT_SECONDS, loop.time())
            await asyncio.sleep(due - loop.time())
            self._counter += 1
            text = heartbeat(self._counter, live.position, live.at_ns)
            for connected in list(self._open):
                try:
                    if live.failure is not None:
                        connected.close_soon(1011, "internal")
                    connected.each_second(text)
                except Exception:  # noqa: BLE001  (one socket's fault must not end the heartbeat of all)
                    structlog.get_logger().exception("socket_failed")
                    connected.close_soon(1011, "internal")
            live.each_second()


def _who(principal: Principal, host: str | None) -> Hashable:
    match principal.how:
        case "key":
            return ("key", principal.key)
        case "session":
            return ("user", principal.user)
        case _:
            return ("address", address_of(host))


def _most(principal: Principal) -> int:
    return {"key": PER_KEY_MAX, "session": PER_USER_MAX}.get(principal.how, PER_ADDRESS_MAX)
