"""One key per subject, so that what is sealed for a subject can be read only while its key exists.

AES-256-GCM; a sealed blob is nonce (12 bytes), ciphertext, tag (16 bytes). Keys live in a store of their own, never in
the log. A key is durable before `seal` returns, and so before the fact that needs it can be appended. Random bytes are
passed in as `entropy`, which must never repeat itself, also not after a restart: a nonce used twice under one key
breaks the cipher.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pysqlite3 import dbapi2
from sqlalchemy import BigInteger, Column, Engine, LargeBinary, MetaData, Table, create_engine, event, insert, select
from sqlalchemy.exc import IntegrityError

Entropy: TypeAlias = Callable[[int], bytes]
"""So many random bytes."""

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FINGERPRINTS: Final = -1
"""The subject whose key makes fingerprints; no party has this number."""


class SealBroken(Exception):
    """A sealed blob that is not what was sealed under this key for this place in the log."""

    code: Final = "seal_broken"


class KeyStore(Protocol):
    """Seals text for a subject: a party number, 0 for the house."""

    def seal(self, subject: int, plaintext: bytes, aad: bytes) -> bytes:
        """The sealed blob; makes the subject's key durable first if it has none. `aad` binds the blob to its place."""
        ...

    def unseal(self, subject: int, blob: bytes, aad: bytes) -> bytes | None:
        """The plaintext, or None where the subject has no key; raises `SealBroken`."""
        ...

    def fingerprint(self, text: bytes) -> bytes:
        """16 bytes that stand for `text` and that nobody without the house's own key can compute from a guess."""
        ...


class MemoryKeyStore:
    """Keys that live as long as the process, for tests and dry runs."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._ciphers: dict[int, AESGCM] = {}
        self._fingerprints: bytes | None = None

    def seal(self, subject: int, plaintext: bytes, aad: bytes) -> bytes:
        if subject not in self._ciphers:
            self._ciphers[subject] = AESGCM(self._entropy(KEY_BYTES))
        return _seal(self._ciphers[subject], self._entropy(NONCE_BYTES), plaintext, aad)

    def unseal(self, subject: int, blob: bytes, aad: bytes) -> bytes | None:
        cipher = self._ciphers.get(subject)
        return None if cipher is None else _unseal(cipher, blob, aad)

    def fingerprint(self, text: bytes) -> bytes:
        if self._fingerprints is None:
            self._fingerprints = self._entropy(KEY_BYTES)
        return _fingerprint(self._fingerprints, text)


_METADATA: Final = MetaData()
SUBJECT_KEYS: Final = Table(
    "subject_keys",
    _METADATA,
    Column("subject", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, nullable=False),
)


class SqlKeyStore:
    """Keys in a table of a database of their own; keys that were used are cached in memory."""

    def __init__(self, engine: Engine, entropy: Entropy) -> None:
        self._engine = engine
        self._entropy = entropy
        self._ciphers: dict[int, AESGCM] = {}
        self._fingerprints: bytes | None = None
        _METADATA.create_all(engine)

    def seal(self, subject: int, plaintext: bytes, aad: bytes) -> bytes:
        cipher = self._find(subject) or self._create(subject)
        return _seal(cipher, self._entropy(NONCE_BYTES), plaintext, aad)

    def unseal(self, subject: int, blob: bytes, aad: bytes) -> bytes | None:
        cipher = self._find(subject)
        return None if cipher is None else _unseal(cipher, blob, aad)

    def fingerprint(self, text: bytes) -> bytes:
        if self._fingerprints is None:
            self._fingerprints = self._key_of(FINGERPRINTS) or self._new_key(FINGERPRINTS)
        return _fingerprint(self._fingerprints, text)

    def _find(self, subject: int) -> AESGCM | None:
        if subject not in self._ciphers:
            key = self._key_of(subject)
            if key is None:
                return None
            self._ciphers[subject] = AESGCM(key)
        return self._ciphers[subject]

    def _create(self, subject: int) -> AESGCM:
        self._ciphers[subject] = AESGCM(self._new_key(subject))
        return self._ciphers[subject]

    def _key_of(self, subject: int) -> bytes | None:
        with self._engine.connect() as connection:
            key = connection.scalar(select(SUBJECT_KEYS.c.key).where(SUBJECT_KEYS.c.subject == subject))
        return None if key is None else bytes(key)

    def _new_key(self, subject: int) -> bytes:
        """A new key, committed; or the one that another process committed in the meantime."""
        key = self._entropy(KEY_BYTES)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(SUBJECT_KEYS).values(subject=subject, key=key))
        except IntegrityError:
            found = self._key_of(subject)
            assert found is not None, subject
            return found
        return key


class SqliteKeyStore(SqlKeyStore):
    """Keys in an SQLite file that only its owner can read; a commit has reached the disk."""

    def __init__(self, path: Path, entropy: Entropy) -> None:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        engine = create_engine(f"sqlite:///{path}", module=dbapi2)
        event.listen(engine, "connect", _synchronous)
        super().__init__(engine, entropy)


def _synchronous(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=FULL")


def _fingerprint(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")[:16]


def _seal(cipher: AESGCM, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    assert len(nonce) == NONCE_BYTES, len(nonce)
    return nonce + cipher.encrypt(nonce, plaintext, aad)


def _unseal(cipher: AESGCM, blob: bytes, aad: bytes) -> bytes:
    try:
        return cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise SealBroken("the sealed text was altered or belongs to another place") from error
