"""The door of every command: what may go wrong becomes a message, a stable code and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import typer
from sqlalchemy.exc import SQLAlchemyError

from api.bootstrap import Places, places
from api.commands.choices import LogChoice
from api.output import Output
from ledger.blocks import BlockUnreadable
from ledger.disagreement import Disagreement
from ledger.keys import SealBroken
from ledger.mapper import LogEntryUnreadable
from ledger.outages import LogConflict, LogOutage
from ledger.sequencer import SequencerStopped
from ledger.store import LogIncomplete


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    TAMPERING = 3
    INTERRUPTED = 130


class Failed(Exception):
    """An expected failure of a command, with its stable code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


TAMPERING = (Disagreement, LogEntryUnreadable, BlockUnreadable, LogIncomplete, SealBroken)
OUTAGES = (LogOutage, LogConflict, SequencerStopped)


def where(choice: LogChoice) -> Places:
    """The places of the chosen log."""
    return places(choice.data, choice.url)


@contextmanager
def door(
    output: Output, *, failed: Mapping[str, Any] | None = None, interrupted: str = "nothing more is done"
) -> Iterator[None]:
    """Turn the expected failures of the block into an exit; `failed` goes into their JSON, too."""
    try:
        yield
    except KeyboardInterrupt:
        _say(output, failed, {"code": "interrupted", "message": interrupted})
        raise typer.Exit(Exit.INTERRUPTED) from None
    except TAMPERING as error:
        _say(output, failed, {"code": error.code, "message": str(error), **_place(error)})
        raise typer.Exit(Exit.TAMPERING) from error
    except (*OUTAGES, Failed) as error:
        _say(output, failed, {"code": error.code, "message": str(error)})
        raise typer.Exit(Exit.FAILED) from error
    except SQLAlchemyError as error:
        _say(output, failed, {"code": "log_unavailable", "message": _first_line(error)})
        raise typer.Exit(Exit.FAILED) from error
    except OSError as error:
        _say(output, failed, {"code": "file_unavailable", "message": str(error)})
        raise typer.Exit(Exit.FAILED) from error


def _say(output: Output, failed: Mapping[str, Any] | None, error: dict[str, Any]) -> None:
    output.note(f"tallystick: {error['code']}: {error['message']}")
    if output.as_json:
        output.json({**(failed or {}), "error": error})


def _place(error: Exception) -> dict[str, Any]:
    """Where in the log, as far as the error knows."""
    names = ("position", "section", "row", "field", "expected", "found")
    known = {name: getattr(error, name, None) for name in names}
    return {
        name: value if isinstance(value, int | str) else str(value)
        for name, value in known.items()
        if value is not None
    }


def _first_line(error: SQLAlchemyError) -> str:
    """What the database said, without the statement and its parameters."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
