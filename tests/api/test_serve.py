"""A served house, over HTTP and with its real processes: it opens, it answers, it is killed, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from api import cli
from api.auth.signatures import Signer
from api.bootstrap import House, places
from tests.api.served import (
    PATIENCE,
    Served,
    children_of,
    is_alive,
    new_key,
    self_signed,
    served,
    started,
    stop,
    topics,
    wait_until,
)
from tests.api.small_house import BUYER, LIMITS, OFFICE, STUDIO, tell


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a house with a history, as its owner left it."""
    folder = tmp_path / "house"
    tell(folder)
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path, Signer]]:
    """A served house that tests may trade in, its folder, and a key of the buyer."""
    folder = tmp_path_factory.mktemp("shared") / "house"
    tell(folder)
    with served(folder) as house:
        yield house, folder, new_key(folder, BUYER)


def verified(folder: Path) -> dict[str, Any]:
    result = CliRunner().invoke(cli.app, ["verify", "--data", str(folder), "--json"])
    assert result.exit_code == 0, result.stdout
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_a_buyer_sees_the_fill_the_grant_the_split_and_the_entries(shared: tuple[Served, Path, Signer]) -> None:
    house, folder, buyer = shared
    wait_until(lambda: house.ask(buyer, "GET", "/v1/orders").status_code == 200, "the new key is known within a second")
    placed = house.buy(buyer, 3)
    assert placed.status_code == 201 and placed.json()["status"] == "filled", placed.text
    position = int(placed.headers["X-Position"])

    def read(who: Signer, target: str) -> Any:
        address = f"{target}{'&' if '?' in target else '?'}after={position}"
        # On a busy machine the read models may need longer than one request waits.
        while (answer := house.ask(who, "GET", address)).status_code == 503:
            assert answer.json()["code"] == "projection_lagging", answer.text
        assert answer.status_code == 200, (target, answer.text)
        return answer.json()

    (fill,) = read(buyer, f"/v1/fills?order={placed.json()['id']}")["data"]
    assert (fill["quantity"], fill["price"], fill["side"]) == ("3", "1.01", "buy")
    assert any(grant["series"] == fill["series"] for grant in read(buyer, "/v1/grants")["data"])
    finance = new_key(folder, OFFICE)
    wait_until(lambda: house.ask(finance, "GET", "/v1/balances").status_code == 200, "the second key is known")
    shares = read(finance, "/v1/reports/revenue-share")["payees"]
    assert {row["payee"] for row in shares} >= {"pty_0", "pty_2"}, "the house and the developer are paid"
    assert topics(folder)[position - 1] == "FlowBlock.1"


def test_ready_says_so_only_when_the_read_models_are_there(shared: tuple[Served, Path, Signer]) -> None:
    house, _, _ = shared
    wait_until(lambda: house.http.get("/v1/ready").status_code == 200, "it never became ready")
    assert house.http.get("/v1/health").json() == {"status": "ok"}


def test_its_figures_are_for_this_machine_and_for_operators(shared: tuple[Served, Path, Signer]) -> None:
    house, _, _ = shared
    wait_until(lambda: house.http.get("/v1/ready").status_code == 200, "it never became ready")
    text = house.http.get("/metrics").text
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(found["tallystick_log_position"]) >= float(found["tallystick_reads_position"]) > 0
    assert found["tallystick_accepting"] == "1.0" and found["tallystick_follower_up"] == "1.0"
    assert {"tallystick_queue_items", "tallystick_open_orders", "tallystick_append_seconds_count"} <= set(found)
    assert float(found["tallystick_batch_rows_count"]) == float(found["tallystick_decide_seconds_count"])
    elsewhere = house.http.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"})
    assert elsewhere.status_code == 401 and elsewhere.json()["code"] == "unauthenticated"


def test_a_second_server_of_the_same_log_is_refused_and_the_first_goes_on(shared: tuple[Served, Path, Signer]) -> None:
    house, folder, buyer = shared
    second = folder.with_name("second")
    second.symlink_to(folder)
    with started(second, "--port", 0) as process:
        assert process.wait(60) == 1
    error = json.loads(second.with_suffix(".out").read_text())["error"]
    assert error["code"] == "log_locked" and "another writer" in error["message"]
    wait_until(lambda: house.buy(buyer).status_code == 201, "the first one trades on")


def test_the_order_command_trades_and_tells_problems_by_their_codes(
    shared: tuple[Served, Path, Signer], tmp_path: Path
) -> None:
    house, folder, _ = shared
    arguments = ["key", "add", "--party", "pty_4", "--data", str(folder), "--save", str(tmp_path / "me.json")]
    assert CliRunner().invoke(cli.app, [*arguments, "--url", house.url]).exit_code == 0
    assert (tmp_path / "me.json").stat().st_mode & 0o077 == 0

    def order(*words: str, exit_code: int = 0) -> Any:
        result = CliRunner().invoke(cli.app, ["order", *words, "--credentials", str(tmp_path / "me.json"), "--json"])
        assert result.exit_code == exit_code, (result.stdout, result.stderr)
        return json.loads(result.stdout)

    wait_until(lambda: house.http.get("/v1/ready").status_code == 200, "it never became ready")
    time.sleep(1.1)  # A key made by another process is known after a second.
    bid = order("buy", "ONE/EUR", "2", "@", "0.50")
    assert bid["status"] == "open" and bid["price"] == "0.50"
    wait_until(lambda: bid["id"] in {one["id"] for one in order("list")["data"]}, "it is not listed")
    assert order("cancel", bid["id"])["remaining_quantity"] == "0"
    assert order("buy", "ONE/EUR", "2", "@", "1.015", exit_code=1)["error"]["code"] == "price_not_on_tick"
    assert order("buy", "NONE/EUR", "2", "@", "1.01", exit_code=1)["error"]["code"] == "unknown_symbol"


def test_it_logs_json_and_never_a_secret(shared: tuple[Served, Path, Signer]) -> None:
    house, _, buyer = shared
    house.buy(buyer)
    events = house.events()
    assert {"doors_open", "condition"} <= {event["event"] for event in events}
    text = house.stderr.read_text()
    assert "tsk_" not in text and "X-Signature" not in text


def test_an_interrupt_stops_it_within_seconds_with_everything_that_it_started(data: Path) -> None:
    with served(data) as house:
        follower = house.follower
        assert stop(house, signal.SIGINT) == 0
        assert not is_alive(follower), "the follower ends with it"
        assert [event["event"] for event in house.events()][-2:] == ["doors_closed", "stopped"]
    assert not (data / "writer.sock").exists()


def test_stopped_under_load_it_has_every_order_that_it_acknowledged(data: Path) -> None:
    signers = [new_key(data, BUYER) for _ in range(2)]
    acknowledged: list[int] = []
    going = threading.Event()

    def trade(house: Served, signer: Signer) -> None:
        with httpx.Client(base_url=house.url, timeout=30.0) as client:
            mine = Served(house.process, house.url, house.stderr)
            mine.http = client
            for _ in range(10_000):
                try:
                    answer = mine.buy(signer, price="0.01")
                except httpx.HTTPError:
                    return
                if answer.status_code == 201:
                    acknowledged.append(answer.json()["command"])
                else:
                    assert answer.status_code in (409, 429, 503), answer.text
                if len(acknowledged) > 50:
                    going.set()

    with served(data) as house:
        threads = [threading.Thread(target=trade, args=(house, signer)) for signer in signers for _ in range(3)]
        for thread in threads:
            thread.start()
        assert going.wait(60)
        began = time.monotonic()
        assert stop(house, signal.SIGTERM) == 0
        assert time.monotonic() - began < 8
        for thread in threads:
            thread.join(30)
    with House(places(data), limits=LIMITS) as recovered:
        assert recovered.state.next_command > max(acknowledged)
        assert len(set(acknowledged)) == len(acknowledged) > 50
    verified(data)


def test_killed_it_has_every_order_that_it_acknowledged_and_answers_a_repeat_the_same(data: Path) -> None:
    buyer = new_key(data, BUYER)
    with served(data) as house:
        follower = house.follower
        first = house.buy(buyer, 2, key="once")
        assert first.status_code == 201
        house.process.kill()
        house.process.wait()
        wait_until(lambda: not is_alive(follower), "the follower outlived its writer")
    with served(data) as house:
        # What was signed before is not accepted, and a client's clock may be ahead.
        wait_until(lambda: house.ask(buyer, "GET", "/v1/orders").status_code == 200, "nothing signed is accepted again")
        again = house.buy(buyer, 2, key="once")
        assert again.status_code == 201 and again.headers["Idempotent-Replayed"] == "true"
        assert (again.json()["id"], again.json()["command"]) == (first.json()["id"], first.json()["command"])
        fills = f"/v1/fills?order={first.json()['id']}&after={first.json()['position']}"
        wait_until(lambda: house.ask(buyer, "GET", fills).status_code == 200, "the read models do not come back")
        assert [fill["quantity"] for fill in house.ask(buyer, "GET", fills).json()["data"]] == ["2"]
    verified(data)


def test_a_killed_follower_is_started_again_and_the_read_models_miss_nothing(data: Path) -> None:
    buyer = new_key(data, BUYER)
    with served(data) as house:
        for _ in range(2):
            follower = house.follower
            os.kill(follower, signal.SIGKILL)
            wait_until(lambda gone=follower: gone not in children_of(house.process.pid), "it is not noticed")  # type: ignore[misc]
            placed = house.buy(buyer)
            assert placed.status_code == 201, "the house goes on meanwhile"
            wait_until(lambda: len(children_of(house.process.pid)) == 1, "it is not started again")
            target = f"/v1/fills?order={placed.json()['id']}&after={placed.json()['position']}"
            wait_until(lambda target=target: len(house.ask(buyer, "GET", target).json().get("data", ())) == 1, target)  # type: ignore[misc]
        assert "follower_ended" in {event["event"] for event in house.events()}
        assert stop(house, signal.SIGTERM) == 0


def test_a_house_whose_follower_cannot_live_accepts_nothing_and_still_shows_what_it_has(data: Path) -> None:
    buyer = new_key(data, BUYER)
    with served(data) as house:
        wait_until(lambda: house.http.get("/v1/ready").status_code == 200, "it never became ready")
        deadline = time.monotonic() + PATIENCE
        while not _is_lost(house) and time.monotonic() < deadline:
            for child in children_of(house.process.pid):
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
        refused = house.buy(buyer)
        assert refused.status_code == 503 and refused.json()["code"] == "writer_stopped", refused.text
        assert int(refused.headers["Retry-After"]) > 0
        assert house.http.get("/v1/ready").status_code == 503
        assert house.http.get("/v1/series").status_code == 200
        assert stop(house, signal.SIGTERM) == 0


def _is_lost(house: Served) -> bool:
    return "follower_lost" in {event["event"] for event in house.events()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "can be reached from other machines"),  # noqa: S104
        (("--host", "::"), "can be reached from other machines"),
        (("--trusted-proxies", "10.0.0.0/8"), "only together with behind_proxy"),
        (("--trusted-proxies", "everybody", "--behind-proxy"), "everybody"),
        (("--log-format", "xml"), "log-format"),
    ],
)
def test_what_would_be_unsafe_or_makes_no_sense_is_refused_before_anything_is_opened(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    result = CliRunner().invoke(cli.app, ["serve", "--data", str(tmp_path / "none"), *options])
    assert result.exit_code == 2 and said in " ".join(result.stderr.replace("│", " ").split()), result.stderr
    assert not (tmp_path / "none").exists()


def test_a_port_that_is_taken_is_told(shared: tuple[Served, Path, Signer], tmp_path: Path) -> None:
    house, _, _ = shared
    port = house.url.rsplit(":", 1)[1]
    result = CliRunner().invoke(cli.app, ["serve", "--data", str(tmp_path / "none"), "--port", port, "--json"])
    assert result.exit_code == 1 and json.loads(result.stdout)["error"]["code"] == "address_unavailable"
    assert not (tmp_path / "none").exists()


def test_the_developer_of_another_model_is_told_of_no_order_of_the_buyer(
    shared: tuple[Served, Path, Signer],
) -> None:
    house, folder, buyer = shared
    studio = new_key(folder, STUDIO)
    placed = house.buy(buyer).json()["id"]
    wait_until(lambda: house.ask(studio, "GET", "/v1/orders").status_code == 200, "the key is known")
    assert house.ask(studio, "GET", f"/v1/orders/{placed}").status_code == 404


def test_it_speaks_tls_to_whom_knows_its_certificate(tmp_path: Path) -> None:
    key, certificate = self_signed(tmp_path)
    with served(tmp_path / "house", "--tls-key", key, "--tls-certificate", certificate) as house:
        assert house.url.startswith("https://")
        with httpx.Client(verify=ssl.create_default_context(cafile=str(certificate))) as client:
            answer = client.get(f"{house.url}/v1/health")
        assert answer.status_code == 200 and "max-age" in answer.headers["Strict-Transport-Security"]
        with pytest.raises(httpx.ConnectError):
            house.http.get("/v1/health")  # Does not know it.
        assert stop(house, signal.SIGTERM) == 0


def test_on_postgresql_it_keeps_users_and_read_models_beside_the_log_and_is_backed_up_meanwhile(
    tmp_path: Path, postgres_database: str
) -> None:
    place = ["--data", str(tmp_path / "house"), "--log-url", postgres_database]

    def tallystick(*words: str, given: str | None = None) -> Any:
        result = CliRunner().invoke(cli.app, [*words, "--json"], input=given)
        assert result.exit_code == 0, (result.stdout, result.stderr)
        return json.loads(result.stdout)

    tallystick("party", "add", "The Operator", "--country", "NL", "--role", "operator", *place)
    tallystick("user", "add", "ann", "--party", "pty_1", *place, given="a long enough password\n")
    with served(tmp_path / "house", "--log-url", postgres_database) as house:
        wait_until(lambda: house.http.get("/v1/ready").status_code == 200, "it never became ready")
        wait_until(lambda: house.http.get("/v1/status").json()["lag"] == 0, "the read models do not follow")
        status = house.http.get("/v1/status").json()
        assert status["reads_position"] == status["log_position"] > 2
        made = tallystick("backup", str(tmp_path / "backup"), *place)
        assert made["position"] == status["log_position"] and {"log.copy", "auth.jsonl"} <= set(made["files"])
        assert stop(house, signal.SIGTERM) == 0
    assert not (tmp_path / "house" / "auth.sqlite").exists()
    tallystick("restore", str(tmp_path / "backup"), "--data", str(tmp_path / "again"))
    assert [user["login"] for user in tallystick("user", "list", "--data", str(tmp_path / "again"))["users"]] == ["ann"]
