"""The demo, served: who comes buys at once and sees everything that followed, among traders who go on by themselves."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from api import cli
from api.bootstrap import continuing, places
from api.demo import cast
from api.demo.guests import LOGINS, parties
from api.demo.runner import open_house, play
from api.demo.traders import GUEST, Crowd
from domain.rejections import Reason
from ledger.sequencer import OrderReplies, Orders
from tests.api.served import PATIENCE, Served, served, stop, wait_until

DAYS = 1
TEN_SECONDS = 10.0


def tallystick(*arguments: object, exit_code: int = 0) -> Any:
    result = CliRunner().invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == exit_code, (result.stdout, result.stderr)
    return json.loads(result.stdout)


def test_a_newcomer_buys_at_once_and_sees_fill_grant_split_and_entries_and_the_demo_goes_on_another_day(
    tmp_path: Path,
) -> None:
    data = tmp_path / "demo"
    with served(data, "--days", DAYS, command="demo") as house:
        began = time.monotonic()
        told = json.loads(data.with_suffix(".out").read_text())
        assert told["days"] == DAYS and told["steps_resumed"] == 0 and len(told["state_hash"]) == 64
        client = ["--credentials", data / "client.json"]
        placed = tallystick("order", "buy", "META-LLAMA/USD", 2, "@", "75.00", *client)
        assert placed["status"] == "filled" and placed["fills"] >= 1
        wait_until(lambda: _filled(placed["id"], client), "the order is not shown as filled", PATIENCE)
        entries = tallystick("report", "revenue-share", "--data", data, "--series", "META-LLAMA/USD")
        assert entries["reconciles"] is True
        assert time.monotonic() - began < TEN_SECONDS + PATIENCE  # Ten seconds; the rest is for a busy machine.

        _sign_in_by_one_click(house)
        position = house.http.get("/v1/status").json()["log_position"]
        wait_until(
            lambda: house.http.get("/v1/status").json()["log_position"] > position + 3, "the traders do not trade"
        )
        assert stop(house, signal.SIGINT) == 0
    assert tallystick("verify", "--data", data)["verified"] is True
    refused = tallystick("demo", "--once", "--data", data, "--days", DAYS, exit_code=1)
    assert refused["error"]["code"] == "log_of_another_history", "its final state is not that of the history"

    with served(data, "--days", DAYS, command="demo") as house:
        again = json.loads(data.with_suffix(".out").read_text())
        assert again["steps_resumed"] > 2_000 and again["position"] > told["position"]
        assert {order["id"] for order in tallystick("order", "list", *client)["data"]} >= {placed["id"]}
        assert stop(house, signal.SIGTERM) == 0


def _filled(order: str, client: list[object]) -> bool:
    found = tallystick("order", "list", *client)["data"]
    return any(one["id"] == order and one["status"] == "filled" for one in found)


def _sign_in_by_one_click(house: Served) -> None:
    """The page offers every role; one click later one is somebody."""
    page = house.http.get("/signin").text
    assert all(f'value="{login}"' in page for login in LOGINS)
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
    answer = house.http.post(
        "/signin/demo", data={**fields, "login": "auditor"}, headers={"Origin": house.url}, follow_redirects=False
    )
    assert answer.status_code == 303 and "session=" in answer.headers["Set-Cookie"], answer.text


def test_every_guest_is_a_party_of_its_role_and_the_trader_is_nobody_who_trades_by_itself() -> None:
    found = parties()
    assert tuple(found) == LOGINS and len(set(found.values())) == len(LOGINS)
    roles = {number: member.roles for number, member in enumerate(cast.members(), start=1)}
    wanted = {
        "trader": "TRADER",
        "developer": "DEVELOPER",
        "finance": "FINANCE",
        "auditor": "AUDITOR",
        "operator": "OPERATOR",
        "payee": "AGENT",
    }
    for login, role in wanted.items():
        assert role in str(roles[found[login]].name), login


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("market")
    with open_house(places(data)) as house:
        play(house, cli.SEED, days=DAYS)
    return data


def test_the_crowd_keeps_a_market_whatever_comes_back(market: Path) -> None:
    """A thousand turns: most are accepted, some trade, the book does not grow without end, the guest does nothing."""
    crowd = Crowd(cli.SEED, DAYS)
    guest = cast.number_of()[GUEST]
    with open_house(places(market)) as house:
        now_ns = house.state.at_ns + 10**9
        house.go_by(continuing(lambda: now_ns, house.state.at_ns))
        codes: list[int] = []
        fills = 0

        def send(rows: Any) -> None:
            nonlocal fills
            assert not np.any(rows["account"] == guest)
            (answer,) = house.process([Orders(rows)])
            assert isinstance(answer, OrderReplies)
            codes.extend(answer.results["code"].tolist())
            fills += int(answer.results["fills"].sum())
            crowd.learn(rows, answer.results)

        send(crowd.opening())
        opened = int(house.state.tables.book.tally["open_orders"][0])
        for _ in range(1_000):
            send(crowd.next())
        assert fills > 300
        assert codes.count(0) / len(codes) > 0.9
        assert set(codes) <= {0, Reason.ORDER_NOT_OPEN, Reason.INSUFFICIENT_UNITS, Reason.INSUFFICIENT_FUNDS}
        assert int(house.state.tables.book.tally["open_orders"][0]) < opened + 400


def test_the_same_seed_and_the_same_answers_give_the_same_turns() -> None:
    first, second = Crowd(7, 90), Crowd(7, 90)
    assert first.opening().tobytes() == second.opening().tobytes()
    assert all(first.next().tobytes() == second.next().tobytes() for _ in range(50))


def test_house_time_goes_on_from_where_it_is_and_never_back() -> None:
    now = [1_000]
    clock = continuing(lambda: now[0], 5_000)
    assert clock() == 5_000
    now[0] += 70
    assert clock() == 5_070
    assert continuing(lambda: now[0], 900)() == 1_070
