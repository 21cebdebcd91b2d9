"""What the house answers to a rare command: the facts that it recorded."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from api.schemas.base import Counter, Out


class FactBody(Out):
    """One fact of the log. `data` has the fields of the request that asked for it, and what was assigned."""

    kind: str
    data: dict[str, Any]


class Recorded(Out):
    """A command that the log holds. Repeating the request gives the same body."""

    id: str | None = Field(description="Of what was made, if anything was.")
    command: Counter
    position: Counter = Field(description="Of its first log entry; a read with `?after=` it sees the change.")
    facts: list[FactBody]
