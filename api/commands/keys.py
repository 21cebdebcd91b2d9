"""`tallystick key`: API keys of parties."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from api.auth.keys import ApiKey, checked_key_request
from api.auth.principal import SCOPES
from api.bootstrap import Places
from api.client import save_credentials
from api.commands.door import Failed
from api.commands.stores import auth_store, numbered, party_number
from api.output import Output
from api.wire import KEY, PARTY, public_id, rfc3339
from domain.rejections import Refusal
from domain.values import DAY_NS


def add(
    output: Output,
    where: Places,
    *,
    party: str,
    scopes: list[str],
    label: str,
    days: int | None,
    public_key: Path | None,
    save: Path | None,
    url: str,
) -> None:
    """An HMAC key whose secret is shown once or saved, or with `public_key` an Ed25519 key."""
    if save is not None and public_key is not None:
        raise typer.BadParameter("--save: there is no secret to save with --public-key")
    number = party_number(where, party)
    now_ns = time.time_ns()
    asked = checked_key_request(
        kind="hmac" if public_key is None else "ed25519",
        scopes=scopes,
        granted=SCOPES,
        at_ns=now_ns,
        label=label,
        expires_ns=None if days is None else now_ns + days * DAY_NS,
        public_key=None if public_key is None else _public_key(public_key),
    )
    if isinstance(asked, Refusal):
        raise Failed(asked.code, asked.message)
    with auth_store(where) as auth:
        made = auth.add_key(number, asked)
    found = _as_json(made.key)
    if save is not None:
        assert made.secret is not None
        save_credentials(save, url=url, key=made.key.id, secret=made.secret)
        found["saved"] = str(save)
    elif made.secret is not None:
        found["secret"] = made.secret
    if output.as_json:
        output.json(found)
    else:
        output.facts("The key was made" + ("; its secret is not shown again" if "secret" in found else ""), found)


def show(output: Output, where: Places) -> None:
    with auth_store(where) as auth:
        keys = [_as_json(key) for key in auth.keys()]  # noqa: SIM118  (a store, no dictionary)
    if output.as_json:
        output.json({"keys": keys})
        return
    columns = ("id", "party", "kind", "scopes", "label", "created_at", "expires_at", "revoked_at", "last_used_at")
    output.table("", [name.replace("_", " ") for name in columns], ([k[name] or "" for name in columns] for k in keys))


def revoke(output: Output, where: Places, key: str) -> None:
    """A house that is being served refuses it within a second."""
    number = numbered(KEY, key)
    with auth_store(where) as auth:
        if auth.key_number(number) is None:
            raise typer.BadParameter(f"there is no key {key}")
        auth.revoke_key(number)
    if output.as_json:
        output.json({"revoked": key})
    else:
        output.line(f"{key} is of no use any more")


def _public_key(file: Path) -> str:
    """Base64 of the key in a PEM file."""
    try:
        key = load_pem_public_key(file.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"--public-key: {file} holds no public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise typer.BadParameter(f"--public-key: {file} must hold an Ed25519 key")
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def _as_json(key: ApiKey) -> dict[str, str | None]:
    def when(at_ns: int | None) -> str | None:
        return None if at_ns is None else rfc3339(at_ns)

    return {
        "id": key.id,
        "party": public_id(PARTY, key.party),
        "kind": key.kind,
        "scopes": " ".join(sorted(key.scopes)),
        "label": key.label,
        "created_at": when(key.created_ns),
        "expires_at": when(key.expires_ns),
        "revoked_at": when(key.revoked_ns),
        "last_used_at": when(key.last_used_ns),
    }
