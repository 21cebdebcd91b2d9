"""Every route by every role, on what is its own, on what is another's, and on what does not exist.

The routes are the application's own; a route without an action, or one that changes something and has no example here,
fails. What each answer must be follows from the table of rules, and where the domain is stricter, from its own.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute

from api.app import bare_app
from api.auth.keys import KeyRequest
from api.auth.principal import SCOPES
from api.authorization import FREE, RULES, action_of
from api.settings import Settings
from api.wire import KEY, PARTY, USER, public_id
from domain import commands
from domain.commands import Command
from domain.decisions import DECISIONS
from domain.values import HOUSE, PartyKind, Role
from ledger.sequencer import Ask
from tests.api.doors import NUMBER_OF, PARTIES, SERIES, RunningDoors, running_doors

TODAY: Final = time.strftime("%Y-%m-%d", time.gmtime())
DIGEST: Final = "ab" * 32
VICTIM: Final = "victim"
"""A party that nobody signs for, and that may be frozen."""
WHO: Final = (None, *PARTIES)
_NUMBERS: Final = itertools.count(1)


class Example(NamedTuple):
    """How a route that changes something is asked."""

    body: dict[str, Any] | None = None
    command: type[Command] | None = None
    """What it becomes, whose roles may be fewer than those of the action."""
    roles: Role | None = None
    """The same where it is no command."""
    about: str | None = None
    """The field of the body that names what is changed."""


LINE: Final = {"series": SERIES, "side": "buy", "quantity": "0.5", "price": "1.00"}
PAYMENT: Final = {"party": "pty_8", "currency": "EUR", "amount": "1.00", "reference": "{n}", "effective_day": TODAY}
NOTICE: Final = {"kind": "paused", "effective_day": TODAY}

EXAMPLES: Final[dict[str, Example]] = {
    "POST /v1/orders": Example(LINE, roles=Role.TRADER),
    "POST /v1/orders/batch": Example({"orders": [LINE]}),
    "POST /v1/orders/preview": Example(LINE),
    "PATCH /v1/orders/{order}": Example({"reduce_by": "0.5"}),
    "DELETE /v1/orders/{order}": Example(),
    "DELETE /v1/orders": Example(),
    "POST /v1/currencies": Example({"code": "X{n}", "exponent": 2}, commands.RegisterCurrency),
    "POST /v1/series": Example(
        {
            "symbol": "S{n}/EUR",
            "model_version": "{model_version}",
            "terms": "trm_1",
            "currency": "EUR",
            "tick_size": "0.05",
            "lot_size": "1",
            "unit_name": "seat",
            "supply_cap": "100",
            "max_order_quantity": "10",
            "max_order_notional": "1000.00",
        },
        commands.ListSeries,
        about="model_version",
    ),
    "POST /v1/series/{series}/halt": Example({"reason": "technical"}, commands.HaltSeries),
    "POST /v1/series/{series}/resume": Example(None, commands.ResumeSeries),
    "POST /v1/series/{series}/list_prices": Example(
        {"price": "2.00", "basis": "listed", "source": "a page", "effective_day": TODAY}, commands.RecordListPrice
    ),
    "POST /v1/fee_schedules": Example({"maker_ppm": 0, "taker_ppm": 2_000}, commands.AdoptFeeSchedule),
    "POST /v1/tax_rates": Example({"country": "NL", "tax_ppm": 0}, commands.SetTaxRate),
    "POST /v1/models": Example({"key": "k{n}", "title": "T", "source": "a test"}, commands.RegisterModel),
    "POST /v1/models/{model}/versions": Example({"semver": "9.{n}.0", "digest": DIGEST}, commands.RegisterModelVersion),
    "POST /v1/models/{model}/training_runs": Example({"dataset_versions": []}, commands.RecordTrainingRun),
    "POST /v1/model_versions/{model_version}/publish": Example(None, commands.PublishModelVersion),
    "POST /v1/model_versions/{model_version}/withdraw": Example(NOTICE, commands.WithdrawModelVersion),
    "POST /v1/datasets": Example(
        {"key": "k{n}", "title": "T", "classification": "general", "personal_data": "no", "source": "a test"},
        commands.RegisterDataset,
    ),
    "POST /v1/datasets/{dataset}/versions": Example(
        {"label": "v{n}", "digest": DIGEST}, commands.RegisterDatasetVersion
    ),
    "POST /v1/dataset_versions/{dataset_version}/publish": Example(None, commands.PublishDatasetVersion),
    "POST /v1/dataset_versions/{dataset_version}/withdraw": Example(NOTICE, commands.WithdrawDatasetVersion),
    "POST /v1/terms": Example(
        {
            "purpose": "any",
            "territory": ["worldwide"],
            "term": "perpetual",
            "unit": "seat",
            "transferable": True,
            "derivatives_allowed": False,
            "resale_royalty_ppm": 0,
            "text_digest": DIGEST,
            "license": "MIT",
        },
        commands.AdoptTerms,
    ),
    "POST /v1/parties": Example(
        {"kind": "company", "legal_name": "New {n}", "country": "NL", "roles": []}, commands.RegisterParty
    ),
    "POST /v1/parties/{party}/roles": Example({"role": "agent"}, commands.GrantRole),
    "DELETE /v1/parties/{party}/roles/{role}": Example(None, commands.RevokeRole),
    "POST /v1/parties/{party}/owner": Example({"owner": "pty_1"}, commands.DeclareOwnership),
    "POST /v1/parties/{party}/freeze": Example({}, commands.FreezeParty),
    "POST /v1/parties/{party}/unfreeze": Example({}, commands.UnfreezeParty),
    "POST /v1/deposits": Example(PAYMENT, commands.RecordDeposit),
    "POST /v1/withdrawals": Example(PAYMENT, commands.RecordWithdrawal),
    "POST /v1/refunds": Example({"trade": "{trade}", "quantity": "0.5", "reason": "r"}, commands.RefundSale),
    "POST /v1/agreements": Example(
        {"model": "{model}", "platform_ppb": 0, "data_ppb": 0, "upstream_ppb": 0},
        commands.SignAgreement,
        about="model",
    ),
    "POST /v1/keys": Example({"kind": "hmac", "scopes": ["read"]}),
    "DELETE /v1/keys/{key}": Example(),
    "POST /v1/users": Example({"party": "pty_8", "login": "user{n}", "password": "a long and good one"}),
    "POST /v1/users/{user}/disable": Example(),
}
WITH_QUERY: Final = {
    "GET /v1/statement": "currency=EUR",
    "GET /v1/series/{series}/candles": "interval=1m",
}
STRICTER: Final = {
    # Sums over all parties, for whoever may see all of them.
    "GET /v1/reports/house-income": RULES["reports.read"].see_all,
    "GET /v1/reports/trial-balance": RULES["reports.read"].see_all,
    # All of them, for whoever may see all; a developer names its model.
    "GET /v1/agreements": RULES["agreements.read"].see_all,
}
"""Readings that are refused to who may read its own."""
ANY_VALUE: Final = {"role": "agent", "position": "1", "currency": "ccy_1"}


class Route(NamedTuple):
    method: str
    path: str
    action: str

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def subject(self) -> str | None:
        """The parameter that names whose it is."""
        named = [name for name in self.parameters if name not in ANY_VALUE]
        return named[0] if named else EXAMPLES.get(self.name, Example()).about


def every_route(app: FastAPI) -> list[tuple[str, BaseRoute]]:
    """All routes with their paths, those of included routers too."""
    found: list[tuple[str, BaseRoute]] = []

    def walk(routes: Any) -> None:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner.routes)
            else:
                found.append((route.path, route))

    walk(app.routes)
    return found


ALL: Final = every_route(bare_app(Settings()))
ROUTES: Final = [
    Route(method, path, action)
    for path, route in ALL
    for method in sorted(getattr(route, "methods", None) or set())
    if path.startswith("/v1/") and method != "HEAD" and (action := action_of(route)) is not None
]


class World:
    """A house in which several parties own one of everything that they may own."""

    def __init__(self, house: RunningDoors) -> None:
        self.house = house
        self.owners: dict[str, dict[str, str | None]] = {}
        """By parameter: ids and who owns each; None where it is nobody's in particular."""
        self._ask(commands.GrantRole(party=NUMBER_OF["rival"], role=Role.PROVIDER))
        command = commands.RegisterParty(kind=PartyKind.COMPANY, legal_name="Victim", country="NL", roles=Role.AUDITOR)
        self._ask(command)
        self._own("party", VICTIM, public_id(PARTY, len(PARTIES) + 1))
        for name in PARTIES:
            self._own("party", name, public_id(PARTY, NUMBER_OF[name]))
        studio, alice, bob = house.client("studio"), house.client("alice"), house.client("bob")
        self._good(studio.sell("50", "10.00", primary=True))
        for name, client in (("alice", alice), ("bob", bob)):
            self._good(client.buy("5", "10.00"))
            self._own("order", name, self._good(client.buy("2", "1.00"))["id"])
        for name in ("studio", "rival"):
            client = house.client(name)
            if name == "rival":
                made = self._good(client.post("/v1/models", json=filled(EXAMPLES["POST /v1/models"].body, {})))
                self._own("model", name, made["id"])
                version = {"semver": "1.0.0", "digest": DIGEST}
                made = self._good(client.post(f"/v1/models/{made['id']}/versions", json=version))
                self._own("model_version", name, made["id"])
                self._good(client.post(f"/v1/model_versions/{made['id']}/publish"))
            else:
                self._own("model", name, "mdl_1")
                self._own("model_version", name, "mdv_1")
                self._own("series", name, SERIES)
                self._own("agreement", name, "agr_1")
                self._own("terms", name, "trm_1")
            model = next(one for one, owner in self.owners["model"].items() if owner == name)
            run = self._good(client.post(f"/v1/models/{model}/training_runs", json={"dataset_versions": []}))
            self._own("training_run", name, run["id"])
        for name in ("provider", "rival"):
            client = house.client(name)
            body = EXAMPLES["POST /v1/datasets"].body or {}
            made = self._good(client.post("/v1/datasets", json=body | {"key": f"set/{name}"}))
            self._own("dataset", name, made["id"])
            version = {"label": "v1", "digest": DIGEST}
            made = self._good(client.post(f"/v1/datasets/{made['id']}/versions", json=version))
            self._own("dataset_version", name, made["id"])
        auth = house.doors.auth
        for name in ("alice", "bob"):
            key = auth.add_key(NUMBER_OF[name], KeyRequest("hmac", "", SCOPES, None, None)).key
            self._own("key", name, public_id(KEY, key.number))
            user = auth.add_user(name, "a long and good one", NUMBER_OF[name])
            self._own("user", name, public_id(USER, user.number))
        house.settle()
        self.trade = self._good(alice.get("/v1/fills"))["data"][0]["trade"]
        """A sale."""
        for name in ("alice", "bob"):
            grants = house.client(name).get("/v1/grants").json()["data"]
            self._own("grant", name, grants[0]["id"])

    def objects(self, parameter: str | None) -> list[tuple[str | None, str | None]]:
        """(id, owner) of each object of a kind, and of one that does not exist."""
        if parameter is None:
            return [(None, None)]
        known = self.owners[parameter]
        missing = next(iter(known)).partition("_")[0] + "_zzzz"
        return [*known.items(), (missing, None)]

    def _own(self, parameter: str, owner: str, found: str) -> None:
        self.owners.setdefault(parameter, {})[found] = owner

    def _ask(self, command: Command) -> None:
        self.house.doors.writer.submit(Ask(command, HOUSE)).result(10)

    def _good(self, response: Any) -> Any:
        assert response.status_code < 300, response.text
        return response.json()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_doors(tmp_path_factory.mktemp("house")) as house:
        yield World(house)


def roles_of(name: str | None) -> Role:
    roles = Role(0) if name is None else PARTIES[name]
    return roles | Role.PROVIDER if name == "rival" else roles


def expected(route: Route, name: str | None, owner: str | None, *, exists: bool) -> int | None:
    """The status that the answer must have, or None: the party may, so it is none of those that say it may not."""
    rule, roles = RULES[route.action], roles_of(name)
    example = EXAMPLES.get(route.name, Example())
    needed = example.roles if example.command is None else DECISIONS[example.command][0]
    if not rule.public:
        if name is None:
            return 401
        if rule.roles and not roles & rule.roles:
            return 403
        if needed is not None and not roles & needed:
            return 403
        stricter = STRICTER.get(route.name)
        if stricter is not None and not roles & stricter:
            return 403
    if not exists:
        return 404
    if rule.own and owner not in (None, name) and not roles & rule.see_all:
        return 404
    return None


def ask(world: World, route: Route, name: str | None, subject: str | None, client: Any = None) -> Any:
    values = dict(ANY_VALUE)
    if route.subject is not None and subject is not None:
        values[route.subject] = subject
    url = "/".join(values.get(part[1:-1], part) if part.startswith("{") else part for part in route.path.split("/"))
    query = WITH_QUERY.get(route.name)
    example = EXAMPLES.get(route.name, Example())
    body = None if example.body is None else filled(example.body, values | {"trade": world.trade})
    client = client or world.house.client(name)
    return client.request(route.method, f"{url}?{query}" if query else url, json=body)


def filled(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {key: filled(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, values) for inner in value]
    return value.format(n=next(_NUMBERS), **values) if isinstance(value, str) else value


# -- the matrix --------------------------------------------------------------------------------------------------------


def test_every_route_says_its_action() -> None:
    assert len(ALL) > 80
    assert [path for path, route in ALL if action_of(route) is None] == []


def test_every_route_that_changes_something_has_an_example_here() -> None:
    assert {route.name for route in ROUTES if route.method != "GET"} == EXAMPLES.keys()


def test_routes_that_change_something_are_no_public_and_no_reading_ones() -> None:
    for route in ROUTES:
        rule = RULES[route.action]
        if route.method == "GET":
            assert rule.scope == "read", route
        elif route.action != "orders.preview":
            assert rule.scope != "read" and not rule.public, route


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_role_gets_what_the_table_says(world: World, route: Route) -> None:
    objects = world.objects(route.subject)
    if route.action == "parties.write":
        # Nobody's own; the victim stands for all.
        objects = [objects[0], objects[-1]]
    wrong = []
    for name in WHO:
        for subject, owner in objects:
            response = ask(world, route, name, subject)
            exists = subject is None or subject in world.owners[route.subject or ""]
            must = expected(route, name, owner, exists=exists)
            status = response.status_code
            fits = status == must if must is not None else status < 500 and status not in (401, 403, 404, 405)
            if must is not None and status >= 400:
                fits = fits and response.headers["content-type"] == "application/problem+json"
            if not fits:
                wrong.append((name, subject, owner, must, status, response.text[:200]))
    assert wrong == []


@pytest.mark.parametrize("route", [one for one in ROUTES if not RULES[one.action].public], ids=lambda one: one.name)
def test_a_key_without_the_scope_is_refused_whatever_its_party_may(world: World, route: Route) -> None:
    others = SCOPES - {RULES[route.action].scope}
    subject, owner = world.objects(route.subject)[0]
    name = next(one for one in PARTIES if roles_of(one) & RULES[route.action].roles or not RULES[route.action].roles)
    client = _WEAK.setdefault((id(world), name, others), world.house.with_scopes(name, *sorted(others)))
    response = ask(world, route, name, subject, client)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden"), owner


_WEAK: dict[Any, Any] = {}


LISTS: Final = [
    "GET /v1/orders",
    "GET /v1/order_refusals",
    "GET /v1/fills",
    "GET /v1/balances",
    "GET /v1/holdings",
    "GET /v1/grants",
    "GET /v1/statement",
    "GET /v1/keys",
]


@pytest.mark.parametrize("route", [one for one in ROUTES if one.name in LISTS], ids=lambda one: one.name)
def test_a_list_is_of_the_party_that_asks_or_of_one_that_it_may_see(world: World, route: Route) -> None:
    assert len({one.name for one in ROUTES} & set(LISTS)) == len(LISTS)
    query = WITH_QUERY.get(route.name, "")
    rule = RULES[route.action]
    for name in PARTIES:
        client = world.house.client(name)
        own, other = public_id(PARTY, NUMBER_OF[name]), public_id(PARTY, NUMBER_OF["bob"])
        sees = name == "bob" or bool(roles_of(name) & rule.see_all)
        assert client.get(f"{route.path}?{query}&party={other}").status_code == (200 if sees else 404), name
        assert client.get(f"{route.path}?{query}&party=pty_zzzz").status_code in ((200, 404) if sees else (404,))
        rows = client.get(f"{route.path}?{query}").json()
        text = str(rows.get("data", rows))
        for stranger in {"alice", "bob"} - {name}:
            assert f"'{public_id(PARTY, NUMBER_OF[stranger])}'" not in text
        assert client.get(f"{route.path}?{query}&party={own}").status_code == 200


def test_what_is_anothers_is_answered_exactly_like_what_does_not_exist(world: World) -> None:
    alice = world.house.client("alice")
    for route in ROUTES:
        rule = RULES[route.action]
        if (
            route.method != "GET"
            or not rule.own
            or route.subject not in ("order", "grant", "key", "party", "agreement")
        ):
            continue
        others = [one for one, owner in world.owners[route.subject].items() if owner not in ("alice", VICTIM)]
        missing = world.objects(route.subject)[-1][0]
        answers = []
        for subject in (others[0], missing):
            body = ask(world, route, "alice", subject, alice).json()
            answers.append({name: body[name] for name in body if name not in ("instance", "request_id")})
        assert answers[0] == answers[1], route


def test_an_order_of_another_is_unknown_also_after_its_end(world: World) -> None:
    """Whether it is still open is nobody else's business."""
    alice, bob = world.house.client("alice"), world.house.client("bob")
    placed = world._good(bob.buy("0.5", "1.00"))
    assert alice.delete(f"/v1/orders/{placed['id']}").json()["code"] == "unknown_order"
    assert bob.delete(f"/v1/orders/{placed['id']}").status_code == 200
    for response in (
        alice.delete(f"/v1/orders/{placed['id']}"),
        alice.patch(f"/v1/orders/{placed['id']}", json={"reduce_by": "0.5"}),
    ):
        assert response.status_code == 404, response.text
    assert bob.delete(f"/v1/orders/{placed['id']}").json()["code"] == "order_not_open"


def test_a_frozen_party_reads_and_cancels_and_does_nothing_else(world: World) -> None:
    house = world.house
    bob = house.client("bob")
    placed = world._good(bob.buy("0.5", "1.00"))
    world._ask(commands.FreezeParty(party=NUMBER_OF["bob"]))
    try:
        assert bob.buy("0.5", "1.00").json()["code"] == "party_frozen"
        house.settle()
        assert bob.get("/v1/orders").status_code == 200
        assert bob.delete(f"/v1/orders/{placed['id']}").status_code == 200
    finally:
        world._ask(commands.UnfreezeParty(party=NUMBER_OF["bob"]))
    assert bob.buy("0.5", "1.00").status_code == 201


def test_a_role_that_was_taken_is_gone_with_the_next_request(world: World) -> None:
    risk = world.house.client("risk")
    assert risk.get("/v1/orders?party=pty_8").status_code == 200
    world._ask(commands.RevokeRole(party=NUMBER_OF["risk"], role=Role.RISK))
    try:
        assert risk.get("/v1/orders?party=pty_8").status_code == 404
    finally:
        world._ask(commands.GrantRole(party=NUMBER_OF["risk"], role=Role.RISK))


def test_a_revoked_key_is_cut_off_with_the_next_request(world: World) -> None:
    client = world.house.with_scopes("alice", "read", "manage")
    assert client.get("/v1/orders").status_code == 200
    assert client.signer is not None
    assert client.delete(f"/v1/keys/{client.signer.key_id}").status_code == 200
    assert client.get("/v1/orders").json()["code"] == "key_revoked"


def test_a_key_makes_none_that_is_good_for_more(world: World) -> None:
    client = world.house.with_scopes("alice", "manage")
    asked = {"kind": "hmac", "scopes": ["manage", "trade"]}
    assert client.post("/v1/keys", json=asked).status_code == 422
    made = client.post("/v1/keys", json=asked | {"scopes": ["manage"]})
    assert made.status_code == 201 and made.json()["secret"].startswith("tsk_")
    shown = client.request("GET", f"/v1/keys/{made.json()['id']}")
    assert shown.status_code == 403
    assert "secret" not in world.house.client("alice").get(f"/v1/keys/{made.json()['id']}").json()


def test_a_cursor_of_one_list_is_none_of_another(world: World) -> None:
    alice = world.house.client("alice")
    cursor = alice.get("/v1/orders?limit=1").json()["next_cursor"]
    assert cursor is not None
    assert alice.get(f"/v1/orders?cursor={cursor}").status_code == 200
    assert alice.get(f"/v1/fills?cursor={cursor}").json()["code"] == "cursor_invalid"
    assert alice.get(f"/v1/orders?status=open&cursor={cursor}").json()["code"] == "cursor_invalid"
    bob = world.house.client("bob")
    rows = bob.get(f"/v1/orders?cursor={cursor}").json()["data"]
    assert public_id(PARTY, NUMBER_OF["alice"]) not in str(rows)


def test_every_page_answers_nobody_without_an_error(world: World) -> None:
    nobody = world.house.client()
    for path, route in ALL:
        if path.startswith("/v1/") or "GET" not in (getattr(route, "methods", None) or ()):
            continue
        url = path.replace("{", "").replace("}", "").replace(":path", "")
        assert nobody.get(url).status_code in (200, 303, 403, 404), path


def test_no_action_of_the_doors_is_without_a_limit_but_leaving_the_market() -> None:
    free = {route.name for route in ROUTES if route.action in FREE}
    assert free == {"DELETE /v1/orders", "DELETE /v1/orders/{order}"}
