"""Health, time and the state of the house."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas import base
from api.schemas.base import Counter, Out


class Health(Out):
    status: Literal["ok"]


class Ready(Out):
    status: Literal["ready"]
    lag: Counter = Field(description="Log entries that the read models do not show yet.")


class Time(Out):
    time: base.Time
    unix_ms: Counter


class Status(Out):
    accepts_orders: bool
    log_position: Counter
    live_position: Counter
    reads_position: Counter
    reads_generation: Counter | None
    lag: Counter
    time: base.Time
