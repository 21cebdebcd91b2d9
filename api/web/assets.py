"""Third-party files of the page, served out of locked wheels: none is part of this repository.

Each file's sha384 is stated here, compared when the doors start, and given to the browser as its integrity.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of an installed package, and what its bytes must be."""

    name: str
    package: str
    path: str
    media_type: str
    sha384: str
    """Base64, as in a subresource integrity."""

    @property
    def integrity(self) -> str:
        return f"sha384-{self.sha384}"

    @property
    def url(self) -> str:
        """Changes with the bytes, so that a browser may keep the file for ever."""
        return f"/assets/{self.sha384[:8].replace('/', '_').replace('+', '-')}/{self.name}"

    def read(self) -> bytes:
        """The bytes. Raises AssetChanged where they are missing or not the ones that were reviewed."""
        file = files(self.package).joinpath(self.path)
        if not file.is_file():
            raise AssetChanged(f"{self.package}: {self.path} is missing; install the locked versions")
        content = file.read_bytes()
        found = b64encode(hashlib.sha384(content).digest()).decode()
        if found != self.sha384:
            raise AssetChanged(f"{self.package}: {self.path} has sha384 {found}, expected {self.sha384}")
        return content


class AssetChanged(RuntimeError):
    """A file of a wheel is not the one that was reviewed."""


JAVASCRIPT: Final = "text/javascript; charset=utf-8"
HTMX: Final = Asset(
    "htmx.min.js",
    "js_lib_htmx",
    "static/htmx/htmx.min.js",
    JAVASCRIPT,
    "0895/pl2MU10Hqc6jd4RvrthNlDiE9U1tWmX7WRESftEDRosgxNsQG/Ze9YMRzHq",
)
CHARTS: Final = Asset(
    "lightweight-charts.js",
    "litecharts",
    "js/lightweight-charts.js",
    JAVASCRIPT,
    "ExNwjbclSLY2LS3S2c6aDJDjpBHGZLct23WX65fLzj0ob1bRrCh9H90WThES5wQA",
)
SWAGGER: Final = Asset(
    "swagger-ui-bundle.js",
    "fastapi_offline",
    "static/swagger-ui-bundle.js",
    JAVASCRIPT,
    "EYdOaiRwn44zNjrw+Tfs06qYz9BGQVo2f4/pLY5i7VorbjnZNhdplAbTBk8FXHUJ",
)
SWAGGER_STYLE: Final = Asset(
    "swagger-ui.css",
    "fastapi_offline",
    "static/swagger-ui.css",
    "text/css; charset=utf-8",
    "9Q2fpS+xeS4ffJy6CagnwoUl+4ldAYhOs9pgZuEKxypVModhmZFzeMlvVsAjf7uT",
)
ASSETS: Final = (HTMX, CHARTS, SWAGGER, SWAGGER_STYLE)


@cache
def by_url() -> dict[str, tuple[Asset, bytes]]:
    """Every asset with its bytes by its URL, all of them checked. Raises AssetChanged."""
    return {asset.url: (asset, asset.read()) for asset in ASSETS}
