"""The ways in which the log can be out of reach, and the one way in which two writers meet.

Each is an exception that only a door (or the start of a process) catches. The persistence exceptions of the event
sourcing library are among their bases, so code written against that library's contract catches them too.
"""

from typing import ClassVar

from eventsourcing.persistence import IntegrityError, OperationalError


class LogOutage(OperationalError):
    """The log cannot be used as asked; `code` is stable and what a door answers with."""

    code: ClassVar[str] = "log_outage"


class LogUnavailable(LogOutage):
    """The database failed, or failed before; what it kept of the last append is unknown until the log is reopened."""

    code = "log_unavailable"


class LogFull(LogUnavailable):
    """The disk under the log has no room left."""

    code = "log_full"


class LogLocked(LogOutage):
    """Another writer holds the log."""

    code = "log_locked"


class SchemaMissing(LogOutage):
    """There is no log here yet; migrating makes one."""

    code = "log_schema_missing"


class SchemaUnknown(LogOutage):
    """The log was made by another, probably newer, release; reading it with this one could misread it."""

    code = "log_schema_unknown"

    def __init__(self, *, found: str, expected: str) -> None:
        super().__init__(f"schema revision of the log: expected {expected}, found {found}")
        self.found = found
        self.expected = expected


class LogConflict(IntegrityError):
    """A position or a (stream, version) is taken: another writer was here first."""

    code: ClassVar[str] = "log_conflict"
