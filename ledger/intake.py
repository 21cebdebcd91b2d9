"""What becomes of rows that a door sent before they get a number: a time, and no kind that only the house may use."""

from __future__ import annotations

from typing import Any

from matching.layout import FLAG_SYSTEM, NONE, Kind, kernel

DOOR_KINDS = (Kind.NEW, Kind.CANCEL, Kind.REDUCE, Kind.MASS_CANCEL)
"""What a door may send."""
NEW, CANCEL, REDUCE, MASS_CANCEL = (int(kind) for kind in DOOR_KINDS)


@kernel
def take_in(rows: Any, at_ns: int, last_at_ns: int) -> None:
    """Stamp `rows` (COMMAND) in place with `at_ns`, or with NONE let them keep their own times, but never before the
    last command. A row that a door may not send gets kind 0, which is recorded and refused as `unknown_kind`.
    """
    for at in range(len(rows)):
        row = rows[at]
        last_at_ns = max(last_at_ns, row["at_ns"] if at_ns == NONE else at_ns)
        row["at_ns"] = last_at_ns
        kind = row["kind"]
        known = kind == NEW or kind == CANCEL or kind == REDUCE or kind == MASS_CANCEL  # noqa: PLR1714
        if not known or int(row["flags"]) & FLAG_SYSTEM:
            row["kind"] = 0
