"""From a template to an answer: who asks, in which language, with which of the page's own files.

Templates are strict (an undefined name is an error) and escape everything. Own files are served under a name that
changes with their content, so a browser keeps them for ever and never shows an old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from api.auth.principal import Principal
from api.auth.sessions import csrf_token
from api.authorization import authorize
from api.doors import Doors
from api.problems import Problem
from api.web import assets, drawings
from api.web.numbers import Numbers
from api.web.views.links import Link
from api.web.views.names import names_of
from api.web.words import LANGUAGES, Words, language_of, words
from projections.reads import ReadsUnavailable

STATIC: Final = Path(__file__).parent / "static"
THEMES: Final = ("light", "dark")
MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SECTIONS: Final = (
    ("markets", "/markets", "page.read"),
    ("portfolio", "/portfolio", "balances.read"),
    ("revenue", "/revenue", "reports.read"),
    ("audit", "/audit", "audit.read"),
    ("operate", "/operate", "operate.read"),
)
"""Name, address and the action that opens it."""
_ALSO: Final = {"markets": ("/series/", "/models/")}


@cache
def static_files() -> dict[str, bytes]:
    """The page's own files by their path below `static/`."""
    return {
        file.relative_to(STATIC).as_posix(): file.read_bytes()
        for file in sorted(STATIC.rglob("*"))
        if file.suffix in MEDIA_TYPES
    }


@cache
def static_version() -> str:
    """Changes with the content of any own file: modules import each other, so they change together."""
    digest = hashlib.sha256()
    for path, content in static_files().items():
        digest.update(path.encode() + b"\0" + hashlib.sha256(content).digest())
    return digest.hexdigest()[:12]


def static_url(path: str) -> str:
    """The address of an own file."""
    assert path in static_files(), path
    return f"/static/{static_version()}/{path}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("api.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["license"] = license_name
    environment.globals.update(
        static=static_url,
        spark_path=drawings.spark_path,
        assets={
            "htmx": assets.HTMX,
            "charts": assets.CHARTS,
            "swagger": assets.SWAGGER,
            "swagger_style": assets.SWAGGER_STYLE,
        },
    )
    return environment


def license_name(identity: str) -> str:
    """The identity of a license as people read it: without the prefixes that only machines need."""
    return identity.removeprefix("LicenseRef-").removeprefix("scancode-")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page."""

    principal: Principal
    name: str
    csrf: str

    @property
    def signed_in(self) -> bool:
        return self.principal.how != "anonymous"

    def may(self, action: str) -> bool:
        """Whether the action may be begun."""
        try:
            authorize(self.principal, action)
        except Problem:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Screen:
    """One request for a page."""

    request: Request
    doors: Doors
    who: Visitor
    t: Words
    n: Numbers
    position: int

    def render(self, template: str, /, http_status: int = 200, **context: Any) -> HTMLResponse:
        """The page, or with a template whose name begins with an underscore a part of it."""
        path = self.request.url.path
        query = dict(self.request.query_params)
        query.pop("lang", None)
        other = next(language for language in LANGUAGES if language != self.t.language)
        html = (
            _environment()
            .get_template(template)
            .render(
                t=self.t,
                n=self.n,
                who=self.who,
                theme=theme_of(self.request.cookies),
                position=self.position,
                nav=[
                    {"name": name, "href": href, "here": path.startswith((href, *_ALSO.get(name, ())))}
                    for name, href, action in _SECTIONS
                    if self.who.may(action)
                ],
                other_language=other,
                language_url=Link(path, query)(lang=other),
                link=Link(path, query),
                **context,
            )
        )
        answer = HTMLResponse(
            html, http_status, {"Cache-Control": "no-store", "Vary": "Cookie, Accept-Language, HX-Request"}
        )
        if self.request.query_params.get("lang") in LANGUAGES:
            answer.set_cookie("lang", self.t.language, max_age=31_536_000, samesite="lax")
        return answer

    def problem(self, status: int, title: str, detail: str, code: str = "") -> HTMLResponse:
        """A page that says what did not work, and one way on."""
        return self.render(
            "problem.html",
            status,
            status=status,
            title=title,
            detail=detail,
            code=code,
            way=self.t("problem.home"),
            way_href="/markets",
        )

    @property
    def here(self) -> str:
        """The address to come back to after signing in."""
        query = self.request.url.query
        return quote(self.request.url.path + (f"?{query}" if query else ""), safe="/")


def theme_of(cookies: Mapping[str, str]) -> str:
    """The theme that was chosen, or empty for the system's."""
    theme = cookies.get("theme", "")
    return theme if theme in THEMES else ""


async def screen(request: Request, principal: Principal) -> Screen:
    """What every page needs to know."""
    doors: Doors = request.app.state.doors
    asked = request.query_params.get("lang") or request.cookies.get("lang")
    t = words(language_of(asked, request.headers.get("accept-language", "")))
    name = csrf = ""
    if principal.session is not None:
        csrf = csrf_token(doors.auth, principal.session)
        name = await name_of(doors, principal.party, t)
    return Screen(request, doors, Visitor(principal, name, csrf), t, Numbers(t.language), doors.reads.position())


async def name_of(doors: Doors, party: int, t: Words) -> str:
    """The name of a party; empty while there are no read models."""
    try:
        return (await doors.reads.ask(names_of, [party], t))[party]
    except ReadsUnavailable:
        return ""
