"""A real browser before a real house: finding Chromium, signing in, and noticing whatever a page does wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page, Playwright, ViewportSize

Theme = Literal["light", "dark"]
DESK: Final = ViewportSize(width=1440, height=900)
PHONE: Final = ViewportSize(width=390, height=844)
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_MS: Final = 15_000
STANDARDS: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def chromium(playwright: Playwright) -> str:
    """Path of a Chromium: the one TALLYSTICK_CHROMIUM names, the system's, or Playwright's own.

    Where there is none the test is skipped with the reason, or fails if CI is true or TALLYSTICK_REQUIRE_DATA is 1.
    """
    named = os.environ.get("TALLYSTICK_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None) or playwright.chromium.executable_path
    if Path(found).exists():
        return found
    reason = f"no Chromium (looked for {', '.join(BROWSERS)}): install the package chromium, or set TALLYSTICK_CHROMIUM"
    if os.environ.get("CI") == "true" or os.environ.get("TALLYSTICK_REQUIRE_DATA") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started_browser(playwright: Playwright) -> Iterator[Browser]:
    # A user's sandbox is not to be had for root, as in a container.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=chromium(playwright), args=arguments)
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Visit:
    """One reader at one page, with everything that went wrong on the way."""

    page: Page
    url: str
    wrong: list[str] = field(default_factory=list)
    forgiven: tuple[str, ...] = ()
    """Parts of what may go wrong, since the test makes it so."""

    def go(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, login: str) -> None:
        """As one of the demo's parties, by one click."""
        self.go("/signin?next=/markets")
        self.page.click(f"button[value={login}]")
        self.page.wait_for_url("**/markets")

    def violations(self) -> list[str]:
        """What axe finds against WCAG A and AA."""
        found = Axe().run(self.page, options={"runOnly": STANDARDS}).response["violations"]
        return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def listen(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        self.page.on("requestfailed", self._failed)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._note(f"console: {message.text} {message.location.get('url', '')}")

    def _failed(self, request: Any) -> None:
        # Leaving a page ends what it was still asking for.
        if request.failure != "net::ERR_ABORTED":
            self._note(f"request: {request.url} {request.failure}")

    def _note(self, text: str) -> None:
        if not any(part in text for part in self.forgiven):
            self.wrong.append(text)


@contextmanager
def visit(
    browser: Browser,
    url: str,
    login: str | None = None,
    *,
    theme: Theme = "light",
    size: ViewportSize = DESK,
    language: str = "en-GB",
) -> Iterator[Visit]:
    """A fresh reader; at the end nothing may have gone wrong: no console error, no broken policy, no lost request."""
    is_phone = size == PHONE
    context = browser.new_context(
        viewport=size, color_scheme=theme, locale=language, has_touch=is_phone, is_mobile=is_phone
    )
    context.set_default_timeout(PATIENCE_MS)
    visiting = Visit(context.new_page(), url)
    visiting.listen()
    try:
        if login is not None:
            visiting.sign_in(login)
        yield visiting
        assert not visiting.wrong, "\n".join(visiting.wrong)
    finally:
        context.close()
