"""How the house is: the writer, the read models, what is halted."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from api.doors import Doors
from api.web.numbers import Numbers
from api.web.views.names import names_of
from api.web.words import Words
from api.wire import SERIES, public_id
from domain.values import SeriesPhase
from projections import assets

UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
RATE_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Halt:
    series_id: str
    symbol: str
    reason: str
    since_ns: int
    by: str
    position: int


@dataclass(frozen=True, slots=True)
class Halts:
    halted: Sequence[Halt]
    symbols: Sequence[tuple[str, str]]
    """(id, symbol) of every series that could be halted."""
    fees: tuple[int, int] | None
    """Maker and taker rate in ppm."""


@dataclass(frozen=True, slots=True)
class Operate:
    writer_ok: bool
    log_position: int
    lag: int
    lag_max: int
    rate: int | None
    disk_free: str
    log_size: str
    halted: Sequence[Halt]
    symbols: Sequence[tuple[str, str]]
    may_halt: bool
    rates: Sequence[tuple[str, str]]


def halts(connection: Connection, t: Words) -> Halts:
    """What is halted, and what could be."""
    found = assets.all_series(connection, phase=SeriesPhase.HALTED, limit=10_000)
    trading = assets.all_series(connection, phase=SeriesPhase.OPEN, limit=10_000)
    names = names_of(connection, {row.phase_actor for row in found}, t)
    fees = assets.fee_history(connection)
    return Halts(
        [
            Halt(
                series_id=public_id(SERIES, row.series),
                symbol=row.symbol,
                reason=row.halt_reason or "",
                since_ns=row.phase_at_ns,
                by=names[row.phase_actor],
                position=row.last_position,
            )
            for row in found
        ],
        sorted(((public_id(SERIES, row.series), row.symbol) for row in trading), key=lambda pair: pair[1]),
        (fees[0].maker_ppm, fees[0].taker_ppm) if fees else None,
    )


def load(doors: Doors, found: Halts, n: Numbers, *, may_halt: bool) -> Operate:
    """The page's figures, most of them from memory."""
    house = doors.house
    state = house.state
    position = house.store.position
    maker, taker = found.fees or (0, 0)
    return Operate(
        writer_ok=doors.writer.failure is None,
        log_position=position,
        lag=doors.reads.lag(position),
        lag_max=doors.settings.lag_positions_max,
        rate=_RATE.per_second(state.next_command),
        disk_free=size(shutil.disk_usage(house.where.data).free),
        log_size=size(_folder_bytes(house.where.data)),
        halted=found.halted,
        symbols=found.symbols,
        may_halt=may_halt,
        rates=(
            ("maker", n.ppm(maker, 4)),
            ("taker", n.ppm(taker, 4)),
            ("parties", n.count(len(state.catalogue.parties))),
            ("series", n.count(len(state.catalogue.series))),
            ("orders", n.count(int(state.tables.book.tally["next_order"][0]) - 1)),
            ("generation", n.count(doors.reads.generation)),
        ),
    )


class Rate:
    """Commands a second over the last seconds in which somebody looked."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def per_second(self, count: int) -> int | None:
        """None at the first look, and while the last one was only just now."""
        now = time.monotonic()
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return round((count - before) / (now - then)) if now - then > LOOK_SECONDS else None


_RATE: Final = Rate()


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def size(count: int) -> str:
    """Bytes for people."""
    unit = 0
    scaled = count * 10
    while scaled >= 10_240 and unit < len(UNITS) - 1:
        scaled = scaled // 1_024
        unit += 1
    return f"{scaled // 10}.{scaled % 10} {UNITS[unit]}" if unit else f"{count} B"
