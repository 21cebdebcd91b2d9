"""What is told of a request that was refused, over HTTP and over the socket: RFC 9457."""

from __future__ import annotations

from pydantic import Field, JsonValue

from api.problems import PROBLEMS
from api.schemas.base import Out


class ProblemError(Out):
    pointer: str = Field(description="JSON pointer into the body or the message, or the name of a parameter.")
    code: str
    detail: str


class ProblemBody(Out):
    """RFC 9457. `type` is a page about the code."""

    type: str
    title: str
    status: int
    code: str = Field(json_schema_extra={"enum": list[JsonValue](sorted(PROBLEMS))})
    detail: str | None = None
    instance: str
    request_id: str
    errors: list[ProblemError] | None = None
    retry_after_ms: int | None = None
    command: int | None = Field(default=None, description="Of an order command that the log refused.")
    position: int | None = Field(default=None, description="Of the log entry that holds the refusal.")
