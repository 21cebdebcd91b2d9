"""What each action needs: one table, and the one function that reads it. What is not in the table cannot be done.

`authorize` decides at two moments: before a request is read (roles and scope), and, where the rule is `own`, again when
the object and so its owner is known. What belongs to another is answered as if it did not exist.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute

from api.auth.authentication import authenticate
from api.auth.principal import Principal
from api.problems import problem
from domain.permissions import role_words
from domain.values import Role

TRADER, DEVELOPER, PROVIDER = Role.TRADER, Role.DEVELOPER, Role.PROVIDER
FINANCE, RISK, AUDITOR, OPERATOR = Role.FINANCE, Role.RISK, Role.AUDITOR, Role.OPERATOR
ANYBODY: Final = Role(0)
NOT_EVEN_OTHERS: Final = Role(0)


class Rule(NamedTuple):
    """Who may do an action."""

    roles: Role = ANYBODY
    """One of these must be held; none: anybody who is signed in."""
    public: bool = False
    """Also who is not signed in."""
    scope: str = "read"
    """What an API key must be good for."""
    own: bool = False
    """Only to what is the party's own."""
    see_all: Role = NOT_EVEN_OTHERS
    """Who holds one of these may do it to what is another's."""


_PUBLIC: Final = Rule(public=True)

RULES: Final[dict[str, Rule]] = {
    # What everybody may see.
    "market.read": _PUBLIC,
    "series.read": _PUBLIC,
    "models.read": _PUBLIC,
    "datasets.read": _PUBLIC,
    "terms.read": _PUBLIC,
    "page.read": _PUBLIC,
    "session.write": _PUBLIC,
    "ws.connect": _PUBLIC,
    # Trading. Canceling needs no role: who lost it, or was frozen, may still leave the market.
    "orders.read": Rule(own=True, see_all=AUDITOR | RISK),
    "orders.preview": Rule(TRADER | DEVELOPER),
    "orders.place": Rule(TRADER | DEVELOPER, scope="trade", own=True),
    "orders.cancel": Rule(scope="trade", own=True),
    "fills.read": Rule(own=True, see_all=AUDITOR | FINANCE | RISK),
    "balances.read": Rule(own=True, see_all=AUDITOR | FINANCE | RISK),
    "grants.read": Rule(own=True, see_all=AUDITOR | FINANCE),
    # What is licensed.
    "datasets.write": Rule(PROVIDER, scope="manage", own=True),
    "models.write": Rule(DEVELOPER, scope="manage", own=True),
    "terms.write": Rule(DEVELOPER, scope="manage", own=True),
    "series.write": Rule(DEVELOPER | OPERATOR, scope="manage", own=True, see_all=OPERATOR),
    "series.halt": Rule(OPERATOR | RISK, scope="manage"),
    # Who takes part.
    "parties.read": Rule(own=True, see_all=AUDITOR | FINANCE | RISK | OPERATOR),
    "parties.write": Rule(OPERATOR | RISK, scope="manage"),
    "users.read": Rule(own=True, see_all=AUDITOR | OPERATOR),
    "users.write": Rule(OPERATOR, scope="manage"),
    "keys.read": Rule(own=True, see_all=AUDITOR | OPERATOR),
    "keys.write": Rule(scope="manage", own=True),
    # Whoever notices a leak may end a key; making one for another would be acting in its name.
    "keys.revoke": Rule(scope="manage", own=True, see_all=OPERATOR | RISK),
    # Money and revenue.
    "payments.write": Rule(FINANCE, scope="manage"),
    "fees.write": Rule(FINANCE | OPERATOR, scope="manage"),
    "agreements.read": Rule(own=True, see_all=AUDITOR | FINANCE | OPERATOR),
    "agreements.write": Rule(FINANCE | OPERATOR, scope="manage"),
    "reports.read": Rule(own=True, see_all=AUDITOR | FINANCE),
    # Looking after the house.
    "audit.read": Rule(AUDITOR),
    "operate.read": Rule(OPERATOR | RISK | AUDITOR),
    "operate.write": Rule(OPERATOR, scope="manage"),
}
"""Every action of every door. An auditor reads everything and changes nothing; an operator cannot trade."""

FREE: Final = frozenset({"orders.cancel"})
"""Actions that no rate limit stops: leaving the market is always possible."""


def authorize(principal: Principal, action: str, owner: int | None = None) -> None:
    """Raise Problem `unauthenticated`, `forbidden` or `not_found` unless the action is allowed.

    `owner`: the party that the object belongs to, once it is known.
    """
    rule = RULES[action]
    if rule.public:
        return
    if principal.how == "anonymous":
        raise problem("unauthenticated", headers={"WWW-Authenticate": "Tallystick"})
    if rule.scope not in principal.scopes:
        raise problem("forbidden", f"The action {action} needs an API key with the scope {rule.scope}.")
    # As plain integers, which costs a tenth: this is asked for each order.
    if rule.roles and not int.__and__(principal.roles, rule.roles):
        raise problem("forbidden", f"The action {action} needs the role {role_words(rule.roles)}.")
    if rule.own and owner is not None and owner != principal.party and not principal.roles & rule.see_all:
        raise problem("not_found")


def visible_party(principal: Principal, action: str) -> int | None:
    """The only party whose objects the action may show, or None where it may show everybody's.

    For lists: their questions are asked with it.
    """
    rule = RULES[action]
    return principal.party if rule.own and not principal.roles & rule.see_all else None


class PrincipalFor:
    """A dependency of a route: who asks, allowed to begin the action. Raises the Problems of who may not."""

    def __init__(self, action: str) -> None:
        assert action in RULES, action
        self.action = action
        self._free = action in FREE

    async def __call__(self, connection: HTTPConnection) -> Principal:
        body = await connection.body() if isinstance(connection, Request) else b""
        principal = authenticate(connection.app.state.doors, connection.scope, body, cost=0 if self._free else 1)
        authorize(principal, self.action)
        return principal


_DEPENDENCIES: Final = {action: PrincipalFor(action) for action in RULES}


def principal_for(action: str) -> PrincipalFor:
    """The dependency of routes that do the action: `Depends(principal_for("orders.read"))`."""
    return _DEPENDENCIES[action]


def action_of(route: BaseRoute) -> str | None:
    """The action that a route declares, or None where it declares none."""
    dependant = getattr(route, "dependant", None)
    return None if dependant is None else _action_of(dependant)


def _action_of(dependant: Any) -> str | None:
    if isinstance(dependant.call, PrincipalFor):
        return dependant.call.action
    return next(filter(None, map(_action_of, dependant.dependencies)), None)
