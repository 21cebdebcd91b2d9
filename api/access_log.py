"""The access log: one line a request, written many at a time, since rendering each alone costs more than the request.

No header, no query and no body is ever in it. Lines that wait are lost with the process; the log of the house is not
here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import orjson
import structlog

from api.settings import Settings
from api.wire import rfc3339

FLUSH_SECONDS: Final = 0.25
WAITING_MAX: Final = 256


class Access(NamedTuple):
    """One request that was answered."""

    at_ns: int
    request_id: str
    method: str
    path: str
    status: int
    us: int
    address: str | None
    party: int | None
    key: int | None


_LINE: Final = orjson.OPT_APPEND_NEWLINE
Write = Callable[[Sequence[Access]], None]


class AccessLog:
    """Collects lines in an event loop and hands them to `write` soon after."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._waiting: list[Access] = []

    def add(self, line: Access) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append(line)
        if len(self._waiting) >= WAITING_MAX:
            self.flush()

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write(waiting)


def access_log(settings: Settings) -> AccessLog | None:
    """The access log of the settings; None where requests are not logged."""
    if settings.log_level not in ("debug", "info"):
        return None
    return AccessLog(write_json if settings.log_format == "json" else write_words)


def write_json(lines: Sequence[Access]) -> None:
    """As `api.logs` writes JSON, in one go."""
    second, text_of_second = -1, ""
    rendered = []
    for line in lines:
        # Many lines are of one second, and a calendar is slower than everything else here.
        now, nanosecond = divmod(line.at_ns, 1_000_000_000)
        if now != second:
            second, text_of_second = now, rfc3339(line.at_ns)[:20]
        rendered.append(orjson.dumps(_fields(line, f"{text_of_second}{nanosecond:09d}Z"), option=_LINE))
    text = b"".join(rendered)
    sys.stderr.write(text.decode())
    sys.stderr.flush()


def write_words(lines: Sequence[Access]) -> None:
    """By the process's logger, for people."""
    log = structlog.get_logger()
    for line in lines:
        named = line._asdict()
        log.info("request", **{name: named[name] for name in named if name != "at_ns"})


def _fields(line: Access, timestamp: str) -> dict[str, object]:
    _, request_id, method, path, status, us, address, party, key = line
    return {
        "event": "request",
        "level": "info",
        "timestamp": timestamp,
        "request_id": request_id,
        "method": method,
        # A path is percent-decoded bytes, so it may hold halves of characters.
        "path": path if path.isascii() else path.encode("utf-8", "replace").decode(),
        "status": status,
        "us": us,
        "address": address,
        "party": party,
        "key": key,
    }
