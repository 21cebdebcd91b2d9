"""The page in a real browser before a real house: the demo of one day with its live traders."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.api.served import served
from tests.web.browsing import PHONE, Visit, started_browser, visit

SCREENS = {
    "signin": ("/signin", None),
    "markets": ("/markets", "trader"),
    "series": ("/series/ser_2", "trader"),
    "series for everybody": ("/series/ser_2", None),
    "portfolio": ("/portfolio?orders=all", "trader"),
    "model": ("/models/mdl_2", "trader"),
    "revenue": ("/revenue", "finance"),
    "revenue of a payee": ("/revenue", "payee"),
    "trace": ("/revenue/pty_0/ser_2", "finance"),
    "audit": ("/audit", "auditor"),
    "fact": ("/audit/400", "auditor"),
    "operate": ("/operate", "operator"),
    "problem": ("/problems/insufficient_funds", None),
    "nothing there": ("/series/ser_zzz", None),
}
MAY_BE_MISSING = "the server responded with a status of 404"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("house") / "data", "--days", 1, command="demo") as found:
        yield found.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, started_browser(playwright) as found:
        yield found


def calm(page: Page) -> Page:
    """Until the live parts have come, so that what is looked at is the whole page."""
    page.wait_for_load_state()
    if page.locator("#age").count():
        expect(page.locator("#age")).to_have_attribute("data-age", "live")
        expect(page.locator(".rung[data-empty=false]").first).to_be_attached()
    return page


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_keeps_the_policy_and_is_accessible_in_light_and_dark_and_fits_a_phone(
    house: str, browser: Browser, screen: str
) -> None:
    path, login = SCREENS[screen]
    with visit(browser, house, login) as reader:
        reader.forgiven = (MAY_BE_MISSING,) if screen == "nothing there" else ()
        for theme in ("light", "dark"):
            reader.page.emulate_media(color_scheme=theme)
            calm(reader.go(path))
            assert reader.violations() == [], theme
        reader.page.set_viewport_size(PHONE)
        calm(reader.go(path))
        assert reader.overflow() == 0
        assert reader.violations() == [], "phone"
        assert inline_code(reader.page) == []


def inline_code(page: Page) -> list[str]:
    """Scripts, handlers and styles that stand in the markup itself."""
    found: list[str] = page.evaluate(
        """async () => {
            const text = await (await fetch(location.href)).text();
            const page = new DOMParser().parseFromString(text, "text/html");
            return [...page.querySelectorAll("*")].filter((e) => e.hasAttribute("style") || e.tagName === "STYLE"
                || (e.tagName === "SCRIPT" && !e.src && e.type !== "application/json")
                || [...e.attributes].some((a) => a.name.startsWith("on") || a.value.startsWith("javascript:")))
              .map((e) => e.outerHTML);
        }"""
    )
    return found


@pytest.fixture
def trader(house: str, browser: Browser) -> Iterator[Visit]:
    with visit(browser, house, "trader") as reader:
        yield reader


def busy_series(page: Page) -> str:
    """The address of the series with the most volume."""
    return str(page.locator("#results tbody a").first.get_attribute("href"))


def test_a_bid_placed_on_the_page_is_seen_filled(trader: Visit) -> None:
    page = trader.page
    page.goto(trader.url + busy_series(page))
    calm(page)
    best_ask = page.locator(".asks .rung[data-empty=false]").last
    best_ask.click()
    expect(page.locator("#price")).not_to_have_value("")
    page.fill("#quantity", "1")
    expect(page.locator("#b-hold")).to_contain_text("USD")
    expect(page.locator("#go")).to_have_text("Buy 1")
    page.click("#go")
    expect(page.locator("#after")).to_contain_text("Filled")
    expect(page.locator("#orders tr").first).to_contain_text("Filled")
    page.click("#mine-fills")
    expect(page.locator("#fills tr").first).to_contain_text("Buy")
    page.click("#mine-grants")
    expect(page.locator("#grants tr").first).to_contain_text("grt_")


def test_a_resting_bid_stands_in_the_ladder_and_leaves_by_one_click(trader: Visit) -> None:
    page = trader.page
    page.goto(trader.url + busy_series(page))
    calm(page)
    page.fill("#price", "0.01")
    page.fill("#quantity", "3")
    expect(page.locator("#b-hold")).to_contain_text("0.0")
    page.press("#quantity", "Enter")
    expect(page.locator("#after")).to_contain_text("3 resting")
    row = page.locator("#orders tr", has_text="0.01").first
    expect(row).to_contain_text("Open")
    row.get_by_role("button").click()
    expect(row).to_contain_text("Canceled")
    expect(page.locator("#toasts")).to_contain_text("Order canceled")


def test_the_checksum_of_the_browser_is_that_of_the_server(trader: Visit) -> None:
    text = "12.40:5;12.38:160;|12.42:120;"
    found = trader.page.evaluate(
        """async (text) => {
            const { src } = document.querySelector("script[type=module]");
            return (await import(src.replace("page.js", "crc32.js"))).crc32(text);
        }""",
        text,
    )
    assert found == zlib.crc32(text.encode())


def test_a_session_that_ended_elsewhere_ends_here(house: str, browser: Browser) -> None:
    with visit(browser, house, "developer") as reader:
        reader.forgiven = ("401",)
        page = calm(reader.go("/series/ser_2"))
        page.context.request.post(
            f"{house}/signout",
            headers={
                "X-CSRF-Token": page.get_attribute("meta[name=csrf-token]", "content") or "",
                "Origin": house,
            },
        )
        expect(page.locator("a[href='/signin']")).to_be_visible()


def test_a_wrong_field_says_its_rule_before_anything_is_sent(trader: Visit) -> None:
    page = calm(trader.go("/series/ser_2"))
    page.fill("#price", "1.005")
    expect(page.locator("#price-wrong")).to_have_text("Must be a multiple of 0.01")
    page.fill("#quantity", "0.5")
    expect(page.locator("#quantity-wrong")).to_have_text("Must be a multiple of 1")
    page.fill("#quantity", "5001")
    expect(page.locator("#quantity-wrong")).to_have_text("At most 5,000 in one order")
    page.click("#go")
    expect(page.locator("#price")).to_be_focused()
    expect(page.locator("#after")).to_have_text("")


def test_what_would_be_refused_is_said_before_the_button(trader: Visit) -> None:
    page = calm(trader.go("/series/ser_2"))
    page.check("input[value=sell]")
    page.fill("#price", "1000.00")
    page.fill("#quantity", "4999")
    expect(page.locator("#after")).to_contain_text("Not enough lots")


def test_everything_can_be_done_with_the_keyboard(trader: Visit) -> None:
    page = trader.page
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("whisper")
    expect(page.locator("#results tbody tr").first).to_contain_text("WHISPER")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/series/**")
    calm(page)
    page.keyboard.press("s")
    expect(page.locator("input[value=sell]")).to_be_checked()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(page.locator("input[value=buy]")).to_be_checked()
    page.locator("#price").fill("0.02")
    page.locator("#price").press("Enter")
    expect(page.locator("#orders tr").first).to_contain_text("Open")
    page.locator("#price").press("Escape")
    page.keyboard.press("c")
    expect(page.locator("#orders tr").first).to_contain_text("Canceled")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/portfolio")


def test_filters_are_the_address_and_back_works(trader: Visit) -> None:
    page = trader.page
    page.fill("#search", "openai")
    page.wait_for_url("**q=openai*")
    shown = page.locator("#results [role=status]").inner_text()
    page.select_option("#f-purpose", "any")
    page.wait_for_url("**purpose=any*")
    page.go_back()
    page.wait_for_url(re.compile("q=openai.*purpose=(&|$)"))
    expect(page.locator("#results [role=status]")).to_have_text(shown)
    page.reload()
    expect(page.locator("#search")).to_have_value("openai")
    page.click("thead a:has-text('Series')")
    expect(page.locator("th[aria-sort]")).to_contain_text("Series")


def test_a_lost_connection_is_said_and_grayed_and_comes_back(trader: Visit) -> None:
    trader.forgiven = ("ERR_INTERNET_DISCONNECTED", "WebSocket", "Failed to load resource")
    page = calm(trader.go("/series/ser_2"))
    close_socket = "() => { for (const s of window.sockets) s.close(); }"
    page.add_init_script(
        "window.sockets = []; const W = WebSocket;"
        "window.WebSocket = class extends W { constructor(...a) { super(...a); window.sockets.push(this); } };"
    )
    calm(trader.go("/series/ser_2"))
    page.context.set_offline(True)
    page.evaluate(close_socket)
    expect(page.locator("#age")).to_have_attribute("data-age", "off")
    expect(page.locator("#age")).to_contain_text("Disconnected")
    expect(page.locator("#desk")).to_have_attribute("data-feed", "off")
    page.context.set_offline(False)
    expect(page.locator("#age")).to_have_attribute("data-age", "live")


def test_a_chosen_theme_and_language_stay(trader: Visit) -> None:
    page = trader.page
    page.click("#theme")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.click("a[hreflang=zh]")
    expect(page.locator("h1")).to_have_text("市场")
    trader.go("/portfolio")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("h1")).to_have_text("资产")


def test_the_operator_halts_and_resumes_and_the_trader_sees_it(house: str, browser: Browser) -> None:
    with visit(browser, house, "operator") as operator:
        page = operator.go("/operate")
        page.fill("#halt-series", "OPENAI-WHISPER/USD")
        page.select_option("#halt-reason", "technical")
        page.fill("#halt-note", "A drill.")
        page.click("#halt button")
        row = page.locator("tr", has_text="OPENAI-WHISPER/USD")
        expect(row).to_contain_text("Technical")
        with visit(browser, house, "trader") as trader:
            trader.go("/markets?q=whisper")
            expect(trader.page.locator("#results tr", has_text="OPENAI-WHISPER/USD")).to_contain_text("Halted")
        row.get_by_role("button").click()
        expect(page.locator("tr", has_text="OPENAI-WHISPER/USD")).to_have_count(0)


def test_an_auditor_verifies_an_entry_in_the_browser(house: str, browser: Browser) -> None:
    with visit(browser, house, "auditor") as auditor:
        page = auditor.go("/audit?topic=SeriesListed")
        page.locator("tbody a").first.click()
        page.wait_for_url(re.compile(r"/audit/\d+$"))
        page.click("#verify")
        expect(page.locator("#verdict")).to_contain_text("✓")


def test_the_api_documentation_works_offline_under_the_policy(house: str, browser: Browser) -> None:
    with visit(browser, house) as reader:
        page = reader.go("/docs")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        expect(page.get_by_text("/v1/orders", exact=True).first).to_be_visible()
        assert [url for url in asked if not url.startswith((house, "data:", "blob:"))] == []


def test_pages_that_need_a_session_send_to_sign_in_and_back(house: str, browser: Browser) -> None:
    with visit(browser, house) as reader:
        page = reader.go("/portfolio?orders=all")
        page.wait_for_url("**/signin?next=**")
        page.click("button[value=trader]")
        page.wait_for_url("**/portfolio?orders=all")
        page.click("#signout")
        page.wait_for_url("**/markets")
        expect(page.locator("a[href='/signin']")).to_be_visible()


def test_a_role_opens_only_its_own_pages(trader: Visit) -> None:
    trader.forgiven = ("403",)
    page = trader.go("/audit")
    expect(page.locator("h1")).to_have_text("Not with this role")
    expect(page.locator(".nav a")).to_have_text(["Markets", "Portfolio", "Revenue"])
