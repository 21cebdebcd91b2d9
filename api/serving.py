"""A house that is served: its parts built and wired, started in order, and stopped in the order that loses nothing.

On the way down the doors close first and answer whom they have let in, then the writer answers what waits, then the
follower process ends, and at last the log is given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final

import uvicorn
import uvloop

from api.app import create_app
from api.auth.store import AuthStore
from api.bootstrap import House, continuing, generations
from api.doors import Doors
from api.follower_keeper import FollowerKeeper
from api.http_protocol import HttpProtocol
from api.live import Live
from api.logs import logger
from api.metrics import MeteredWriter, Metrics
from api.metrics_route import metrics_route
from api.settings import Settings
from api.websocket.protocol import WebSocketProtocol
from projections.database import GenerationMissing, Generations
from projections.reads import Reads
from projections.runner import flow_at

BACKLOG: Final = 2_048
GC_THRESHOLDS: Final = (50_000, 50, 100)
"""New objects before each generation is looked through for garbage: most answers leave none."""
DRAIN_SECONDS: Final = 3
"""How long requests may take that are under way when the doors close."""
KEEP_ALIVE_SECONDS: Final = 65
"""Longer than the usual minute of a proxy, so that the proxy and not the house ends an idle connection."""
MESSAGE_BYTES_MAX: Final = 64 * 1024
PING_SECONDS: Final = 20.0
WATCH_SECONDS: Final = 1.0
SWITCH_SECONDS: Final = 0.0005
"""How long one thread may keep the interpreter while another waits: with the default a reply is often 5 ms late."""


class AddressUnavailable(OSError):
    """The doors cannot listen where they should."""

    code: Final = "address_unavailable"


def listen(settings: Settings) -> socket.socket:
    """A socket that is bound and nobody is let in by yet. Raises AddressUnavailable."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        with ExitStack() as stack:
            bound = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((settings.host, settings.port))
            stack.pop_all()
    except OSError as error:
        raise AddressUnavailable(f"{settings.host} port {settings.port}: {error.strerror or error}") from error
    return bound


def url_of(settings: Settings, bound: socket.socket) -> str:
    """Where a browser on this machine finds the doors."""
    host, port = bound.getsockname()[:2]
    unspecified = ipaddress.ip_address(host).is_unspecified
    name = "localhost" if unspecified else f"[{host}]" if ":" in host else host
    return f"{'https' if settings.speaks_tls else 'http'}://{name}:{port}"


@contextmanager
def open_doors(house: House, keeper: FollowerKeeper, settings: Settings) -> Iterator[Doors]:
    """All that the doors need of a house whose writer is not started yet. House and keeper stay open."""
    house.go_by(continuing(time.time_ns, house.state.at_ns))
    with ExitStack() as stack:
        auth = stack.enter_context(AuthStore.open(house.where.data, house.where.log_url, settings))
        place = stack.enter_context(closing(generations(house.where)))
        reads = stack.enter_context(Reads(place))
        live = _live(house, place)
        writer = house.writer()
        writer.start()
        stack.callback(writer.close)
        keeper.serve(writer)
        auth.start()
        doors = Doors(house, writer, live=live, reads=reads, auth=auth, settings=settings, clock=house.clock)
        if house.metrics is not None:
            _measure(doors, writer, keeper, house.metrics)
        yield doors


def _live(house: House, place: Generations) -> Live:
    """The live hub, from where the read models are if there are any: they know the whole life of open orders."""
    with contextlib.suppress(GenerationMissing), place.open(read_only=True) as database:
        position, fold = flow_at(house.recorder, database)
        if position:
            return Live(house, clock=house.clock, fold=fold, position=position)
    return Live(house, clock=house.clock)


def _measure(doors: Doors, writer: MeteredWriter, keeper: FollowerKeeper, metrics: Metrics) -> None:
    store, state = doors.house.store, doors.house.state
    metrics.gauge("tallystick_log_position", "Last position of the log.", lambda: store.position)
    metrics.gauge("tallystick_live_position", "Last position that was published live.", lambda: doors.live.position)
    metrics.gauge("tallystick_reads_position", "Last position in the read models.", doors.reads.position)
    metrics.gauge("tallystick_shadow_position", "Last position that the shadow executed.", lambda: keeper.position)
    metrics.gauge(
        "tallystick_reads_lag", "Positions the read models are behind.", lambda: doors.reads.lag(store.position)
    )
    metrics.gauge("tallystick_queue_items", "Items that wait for the writer.", lambda: writer.waiting)
    metrics.gauge(
        "tallystick_open_orders", "Orders that are open.", lambda: int(state.tables.book.tally["open_orders"][0])
    )
    metrics.gauge("tallystick_accepting", "1 while the writer accepts.", lambda: int(doors.writer.failure is None))
    metrics.gauge("tallystick_follower_up", "1 while the follower runs.", lambda: int(keeper.condition == "running"))


def serve(doors: Doors, bound: socket.socket, *, on_open: Callable[[], None], keeper: FollowerKeeper) -> None:
    """Let people in until a signal says stop; `on_open` is called when the doors are open.

    Returns when everybody who was let in has been answered or DRAIN_SECONDS have passed.
    """
    # What was built so far stays as long as the process: to look through it again and again for garbage would hold up
    # the loop for longer than many orders take.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(doors, bound, on_open, keeper))


async def _serve(doors: Doors, bound: socket.socket, on_open: Callable[[], None], keeper: FollowerKeeper) -> None:
    settings = doors.settings
    app = create_app(doors)
    if doors.house.metrics is not None:
        app.router.routes.append(metrics_route(doors.house.metrics))
    config = uvicorn.Config(
        app,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        lifespan="on",
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        **server_options(settings),
    )
    server = _Server(config, on_open)
    watch = asyncio.create_task(_watch(doors, keeper))
    try:
        await server.serve([bound])
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


def server_options(settings: Settings) -> dict[str, Any]:
    """What a server of HTTP is told; a bare one to compare with is told the same."""
    return {
        "http": HttpProtocol,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "backlog": BACKLOG,
        "limit_concurrency": settings.connections_max,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": DRAIN_SECONDS,
    }


class _Server(uvicorn.Server):
    """Ends quietly at a signal: what comes after the doors must still be closed."""

    def __init__(self, config: uvicorn.Config, on_open: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_open = on_open

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_open()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


async def _watch(doors: Doors, keeper: FollowerKeeper) -> None:
    """Say in the logs when something stops or begins to lag, and when it is well again."""
    known: dict[str, Any] = {}
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        lag = doors.reads.lag(doors.house.store.position)
        found = {
            "writer": _of(doors.writer.failure),
            "live": _of(doors.live.failure),
            "follower": keeper.condition,
            "lagging": lag > doors.settings.lag_positions_max,
        }
        if found != known:
            is_well = found == {"writer": "", "live": "", "follower": "running", "lagging": False}
            (logger().info if is_well else logger().warning)("condition", **found, lag=lag)
            known = found


def _of(failure: BaseException | None) -> str:
    return "" if failure is None else f"{type(failure).__name__}: {failure}"
