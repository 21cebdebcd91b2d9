"""What routes share: headers they read, replies they write, and the one way in which a rare command is carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from fastapi import Header, Query, Request
from starlette.responses import Response

from api.auth.principal import Principal
from api.doors import Doors
from api.fact_bodies import WIRE_FIELDS, fact_body
from api.idempotency import request_id_of
from api.problems import problem_of
from api.wire import public_id
from domain.commands import Command
from domain.rejections import Reason, Refusal, refuse

POSITION: Final = "X-Position"
REPLAYED: Final = "Idempotent-Replayed"
JSON: Final = "application/json"
PAGE_ROWS_MAX: Final = 1_000

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="1 to 255 printable characters; the same key with the same body gets the same answer, for 7 days.",
    ),
]
After = Annotated[
    int | None,
    Query(ge=0, lt=2**53, description="Answer as of this log position or a later one: reads one's own write."),
]
Limit = Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX, description="Rows of a page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before; it carries the filters.")]


def doors_of(request: Request) -> Doors:
    doors: Doors = request.app.state.doors
    return doors


def reply(
    body: Any, status: int = 200, *, position: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON, with the log position that it shows."""
    response = Response(orjson.dumps(body), status, headers, JSON)
    if position is not None:
        response.headers[POSITION] = str(position)
    return response


async def record(
    doors: Doors,
    principal: Principal,
    command: Command,
    key: str | None,
    *,
    made: tuple[str, str] | None = None,
    at: str = "",
    status: int = 201,
) -> Response:
    """Let the house decide a rare command of the principal's party and answer with what it recorded.

    `made`: prefix of the id of what it makes and the field of its first fact with the number; `at`: the address of that
    thing, before its id. Raises the Problem of a refusal.
    """
    request_id = None if key is None else request_id_of(principal.party, key)
    answer = await doors.ask(command, principal.party, request_id)
    if isinstance(answer, Refusal):
        raise problem_of(as_sent(answer))
    headers = {}
    made_id = None
    if made is not None:
        made_id = public_id(made[0], getattr(answer.facts[0], made[1]))
        if at:
            headers["Location"] = f"{at}/{made_id}"
    if answer.repeated:
        headers[REPLAYED] = "true"
    body = {
        "id": made_id,
        "command": answer.command,
        "position": answer.position,
        "facts": [fact_body(fact, doors.series) for fact in answer.facts],
    }
    return reply(body, status, position=answer.position, headers=headers)


async def as_of(doors: Doors, after: int | None) -> None:
    """Wait until the read models show this position of the log.

    Raises Problem `value_out_of_range` for one that the log does not have, and ProjectionLagging.
    """
    if after is None:
        return
    check_in_log(doors, after)
    await doors.reads.wait(after, doors.settings.read_wait_seconds)


def check_in_log(doors: Doors, position: int) -> None:
    """Raise Problem `value_out_of_range` for a position `after` that the log does not have."""
    last = doors.house.store.position
    if position > last:
        rule = f"must be at most {last}, where the log ends"
        raise problem_of(refuse(Reason.VALUE_OUT_OF_RANGE, "after", rule, position))


def as_sent(refusal: Refusal) -> Refusal:
    """The refusal with the field named as the request named it."""
    name, dot, rest = refusal.field.partition(".")
    name, bracket, index = name.partition("[")
    return replace(refusal, field=WIRE_FIELDS.get(name, name) + bracket + index + dot + rest)
