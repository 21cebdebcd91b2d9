"""Parties, users and API keys from the command line, settings, credentials, and what logs leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from api import cli
from api.auth.signatures import Ed25519Signer, HmacSigner
from api.auth.store import AuthStore
from api.bootstrap import places
from api.client import Client, ClientFailed, credentials, save_credentials
from api.logs import CUT_OUT, cut_secrets_out
from api.problems import Problem
from api.settings import Settings
from tests.api.small_house import tell

PASSWORD = "a long enough password"  # noqa: S105


def tallystick(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments], input=given)


def found(result: Result, exit_code: int = 0) -> dict[str, Any]:
    assert result.exit_code == exit_code, (result.exit_code, result.stdout, result.stderr, result.exception)
    value: dict[str, Any] = json.loads(result.stdout)
    return value


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Options of a house with five parties."""
    data = tmp_path_factory.mktemp("house")
    tell(data)
    return ["--data", data, "--json"]


def opened(house: list[object]) -> AuthStore:
    data = house[1]
    assert isinstance(data, Path)
    return AuthStore.open(data, places(data).log_url, Settings())


def test_a_new_house_gets_its_first_operator_from_the_command_line(tmp_path: Path) -> None:
    place = ["--data", tmp_path / "new", "--json"]
    made = found(tallystick("party", "add", "The Operator", "--country", "NL", "--role", "operator", *place))
    assert made["id"] == "pty_1" and made["position"] > 1
    user = found(tallystick("user", "add", "ann", "--party", "pty_1", *place, given=PASSWORD + "\n"))
    assert (user["login"], user["party"]) == ("ann", "pty_1")
    refused = tallystick("party", "add", "X", "--country", "NL", "--role", "operator", "--role", "trader", *place)
    assert found(refused, 1)["error"]["code"] == "roles_exclude_each_other"
    assert tallystick("party", "add", "X", "--country", "NL", "--role", "king", *place).exit_code == 2


def test_a_user_signs_in_until_it_is_disabled(house: list[object]) -> None:
    made = found(tallystick("user", "add", "Bert", "--party", 4, *house, given=PASSWORD + "\n"))
    assert made["login"] == "bert"
    with opened(house) as auth:
        assert auth.sign_in("bert", PASSWORD).session.party == 4
    found(tallystick("user", "password", "bert", *house, given="another long password\n"))
    with opened(house) as auth:
        assert auth.sign_in("bert", "another long password").session.party == 4
    found(tallystick("user", "disable", "bert", *house))
    with opened(house) as auth, pytest.raises(Problem):
        auth.sign_in("bert", "another long password")
    (listed,) = found(tallystick("user", "list", *house))["users"]
    assert listed["disabled_at"] and "password" not in json.dumps(listed)


@pytest.mark.parametrize("party", ["0", "pty_0", "6", "pty_zz", "mdl_1"])
def test_nobody_signs_in_for_the_house_or_for_who_is_not_registered(house: list[object], party: str) -> None:
    assert tallystick("user", "add", "eve", "--party", party, *house, given=PASSWORD + "\n").exit_code == 2
    assert tallystick("key", "add", "--party", party, *house).exit_code == 2


def test_what_the_store_refuses_is_told_by_its_code(house: list[object]) -> None:
    weak = tallystick("user", "add", "cora", "--party", 5, *house, given="x\n")
    assert found(weak, 1)["error"]["code"] == "password_too_weak"
    wrong = tallystick("key", "add", "--party", 5, "--scope", "everything", *house)
    assert found(wrong, 1)["error"]["code"] == "wrong_type"


def test_the_secret_of_a_key_is_shown_once_or_saved(house: list[object], tmp_path: Path) -> None:
    shown = found(tallystick("key", "add", "--party", 4, "--scope", "read", "--days", 30, *house))
    assert shown["secret"].startswith("tsk_") and shown["scopes"] == "read" and shown["expires_at"]
    file = tmp_path / "me.json"
    saved = found(tallystick("key", "add", "--party", 4, "--save", file, "--url", "https://x.example", *house))
    assert "secret" not in saved and file.stat().st_mode & 0o077 == 0
    who = credentials(file)
    assert isinstance(who.signer, HmacSigner) and who.signer.key_id == saved["id"] and who.url == "https://x.example"
    listed = tallystick("key", "list", *house)
    assert shown["secret"] not in listed.stdout and {key["id"] for key in found(listed)["keys"]} >= {shown["id"]}
    found(tallystick("key", "revoke", shown["id"], *house))
    with opened(house) as auth:
        key = auth.key(shown["id"].encode())
        assert key is not None and key.revoked_ns is not None
    assert tallystick("key", "revoke", "key_zz", *house).exit_code == 2


def test_a_private_key_never_leaves_its_owner(house: list[object], tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "public.pem").write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    made = found(tallystick("key", "add", "--party", 4, "--public-key", tmp_path / "public.pem", *house))
    assert made["kind"] == "ed25519" and "secret" not in made
    environment = {
        "TALLYSTICK_URL": "http://127.0.0.1:1",
        "TALLYSTICK_KEY": made["id"],
        "TALLYSTICK_PRIVATE_KEY": str(tmp_path / "private.pem"),
    }
    signer = credentials(None, environment).signer
    assert isinstance(signer, Ed25519Signer)
    with opened(house) as auth:
        key = auth.key(made["id"].encode())
        assert key is not None and key.verify(b"text", signer.sign(b"text"))


def test_without_credentials_an_order_is_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "KEY", "SECRET", "PRIVATE_KEY"):
        monkeypatch.delenv(f"TALLYSTICK_{name}", raising=False)
    order = ["order", "buy", "A/USD", 1, "@", "1.00", "--json"]
    assert found(tallystick(*order, "--data", tmp_path), 1)["error"]["code"] == "credentials_missing"
    missing = tallystick(*order, "--credentials", tmp_path / "none.json")
    assert found(missing, 1)["error"]["code"] == "credentials_unreadable"
    assert tallystick("order", "buy", "A/USD", 1, "@", "1.00", "2.00", "--data", tmp_path).exit_code == 2
    save_credentials(tmp_path / "client.json", url="http://127.0.0.1:1", key="key_1", secret="s")  # noqa: S106
    assert found(tallystick(*order, "--data", tmp_path), 1)["error"]["code"] == "server_unreachable"
    with pytest.raises(ClientFailed, match="must be http"):
        Client(credentials(None, {"TALLYSTICK_URL": "ftp://x", "TALLYSTICK_KEY": "k", "TALLYSTICK_SECRET": "s"}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, "other machines"),  # noqa: S104
        ({"host": "example.org"}, "other machines"),
        ({"tls_key": "key.pem"}, "both or neither"),
        ({"trusted_proxies": "10.0.0.1"}, "only together with behind_proxy"),
        ({"trusted_proxies": "10.0.0.300", "behind_proxy": True}, "10.0.0.300"),
        ({"host": "0.0.0.0", "behind_proxy": True, "demo": True}, "only on a loopback address"),  # noqa: S104
        ({"port": 70_000}, "port"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**given)


def test_settings_come_from_the_environment_and_options_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYSTICK_PORT", "9000")
    monkeypatch.setenv("TALLYSTICK_BEHIND_PROXY", "1")
    monkeypatch.setenv("TALLYSTICK_TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1")
    monkeypatch.setenv("TALLYSTICK_ALLOWED_ORIGINS", "https://a.example")
    settings = Settings(host="0.0.0.0")  # noqa: S104
    assert settings.port == 9000 and settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1")
    assert settings.allowed_origins == ("https://a.example",) and settings.is_https
    assert Settings(port=1).port == 1
    assert all(Settings(host=host, behind_proxy=False, trusted_proxies=()).is_loopback for host in ("::1", "localhost"))


def test_secrets_are_cut_out_of_logs_by_name() -> None:
    event = {
        "event": "x",
        "api_secret": "s",
        "headers": {"Authorization": "a", "Cookie": "c", "X-Signature": "g", "Accept": "all"},
        "password": "p",
        "count": 1,
    }
    told = cut_secrets_out(None, "info", event)
    assert told["api_secret"] == told["password"] == CUT_OUT and told["count"] == 1
    assert told["headers"] == {"Authorization": CUT_OUT, "Cookie": CUT_OUT, "X-Signature": CUT_OUT, "Accept": "all"}
