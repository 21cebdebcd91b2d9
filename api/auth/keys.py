"""API keys: what they are good for, and the secret that is shown once."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from api.auth.principal import SCOPES
from api.auth.signatures import Verify, ed25519_verifier, hmac_verifier
from api.problems import problem
from api.wire import KEY, public_id
from domain.rejections import Reason, Refusal, refuse

KeyKind = Literal["ed25519", "hmac"]

KEYS_PER_PARTY_MAX: Final = 64
"""Of those that are not revoked."""
LABEL_CHARACTERS_MAX: Final = 64
SECRET_PREFIX: Final = "tsk_"  # noqa: S105  (what comes after it is the secret)
"""Lets a scanner find a secret that was committed by mistake."""
_SECRET_BYTES: Final = 32
_PUBLIC_KEY_BYTES: Final = 32


@dataclass(slots=True)
class ApiKey:
    """A key of a party. Its secret is nowhere in it but inside `verify`."""

    number: int
    party: int
    kind: KeyKind
    label: str
    scopes: frozenset[str]
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None
    last_used_ns: int | None
    verify: Verify

    @property
    def id(self) -> str:
        return public_id(KEY, self.number)

    def is_active(self, at_ns: int) -> bool:
        return self.revoked_ns is None and (self.expires_ns is None or at_ns < self.expires_ns)


class NewKey(NamedTuple):
    """A key that was just made."""

    key: ApiKey
    secret: str | None
    """Of an HMAC key; it cannot be shown again."""

    def __repr__(self) -> str:
        """Without the secret, so that no log holds it."""
        return f"NewKey({self.key.id})"


class KeyRequest(NamedTuple):
    """A key that shall be made; `checked_key_request` makes one of what was asked."""

    kind: KeyKind
    label: str
    scopes: frozenset[str]
    expires_ns: int | None
    public_key: bytes | None


def checked_key_request(
    *,
    kind: str,
    scopes: Iterable[str],
    granted: frozenset[str],
    at_ns: int,
    label: str = "",
    expires_ns: int | None = None,
    public_key: str | None = None,
) -> KeyRequest | Refusal:
    """`granted`: the scopes of who asks, as no key can make one that is good for more. `public_key`: base64."""
    if kind not in ("ed25519", "hmac"):
        return refuse(Reason.WRONG_TYPE, "kind", "must be ed25519 or hmac", kind)
    asked = frozenset(scopes)
    if not asked or not asked <= SCOPES:
        return refuse(Reason.WRONG_TYPE, "scopes", f"must be some of {', '.join(sorted(SCOPES))}", sorted(asked))
    if not asked <= granted:
        return refuse(Reason.VALUE_OUT_OF_RANGE, "scopes", "must be scopes of who asks", sorted(asked - granted))
    if len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        return refuse(Reason.MALFORMED_TEXT, "label", f"must be at most {LABEL_CHARACTERS_MAX} characters", label)
    if expires_ns is not None and expires_ns <= at_ns:
        return refuse(Reason.TIME_IN_PAST, "expires_at", "must be in the future", expires_ns)
    if kind == "hmac":
        if public_key is not None:
            return refuse(Reason.UNKNOWN_FIELD, "public_key", "must be absent for hmac", public_key)
        return KeyRequest("hmac", label, asked, expires_ns, None)
    if public_key is None:
        return refuse(Reason.MISSING_FIELD, "public_key", "must be there for ed25519", None)
    raw = _public_key_of(public_key)
    if raw is None:
        return refuse(Reason.MALFORMED_KEY, "public_key", "must be base64 of an Ed25519 public key", public_key)
    return KeyRequest("ed25519", label, asked, expires_ns, raw)


def new_secret(entropy: Callable[[int], bytes]) -> str:
    """256 bits as ASCII text; its bytes are the HMAC key."""
    return SECRET_PREFIX + urlsafe_b64encode(entropy(_SECRET_BYTES)).rstrip(b"=").decode()


def verifier(kind: KeyKind, material: bytes) -> Verify:
    """`material`: the public key, or the secret's ASCII bytes."""
    return ed25519_verifier(material) if kind == "ed25519" else hmac_verifier(material)


def may_be_used(key: ApiKey, at_ns: int) -> None:
    """Raise Problem `key_revoked` or `key_expired` unless the key is active."""
    if key.revoked_ns is not None:
        raise problem("key_revoked")
    if not key.is_active(at_ns):
        raise problem("key_expired")


def _public_key_of(text: str) -> bytes | None:
    try:
        raw = b64decode(text, validate=True)
        ed25519_verifier(raw)
    except ValueError:  # binascii.Error is one.
        return None
    return raw if len(raw) == _PUBLIC_KEY_BYTES else None
