"""The application: all doors of one house behind one layer.

Routes that take many requests come first, since routes are tried in order. What goes wrong becomes a Problem and is
answered by the layer around everything (`api.middleware`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api import description, websocket
from api.doors import Doors
from api.json_bodies import problem_of_validation
from api.middleware import REQUEST_ID, Doorway
from api.problems import Problem, problem, problem_response
from api.routes import audit, datasets, health, keys, market, models, orders, parties, payments, reports, series, terms
from api.routes import traders as portfolio
from api.settings import Settings
from api.web import pages
from projections.reads import ProjectionLagging, QuestionTooSlow, ReadsUnavailable

ROUTERS: Final = (
    orders.router,
    portfolio.router,
    market.router,
    series.router,
    models.router,
    datasets.router,
    terms.router,
    parties.router,
    payments.router,
    reports.router,
    audit.router,
    keys.router,
    health.router,
    description.router,
    websocket.router,
    pages.router,
)
LAGGING_RETRY_MS: Final = 1_000
NOT_READABLE: Final = (ProjectionLagging, QuestionTooSlow, ReadsUnavailable)


class Application(FastAPI):
    """FastAPI within our own layer, through which everything passes first; orders and depth go no further."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    # Past FastAPI's, which only looks for a root path.
    __call__ = Starlette.__call__

    def build_middleware_stack(self) -> ASGIApp:
        return Doorway(Shortcut(super().build_middleware_stack()), self._settings)


def create_app(doors: Doors) -> FastAPI:
    """The application of a house's doors, which whoever serves it starts and closes."""
    app = bare_app(doors.settings)
    app.state.doors = doors
    return app


def bare_app(settings: Settings) -> FastAPI:
    """The application without a house: enough to describe it."""
    app = Application(
        settings,
        title="Tallystick",
        version=description.VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        # The house measures itself; without providers this only costs a look into the environment for each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.openapi_url = "/v1/openapi.json"
    app.router.routes.extend((*orders.ENTRY_ROUTES, market.BOOK_ROUTE))
    for router in ROUTERS:
        # Not `include_router`, which would try the routes of each router on its own and hide them from who lists them.
        app.router.routes.extend(router.routes)
    app.router.redirect_slashes = False
    app.add_exception_handler(RequestValidationError, _validation_failed)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Problem, _answered)
    app.add_exception_handler(Exception, _unexpected)
    app.add_exception_handler(ClientDisconnect, _gone)
    for kind in NOT_READABLE:
        app.add_exception_handler(kind, _not_readable)
    app.openapi = lambda: description.describe(app)  # type: ignore[method-assign]
    return app


class Shortcut:
    """The layer below `Doorway`: orders and depth go straight to their endpoints, past routing and what FastAPI does
    around it. Everything else, and these addresses with other methods, goes its usual way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._endpoints = {("POST", route.path): route.app for route in orders.ENTRY_ROUTES}
        self._book = market.BOOK_ROUTE.app
        self._book_before, self._book_after = market.BOOK_ROUTE.path.split("{series}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            path = scope["path"]
            app = self._endpoints.get((scope["method"], path), app)
            if path.endswith(self._book_after) and path.startswith(self._book_before) and scope["method"] == "GET":
                scope["path_params"] = {"series": path[len(self._book_before) : -len(self._book_after)]}
                app = self._book
        await app(scope, receive, send)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The hub publishes into the event loop that serves the doors, while it serves them."""
    live = app.state.doors.live
    live.start(asyncio.get_running_loop())
    try:
        yield
    finally:
        await asyncio.to_thread(live.stop)


# -- what goes wrong before or around a route --------------------------------------------------------------------------


async def _answered(request: Request, error: Any) -> Response:
    return problem_response(error, request.scope[REQUEST_ID])


async def _unexpected(request: Request, _error: Exception) -> Response:
    """The answer to what was not expected, which is raised again and logged by the layer around everything."""
    return problem_response(problem("internal"), request.scope[REQUEST_ID])


async def _gone(_request: Request, _error: Exception) -> Any:
    """Nobody is there to be answered."""
    return None


async def _validation_failed(request: Request, error: Any) -> Response:
    return await _answered(request, problem_of_validation(error))


async def _not_here(request: Request, error: Any) -> Response:
    if error.status_code == 405:
        return await _answered(request, problem("method_not_allowed", headers=error.headers))
    if error.status_code == 404 and pages.wants_page(request):
        # What a handler raises is not handled again.
        try:
            return await pages.nothing_here(request)
        except Problem as found:
            return await _answered(request, found)
        except NOT_READABLE as found:
            return await _not_readable(request, found)
    if error.status_code == 404:
        return await _answered(request, problem("not_found"))
    return await _answered(request, problem("malformed_json", str(error.detail)))


async def _not_readable(request: Request, error: Any) -> Response:
    code = "not_ready" if isinstance(error, ReadsUnavailable) else "projection_lagging"
    return await _answered(request, problem(code, str(error), retry_after_ms=LAGGING_RETRY_MS))
