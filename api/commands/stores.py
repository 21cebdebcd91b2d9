"""What the commands for users and API keys share: the auth store of a house, and its parties."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from api.auth.database import AuthSchemaUnknown
from api.auth.sealing import AuthKeyUnusable
from api.auth.store import AuthStore
from api.bootstrap import Places, log_for_reading
from api.commands.door import Failed
from api.problems import Problem
from api.settings import Settings
from api.wire import PARTY, number_of
from domain.events import TOPIC_OF, PartyRegistered
from domain.rejections import Refusal

AUTH_FAILURES: Final = (AuthKeyUnusable, AuthSchemaUnknown)


@contextmanager
def auth_store(where: Places) -> Iterator[AuthStore]:
    """The store, also beside a house that is being served, which takes changes over within a second. Raises Failed."""
    try:
        with AuthStore.open(where.data, where.log_url, Settings()) as auth:
            yield auth
    except Problem as problem:
        raise Failed(problem.code, problem.detail or problem.title) from problem
    except AUTH_FAILURES as error:
        raise Failed(error.code, str(error)) from error


def numbered(prefix: str, text: str) -> int:
    """The number of an id, which may also be given as that number. Raises BadParameter."""
    number = int(text) if text.isdecimal() else number_of(prefix, text, prefix)
    if isinstance(number, Refusal):
        raise typer.BadParameter(number.message)
    return number


def party_number(where: Places, text: str) -> int:
    """The number of a party that is registered in the log; never the house. Raises BadParameter and outages."""
    number = numbered(PARTY, text)
    with log_for_reading(where) as recorder:
        registered = sum(1 for _ in recorder.entries_of_topic(TOPIC_OF[PartyRegistered]))
    # Parties are numbered 1, 2, 3 … in order of registration.
    if not 1 <= number <= registered:
        raise typer.BadParameter(f"--party: the log has parties 1 to {registered}; got {text}")
    return number
