"""Pictures of each screen, light, dark and on a phone: `python -m tests.web.screenshots [FOLDER] [--url URL]`.

Without a URL it starts the demo of ninety days for itself, which takes about two minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.api.served import served
from tests.web.browsing import PHONE, Theme, started_browser, visit
from tests.web.pictures import small_png

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
DESK: Final = ViewportSize(width=1360, height=850)
BYTES_MAX: Final = 150_000
DAYS: Final = 90


class Shot(NamedTuple):
    name: str
    login: str | None
    path: str
    prepare: Callable[[Page], None] = lambda _page: None


def _busiest(page: Page) -> None:
    """From the list of markets to the series with the most volume, with a bid that rests and a purchase."""
    page.locator("#results tbody a").first.click()
    expect(page.locator("#age")).to_have_attribute("data-age", "live")
    expect(page.locator(".asks .rung[data-empty=false]").first).to_be_attached()
    if page.viewport_size == PHONE:
        page.wait_for_timeout(1_500)
        return
    bid = page.locator(".bids .rung[data-empty=false]").first
    if bid.count():
        bid.click()
        page.check("input[value=buy]")
        page.fill("#quantity", "4")
        page.wait_for_timeout(300)
        page.press("#quantity", "Enter")
        expect(page.locator("#after")).to_contain_text("✓")
    page.locator(".asks .rung[data-empty=false]").last.click()
    page.fill("#quantity", "2")
    page.press("#quantity", "Enter")
    expect(page.locator("#after")).to_contain_text("position")
    page.fill("#quantity", "25")
    page.wait_for_timeout(1_200)


def _ticket(page: Page) -> None:
    _busiest(page)
    page.click("#tab-ticket")
    page.fill("#quantity", "5")
    page.wait_for_timeout(800)


def _book(page: Page) -> None:
    _busiest(page)
    page.click("#tab-book")
    page.wait_for_timeout(500)


def _trace(page: Page) -> None:
    page.locator("tbody a[href*='/pty_']").first.click()
    page.wait_for_url("**/pty_*/**")


def _block(page: Page) -> None:
    page.locator("tbody tr", has_text="fills").filter(has_not_text="fills 0").locator("a").first.click()
    page.wait_for_url("**/audit/*")
    page.click("#verify")
    expect(page.locator("#verdict")).to_contain_text("✓")


def _help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


SHOTS: Final = (
    Shot("sign-in", None, "/signin"),
    Shot("markets", "trader", "/markets"),
    Shot("series", "trader", "/markets?sort=volume", _busiest),
    Shot("portfolio", "trader", "/portfolio"),
    Shot("model", "trader", "/models/mdl_{model}"),
    Shot("revenue", "payee", "/revenue"),
    Shot("trace", "payee", "/revenue", _trace),
    Shot("history", "auditor", "/audit?topic=facts"),
    Shot("entry", "auditor", "/audit?topic=FlowBlock", _block),
    Shot("operate", "operator", "/operate"),
    Shot("keys", "trader", "/markets", _help),
)
ON_A_PHONE: Final = (
    Shot("book", "trader", "/markets?sort=volume", _book),
    Shot("ticket", "trader", "/markets?sort=volume", _ticket),
)
MODEL: Final = "3h"
"""A model with a lineage to look at."""


def take(browser: Browser, url: str, folder: Path) -> Iterator[Path]:
    """The pictures, one after the other."""
    workbench = browser.new_page()
    looks: tuple[tuple[str, Theme, ViewportSize, Sequence[Shot]], ...] = (
        ("light", "light", DESK, SHOTS),
        ("dark", "dark", DESK, SHOTS),
        ("phone", "light", PHONE, (*SHOTS[:-1], *ON_A_PHONE)),
    )
    for look, theme, size, shots in looks:
        for shot in shots:
            with visit(browser, url, shot.login, theme=theme, size=size) as reader:
                page = reader.go(shot.path.format(model=MODEL))
                shot.prepare(page)
                page.wait_for_timeout(300)
                file = folder / f"{shot.name}-{look}.png"
                file.write_bytes(small_png(workbench, page.screenshot()))
                assert file.stat().st_size <= BYTES_MAX, (file, file.stat().st_size)
                yield file


@contextmanager
def house(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder) / "data", "--days", DAYS, command="demo") as found,
    ):
        yield found.url


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    arguments.add_argument("--url", help="of a demo that runs already")
    chosen = arguments.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with house(chosen.url) as url, sync_playwright() as playwright, started_browser(playwright) as browser:
        for file in take(browser, url, chosen.folder):
            sys.stdout.write(f"{file.name}  {file.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
