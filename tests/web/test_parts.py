"""Assets, own files, drawings, tokens and addresses: the parts of the page that need no browser."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.web import assets, drawings
from api.web.pages import _own_address
from api.web.rendering import STATIC, license_name, static_files, static_url, theme_of
from api.web.views.links import Link
from api.web.views.operate import size
from api.web.views.revenue import FORMULA_STARTS, harmless
from api.web.views.trace import carry_text

TEMPLATES = STATIC.parent / "templates"

# -- files of others ---------------------------------------------------------------------------------------------------


def test_every_asset_is_the_one_that_was_reviewed() -> None:
    assert sorted(assets.by_url()) == sorted(asset.url for asset in assets.ASSETS)
    assert all(len(asset.sha384) == 64 for asset in assets.ASSETS)


def test_a_changed_or_missing_asset_is_refused() -> None:
    changed = assets.Asset(assets.HTMX.name, assets.HTMX.package, assets.HTMX.path, assets.JAVASCRIPT, "A" * 64)
    with pytest.raises(assets.AssetChanged, match="has sha384"):
        changed.read()
    missing = assets.Asset("x.js", assets.HTMX.package, "static/htmx/x.js", assets.JAVASCRIPT, "A" * 64)
    with pytest.raises(assets.AssetChanged, match="is missing"):
        missing.read()


# -- own files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(static_files()), ids=str)
def test_scripts_read_nothing_as_markup_or_code(file: str) -> None:
    text = static_files()[file].decode()
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setTimeout\(\s*[\"']|https?://(?!www\.w3\.org)"
    assert re.findall(forbidden, text) == []


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.html")), ids=lambda file: file.name)
def test_templates_hold_no_inline_code_or_style_and_escape_everything(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"\|\s*safe\b|\sstyle=|\son\w+=|javascript:|<style|autoescape", text) == []
    assert re.findall(r"<script(?![^>]*(?:src=|application/json))", text) == []


def test_own_files_are_served_under_a_name_that_changes_with_them() -> None:
    assert re.fullmatch(r"/static/[0-9a-f]{12}/js/page\.js", static_url("js/page.js"))
    with pytest.raises(AssertionError):
        static_url("../pages.py")


# -- colors ------------------------------------------------------------------------------------------------------------


def tokens() -> dict[str, tuple[str, str]]:
    """Light and dark of each color token."""
    text = static_files()["css/tokens.css"].decode()
    pattern = r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)"
    return {name: (light, dark) for name, light, dark in re.findall(pattern, text)}


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper", "least"),
    [
        ("gray-9", "gray-0", 7.0),
        ("gray-8", "gray-0", 7.0),
        ("buy", "gray-0", 7.0),
        ("sell", "gray-0", 7.0),
        ("gray-9", "buy-soft", 7.0),
        ("gray-9", "sell-soft", 7.0),
        ("gray-7", "gray-1", 4.5),
        ("gray-6", "gray-0", 4.5),
        ("accent", "gray-0", 4.5),
        ("accent", "accent-soft", 4.5),
        ("warn", "warn-soft", 4.5),
    ],
)
def test_numbers_have_triple_a_contrast_and_all_other_text_double_a(
    ink: str, paper: str, least: float, theme: int
) -> None:
    assert contrast(tokens()[ink][theme], tokens()[paper][theme]) >= least


# -- drawings ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=24))
def test_bars_stand_on_zero_and_inside_their_picture(values: list[int]) -> None:
    drawn = drawings.bars([(str(at), value) for at, value in enumerate(values)])
    for bar in drawn.bars:
        assert bar.y >= 0 and bar.y + bar.height <= drawn.height
        foot = bar.y + bar.height if bar.value >= 0 else bar.y
        assert abs(foot - drawn.zero_y) < 1e-6
    assert len(drawn.rules) <= 7


def test_a_line_needs_two_points_and_touches_its_highest_and_lowest() -> None:
    assert drawings.spark_path([5]) == ""
    assert drawings.spark_path([1, 3, 2]) == "M0.0 22.0L48.0 2.0L96.0 12.0"
    assert drawings.spark_path([4, 4]) == "M0.0 12.0L96.0 12.0"


def test_a_lineage_has_a_column_for_each_distance_and_says_what_it_leaves_out() -> None:
    many = [drawings.Node(f"d{at}", f"Data {at}", "", None, -1) for at in range(drawings.COLUMN_MAX + 3)]
    drawn = drawings.lineage(
        [drawings.Node("m", "Model", "", None, 0), *many], [(node.key, "m") for node in many], "and {number} more"
    )
    titles = [box.node.title for box in drawn.boxes]
    assert len(titles) == drawings.COLUMN_MAX + 1 and "and 4 more" in titles
    assert len(drawn.edges) == drawings.COLUMN_MAX
    assert {box.x for box in drawn.boxes} == {1, 1 + drawings.BOX_WIDTH + 64}


# -- addresses, texts --------------------------------------------------------------------------------------------------


def test_an_address_keeps_its_state_but_what_is_changed() -> None:
    link = Link("/markets", {"q": "gpt", "page": "3", "sort": ""})
    assert link(sort="last", page=None) == "/markets?q=gpt&sort=last"
    assert link(q=None, page=None) == "/markets"
    assert link.query() == "?q=gpt&page=3"


@pytest.mark.parametrize(
    "text",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\evil", "javascript:1", "", "/a\\b", "x" * 2000],
)
def test_signing_in_never_leads_to_another_server(text: str) -> None:
    assert _own_address(text) == "/markets"


def test_signing_in_leads_back() -> None:
    assert _own_address("/series/ser_1?span=1d") == "/series/ser_1?span=1d"


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_a_spreadsheet_computes_nothing_of_what_it_is_given(start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    out = io.StringIO()
    csv.writer(out).writerow([harmless(text), harmless("plain")])
    assert next(csv.reader(io.StringIO(out.getvalue()))) == [f"'{text}", "plain"]


def test_small_texts() -> None:
    assert license_name("LicenseRef-scancode-openrail") == "openrail" and license_name("MIT") == "MIT"
    assert [theme_of({"theme": "dark"}), theme_of({"theme": "<b>"}), theme_of({})] == ["dark", "", ""]
    assert [size(0), size(1023), size(1024), size(3 * 1024**3)] == ["0 B", "1023 B", "1.0 KiB", "3.0 GiB"]
    assert [carry_text(0, 2), carry_text(640_000_000, 2), carry_text(1, 2)] == ["0", "0.0064", "0.00000000001"]
