"""Bodies of requests: bytes to JSON under the doors' limits, and what a schema finds wrong with it as one problem."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any, Final, get_args, get_origin

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.problems import FieldError, Problem, problem
from domain.rejections import Reason

NESTING_MAX: Final = 20
ERRORS_MAX: Final = 20
"""Most faults that one problem names."""
_JSON_TYPE: Final = "application/json"


def parse(raw: bytes) -> Any:
    """The JSON of a body. Raises Problem `malformed_json` or `nesting_too_deep`."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            raise _too_deep() from error
        raise problem("malformed_json", _shown(error)) from error
    if raw.count(b"[") + raw.count(b"{") > NESTING_MAX and _is_deeper(body, NESTING_MAX):
        raise _too_deep()
    return body


def require_json(headers: Mapping[str, str]) -> None:
    """Raises Problem `unsupported_media_type` unless the body is said to be JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _JSON_TYPE:
        raise problem("unsupported_media_type", f"Send the body as {_JSON_TYPE}.", headers={"Accept": _JSON_TYPE})


def _too_deep() -> Problem:
    return problem("nesting_too_deep", f"The body may nest {NESTING_MAX} deep.")


def _is_deeper(value: Any, left: int) -> bool:
    if isinstance(value, dict):
        return left == 0 or any(_is_deeper(inner, left - 1) for inner in value.values())
    if isinstance(value, list):
        return left == 0 or any(_is_deeper(inner, left - 1) for inner in value)
    return False


def _shown(error: orjson.JSONDecodeError) -> str:
    """What the parser said; it may quote the body, so it is cut."""
    return str(error)[:200]


class JsonRoute(APIRoute):
    """A route whose body is read by `parse`, and whose query names nothing twice that is not a list."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        lists = {field.alias for field in self.dependant.query_params if _is_list(field.field_info.annotation)}
        takes_body = self.body_field is not None

        async def read_first(request: Request) -> Response:
            if b"&" in request.scope["query_string"]:
                _refuse_repeated(request, lists)
            raw = await request.body() if takes_body else b""
            if raw:
                require_json(request.headers)
                request._json = parse(raw)  # noqa: SLF001  (where Starlette's json() keeps what it has parsed)
            return await handler(request)

        return read_first


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(get_origin(one) is list for one in get_args(annotation))


def _refuse_repeated(request: Request, lists: Collection[str]) -> None:
    """Raise Problem `duplicate_item` for a parameter that is there twice: which of them counts would be a guess."""
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen and name not in lists:
            raise problem("duplicate_item", f"The parameter {name[:40]!r} must be given once.")
        seen.add(name)


# -- what a schema finds -----------------------------------------------------------------------------------------------

_CODES: Final[dict[str, str]] = {
    "missing": Reason.MISSING_FIELD.code,
    "extra_forbidden": Reason.UNKNOWN_FIELD.code,
    "greater_than": Reason.VALUE_OUT_OF_RANGE.code,
    "greater_than_equal": Reason.VALUE_OUT_OF_RANGE.code,
    "less_than": Reason.VALUE_OUT_OF_RANGE.code,
    "less_than_equal": Reason.VALUE_OUT_OF_RANGE.code,
    "string_too_short": Reason.MALFORMED_TEXT.code,
    "string_too_long": Reason.MALFORMED_TEXT.code,
    "string_pattern_mismatch": Reason.MALFORMED_TEXT.code,
    "too_short": Reason.TOO_MANY_ITEMS.code,
    "too_long": Reason.TOO_MANY_ITEMS.code,
}
"""The codes of what pydantic finds; everything else is a value of another type."""


def validation_problem(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The problem of pydantic's errors, whose locations start with the part of the request: body, query, path."""
    found = [_field_error(error) for error in errors][:ERRORS_MAX]
    code = found[0].code if len(found) == 1 else "validation_failed"
    return problem(code, "; ".join(f"{error.pointer}: {error.detail}" for error in found), errors=found)


def problem_of_validation(error: RequestValidationError) -> Problem:
    """The problem of what FastAPI found wrong with a request."""
    return validation_problem(error.errors())


def _field_error(error: Mapping[str, Any]) -> FieldError:
    part, *path = error["loc"]
    pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)
    if part != "body":
        # Query and path parameters are named, not pointed at.
        pointer = pointer.removeprefix("/")
    return FieldError(pointer, _CODES.get(error["type"], Reason.WRONG_TYPE.code), error["msg"])
