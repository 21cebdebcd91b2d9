"""The languages of the page: nothing is said that is not in every catalogue, and nothing is in one that is not said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.web.rendering import STATIC
from api.web.words import LANGUAGES, LIVE, language_of, words
from domain.rejections import Reason
from domain.values import (
    BaseRelation,
    EndReason,
    HaltReason,
    LineageRole,
    PostingCode,
    PriceBasis,
    Purpose,
    Role,
    SeriesPhase,
    VersionState,
    WithdrawalKind,
)

WEB = STATIC.parent
PLACE = re.compile(r"\{(\w+)\}")
GROUPS = {
    "purpose": Purpose,
    "plain.purpose": Purpose,
    "halt": HaltReason,
    "basis": PriceBasis,
    "state": VersionState,
    "notice": WithdrawalKind,
}
NAMED = {"role": Role, "phase": SeriesPhase, "live.end": EndReason, "posting": PostingCode}


def said() -> dict[str, set[str]]:
    """Keys by the file that says them; a key that ends with a dot is the beginning of several."""
    found: dict[str, set[str]] = {}
    for file in sorted((*WEB.rglob("*.html"), *WEB.rglob("*.py"), *WEB.rglob("*.js"))):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".js":
            keys = {LIVE + key for key in re.findall(r'say(?:Or)?\(\s*"([\w.]+)"', text)}
            keys |= {LIVE + key for key in re.findall(r'\? "([a-z_]+\.[a-z_]+)" : "[a-z_]+\.[a-z_]+"', text)}
            keys |= {LIVE + key for key in re.findall(r': "([a-z_]+\.[a-z_]+)"', text)}
            keys |= {LIVE + key for key in re.findall(r"say(?:Or)?\(`([\w.]+)\$\{", text)}
            keys |= {LIVE + key for pair in re.findall(r'\? "([a-z]+)" : "([a-z]+)"', text) for key in pair}
        else:
            keys = set(re.findall(r"""\bt(?:\.count)?\(\s*f?["']([\w.]+)["'{]""", text))
            keys |= set(re.findall(r"""t\.of\(\s*["']([\w.]+)["']""", text))
            keys |= set(re.findall(r"""["']([a-z]+\.[a-z_]+)["']""", text)) & words("en").messages.keys()
        found[file.relative_to(WEB).as_posix()] = keys
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_messages_with_the_same_places(language: str) -> None:
    english, other = words("en").messages, words(language).messages
    assert other.keys() == english.keys()
    differing = {key for key, text in other.items() if set(PLACE.findall(text)) != set(PLACE.findall(english[key]))}
    assert differing == set()
    assert [key for key, text in other.items() if not text.strip()] == []


def test_chinese_is_translated() -> None:
    same = {key for key, text in words("zh").messages.items() if text == words("en").messages[key]}
    assert same == {"frame.api"}


def test_all_that_is_said_is_in_the_catalogue() -> None:
    known = words("en").messages
    missing = {
        (file, key)
        for file, keys in said().items()
        for key in keys
        if not (key in known or any(one.startswith(key) for one in known))
        if key.removeprefix(LIVE) not in ("up", "down", "bid", "ask", "stale", "live", "off", "buy", "sell")
        if not file.endswith(".js") or "." in key.removeprefix(LIVE)
    }
    assert missing == set()


def test_words_of_the_rulebook_have_a_name() -> None:
    known = words("en").messages
    expected = {f"{group}.{member.value}" for group, kind in GROUPS.items() for member in kind}
    expected |= {f"{group}.{str(member.name).lower()}" for group, kind in NAMED.items() for member in kind}
    expected |= {f"relation.{member.value}" for kind in (LineageRole, BaseRelation) for member in kind}
    assert expected - known.keys() == set()


def test_codes_that_the_scripts_translate_are_codes() -> None:
    from api.problems import DOOR_PROBLEMS

    codes = {key.removeprefix("live.code.") for key in words("en").messages if key.startswith("live.code.")}
    assert codes - {reason.code for reason in Reason} - DOOR_PROBLEMS.keys() == {"offline"}


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        (None, "", "en"),
        (None, "de-DE,de;q=0.9", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "en;q=0.5,zh-Hans;q=0.7", "zh"),
        (None, "zh;q=nonsense,en", "en"),
        ("zh", "en", "zh"),
        ("../../etc", "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_best_accepted(asked: str | None, accepted: str, expected: str) -> None:
    assert language_of(asked, accepted) == expected


def test_a_missing_message_or_place_is_an_error() -> None:
    t = words("en")
    with pytest.raises(KeyError):
        t("no.such.message")
    with pytest.raises(KeyError):
        t("frame.page_of", page=1)
    assert t.of("purpose", "something_new") == "something_new"


def test_catalogues_are_sorted_so_that_changes_are_easy_to_read() -> None:
    for language in LANGUAGES:
        lines = [
            line.split('"')[1]
            for line in Path(WEB, f"messages/{language}.json").read_text().splitlines()
            if ":" in line
        ]
        assert lines == sorted(lines)


def test_nothing_is_in_the_catalogue_that_is_not_said() -> None:
    text = "\n".join(
        file.read_text(encoding="utf-8") for kind in ("html", "py", "js") for file in WEB.rglob(f"*.{kind}")
    )
    assert {key for key in words("en").messages if not is_said(key, text)} == set()


def is_said(key: str, text: str) -> bool:
    """Whether a source names the key, or the beginning of it that it makes the rest to."""
    for name in {key, key.removeprefix(LIVE)}:
        group, _, rest = name.partition(".")
        if any(f"{quote}{name}{quote}" in text for quote in "\"'") or f'of("{group}"' in text:
            return True
        if rest in ("perpetual", "fixed_end", "days") and "{group}." + rest in text:
            return True
        if name.endswith((".one", ".other")) and f'"{name.rpartition(".")[0]}"' in text:
            return True
        beginnings = {name[:at] for at in range(1, len(name)) if name[at - 1] in "._"}
        if any(
            f"{quote}{start}{end}" in text for start in beginnings for quote in "\"'`" for end in ('"', "'", "{", "${")
        ):
            return True
    return False
