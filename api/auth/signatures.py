"""Signed requests: what is signed, how it is checked, and why none is accepted twice.

The signed string is five lines joined by a line feed, without one at the end:

    X-Timestamp                         milliseconds since 1970
    the method                          in capitals
    the path with its query             exactly as it is sent
    SHA-256 of the body                 lower-case hex
    X-Nonce                             chosen by the client, new each time

`X-Signature` is base64 of its HMAC-SHA256 (key: the secret's ASCII bytes) or of its Ed25519 signature.
"""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from api.problems import problem

NONCES_MAX: Final = 262_144
"""Most nonces that are remembered of one generation."""
_NONCE: Final = re.compile(rb"[!-~]{1,64}")
_TIMESTAMP_DIGITS_MAX: Final = 15
_SIGNATURE_CHARACTERS_MAX: Final = 88

Verify = Callable[[bytes, bytes], bool]
"""(signed string, signature) -> whether it is right."""


def signed_string(timestamp: bytes, method: bytes, target: bytes, body: bytes, nonce: bytes) -> bytes:
    return b"\n".join((timestamp, method, target, sha256(body).hexdigest().encode(), nonce))


def hmac_verifier(secret: bytes) -> Verify:
    def verify(text: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, text, "sha256"), signature)

    return verify


def ed25519_verifier(public_key: bytes) -> Verify:
    """Raises ValueError for what is no public key."""
    key = Ed25519PublicKey.from_public_bytes(public_key)

    def verify(text: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return verify


class Signatures:
    """Accepts each signature once.

    A nonce is remembered until its timestamp is too old to be accepted. What is forgotten lies below `floor_ms`, and
    nothing with a timestamp at or below it is accepted, whatever the clock does. Nonces do not outlive the process; its
    first floor is above all timestamps that an earlier process may have accepted.
    """

    def __init__(self, now_ms: Callable[[], int], *, window_ms: int, floor_ms: int) -> None:
        self._now_ms = now_ms
        self._window_ms = window_ms
        self.floor_ms = floor_ms
        self._seen: set[tuple[int, bytes]] = set()
        self._seen_before: set[tuple[int, bytes]] = set()
        self._began_ms = now_ms()
        self._until_ms = floor_ms
        self._until_before_ms = floor_ms

    @property
    def accepted_until_ms(self) -> int:
        """No later timestamp was accepted so far."""
        return max(self._until_ms, self._until_before_ms)

    def check(
        self,
        key: int,
        verify: Verify | None,
        *,
        timestamp: bytes,
        nonce: bytes,
        signature: bytes,
        method: bytes,
        target: bytes,
        body: bytes,
    ) -> None:
        """Raise Problem `signature_invalid`, `signature_expired` or `nonce_reused`, or remember the nonce.

        `verify` is None where there is no such key: the answer is that of a wrong signature.
        """
        if not timestamp.isdigit() or len(timestamp) > _TIMESTAMP_DIGITS_MAX or _NONCE.fullmatch(nonce) is None:
            raise problem("signature_invalid", "X-Timestamp is milliseconds, X-Nonce 1 to 64 printable characters.")
        at_ms = int(timestamp)
        now_ms = self._now_ms()
        if abs(now_ms - at_ms) > self._window_ms or at_ms <= self.floor_ms:
            raise problem(
                "signature_expired",
                f"X-Timestamp must be within {self._window_ms} ms of the server's {now_ms} and after {self.floor_ms}.",
            )
        if verify is None or not verify(
            signed_string(timestamp, method, target, body, nonce), _signature_bytes(signature)
        ):
            raise problem("signature_invalid")
        # Past this point the key's owner has signed this request; only a repetition is refused.
        self._remember((key, nonce), at_ms, now_ms)

    def _remember(self, used: tuple[int, bytes], at_ms: int, now_ms: int) -> None:
        if now_ms - self._began_ms > 2 * self._window_ms:
            self._turn(now_ms)
        if used in self._seen or used in self._seen_before:
            raise problem("nonce_reused")
        if len(self._seen) >= NONCES_MAX:
            raise problem("rate_limited", "Too many requests are signed at once.", retry_after_ms=2 * self._window_ms)
        self._seen.add(used)
        self._until_ms = max(self._until_ms, at_ms)

    def _turn(self, now_ms: int) -> None:
        """Forget the older generation."""
        self.floor_ms = max(self.floor_ms, self._until_before_ms)
        self._seen_before, self._until_before_ms = self._seen, self._until_ms
        self._seen, self._until_ms = set(), self.floor_ms
        self._began_ms = now_ms


def _signature_bytes(text: bytes) -> bytes:
    """What base64 says, or nothing, which is no signature."""
    if len(text) > _SIGNATURE_CHARACTERS_MAX:
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return b""


# -- the client's side -------------------------------------------------------------------------------------------------


class Signer(Protocol):
    """Signs for one API key."""

    key_id: str

    def sign(self, text: bytes) -> bytes: ...


class HmacSigner:
    """Signs with the secret that was shown once."""

    def __init__(self, key_id: str, secret: str) -> None:
        self.key_id = key_id
        self._secret = secret.encode("ascii")

    def sign(self, text: bytes) -> bytes:
        return hmac.digest(self._secret, text, "sha256")


class Ed25519Signer:
    """Signs with a private key that the server never sees."""

    def __init__(self, key_id: str, private_key: Ed25519PrivateKey) -> None:
        self.key_id = key_id
        self._private_key = private_key

    def sign(self, text: bytes) -> bytes:
        return self._private_key.sign(text)


def signed_headers(
    signer: Signer,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    timestamp_ms: int | None = None,
    nonce: str | None = None,
) -> dict[str, str]:
    """The headers of a request to `target`, which is the path with its query as it is sent."""
    timestamp = str(time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms)
    nonce = secrets.token_urlsafe(16) if nonce is None else nonce
    text = signed_string(timestamp.encode(), method.encode(), target.encode(), body, nonce.encode())
    return {
        "X-Api-Key": signer.key_id,
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Signature": b64encode(signer.sign(text)).decode(),
    }
