"""Who asks, as far as the doors know."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from api.auth.sessions import Session
from domain.values import Role

NOBODY: Final = -1
"""In place of a party where nobody is signed in. The house, 0, is never a principal of a door."""

SCOPES: Final = frozenset({"read", "trade", "manage"})
"""What an API key may be good for. A session is good for all of it."""

NO_ROLES: Final = Role(0)


class Principal(NamedTuple):
    """A party and what it may do at this moment: roles are read from the house anew for each request."""

    party: int
    roles: Role
    scopes: frozenset[str]
    how: Literal["key", "session", "anonymous"]
    key: int | None = None
    user: int | None = None
    session: Session | None = None


ANONYMOUS: Final = Principal(NOBODY, NO_ROLES, frozenset(), "anonymous")
