"""Reports and history over HTTP: what they say, who may see it, and files that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.csv_export import csv_text
from tests.api.doors import NUMBER_OF, SYMBOL, RunningDoors, running_doors


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoors]:
    """Two primary sales, a resale and a refund."""
    with running_doors(tmp_path_factory.mktemp("reports")) as running:
        studio, alice, bob, office = (running.client(name) for name in ("studio", "alice", "bob", "office"))
        studio.sell("10.0", "12.00", primary=True)
        sold = alice.buy("3.0", "12.00").json()
        bob.buy("2.0", "12.00")
        studio.delete("/v1/orders")
        alice.sell("1.0", "12.50")
        bob.buy("1.0", "12.50", type="market")
        bob.buy("1.0", "12.50")
        fill = alice.get(f"/v1/fills?order={sold['id']}&after={sold['position']}").json()["data"][0]
        refund = {"trade": fill["trade"], "quantity": "0.5", "reason": "Not what was promised."}
        assert office.post("/v1/refunds", json=refund).status_code == 201
        running.settle()
        yield running


def get(house: RunningDoors, name: str | None, address: str) -> Any:
    answer = house.client(name).get(address)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_revenue_adds_up_by_payee_and_by_series(house: RunningDoors) -> None:
    report = get(house, "office", "/v1/reports/revenue-share")
    series = report["series"][0]
    assert series["reconciles"] and report["whole"]
    assert {row["payee"] for row in report["payees"]} == {"pty_0", "pty_5", "pty_7"}
    for field in ("shares", "reclaimed"):
        assert sum(Decimal(row[field]) for row in report["payees"]) == Decimal(series[field])
    suspense = Decimal(series["suspense_after"])
    assert sum(Decimal(row["carried"]) for row in report["payees"]) == suspense
    assert report["totals"][0]["earned"] == str(Decimal(series["shares"]) - Decimal(series["reclaimed"]))
    names = {row["payee"]: row["payee_name"] for row in report["payees"]}
    assert names["pty_5"] == "Studio"


def test_a_payee_sees_its_own_share_and_no_other(house: RunningDoors) -> None:
    report = get(house, "agent", "/v1/reports/revenue-share")
    assert {row["payee"] for row in report["payees"]} == {"pty_7"}
    assert house.client("agent").get("/v1/reports/revenue-share?payee=pty_5").status_code == 404
    assert house.client().get("/v1/reports/revenue-share").status_code == 401
    assert get(house, "auditor", "/v1/reports/revenue-share?payee=pty_7")["payees"] == report["payees"]


def test_revenue_is_narrowed_in_time_and_to_a_series_or_model(house: RunningDoors) -> None:
    whole = get(house, "office", "/v1/reports/revenue-share?by_day=true")
    day = whole["payees"][0]["period"]
    for query in (
        f"first_day={day}",
        f"last_day={day}",
        f"month={day[:7]}",
        f"series={SYMBOL}",
        "model=mdl_1",
        "currency=EUR",
    ):
        assert get(house, "office", f"/v1/reports/revenue-share?by_day=true&{query}")["payees"] == whole["payees"], (
            query
        )
    for query in ("last_day=2020-01-01", "month=2020-01", "model=mdl_9"):
        assert get(house, "office", f"/v1/reports/revenue-share?{query}")["payees"] == [], query
    for query in ("first_day=2026-02-30", "month=2026", "series=ser_zz", "format=xml"):
        assert house.client("office").get(f"/v1/reports/revenue-share?{query}").status_code in (404, 422), query


def test_the_file_has_the_rows_of_the_screen(house: RunningDoors) -> None:
    answer = house.client("office").get("/v1/reports/revenue-share?format=csv&month=2026-11")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="revenue-share-2026-11-')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = get(house, "office", "/v1/reports/revenue-share?month=2026-11")["payees"]
    assert rows == [{name: "" if value is None else str(value) for name, value in row.items()} for row in shown]


def test_each_share_is_a_line_that_says_what_it_is_a_part_of(house: RunningDoors) -> None:
    lines = get(house, "agent", "/v1/reports/revenue-share/lines")["data"]
    for line in lines:
        amount = Decimal(line["sales"]) + Decimal(line["royalties"]) - Decimal(line["refunds"])
        exact = Decimal(line["carried_before"]) + amount * line["weight_ppb"] / 10**9
        assert exact == Decimal(line["share"]) + Decimal(line["carried_after"])
    total = sum(Decimal(line["share"]) for line in lines)
    assert get(house, "agent", "/v1/reports/revenue-share")["totals"][0]["earned"] == str(total)
    paged: list[Any] = []
    page = get(house, "agent", "/v1/reports/revenue-share/lines?limit=1")
    paged += page["data"]
    while page["has_more"]:
        page = get(house, "agent", f"/v1/reports/revenue-share/lines?limit=1&cursor={page['next_cursor']}")
        paged += page["data"]
    assert paged == lines


def test_the_houses_income_and_balance_are_for_finance_and_auditors(house: RunningDoors) -> None:
    income = get(house, "office", "/v1/reports/house-income")["income"][0]
    assert (income["trades"], income["primary"], income["notional"]) == (3, "120.00", "145.00")
    balance = get(house, "auditor", "/v1/reports/trial-balance")
    assert balance["balanced"]
    sums: dict[str, Decimal] = {}
    for line in balance["lines"]:
        sums[line["asset"]] = sums.get(line["asset"], Decimal()) + Decimal(line["available"]) + Decimal(line["held"])
    assert set(sums.values()) == {Decimal()}
    for address in ("/v1/reports/house-income", "/v1/reports/trial-balance"):
        assert house.client("alice").get(address).status_code == 403


def test_a_model_report_shows_units_to_all_and_amounts_of_payees_to_whom_they_concern(house: RunningDoors) -> None:
    report = get(house, None, "/v1/models/mdl_1/report")
    series = report["series"][0]
    assert (series["issued"], series["with_holders"], series["retired"], series["holders"]) == ("5.0", "4.5", "0.5", 2)
    assert sum(row["weight_ppb"] for row in series["waterfall"]) == 10**9
    assert report["earned_by_payee"] == [] and report["agreements"] == []
    assert {row["payee"] for row in get(house, "agent", "/v1/models/mdl_1/report")["earned_by_payee"]} == {"pty_7"}
    whole = get(house, "studio", "/v1/models/mdl_1/report")
    assert len(whole["earned_by_payee"]) == 3 and len(whole["agreements"]) == 1
    assert house.client().get("/v1/models/mdl_zz/report").status_code == 404


# -- what a party has --------------------------------------------------------------------------------------------------


def test_balances_say_which_orders_hold_what(house: RunningDoors) -> None:
    found = get(house, "bob", "/v1/balances")
    cash = found["balances"][0]
    assert (cash["code"], cash["kind"]) == ("EUR", "available")
    assert sum(Decimal(hold["amount"]) for hold in cash["holds"]) == Decimal(cash["held"]) > 0
    assert get(house, "office", "/v1/balances?party=pty_9") == found
    assert house.client("alice").get("/v1/balances?party=pty_9").status_code == 404
    assert get(house, "bob", "/v1/holdings")["holdings"][0]["available"] == "3.0"


def test_a_statement_adds_up_from_line_to_line(house: RunningDoors) -> None:
    statement = get(house, "alice", "/v1/statement?currency=EUR")
    lines = statement["data"]
    balance = Decimal(statement["closing"])
    for line in lines:
        assert Decimal(line["balance"]) == balance
        parts = ("trade", "fee", "tax", "royalty", "share", "other")
        assert sum(Decimal(line[part]) for part in parts) == Decimal(line["amount"])
        balance -= Decimal(line["amount"])
    assert balance == Decimal(statement["opening"]) == 0
    page = get(house, "alice", "/v1/statement?currency=EUR&limit=2")
    rest = get(house, "alice", f"/v1/statement?currency=EUR&limit=200&cursor={page['next_cursor']}")
    assert page["data"] + rest["data"] == lines
    assert house.client("alice").get("/v1/statement").json()["code"] == "missing_field"
    assert house.client("alice").get("/v1/statement?currency=ccy_9").status_code == 404


# -- history -----------------------------------------------------------------------------------------------------------


def test_the_history_is_filtered_by_what_it_concerns(house: RunningDoors) -> None:
    def kinds(query: str) -> set[str]:
        return {row["kind"] for row in get(house, "auditor", f"/v1/audit/events?limit=200&{query}")["data"]}

    assert kinds("kind=SeriesListed&kind=TermsAdopted") == {"SeriesListed", "TermsAdopted"}
    assert "FlowBlock" in kinds("") and "FlowBlock" not in kinds("facts_only=true")
    assert kinds("actor=pty_1") == {"DepositRecorded", "SaleRefunded"}
    assert {"SeriesListed", "WaterfallCompiled"} <= kinds("series=ser_1")
    assert kinds("search=promised") == {"SaleRefunded"}
    assert kinds("since=2100-01-01T00:00:00Z") == set()
    rows = get(house, "auditor", "/v1/audit/events?oldest_first=true&first_position=3&last_position=5")["data"]
    assert [row["position"] for row in rows] == [3, 4, 5]
    assert house.client("alice").get("/v1/audit/events").status_code == 403
    counts = get(house, "auditor", "/v1/audit/kinds")["kinds"]
    assert {row["kind"]: row["entries"] for row in counts}["PartyRegistered"] == len(NUMBER_OF)


def test_the_whole_history_is_paged_without_gaps(house: RunningDoors) -> None:
    seen: list[int] = []
    page = get(house, "auditor", "/v1/audit/events?limit=25")
    seen += [row["position"] for row in page["data"]]
    while page["has_more"]:
        page = get(house, "auditor", f"/v1/audit/events?limit=25&cursor={page['next_cursor']}")
        seen += [row["position"] for row in page["data"]]
    assert seen == list(range(house.doors.house.store.position, 0, -1))


def test_every_entry_is_shown_as_it_is_stored(house: RunningDoors) -> None:
    for entry in house.doors.house.store.read():
        shown = get(house, "auditor", f"/v1/audit/entries/{entry.position}")
        assert (shown["stream"], shown["version"], shown["topic"]) == (entry.stream, entry.version, entry.topic)
        assert shown["size"] == len(entry.state)
        event = get(house, "auditor", f"/v1/audit/events/{entry.position}")
        if shown["fact"] is not None:
            assert (event["kind"], event["command"]) == (shown["fact"]["kind"], shown["command"])
            assert shown["body"].encode() == entry.state
    refund = get(house, "auditor", "/v1/audit/events?kind=SaleRefunded")["data"][0]
    shown = get(house, "auditor", f"/v1/audit/entries/{refund['position']}")
    assert shown["fact"]["data"]["reason"] == refund["text"] == "Not what was promised."
    assert "promised" not in shown["body"]
    assert house.client("auditor").get("/v1/audit/entries/999999").status_code == 404
    assert house.client("auditor").get("/v1/audit/entries/0").status_code == 422


# -- files -------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=12))
def test_no_text_in_a_file_starts_a_formula_and_each_is_read_back(text: str) -> None:
    written = csv_text(("name", "amount"), [{"name": text, "amount": "-1.00"}], numbers=frozenset({"amount"}))
    header, row = csv.reader(io.StringIO(written, newline=""))
    assert header == ["name", "amount"] and row[1] == "-1.00"
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert row[0].removeprefix("'") == text.removeprefix("'")
