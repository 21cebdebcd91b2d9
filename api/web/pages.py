"""The pages: each reads its view in one transaction, and answers a whole page or, to htmx, the part that changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from api.auth.principal import Principal
from api.auth.sessions import expired_cookie, session_cookie, sign_in, sign_out
from api.authorization import principal_for, visible_party
from api.doors import Doors
from api.problems import PROBLEMS, Problem
from api.web import assets
from api.web.rendering import MEDIA_TYPES, Screen, screen, static_files, static_version
from api.web.views import audit, markets, model, operate, portfolio, revenue, series, trace
from api.web.views.names import names_of
from api.wire import MODEL, PARTY, SERIES, number_of, public_id
from domain.values import Role
from projections.reads import ProjectionLagging, ReadsUnavailable

P = ParamSpec("P")
T = TypeVar("T")

FORM_BYTES_MAX: Final = 4_096
FORM_FIELDS_MAX: Final = 16
SEE_OTHER: Final = 303
BYTES_PAGE: Final = "application/octet-stream"

router = APIRouter(include_in_schema=False, default_response_class=Response)
Reader = Annotated[Principal, Depends(principal_for("page.read"))]
Writer = Annotated[Principal, Depends(principal_for("session.write"))]


class NotHere(Exception):
    """What the address names is not there, or not for this reader."""


async def _page(
    request: Request, principal: Principal, action: str, show: Callable[[Screen], Awaitable[Response]]
) -> Response:
    """Show a page to who may see it; whoever is not signed in is sent to do so, and comes back."""
    on = await screen(request, principal)
    if not on.who.may(action):
        if not on.who.signed_in:
            return RedirectResponse(f"/signin?next={on.here}", SEE_OTHER)
        return on.problem(403, on.t("problem.forbidden"), on.t("problem.forbidden_detail"), "forbidden")
    after = request.query_params.get("after", "")
    try:
        if after.isdecimal() and len(after) < 19:
            await on.doors.reads.wait(int(after))
        return await show(on)
    except NotHere:
        return on.problem(404, on.t("problem.not_found"), on.t("problem.not_found_detail"), "not_found")
    except (ReadsUnavailable, ProjectionLagging) as error:
        return on.problem(503, on.t("problem.starting"), on.t("problem.starting_detail"), error.code)


async def _ask(on: Screen, question: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs) -> T:
    return await on.doors.reads.ask(question, *args, **named)


def _number(prefix: str, text: str) -> int:
    """The number of an id in the address. Raises NotHere."""
    number = number_of(prefix, text, "id")
    if not isinstance(number, int):
        raise NotHere
    return number


def _query(on: Screen) -> dict[str, str]:
    return dict(on.request.query_params)


async def nothing_here(request: Request) -> Response:
    """The page for an address where nothing is. Raises the Problems of who may not ask."""
    on = await screen(request, await principal_for("page.read")(request))
    return on.problem(404, on.t("problem.not_found"), on.t("problem.not_found_detail"), "not_found")


def wants_page(request: Request) -> bool:
    """Whether a person asks, with a browser, for something outside of the API."""
    path, accepted = request.url.path, request.headers.get("accept", "")
    return request.method == "GET" and not path.startswith(_FOR_PROGRAMS) and "text/html" in accepted


_FOR_PROGRAMS: Final = ("/v1/", "/assets/", "/static/")


def _is_part(request: Request) -> bool:
    """Whether htmx asks for a part, and not for a page out of the history."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


# -- files -------------------------------------------------------------------------------------------------------------

assets.by_url()  # Checked now: a house whose files were changed does not open its doors.


@router.get("/assets/{path:path}")
async def asset(path: str, _principal: Reader) -> Response:
    """Files of others, out of locked wheels."""
    found = assets.by_url().get(f"/assets/{path}")
    if found is None:
        return Response(status_code=404)
    return Response(found[1], media_type=found[0].media_type, headers={"Cache-Control": assets.FOREVER})


@router.get("/static/{version}/{path:path}")
async def static(version: str, path: str, _principal: Reader) -> Response:
    """The page's own files."""
    content = static_files().get(path)
    if content is None:
        return Response(status_code=404)
    keep = assets.FOREVER if version == static_version() else "no-store"
    return Response(content, media_type=MEDIA_TYPES[path[path.rindex(".") :]], headers={"Cache-Control": keep})


# -- sign in -----------------------------------------------------------------------------------------------------------


class DemoPerson(NamedTuple):
    login: str
    name: str
    role: str


@router.get("/")
async def root(_principal: Reader) -> Response:
    """The markets are the first page."""
    return RedirectResponse("/markets", SEE_OTHER)


@router.get("/signin")
async def signin_page(request: Request, principal: Reader) -> Response:
    """The form; who is signed in already goes on."""
    on = await screen(request, principal)
    where = _own_address(request.query_params.get("next", ""))
    if on.who.signed_in:
        return RedirectResponse(where, SEE_OTHER)
    return await _signin_form(on, where)


@router.post("/signin")
async def signin(request: Request, principal: Writer) -> Response:
    """Start a session."""
    on = await screen(request, principal)
    form = await _form(request)
    where = _own_address(form.get("next", ""))
    host = request.client.host if request.client else None
    try:
        signed_in = await sign_in(on.doors.auth, form.get("login", ""), form.get("password", ""), host)
    except Problem as found:
        wrong = on.t("signin.locked" if found.code in ("sign_in_locked", "rate_limited") else "signin.wrong")
        return await _signin_form(on, where, status=found.status, wrong=wrong, login=form.get("login", "")[:64])
    return _welcome(on.doors, signed_in.token, where)


@router.post("/signin/demo")
async def signin_demo(request: Request, principal: Writer) -> Response:
    """Start a session of one of the demo's parties, without a password: only where the house is a demo."""
    on = await screen(request, principal)
    form = await _form(request)
    user = next((user for user in _demo_users(on.doors) if user.login == form.get("login")), None)
    if user is None:
        return on.problem(404, on.t("problem.not_found"), on.t("problem.not_found_detail"), "not_found")
    return _welcome(on.doors, on.doors.auth.start_session(user).token, _own_address(form.get("next", "")))


@router.post("/signout")
async def signout(request: Request, principal: Writer) -> Response:
    """End the session."""
    doors: Doors = request.app.state.doors
    if principal.session is not None:
        sign_out(doors.auth, principal.session)
    return Response(status_code=204, headers={"Set-Cookie": expired_cookie(doors.settings)})


async def _signin_form(on: Screen, where: str, *, status: int = 200, wrong: str = "", login: str = "") -> Response:
    demo = []
    for user in _demo_users(on.doors):
        name = await _ask(on, _name, user.party, on.t)
        roles = on.doors.catalogue.parties[user.party].roles
        demo.append(
            DemoPerson(
                user.login, name, ", ".join(on.t(f"role.{str(one.name).lower()}") for one in Role if one in roles)
            )
        )
    return on.render("signin.html", status, next=where, wrong=wrong, login=login, demo=demo)


def _name(connection: Connection, party: int, t: Any) -> str:
    return names_of(connection, [party], t)[party]


def _demo_users(doors: Doors) -> list[Any]:
    """Who may be tried with one click."""
    return [user for user in doors.auth.users() if user.disabled_ns is None] if doors.settings.demo else []


def _welcome(doors: Doors, token: str, where: str) -> Response:
    answer = RedirectResponse(where, SEE_OTHER)
    answer.headers["Set-Cookie"] = session_cookie(doors.settings, token)
    return answer


def _own_address(text: str) -> str:
    """Where to go next: a path of this server, never another one."""
    parts = urlsplit(text)
    is_own = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if is_own and "\\" not in text and len(text) < 1_000 else "/markets"


async def _form(request: Request) -> dict[str, str]:
    """The fields of a plain form, each once."""
    body = await request.body()
    if len(body) > FORM_BYTES_MAX:
        return {}
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


# -- markets -----------------------------------------------------------------------------------------------------------


@router.get("/markets")
async def markets_page(request: Request, principal: Reader) -> Response:
    """All series, searched and sorted."""

    async def show(on: Screen) -> Response:
        page = await _ask(on, markets.load, _query(on), on.doors.clock(), on.t)
        return on.render("_markets.html" if _is_part(request) else "markets.html", page=page)

    return await _page(request, principal, "page.read", show)


@router.get("/series/{series_id}")
async def series_page(series_id: str, request: Request, principal: Reader) -> Response:
    """The trading screen of one series."""

    async def show(on: Screen) -> Response:
        found = await _ask(
            on,
            series.load,
            _number(SERIES, series_id),
            on.doors.clock(),
            request.query_params.get("span", ""),
            on.t,
            on.n,
            party_id=public_id(PARTY, principal.party) if on.who.signed_in else None,
            may_trade=on.who.may("orders.place"),
            may_audit=on.who.may("audit.read"),
        )
        if found is None:
            raise NotHere
        return on.render("series.html", s=found)

    return await _page(request, principal, "page.read", show)


@router.get("/models/{model_id}")
async def model_page(model_id: str, request: Request, principal: Reader) -> Response:
    """One model."""

    async def show(on: Screen) -> Response:
        found = await _ask(on, model.load, _number(MODEL, model_id), on.doors.clock(), on.t, on.n)
        if found is None:
            raise NotHere
        return on.render("model.html", o=found)

    return await _page(request, principal, "page.read", show)


# -- what is the reader's own ------------------------------------------------------------------------------------------


@router.get("/portfolio")
async def portfolio_page(request: Request, principal: Reader) -> Response:
    """Balances, holdings, grants, statement."""

    async def show(on: Screen) -> Response:
        found = await _ask(on, portfolio.load, principal.party, _query(on), on.doors.clock(), on.t, on.n)
        return on.render("portfolio.html", p=found)

    return await _page(request, principal, "balances.read", show)


@router.get("/revenue")
async def revenue_page(request: Request, principal: Reader) -> Response:
    """What payees earn."""

    async def show(on: Screen) -> Response:
        own = visible_party(principal, "reports.read")
        return on.render("revenue.html", r=await _ask(on, revenue.load, _query(on), own, on.t, on.n))

    return await _page(request, principal, "reports.read", show)


@router.get("/revenue/{payee_id}/{series_id}")
async def trace_page(payee_id: str, series_id: str, request: Request, principal: Reader) -> Response:
    """Why a payee earned what it did in a series."""

    async def show(on: Screen) -> Response:
        payee, own = _number(PARTY, payee_id), visible_party(principal, "reports.read")
        if own is not None and own != payee:
            raise NotHere
        found = await _ask(on, trace.load, payee, _number(SERIES, series_id), _query(on), on.t, on.n)
        if found is None:
            raise NotHere
        return on.render("trace.html", r=found)

    return await _page(request, principal, "reports.read", show)


@router.get("/revenue.csv")
async def revenue_csv(request: Request, principal: Reader) -> Response:
    """The rows of the revenue page, all of them."""

    async def show(on: Screen) -> Response:
        own = visible_party(principal, "reports.read")
        found = await _ask(on, revenue.load, _query(on), own, on.t, on.n, every_page=True)
        name = f"revenue-{found.month or 'all'}-at-{on.position}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(revenue.as_csv(found, on.t), media_type="text/csv; charset=utf-8", headers=headers)

    return await _page(request, principal, "reports.read", show)


# -- evidence ----------------------------------------------------------------------------------------------------------


@router.get("/audit")
async def audit_page(request: Request, principal: Reader) -> Response:
    """The log as a table."""

    async def show(on: Screen) -> Response:
        found = await _ask(on, audit.history, _query(on), on.t, on.n)
        return on.render("_audit.html" if _is_part(request) else "audit.html", a=found)

    return await _page(request, principal, "audit.read", show)


@router.get("/audit/{position}")
async def entry_page(position: str, request: Request, principal: Reader) -> Response:
    """One entry of the log."""

    async def show(on: Screen) -> Response:
        house = on.doors.house
        entry = await audit.read_entry(house.recorder, position)
        if entry is None:
            raise NotHere
        last = house.store.position
        found = await _ask(on, audit.entry_view, entry, last, _query(on), house.keys.unseal, on.t, on.n)
        return on.render("entry.html", e=found)

    return await _page(request, principal, "audit.read", show)


@router.get("/audit/{position}/bytes")
async def entry_bytes(position: str, request: Request, principal: Reader) -> Response:
    """The bytes of an entry, as the running hash covers them."""

    async def show(on: Screen) -> Response:
        entry = await audit.read_entry(on.doors.house.recorder, position)
        if entry is None:
            raise NotHere
        headers = {"Content-Disposition": f'attachment; filename="entry-{entry.position}.bin"'}
        return Response(bytes(entry.state), media_type=BYTES_PAGE, headers=headers)

    return await _page(request, principal, "audit.read", show)


# -- operate -----------------------------------------------------------------------------------------------------------


@router.get("/operate")
async def operate_page(request: Request, principal: Reader) -> Response:
    """How the house is."""

    async def show(on: Screen) -> Response:
        halts = await _ask(on, operate.halts, on.t)
        found = operate.load(on.doors, halts, on.n, may_halt=on.who.may("series.halt"))
        return on.render("operate.html", o=found)

    return await _page(request, principal, "operate.read", show)


# -- documentation -----------------------------------------------------------------------------------------------------


@router.get("/docs")
async def docs_page(request: Request, principal: Reader) -> Response:
    """The API documentation, without any other server."""

    async def show(on: Screen) -> Response:
        if not on.doors.settings.docs:
            raise NotHere
        return on.render("docs.html", openapi_url=request.app.openapi_url or "/openapi.json")

    return await _page(request, principal, "page.read", show)


@router.get("/problems/{code}")
async def problem_page(code: str, request: Request, principal: Reader) -> Response:
    """What a code of the API means: the `type` of its problems."""

    async def show(on: Screen) -> Response:
        kind = PROBLEMS.get(code)
        if kind is None:
            raise NotHere
        return on.render(
            "problem.html",
            status=kind.status,
            title=kind.title,
            detail=kind.meaning,
            code=code,
            way=on.t("frame.api"),
            way_href="/docs",
        )

    return await _page(request, principal, "page.read", show)
