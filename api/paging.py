"""Pages of a list: the rows after a key, and a signed cursor with the filters that leads to the next ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.responses import Response

from api.doors import Doors
from api.replies import reply


class Paging:
    """One request for a page. `filters` are those that hold: the cursor's, where one is given."""

    def __init__(
        self, doors: Doors, limit: int, cursor: str | None, filters: Mapping[str, Any], *, address: str
    ) -> None:
        """`filters` as the request names them, None where it does not. Raises Problem `cursor_invalid`."""
        self._doors = doors
        self._limit = limit
        self._address = address
        self.filters = dict(filters)
        self.after: Any = None
        """Key of the last row of the page before, None for the first page."""
        if cursor is not None:
            self.after, self.filters = doors.auth.cursors.read(cursor, filters)

    async def rows(self, question: Callable[..., Sequence[Any]], *args: Any, **named: Any) -> Sequence[Any]:
        """The rows of the page and one more if there are more: the question's own, after the key."""
        if self.after is not None:
            named["after"] = tuple(self.after) if isinstance(self.after, list) else self.after
        return await self._doors.reads.ask(partial(question, limit=self._limit + 1, **named), *args)

    def reply(
        self,
        rows: Sequence[Any],
        body_of: Callable[[Any], dict[str, Any]],
        key_of: Callable[[Any], Any],
        *,
        head: Mapping[str, Any] | None = None,
    ) -> Response:
        """The page, after the fields of `head`."""
        shown = rows[: self._limit]
        more = len(rows) > self._limit
        cursor = self._doors.auth.cursors.sign(key_of(shown[-1]), self.filters) if more else None
        headers = {"Link": f'<{self._address}?limit={self._limit}&cursor={cursor}>; rel="next"'} if cursor else {}
        body = {**(head or {}), "data": [body_of(row) for row in shown], "next_cursor": cursor, "has_more": more}
        return reply(body, position=self._doors.reads.position(), headers=headers)
