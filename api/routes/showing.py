"""The two ways in which most routes show what the read models know: one thing, and a page of what belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from starlette.responses import Response

from api.doors import Doors
from api.paging import Paging
from api.replies import as_of, doors_of, reply
from api.routes.registry import found, found_row

Body = Callable[[Any], dict[str, Any]]
"""The JSON of a row."""


class Named(NamedTuple):
    """A thing named by an id in an address."""

    prefix: str
    text: str
    question: Callable[..., Any]
    """Its row by its number, or None."""

    async def row(self, doors: Doors) -> Any:
        """Raises Problem `not_found`."""
        return found_row(await doors.reads.ask(self.question, found(self.prefix, self.text)))


async def show(request: Request, named: Named, body: Body, after: int | None) -> Response:
    """One thing, as of a position. Raises the Problems of `Named.row` and `as_of`."""
    doors = doors_of(request)
    found(named.prefix, named.text)
    await as_of(doors, after)
    return reply(body(await named.row(doors)), position=doors.reads.position())


async def show_below(
    request: Request,
    owner: tuple[str, Named],
    question: Callable[..., Sequence[Any]],
    body: Body,
    key: str,
    *,
    after: int | None,
    cursor: str | None,
    limit: int,
) -> Response:
    """A page of what belongs to one thing, by the column `key`.

    `owner`: the name of the parameter that names that thing, and the thing. `question`: the rows by its number.
    """
    doors = doors_of(request)
    name, named = owner
    number = found(named.prefix, named.text)
    paging = Paging(doors, limit, cursor, {name: named.text}, address=request.url.path)
    await as_of(doors, after)
    await named.row(doors)
    rows = await paging.rows(question, number)
    return paging.reply(rows, body, lambda row: getattr(row, key))
