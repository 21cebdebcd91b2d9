"""The registry over HTTP: every command of the domain that a role may ask, told back by what it recorded."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.auth.signatures import Ed25519Signer, HmacSigner
from domain.decisions import DECISIONS
from tests.api.doors import SERIES, Client, RunningDoors, running_doors

HEX = "ab" * 32
TODAY = time.strftime("%Y-%m-%d", time.gmtime())
KEYS = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoors]:
    with running_doors(tmp_path_factory.mktemp("registry")) as running:
        yield running


def recorded(house: RunningDoors, name: str, address: str, body: Any = None, method: str = "POST") -> dict[str, Any]:
    """What was recorded; asked twice with one key it is recorded once."""
    headers = {"Idempotency-Key": f"key-{next(KEYS)}"}
    first = house.client(name).request(method, address, json=body, headers=headers)
    assert first.status_code in (200, 201), first.text
    second = house.client(name).request(method, address, json=body, headers=headers)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    found: dict[str, Any] = first.json()
    assert first.headers["x-position"] == str(found["position"])
    if found["id"] is not None:
        assert first.headers["location"].endswith(found["id"])
    return found


def refused(house: RunningDoors, name: str, address: str, body: Any, method: str = "POST") -> tuple[int, str, str]:
    answer = house.client(name).request(method, address, json=body)
    found = answer.json()
    return answer.status_code, found["code"], found.get("errors", [{"pointer": ""}])[0]["pointer"]


def read(client: Client, address: str, after: int) -> Any:
    answer = client.get(f"{address}{'&' if '?' in address else '?'}after={after}")
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- parties -----------------------------------------------------------------------------------------------------------

NEW_PARTY = {"kind": "company", "legal_name": "Newcomer & Söhne", "country": "NL", "roles": ["trader", "agent"]}


def test_a_party_is_registered_gets_roles_an_owner_and_is_frozen(house: RunningDoors) -> None:
    made = recorded(house, "operator", "/v1/parties", NEW_PARTY)
    assert made["facts"] == [{"kind": "PartyRegistered", "data": {"party": made["id"], **NEW_PARTY}}]
    address = f"/v1/parties/{made['id']}"
    granted = recorded(house, "operator", f"{address}/roles", {"role": "provider"})
    assert granted["facts"][0]["data"] == {"party": made["id"], "role": "provider"}
    recorded(house, "operator", f"{address}/roles/agent", method="DELETE")
    recorded(house, "risk", f"{address}/owner", {"owner": "pty_8"})
    frozen = recorded(house, "risk", f"{address}/freeze", {"note": "Asked where the money came from."})
    shown = read(house.client("operator"), address, frozen["position"])
    assert shown == {
        "id": made["id"],
        "kind": "company",
        "legal_name": "Newcomer & Söhne",
        "country": "NL",
        "roles": ["trader", "provider"],
        "frozen": True,
        "owner": "pty_8",
        "position": frozen["position"],
    }
    thawed = recorded(house, "risk", f"{address}/unfreeze", {})
    assert read(house.client("auditor"), address, thawed["position"])["frozen"] is False
    assert house.client("alice").get(address).status_code == 404
    found = read(house.client("auditor"), "/v1/parties?search=newcomer&role=provider&country=NL", thawed["position"])
    assert [row["id"] for row in found["data"]] == [made["id"]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind": "club"}, (422, "wrong_type", "/kind")),
        ({"legal_name": " padded "}, (422, "malformed_text", "/legal_name")),
        ({"country": "XX"}, (422, "malformed_country", "/country")),
        ({"roles": ["trader", "operator"]}, (422, "roles_exclude_each_other", "/roles")),
        ({"roles": ["king"]}, (422, "malformed_text", "/roles/0")),
        ({"number": 7}, (422, "unknown_field", "/number")),
    ],
)
def test_a_party_that_breaks_a_rule_is_refused_at_its_field(
    house: RunningDoors, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    assert refused(house, "operator", "/v1/parties", NEW_PARTY | change) == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("country=DE&country=NL", "duplicate_item"),
        ("country=germany", "malformed_country"),
        ("limit=0", "value_out_of_range"),
    ],
)
def test_a_filter_that_breaks_a_rule_is_refused(house: RunningDoors, query: str, code: str) -> None:
    answer = house.client("operator").get(f"/v1/parties?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_who_may_not_register_is_refused(house: RunningDoors) -> None:
    assert refused(house, "alice", "/v1/parties", NEW_PARTY)[:2] == (403, "forbidden")


# -- data sets and models ----------------------------------------------------------------------------------------------


def new_dataset(key: str) -> dict[str, Any]:
    return {
        "key": key,
        "title": "Texts",
        "classification": "general",
        "tags": ["text"],
        "personal_data": "no",
        "source": "a test",
    }


def test_a_data_set_is_registered_published_and_withdrawn(house: RunningDoors) -> None:
    made = recorded(house, "provider", "/v1/datasets", new_dataset("provider/texts"))
    versions = f"/v1/datasets/{made['id']}/versions"
    version = recorded(house, "provider", versions, {"label": "v1", "digest": HEX})
    assert version["facts"][0]["data"]["digest"] == HEX
    address = f"/v1/dataset_versions/{version['id']}"
    recorded(house, "provider", f"{address}/publish")
    ended = recorded(house, "provider", f"{address}/withdraw", {"kind": "withdrawn", "effective_day": TODAY})
    shown = read(house.client(), address, ended["position"])
    assert (shown["state"], shown["notice"], shown["dataset"]) == ("withdrawn", "withdrawn", made["id"])
    assert read(house.client(), versions, 0)["data"] == [shown]
    dataset = read(house.client(), f"/v1/datasets/{made['id']}", 0)
    assert dataset | {"position": 0} == {
        **new_dataset("provider/texts"),
        "id": made["id"],
        "provider": "pty_6",
        "license": None,
        "position": 0,
    }
    assert read(house.client(), "/v1/datasets?search=texts&provider=pty_6", 0)["data"] == [dataset]
    assert read(house.client(), "/v1/datasets?provider=pty_8", 0)["data"] == []


def test_a_data_set_of_another_is_as_if_it_did_not_exist(house: RunningDoors) -> None:
    made = recorded(house, "provider", "/v1/datasets", new_dataset("provider/own"))
    body = {"label": "v1", "digest": HEX}
    assert refused(house, "rival", f"/v1/datasets/{made['id']}/versions", body)[:2] == (403, "forbidden")
    assert refused(house, "provider", "/v1/datasets/dst_zz/versions", body)[:2] == (404, "unknown_dataset")
    assert refused(house, "provider", "/v1/datasets", new_dataset("provider/own"))[:2] == (409, "dataset_key_taken")
    assert refused(house, "provider", f"/v1/datasets/{made['id']}/versions", body | {"digest": "AB" * 32}) == (
        422,
        "malformed_digest",
        "/digest",
    )


def test_a_model_tells_what_it_was_made_of(house: RunningDoors) -> None:
    dataset = recorded(house, "provider", "/v1/datasets", new_dataset("provider/corpus"))["id"]
    version = recorded(house, "provider", f"/v1/datasets/{dataset}/versions", {"label": "v1", "digest": HEX})["id"]
    recorded(house, "provider", f"/v1/dataset_versions/{version}/publish")
    model = recorded(house, "studio", "/v1/models", {"key": "studio/two", "title": "Two", "source": "a test"})["id"]
    run = recorded(
        house,
        "studio",
        f"/v1/models/{model}/training_runs",
        {"dataset_versions": [version], "started_day": "2026-01-01", "ended_day": "2026-02-01"},
    )["id"]
    made = recorded(
        house,
        "studio",
        f"/v1/models/{model}/versions",
        {
            "semver": "2.0.0",
            "digest": HEX,
            "training_run": run,
            "datasets": [{"dataset_version": version, "weight_ppb": 600_000_000, "role": "training"}],
            "bases": [{"model_version": "mdv_1", "weight_ppb": 400_000_000, "relation": "fine_tune"}],
        },
    )
    address = f"/v1/model_versions/{made['id']}"
    published = recorded(house, "studio", f"{address}/publish")
    lineage = read(house.client(), f"{address}/lineage", published["position"])
    assert lineage["edges"] == [
        {"made": made["id"], "source": "mdv_1", "relation": "fine_tune", "weight_ppb": 400_000_000},
        {"made": made["id"], "source": version, "relation": "training", "weight_ppb": 600_000_000},
    ]
    assert {row["id"] for row in lineage["model_versions"]} == {made["id"], "mdv_1"}
    assert [row["id"] for row in lineage["dataset_versions"]] == [version]
    down = read(house.client(), "/v1/model_versions/mdv_1/lineage?descendants=true", 0)
    assert [edge["made"] for edge in down["edges"]] == [made["id"]]
    assert read(house.client(), f"/v1/training_runs/{run}", 0)["dataset_versions"] == [version]
    assert len(read(house.client(), f"/v1/models/{model}/training_runs", 0)["data"]) == 1
    notice = recorded(
        house, "studio", f"{address}/withdraw", {"kind": "paused", "effective_day": TODAY, "note": "Soon."}
    )
    assert read(house.client(), address, notice["position"])["notice"] == "paused"
    assert [row["semver"] for row in read(house.client(), f"/v1/models/{model}/versions", 0)["data"]] == ["2.0.0"]
    assert [row["id"] for row in read(house.client(), "/v1/models?listed=false&search=two", 0)["data"]] == [model]
    report = read(house.client(), f"/v1/models/{model}/report", 0)
    assert report["series"] == [] and len(report["versions"]) == 1
    assert refused(house, "rival", f"{address}/publish", None)[:2] == (404, "not_the_owner")
    bad = {"semver": "2", "digest": HEX}
    assert refused(house, "studio", f"/v1/models/{model}/versions", bad) == (422, "malformed_semver", "/semver")


# -- terms, currencies, series -----------------------------------------------------------------------------------------

NEW_TERMS = {
    "purpose": "research",
    "territory": ["DE", "NL"],
    "term": "fixed_end",
    "term_ends_at": "2031-01-01T00:00:00.000000000Z",
    "unit": "seat",
    "transferable": False,
    "derivatives_allowed": True,
    "resale_royalty_ppm": 0,
    "text_digest": HEX,
    "license": "MIT",
}


def test_terms_and_a_series_are_listed_halted_and_resumed(house: RunningDoors) -> None:
    terms = recorded(house, "studio", "/v1/terms", NEW_TERMS)
    shown = read(house.client(), f"/v1/terms/{terms['id']}", terms["position"])
    assert shown | NEW_TERMS == shown and shown["developer"] == "pty_5"
    assert [row["id"] for row in read(house.client(), "/v1/terms?developer=pty_5", 0)["data"]] == ["trm_1", terms["id"]]
    currency = recorded(house, "operator", "/v1/currencies", {"code": "USDX", "exponent": 3})
    body = {
        "symbol": "ONE-RES/USDX",
        "model_version": "mdv_1",
        "terms": terms["id"],
        "currency": "USDX",
        "tick_size": "0.025",
        "lot_size": "10",
        "unit_name": "seat",
        "supply_cap": "1000",
        "max_order_quantity": "500",
        "max_order_notional": "100000.000",
    }
    listed = recorded(house, "studio", "/v1/series", body)
    address = f"/v1/series/{listed['id']}"
    series = read(house.client(), address, listed["position"])
    assert series | body | {"currency": currency["id"]} == series
    assert (series["phase"], series["currency_code"], series["ends_at"]) == ("open", "USDX", NEW_TERMS["term_ends_at"])
    assert series["resale_allowed"] is False and series["model_key"] == "studio/one"
    recorded(house, "risk", f"{address}/halt", {"reason": "risk", "note": "A question is open."})
    position = recorded(house, "studio", f"{address}/list_prices", LIST_PRICE)["position"]
    shown = read(house.client(), address, position)
    assert (shown["phase"], shown["halt_reason"], shown["list_price"]) == ("halted", "risk", "7.500")
    prices = read(house.client(), f"{address}/list_prices", 0)["data"]
    assert prices[0] | LIST_PRICE == prices[0]
    halted = house.client("alice").post(
        "/v1/orders", json={"series": listed["id"], "side": "buy", "quantity": "10", "price": "7.500"}
    )
    assert (halted.status_code, halted.json()["code"]) == (409, "series_halted")
    resumed = recorded(house, "operator", f"{address}/resume")
    assert read(house.client(), address, resumed["position"])["phase"] == "open"
    found = read(house.client(), "/v1/series?currency=USDX&phase=open&issuer=pty_5&model=mdl_1", 0)["data"]
    assert [row["id"] for row in found] == [listed["id"]]
    assert [row["id"] for row in read(house.client(), "/v1/series?symbol=ONE-RES/USDX", 0)["data"]] == [listed["id"]]
    assert read(house.client(), "/v1/currencies/USDX", 0)["id"] == currency["id"]


LIST_PRICE = {"price": "7.500", "basis": "listed", "source": "a page", "effective_day": TODAY}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tick_size": "0.0001"}, (422, "amount_not_on_minor_unit", "/tick_size")),
        ({"tick_size": "0"}, (422, "amount_out_of_range", "/tick_size")),
        ({"lot_size": "0"}, (422, "malformed_number", "/lot_size")),
        ({"supply_cap": "1000.5"}, (422, "quantity_not_on_lot", "/supply_cap")),
        ({"max_order_notional": "999999999999.00"}, (422, "value_out_of_range", "/max_order_notional")),
        ({"currency": "NONE"}, (422, "wrong_type", "/currency")),
        ({"currency": "ccy_zz"}, (404, "unknown_currency", "/currency")),
        ({"model_version": "mdv_zz"}, (404, "unknown_model_version", "/model_version")),
        ({"symbol": "one/EUR"}, (422, "malformed_symbol", "/symbol")),
        ({"symbol": "ONE-COMM/EUR"}, (409, "symbol_taken", "/symbol")),
        ({"ends_at": "2020-01-01T00:00:00Z"}, (422, "time_in_past", "/ends_at")),
        ({"ends_at": "soon"}, (422, "wrong_type", "/ends_at")),
    ],
)
def test_a_series_that_breaks_a_rule_is_refused_at_the_field_as_it_was_sent(
    house: RunningDoors, change: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    body = {
        "symbol": "ONE-X/EUR",
        "model_version": "mdv_1",
        "terms": "trm_1",
        "currency": "ccy_1",
        "tick_size": "0.05",
        "lot_size": "1",
        "unit_name": "seat",
        "supply_cap": "1000",
        "max_order_quantity": "500",
        "max_order_notional": "100000.00",
    }
    assert refused(house, "studio", "/v1/series", body | change) == expected


def test_fees_and_taxes_are_set_by_finance_and_seen_by_everybody(house: RunningDoors) -> None:
    adopted = recorded(house, "office", "/v1/fee_schedules", {"maker_ppm": 900, "taker_ppm": 1_900})
    assert read(house.client(), "/v1/fee_schedules", adopted["position"])["data"][0]["taker_ppm"] == 1_900
    taxed = recorded(house, "office", "/v1/tax_rates", {"country": "FR", "tax_ppm": 200_000})
    assert read(house.client(), "/v1/tax_rates?country=FR", taxed["position"])["data"][0]["tax_ppm"] == 200_000
    expected = (422, "rebate_exceeds_taker_fee", "/maker_ppm")
    assert refused(house, "office", "/v1/fee_schedules", {"maker_ppm": -5_000, "taker_ppm": 1}) == expected
    assert refused(house, "alice", "/v1/tax_rates", {"country": "FR", "tax_ppm": 0})[:2] == (403, "forbidden")


# -- money -------------------------------------------------------------------------------------------------------------


def new_payment(reference: str, amount: str = "12.34") -> dict[str, Any]:
    return {
        "party": "pty_8",
        "currency": "EUR",
        "amount": amount,
        "reference": reference,
        "effective_day": TODAY,
    }


def test_money_comes_in_and_goes_out_once_per_reference(house: RunningDoors) -> None:
    def available() -> str:
        house.settle()
        found: str = house.client("alice").get("/v1/balances").json()["balances"][0]["available"]
        return found

    before = available()
    made = recorded(house, "office", "/v1/deposits", new_payment("bank-1"))
    assert made["facts"][0]["data"] == new_payment("bank-1") | {"currency": "ccy_1"}
    assert available() != before
    recorded(house, "office", "/v1/withdrawals", new_payment("bank-1"))
    assert available() == before
    assert refused(house, "office", "/v1/deposits", new_payment("bank-1")) == (409, "duplicate_reference", "/reference")
    assert refused(house, "office", "/v1/deposits", new_payment("bank-1", "1.00"))[1] == "reference_conflict"
    assert refused(house, "office", "/v1/deposits", new_payment("b", "1.005")) == (
        422,
        "amount_not_on_minor_unit",
        "/amount",
    )
    assert refused(house, "office", "/v1/withdrawals", new_payment("b", "9000000.00"))[:2] == (
        409,
        "insufficient_funds",
    )
    assert refused(house, "alice", "/v1/deposits", new_payment("b"))[:2] == (403, "forbidden")
    lines = house.client("alice").get("/v1/statement?currency=EUR&limit=2").json()
    assert [line["amount"] for line in lines["data"]] == ["-12.34", "12.34"]
    assert [line["reason"] for line in lines["data"]] == ["withdrawal", "deposit"]
    assert lines["data"][0]["balance"] == lines["closing"] == before


def test_a_primary_sale_is_refunded_by_its_trade(house: RunningDoors) -> None:
    house.client("studio").sell("2.0", "12.00", primary=True)
    order = house.client("bob").buy("2.0", "12.00").json()
    fill = house.client("bob").get(f"/v1/fills?order={order['id']}&after={order['position']}").json()["data"][0]
    body = {"trade": fill["trade"], "quantity": "0.5", "reason": "Not what was promised."}
    made = recorded(house, "office", "/v1/refunds", body)
    data = made["facts"][0]["data"]
    assert (data["trade"], data["quantity"], data["price"], data["amount"]) == (fill["trade"], "0.5", "12.00", "12.00")
    grant = house.client("bob").get(f"/v1/grants?after={made['position']}").json()["data"][0]
    assert (grant["quantity"], grant["returned"]) == ("1.5", "0.5")
    assert house.client("bob").get(f"/v1/grants/{grant['id']}").json() == grant
    assert house.client("alice").get(f"/v1/grants/{grant['id']}").status_code == 404
    too_much = body | {"quantity": "2.0"}
    assert refused(house, "office", "/v1/refunds", too_much) == (409, "refund_exceeds_sale", "/quantity")
    assert refused(house, "office", "/v1/refunds", body | {"trade": "trd_1-0"})[:2] == (404, "unknown_trade")
    assert refused(house, "office", "/v1/refunds", body | {"trade": "trd_1"}) == (422, "wrong_type", "/trade")


def test_an_agreement_is_signed_and_seen_by_whom_it_concerns(house: RunningDoors) -> None:
    body = {
        "model": "mdl_1",
        "platform_ppb": 200_000_000,
        "agents": [{"party": "pty_7", "share_ppb": 100_000_000}],
        "data_ppb": 0,
        "upstream_ppb": 0,
    }
    made = recorded(house, "office", "/v1/agreements", body)
    assert [fact["kind"] for fact in made["facts"]] == ["AgreementSigned"]
    # It takes effect before the next command.
    house.client("alice").delete("/v1/orders")
    house.settle()
    shown = read(house.client("studio"), f"/v1/agreements/{made['id']}", made["position"])
    assert shown | body == shown and shown["in_force"]
    assert house.client("rival").get(f"/v1/agreements/{made['id']}").status_code == 404
    assert house.client("rival").get("/v1/agreements").status_code == 403
    assert house.client("rival").get("/v1/agreements?model=mdl_1").status_code == 404
    assert len(house.client("auditor").get("/v1/agreements").json()["data"]) == 2
    assert len(house.client("studio").get("/v1/agreements?model=mdl_1").json()["data"]) == 2
    whole = body | {"platform_ppb": 1_000_000_000}
    assert refused(house, "office", "/v1/agreements", whole)[:2] == (422, "shares_above_whole")


# -- keys and users ----------------------------------------------------------------------------------------------------


def test_a_key_is_made_used_and_revoked(house: RunningDoors) -> None:
    made = house.client("alice").post("/v1/keys", json={"kind": "hmac", "scopes": ["read"], "label": "bot"}).json()
    signer = HmacSigner(made["id"], made["secret"])
    client = Client(house, "alice", signer)
    assert client.get("/v1/balances").status_code == 200
    assert client.buy("1.0", "1.00").status_code == 403
    shown = house.client("alice").get(f"/v1/keys/{made['id']}").json()
    assert "secret" not in shown and shown["last_used_at"] is not None
    assert house.client("bob").get(f"/v1/keys/{made['id']}").status_code == 404
    assert house.client("bob").delete(f"/v1/keys/{made['id']}").status_code == 404
    assert made["id"] in [key["id"] for key in house.client("alice").get("/v1/keys").json()["data"]]
    assert house.client("alice").delete(f"/v1/keys/{made['id']}").json()["revoked_at"] is not None
    assert client.get("/v1/balances").json()["code"] == "key_revoked"


def test_an_ed25519_key_is_made_of_its_public_half(house: RunningDoors) -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    body = {"kind": "ed25519", "scopes": ["read", "trade"], "public_key": public}
    made = house.client("bob").post("/v1/keys", json=body).json()
    assert made["secret"] is None
    client = Client(house, "bob", Ed25519Signer(made["id"], private))  # type: ignore[arg-type]
    assert client.get("/v1/keys").status_code == 200
    assert house.client("bob").post("/v1/keys", json=body | {"public_key": "AAAA"}).status_code == 422


def test_a_user_is_made_by_the_operator_only(house: RunningDoors) -> None:
    body = {"party": "pty_8", "login": "alice@example.org", "password": "correct horse battery"}
    made = house.client("operator").post("/v1/users", json=body)
    assert made.status_code == 201 and "password" not in made.text
    assert refused(house, "operator", "/v1/users", body)[:2] == (409, "login_taken")
    assert refused(house, "alice", "/v1/users", body)[:2] == (403, "forbidden")
    assert refused(house, "operator", "/v1/users", body | {"party": "pty_zz"})[:2] == (404, "unknown_party")
    assert [user["login"] for user in house.client("alice").get("/v1/users").json()["data"]] == ["alice@example.org"]
    assert house.client("bob").get("/v1/users").json()["data"] == []
    user = made.json()["id"]
    assert house.client("operator").post(f"/v1/users/{user}/disable").json()["disabled_at"] is not None
    assert refused(house, "operator", "/v1/users/usr_zz/disable", None)[:2] == (404, "not_found")


# -- completeness ------------------------------------------------------------------------------------------------------

ASKED_ELSEWHERE = {"OpenHouse", "RecordStateRoot"}
"""Only the house itself asks for these."""


def test_every_command_that_a_role_may_ask_has_a_route(house: RunningDoors) -> None:
    asked = {type_.__name__ for type_, (roles, _) in DECISIONS.items() if roles}
    assert {type_.__name__ for type_ in DECISIONS} - asked == ASKED_ELSEWHERE
    routes = house.app.openapi()["paths"]
    writes = [path for path, item in routes.items() for method in item if method in ("post", "delete", "patch")]
    rare = [path for path in writes if not path.startswith(("/v1/orders", "/v1/keys", "/v1/users"))]
    assert len(rare) == len(asked)


def test_a_key_is_one_request_whatever_it_asks(house: RunningDoors) -> None:
    headers = {"Idempotency-Key": f"key-{next(KEYS)}"}
    first = house.client("office").post("/v1/deposits", json=new_payment("bank-9"), headers=headers)
    assert first.status_code == 201
    other = house.client("office").post("/v1/withdrawals", json=new_payment("bank-9"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "request_id_reused")


def test_nobody_is_let_in_without_a_signature(house: RunningDoors) -> None:
    for address in ("/v1/orders", "/v1/balances", "/v1/parties", f"/v1/series/{SERIES}/halt"):
        method = "POST" if address.endswith("halt") else "GET"
        answer = house.client().request(method, address, json={"reason": "risk"} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), address
