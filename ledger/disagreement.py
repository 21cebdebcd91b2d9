"""What replay, shadow and verifier raise where the log is not what it must be."""

from __future__ import annotations


class Disagreement(Exception):
    """The log is not what executing it gives: it was altered, or this program is not the one that wrote it."""

    code = "log_disagrees"

    def __init__(
        self,
        position: int,
        what: str,
        *,
        section: str | None = None,
        row: int | None = None,
        field: str | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        where = f"position {position}"
        if section is not None:
            where += f", section {section}"
        if row is not None:
            where += f", row {row}"
        if field is not None:
            where += f", field {field}"
        super().__init__(f"{where}: {what}: expected {expected}, found {found}")
        self.position = position
        self.what = what
        self.section = section
        self.row = row
        self.field = field
        self.expected = expected
        self.found = found
