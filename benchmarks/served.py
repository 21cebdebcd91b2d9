"""What the bench of the doors asks: the house as `tallystick serve` opens it, and a bare route beside it.

The house notes when each of its appends was durable, which its clients cannot see; nothing else about it is special.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

from api.bootstrap import House
from api.cli import main as tallystick
from api.metrics import MeteredWriter
from api.schemas.orders import PlaceOrder
from api.serving import BACKLOG, server_options
from api.settings import Settings
from benchmarks.load import Worker

OPEN_SECONDS: Final = 180.0
"""With all kernels to compile it takes a minute."""
SETTLE_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.05
UNLIMITED: Final = 1_000_000
"""Requests a second, which nobody here can send: the limits are not what is measured."""
BEHIND: Final = ("tallystick_live_position", "tallystick_reads_position", "tallystick_shadow_position")


@dataclass(slots=True)
class Served:
    """A house whose doors are open."""

    port: int
    appends_path: Path
    _process: subprocess.Popen[bytes] = field(repr=False)

    def settle(self) -> None:
        """Wait until everybody who follows the log has read all of it, so that the next round has the machine."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            positions = self._metrics()
            if all(positions[name] >= positions["tallystick_log_position"] for name in BEHIND):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {SETTLE_SECONDS} s the log is not read: {positions}")
            time.sleep(LOOK_SECONDS)

    def get(self, target: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{target}", timeout=30) as answer:
            return bytes(answer.read())

    def _metrics(self) -> dict[str, float]:
        lines = [line.split() for line in self.get("/metrics").decode().splitlines() if line.startswith("tallystick_")]
        return {line[0]: float(line[1]) for line in lines if len(line) == 2}

    def stop(self) -> Any:
        """End it; (log position, `time.time_ns`) of each append when it was durable, as [appends, 2]."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(SETTLE_SECONDS)
        return np.load(self.appends_path)


@contextmanager
def served(data: Path) -> Iterator[Served]:
    """The house of a data folder with all its processes, on a free port of this machine."""
    appends, said, errors = (data.with_suffix(ending) for ending in (".npy", ".out", ".err"))
    command = [sys.executable, "-P", "-c", "from benchmarks.served import main; main()", str(appends)]
    limits = {f"TALLYSTICK_{name}_REQUESTS_PER_SECOND": str(UNLIMITED) for name in ("KEY", "ADDRESS")}
    with said.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, "serve", "--data", str(data), "--port", "0", "--json"],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **limits},
        )
    try:
        deadline = time.monotonic() + OPEN_SECONDS
        while b"\n" not in (line := said.read_bytes()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the doors did not open: {errors.read_text()[-2_000:]}")
            time.sleep(LOOK_SECONDS)
        yield Served(int(json.loads(line.splitlines()[0])["url"].rpartition(":")[2]), appends, process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(SETTLE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    """`tallystick` with the arguments after the first, which is where the times of its appends go at the end."""
    path = sys.argv.pop(1)
    times: list[tuple[int, int]] = []
    writer_of = House.writer

    def writer(house: House) -> MeteredWriter:
        append = house.recorder.append

        def timed(entries: Sequence[Any], *, announce: bool = True) -> int:
            first = append(entries, announce=announce)
            times.append((first + len(entries) - 1, time.time_ns()))
            return first

        house.recorder.append = timed  # type: ignore[method-assign]
        return writer_of(house)

    House.writer = writer  # type: ignore[method-assign, assignment]
    try:
        tallystick()
    finally:
        np.save(path, np.array(times, np.int64).reshape(-1, 2))


# -- the bare route ----------------------------------------------------------------------------------------------------


@contextmanager
def bare_served(accepted: bytes, book: bytes) -> Iterator[int]:
    """A server that validates an order and answers `accepted`, and answers `book` to who asks for one; its port."""
    with Worker() as worker:
        worker.start(_serve_bare, accepted, book)
        yield worker.wait()


def _serve_bare(connection: Connection, accepted: bytes, book: bytes) -> None:
    settings = Settings()
    bound = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    connection.send(bound.getsockname()[1])
    # uvicorn's own HTTP, as a bare route would be served.
    options = server_options(settings) | {"http": "httptools"}
    config = uvicorn.Config(_bare_app(accepted, book), loop="uvloop", ws="none", lifespan="off", **options)
    uvicorn.Server(config).run([bound])


def _bare_app(accepted: bytes, book: bytes) -> FastAPI:
    """Bodies are ready: all that is left to do is FastAPI's own work."""
    app = FastAPI(openapi_url=None, telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/v1/orders")
    async def place(_order: PlaceOrder) -> Response:
        return Response(accepted, 201, media_type="application/json")

    @app.get("/v1/series/{series}/book")
    async def depth(series: str) -> Response:  # noqa: ARG001
        return Response(book, media_type="application/json")

    return app
