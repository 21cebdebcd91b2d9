"""Addresses with their state: filters, order, page and place stay in the URL, so that any view can be sent on."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode


class Link:
    """Makes addresses of the page at hand with some of its query changed; what becomes None is left out."""

    def __init__(self, path: str, query: Mapping[str, str]) -> None:
        self._path = path
        self._query = {name: value for name, value in query.items() if value}

    def __call__(self, **changes: object) -> str:
        changed = self._query | {name: str(value) for name, value in changes.items() if value is not None}
        kept = {name: value for name, value in changed.items() if changes.get(name, value) is not None}
        return f"{self._path}?{urlencode(kept)}" if kept else self._path

    def query(self) -> str:
        """The query as it is, with its question mark; empty without one."""
        return f"?{urlencode(self._query)}" if self._query else ""
