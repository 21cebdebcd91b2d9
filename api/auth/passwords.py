"""Passwords: argon2id, a few at a time, and never a hint whether a login exists."""

from __future__ import annotations

import threading
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from api.problems import problem

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 256
_AT_ONCE: Final = 2
"""One check takes 64 MiB, so these bound the memory that guessing can take."""

_COMMON: Final = frozenset({"password", "tallystick", "123456789012", "qwertyuiop", "letmein", "administrator"})


class Passwords:
    """Hashes and checks passwords; slow on purpose, so call it beside the event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Without a hasher: the second choice of RFC 9106 (64 MiB, 3 passes, 4 lanes)."""
        self._hasher = hasher or PasswordHasher(
            time_cost=3, memory_cost=64 * 1024, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
        )
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        self._nobodys = self._hasher.hash("the password of nobody")

    def hash(self, password: str) -> str:
        with self._turns:
            return self._hasher.hash(_bytes(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether it is the password; where there is no user (None) it takes as long, and is not."""
        if len(password) > CHARACTERS_MAX:
            stored, password = None, ""
        with self._turns:
            try:
                self._hasher.verify(stored or self._nobodys, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(stored)


def strong(password: str) -> str:
    """The password, if it may become one. Raises Problem `password_too_weak`."""
    if not CHARACTERS_MIN <= len(password) <= CHARACTERS_MAX or _is_common(password):
        raise problem("password_too_weak")
    return password


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _is_common(password: str) -> bool:
    """One character, or one well-known word, over and over."""
    lowered = password.lower()
    return any(lowered == (word * len(lowered))[: len(lowered)] for word in (lowered[0], *_COMMON))
