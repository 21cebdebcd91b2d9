"""Whether the doors are open, and what time it is in the house."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Request
from starlette.responses import Response

from api.auth.principal import Principal
from api.doors import Doors
from api.problems import problem
from api.replies import doors_of, reply
from api.routes.registry import action, router_of
from api.schemas.operate import Health, Ready, Status, Time
from api.wire import rfc3339

router = router_of("health")


@router.get("/health", response_model=Health)
async def health(_principal: Annotated[Principal, action("market.read")]) -> Response:
    """Whether the process answers at all."""
    return reply({"status": "ok"})


@router.get("/ready", response_model=Ready)
async def ready(request: Request, _principal: Annotated[Principal, action("market.read")]) -> Response:
    """Whether orders are accepted and the read models keep up. Problem `not_ready` or `writer_stopped` if not."""
    doors = doors_of(request)
    lag = lag_of(doors)
    if doors.writer.failure is not None:
        raise problem("writer_stopped", "The writer has stopped.")
    if doors.live.failure is not None:
        raise problem("not_ready", "The live hub has stopped.")
    if doors.reads.generation is None:
        raise problem("not_ready", "There are no read models yet.", retry_after_ms=1_000)
    if lag > doors.settings.lag_positions_max:
        raise problem("not_ready", f"The read models are {lag} entries behind the log.", retry_after_ms=1_000)
    return reply({"status": "ready", "lag": lag}, position=doors.house.store.position)


@router.get("/time", response_model=Time)
async def time(request: Request, _principal: Annotated[Principal, action("market.read")]) -> Response:
    """The server's time, for clients that sign their requests."""
    now_ns = doors_of(request).clock()
    return reply({"time": rfc3339(now_ns), "unix_ms": now_ns // 1_000_000})


@router.get("/status", response_model=Status)
async def status(request: Request, _principal: Annotated[Principal, action("market.read")]) -> Response:
    """How far the log, the live hub and the read models have come."""
    doors = doors_of(request)
    return reply(status_body(doors), position=doors.house.store.position)


def lag_of(doors: Doors) -> int:
    """Entries that are in the log and not yet in the read models."""
    return doors.reads.lag(doors.house.store.position)


def status_body(doors: Doors) -> dict[str, Any]:
    return {
        "accepts_orders": doors.writer.failure is None,
        "log_position": doors.house.store.position,
        "live_position": doors.live.position,
        "reads_position": doors.reads.position(),
        "reads_generation": doors.reads.generation,
        "lag": lag_of(doors),
        "time": rfc3339(doors.clock()),
    }
