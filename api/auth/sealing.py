"""The key file of the data folder, and every secret that is made from it.

`auth.key` holds 32 random bytes that only their owner can read. API secrets are sealed under it; cursors, CSRF tokens
and hashes of bodies use secrets derived from it, each for one purpose. Without the file the auth store is of no use.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
KEY_FILE: Final = "auth.key"
PRIVATE_FILE: Final = 0o600


class AuthKeyUnusable(Exception):
    """The key file is damaged, readable by others, or not the one that the auth store was made with."""

    code: Final = "auth_key_unusable"


class Sealer:
    """Seals secrets under one key, and derives others from it."""

    def __init__(self, key: bytes, entropy: Callable[[int], bytes] = os.urandom) -> None:
        assert len(key) == KEY_BYTES, len(key)
        self._key = key
        self._entropy = entropy
        self._cipher = AESGCM(self.secret("seal"))

    def seal(self, secret: bytes, place: str) -> bytes:
        """Nonce, ciphertext and tag; `place` binds it to the row that it stands in."""
        nonce = self._entropy(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, place.encode())

    def unseal(self, blob: bytes, place: str) -> bytes:
        """Raises AuthKeyUnusable."""
        try:
            return self._cipher.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], place.encode())
        except (InvalidTag, ValueError) as error:
            raise AuthKeyUnusable(f"{place}: the secret was altered, or sealed under another {KEY_FILE}") from error

    def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose, always the same for the same key file."""
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"tallystick.{purpose}.1".encode()).derive(self._key)

    @property
    def check(self) -> int:
        """A number that tells key files apart and says nothing about the key."""
        return int.from_bytes(self.secret("check")[:7], "big")


def open_sealer(data: Path, entropy: Callable[[int], bytes] = os.urandom) -> Sealer:
    """The sealer of a data folder; its key file is made if there is none. Raises AuthKeyUnusable."""
    path = data / KEY_FILE
    _make_key_file(path, entropy)
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise AuthKeyUnusable(f"{path}: others may read it; its mode must be 0600, got {stat.S_IMODE(mode):04o}")
        key = path.read_bytes()
    except OSError as error:
        raise AuthKeyUnusable(f"{path}: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise AuthKeyUnusable(f"{path}: must hold {KEY_BYTES} bytes, got {len(key)}")
    return Sealer(key, entropy)


def _make_key_file(path: Path, entropy: Callable[[int], bytes]) -> None:
    """The key file, durable and whole before it has its name; one that is there is left alone."""
    if path.exists():
        return
    beside = path.with_name(f".{path.name}.{entropy(8).hex()}")
    file = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE)
    try:
        os.write(file, entropy(KEY_BYTES))
        os.fsync(file)
    finally:
        os.close(file)
    try:
        os.link(beside, path)
    except FileExistsError:
        pass  # Another process was faster: its key is the one.
    finally:
        beside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
