"""Cursors of paged reads: opaque, signed, and bound to the list and the filters that they page through."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from itsdangerous import BadData, URLSafeSerializer

from api.problems import problem

CURSOR_CHARACTERS_MAX: Final = 2_048
_SALT: Final = b"tallystick.cursor.1"


class Cursors:
    """Signs and reads cursors with one secret, which outlives a restart."""

    def __init__(self, secret: bytes) -> None:
        self._serializer: URLSafeSerializer = URLSafeSerializer(
            secret, salt=_SALT, signer_kwargs={"digest_method": sha256}
        )

    def sign(self, after: Any, filters: Mapping[str, Any], of: str = "") -> str:
        """The cursor of what follows `after`, the key of a page's last row as any JSON value, under these filters.

        `of` names the list.
        """
        return self._serializer.dumps([of, after, dict(filters)])

    def read(self, text: str, filters: Mapping[str, Any], of: str = "") -> tuple[Any, dict[str, Any]]:
        """(after, filters) of a cursor of this list. A filter that is asked for beside it must be the cursor's own.

        `filters` are all that the list has; None is one that the request does not name. Raises Problem
        `cursor_invalid`.
        """
        if len(text) > CURSOR_CHARACTERS_MAX:
            raise problem("cursor_invalid", "The cursor is too long.")
        try:
            made_of, after, carried = self._serializer.loads(text)
        except BadData as error:
            raise problem("cursor_invalid", "The cursor was not made by this server.") from error
        if made_of != of or carried.keys() != filters.keys():
            raise problem("cursor_invalid", "The cursor was made for another list.")
        for name, value in filters.items():
            if value is not None and carried.get(name) != value:
                raise problem("cursor_invalid", f"The cursor was made for another value of {name}.")
        return after, carried
