"""The real `tallystick` command as a process of its own, and signed requests to the doors it opens."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from api.auth.keys import KeyRequest
from api.auth.signatures import HmacSigner, Signer, signed_headers
from api.auth.store import AuthStore
from api.bootstrap import log_for_reading, places
from api.settings import Settings

PATIENCE = 60.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def children_of(pid: int) -> list[int]:
    """Processes that any thread of a process started and that still run."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while one looks.
        with contextlib.suppress(OSError):
            found += [int(child) for child in (thread / "children").read_text().split()]
    return [child for child in found if is_alive(child)]


def new_key(data: Path, party: int, *scopes: str) -> Signer:
    """An API key made as the command line makes one."""
    with AuthStore.open(data, places(data).log_url, Settings()) as auth:
        made = auth.add_key(party, KeyRequest("hmac", "test", frozenset(scopes or ("read", "trade")), None, None))
    assert made.secret is not None
    return HmacSigner(made.key.id, made.secret)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """PEM files of a key and of a certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].write_bytes(certificate.public_bytes(Encoding.PEM))
    return files


def topics(data: Path) -> list[str]:
    with log_for_reading(places(data)) as recorder:
        return [entry.topic for entry in recorder.read()]


@dataclass(slots=True)
class Served:
    """A served house."""

    process: subprocess.Popen[bytes]
    url: str
    stderr: Path
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=30.0)

    def ask(
        self, signer: Signer | None, method: str, target: str, body: Any = None, key: str | None = None
    ) -> httpx.Response:
        """The answer to a request, signed if there is somebody to sign it."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {} if signer is None else signed_headers(signer, method, target, content)
        headers |= {"Content-Type": "application/json"} if content else {}
        headers |= {"Idempotency-Key": key} if key else {}
        return self.http.request(method, target, content=content, headers=headers)

    def buy(self, signer: Signer, lots: int = 1, *, price: str = "1.01", key: str | None = None) -> httpx.Response:
        body = {"series": "ONE/EUR", "side": "buy", "type": "limit", "price": price, "quantity": str(lots)}
        return self.ask(signer, "POST", "/v1/orders", body, key)

    def events(self) -> list[dict[str, Any]]:
        """What it logged."""
        lines = self.stderr.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def follower(self) -> int:
        """Process id of the follower."""
        (pid,) = children_of(self.process.pid)
        return pid


@contextmanager
def started(data: Path, *options: object, command: str = "serve") -> Iterator[subprocess.Popen[bytes]]:
    """The process, with what it says in files beside the data folder; killed at the end if it still runs."""
    with data.with_suffix(".out").open("w") as stdout, data.with_suffix(".err").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "api.cli", command, "--data", data, "--json", *map(str, options)],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def served(data: Path, *options: object, command: str = "serve") -> Iterator[Served]:
    """A house whose doors are open."""
    said = data.with_suffix(".out")
    with started(data, "--port", 0, *options, command=command) as process:
        wait_until(
            lambda: b"\n" in said.read_bytes() or process.poll() is not None,
            "the doors did not open",
            seconds=300 if command == "demo" else PATIENCE,
        )
        lines = said.read_text().splitlines()
        assert process.poll() is None and lines, data.with_suffix(".err").read_text()
        house = Served(process, json.loads(lines[0])["url"], data.with_suffix(".err"))
        with house.http:
            yield house


def stop(house: Served, number: int, within: float = 10.0) -> int:
    """Tell it to stop and return its exit code."""
    house.process.send_signal(number)
    return house.process.wait(within)
