"""A small client of the HTTP doors that signs its requests: what `tallystick order` is made of.

Who asks is in a file of credentials, a JSON object {"url", "key", "secret"} for a shared secret (HMAC) or
{"url", "key", "private_key"} with the path of an Ed25519 key in PEM; or in TALLYSTICK_URL, TALLYSTICK_KEY and
TALLYSTICK_SECRET or TALLYSTICK_PRIVATE_KEY.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from api.auth.signatures import Ed25519Signer, HmacSigner, Signer, signed_headers

FILE: Final = "client.json"
"""In a data folder, the credentials of whoever made the house; the demo makes one."""
TIMEOUT_SECONDS: Final = 30.0
REPLY_BYTES_MAX: Final = 16 * 1024 * 1024
PRIVATE_FILE: Final = 0o600
_UNKNOWN_OUTCOME: Final = "the answer did not come; whether the request was carried out is not known"


class ClientFailed(Exception):
    """What the doors refused, or could not be asked; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the doors are and who asks."""

    url: str
    signer: Signer


def credentials(file: Path | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """From the file, else from the environment. Raises ClientFailed."""
    found: dict[str, Any] = {
        name: environment[f"TALLYSTICK_{name.upper()}"]
        for name in ("url", "key", "secret", "private_key")
        if f"TALLYSTICK_{name.upper()}" in environment
    }
    if file is not None:
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise ClientFailed("credentials_unreadable", f"{file}: {error}") from error
    try:
        if "private_key" in found:
            return Credentials(found["url"], Ed25519Signer(found["key"], _private_key(Path(found["private_key"]))))
        return Credentials(found["url"], HmacSigner(found["key"], found["secret"]))
    except (KeyError, TypeError) as error:
        raise ClientFailed(
            "credentials_missing",
            f"no {error} in {file or 'the environment'}: give --credentials FILE (see tallystick key add --save), "
            "or set TALLYSTICK_URL, TALLYSTICK_KEY and TALLYSTICK_SECRET",
        ) from error


def save_credentials(file: Path, *, url: str, key: str, secret: str) -> None:
    """Write a file of credentials that only its owner can read, in place of an older one."""
    beside = file.with_name(f".{file.name}.part")
    handle = os.open(beside, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, PRIVATE_FILE)
    with os.fdopen(handle, "w") as out:
        out.write(json.dumps({"url": url, "key": key, "secret": secret}) + "\n")
    beside.replace(file)


def _private_key(file: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise ClientFailed("credentials_unreadable", f"{file}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ClientFailed("credentials_unreadable", f"{file}: must hold an Ed25519 key")
    return key


class Client:
    """Asks the doors, one request after the other over one connection."""

    def __init__(self, who: Credentials) -> None:
        """Raises ClientFailed for a URL that is none."""
        parts = urlsplit(who.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ClientFailed(
                "credentials_unreadable", f"url: must be http://HOST:PORT or https://HOST; got {who.url}"
            )
        self._signer = who.signer
        self._connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS)
        )

    def get(self, path: str, **query: object) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", path + ("?" + urlencode(given) if given else ""), b"", {})

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Under a new Idempotency-Key, so that an answer lost on the way is asked for again without doing it twice."""
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_urlsafe(16)}
        try:
            return self._ask("POST", path, content, headers)
        except _AnswerLost:
            return self._ask("POST", path, content, headers)

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path, b"", {})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Any:
        """The JSON of the answer. Raises ClientFailed with the code of the problem that it is."""
        signed = signed_headers(self._signer, method, target, body)
        try:
            self._connection.request(method, target, body or None, {**headers, **signed})
            answer = self._connection.getresponse()
            content = answer.read(REPLY_BYTES_MAX)
        except (ConnectionRefusedError, ssl.SSLError) as error:
            self._connection.close()
            raise ClientFailed(
                "server_unreachable", f"{self._connection.host}:{self._connection.port}: {error}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise _AnswerLost("server_unreachable", f"{_UNKNOWN_OUTCOME}: {error}") from error
        try:
            found = json.loads(content) if content else {}
        except ValueError:
            found = {}
        if answer.status >= http.client.BAD_REQUEST:
            code = found.get("code", f"http_{answer.status}")
            raise ClientFailed(code, found.get("detail") or found.get("title") or answer.reason)
        return found


class _AnswerLost(ClientFailed):
    """The connection broke before the answer was there."""
