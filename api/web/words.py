"""The languages of the page: one catalogue of messages a language, all with the same keys (a test holds it).

A message is plain text with `{name}` places. Keys that begin with `live.` are also given to the scripts of a page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
"""Language and its own name; the first is the default."""
DEFAULT: Final = "en"
LIVE: Final = "live."


class Words:
    """The messages of one language."""

    def __init__(self, language: str, messages: Mapping[str, str]) -> None:
        self.language = language
        self.messages = messages

    def __call__(self, key: str, **values: object) -> str:
        """The message of the key. Raises KeyError for a key or a place that is not there."""
        text = self.messages[key]
        return text.format(**values) if values else text

    def of(self, group: str, word: str) -> str:
        """What a word of the rulebook is called, such as ("purpose", "research"); the word itself where not known."""
        return self.messages.get(f"{group}.{word}", word)

    def count(self, key: str, number: int, shown: str) -> str:
        """The message for so many things: `key.one` or `key.other`, with `shown` in the place `{number}`."""
        return self(f"{key}.{'one' if number == 1 else 'other'}", number=shown)

    def live(self) -> dict[str, str]:
        """What the scripts of a page may say, by key without its prefix."""
        return {key.removeprefix(LIVE): text for key, text in self.messages.items() if key.startswith(LIVE)}


@cache
def words(language: str) -> Words:
    """The messages of a language of `LANGUAGES`."""
    text = files("api.web").joinpath(f"messages/{language}.json").read_text(encoding="utf-8")
    return Words(language, json.loads(text))


def language_of(asked: str | None, accepted: str) -> str:
    """The language to answer in: the one that was chosen, else the best of an Accept-Language header, else English."""
    if asked in LANGUAGES:
        return asked
    best, best_quality = DEFAULT, 0.0
    for part in accepted.split(","):
        tag, _, quality_text = part.partition(";q=")
        language = tag.strip().lower().partition("-")[0]
        try:
            quality = float(quality_text) if quality_text else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best
