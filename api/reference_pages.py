"""Pages of the reference that are made from what the program itself uses, so that they cannot say anything else.

    python -m api.reference_pages

writes `rejections.md`, `facts.md` and `command-line.md` into `docs/reference`. A test compares the pages that are
checked in with the ones made here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final

import typer
from typer.main import get_command

from api.cli import app
from api.commands.door import OUTAGES, TAMPERING, Exit
from domain.commands import Command
from domain.decisions import DECISIONS
from domain.events import TOPICS, Fact
from domain.permissions import role_words
from domain.rejections import MEANINGS, Reason
from domain.upcasts import UPCASTS
from ledger.mapper import SEALED_FIELDS, stream_of
