"""`tallystick user`: people who sign in with a password, each for one party."""

from __future__ import annotations

import sys

import typer

from api.auth.store import AuthStore
from api.auth.users import User
from api.bootstrap import Places
from api.commands.stores import auth_store, party_number
from api.output import Output
from api.wire import PARTY, USER, public_id, rfc3339


def add(output: Output, where: Places, login: str, *, party: str) -> None:
    number = party_number(where, party)
    password = _password()
    with auth_store(where) as auth:
        user = auth.add_user(login, password, number)
    if output.as_json:
        output.json(_as_json(user))
    else:
        output.line(f"{public_id(USER, user.number)}: {user.login} signs in for {public_id(PARTY, user.party)}")


def show(output: Output, where: Places) -> None:
    with auth_store(where) as auth:
        users = [_as_json(user) for user in auth.users()]
    if output.as_json:
        output.json({"users": users})
    else:
        columns = ("id", "login", "party", "created_at", "disabled_at")
        rows = ([user[name] or "" for name in columns] for user in users)
        output.table("", [name.replace("_", " ") for name in columns], rows)


def disable(output: Output, where: Places, login: str) -> None:
    """Its sessions end with it, also those of a house that is being served."""
    with auth_store(where) as auth:
        user = _found(auth, login)
        auth.disable_user(user.number)
    _say(output, "disabled", user, "cannot sign in any more")


def set_password(output: Output, where: Places, login: str) -> None:
    password = _password()
    with auth_store(where) as auth:
        user = _found(auth, login)
        auth.set_password(user.number, password)
    _say(output, "changed", user, "has a new password")


def _say(output: Output, name: str, user: User, what: str) -> None:
    if output.as_json:
        output.json({name: user.login})
    else:
        output.line(f"{user.login} {what}")


def _found(auth: AuthStore, login: str) -> User:
    user = next((user for user in auth.users() if user.login == login.strip().lower()), None)
    if user is None:
        raise typer.BadParameter(f"there is no user {login}")
    return user


def _password() -> str:
    """Asked for on a terminal, else the first line of stdin: never an argument, which others can read."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\n")


def _as_json(user: User) -> dict[str, str | None]:
    return {
        "id": public_id(USER, user.number),
        "login": user.login,
        "party": public_id(PARTY, user.party),
        "created_at": rfc3339(user.created_ns),
        "disabled_at": None if user.disabled_ns is None else rfc3339(user.disabled_ns),
    }
