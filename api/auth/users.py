"""People who sign in with a password, each for one party."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from api.problems import FieldError, problem

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{2,63}", re.ASCII)


@dataclass(slots=True)
class User:
    number: int
    login: str
    password_hash: str
    party: int
    created_ns: int
    disabled_ns: int | None

    def __repr__(self) -> str:
        """Without the hash, so that no log holds it."""
        return f"User({self.number}, {self.login!r}, party={self.party})"


def folded(login: str) -> str:
    """A login as it is compared: its case does not matter."""
    return login.strip().lower()


def checked_login(login: str) -> str:
    """The login as it is kept. Raises Problem `malformed_text`."""
    login = folded(login)
    if _LOGIN.fullmatch(login) is None:
        rule = "A login is 3 to 64 of a-z, 0-9, '.', '_', '@', '+' and '-', and begins with a letter or digit."
        raise problem("malformed_text", rule, errors=(FieldError("/login", "malformed_text", rule),))
    return login
