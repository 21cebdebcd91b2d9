"""How far the log has been followed, as the event sourcing library's `TrackingRecorder`.

One row per followed log holds the last position. Followers move it in the transaction that holds the rows, so each
entry is folded into the tables exactly once.
"""

from __future__ import annotations

from typing import Final

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder
from sqlalchemy import Connection, Engine, insert, select, text

from projections.schema import TRACKING

LOG: Final = "log"
"""The name under which the house's log is tracked."""


class SqlTrackingRecorder(TrackingRecorder):
    """Positions in the table `tracking` of a generation; any thread may ask."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move on to a later position, in a transaction of its own. Raises IntegrityError if it is not later."""
        with self._engine.begin() as connection:
            advance(connection, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        with self._engine.connect() as connection:
            return connection.scalar(select(TRACKING.c.position).where(TRACKING.c.name == application_name))


def advance(connection: Connection, tracking: Tracking) -> None:
    """Move on to a later position within the transaction of `connection`. Raises IntegrityError if it is not later."""
    values = {"name": tracking.application_name, "position": tracking.notification_id}
    if connection.execute(_MOVE, values).rowcount == 1:
        return
    known = connection.scalar(_POSITION, values)
    if known is not None:
        raise IntegrityError(f"{tracking.application_name}: position {tracking.notification_id} is not after {known}")
    connection.execute(insert(TRACKING), values)


_MOVE: Final = text("UPDATE tracking SET position = :position WHERE name = :name AND position < :position")
_POSITION: Final = text("SELECT position FROM tracking WHERE name = :name")
