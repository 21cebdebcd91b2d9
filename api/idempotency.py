"""What makes a repeated request the same request: its id, and the hash of its body."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from api.problems import problem

REQUEST_ID_BYTES: Final = 16
_KEY: Final = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?", re.ASCII)


def request_id_of(party: int, key: str) -> bytes:
    """The 16 bytes under which the log remembers a request: of one party, by the Idempotency-Key that it chose.

    Raises Problem `idempotency_key_invalid`.
    """
    if _KEY.fullmatch(key) is None:
        raise problem("idempotency_key_invalid", "An Idempotency-Key is 1 to 255 printable ASCII characters.")
    return blake2b(party.to_bytes(8, "little") + key.encode("ascii"), digest_size=REQUEST_ID_BYTES).digest()


def body_hash(raw: bytes, secret: bytes) -> bytes:
    """16 bytes that tell bodies apart, and that nobody without the secret (16 to 64 bytes) can compute from a guess."""
    return blake2b(raw, digest_size=REQUEST_ID_BYTES, key=secret).digest()
