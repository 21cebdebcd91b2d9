"""How a served house is set up: options of `tallystick serve`, else environment variables `TALLYSTICK_<NAME>`.

Nothing secret is in here: keys lie in files of the data folder, and a database's password is part of the log's URL.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK_NAMES: Final = ("localhost",)


def _words(value: Any) -> Any:
    """A list from an environment variable: words between commas."""
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Frozen; what contradicts itself is refused when it is made."""

    model_config = SettingsConfigDict(env_prefix="TALLYSTICK_", frozen=True, extra="ignore")

    # Where the doors are.
    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=0, le=65_535)
    """0: any free port."""
    tls_certificate: Path | None = None
    """PEM file with the chain; together with `tls_key` it makes the doors speak TLS (1.2 or later)."""
    tls_key: Path | None = None
    behind_proxy: bool = False
    """Whether a proxy in front speaks TLS with the clients: then the doors may listen on any address without it."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed. Empty: nobody's."""
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins, beside the doors' own, from which a browser may open a WebSocket or send a form."""

    # What the doors allow.
    body_bytes_max: int = Field(default=1024 * 1024, ge=1024)
    order_bytes_max: int = Field(default=16 * 1024, ge=1024)
    nesting_max: int = Field(default=20, ge=2)
    connections_max: int = Field(default=2_000, ge=1)
    key_requests_per_second: int = Field(default=2_000, ge=1)
    """Cost that one API key or session may use up a second; a cancel costs nothing."""
    address_requests_per_second: int = Field(default=200, ge=1)
    """The same for one address that is not signed in."""
    signature_window_ms: int = Field(default=5_000, ge=100, le=30_000)
    session_hours: int = Field(default=12, ge=1, le=24 * 30)
    read_wait_seconds: float = Field(default=2.0, gt=0, le=30)
    """How long a read with `?after=` waits before it is answered with projection_lagging."""

    # What is said about it.
    lag_positions_max: int = Field(default=1_000, ge=1)
    """The doors count as not ready while the projections are further behind the log than this."""
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    docs: bool = True
    """Whether the API documentation is served."""
    demo: bool = False
    """One-click sign-in as the parties of the demo. Only on a loopback address."""

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        for name in ("trusted_proxies", "allowed_origins"):
            if isinstance(values, dict) and name in values:
                values[name] = _words(values[name])
        return values

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key: give both or neither")
        for text in self.trusted_proxies:
            ipaddress.ip_network(text, strict=False)
        if self.trusted_proxies and not self.behind_proxy:
            raise ValueError("trusted_proxies: only together with behind_proxy")
        if not self.is_loopback and not self.speaks_tls and not self.behind_proxy:
            raise ValueError(
                f"host: {self.host} can be reached from other machines: "
                "give tls_certificate and tls_key, or behind_proxy"
            )
        if self.demo and not self.is_loopback:
            raise ValueError(f"demo: only on a loopback address, got {self.host}")
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the doors."""
        if self.host in LOOPBACK_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def speaks_tls(self) -> bool:
        return self.tls_certificate is not None

    @property
    def is_https(self) -> bool:
        """Whether browsers see the doors by https, so that cookies may be `__Host-` ones."""
        return self.speaks_tls or self.behind_proxy
