"""The description of the socket: the file that is checked in is what the models say, and no reference leads nowhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.live import Channel
from api.live.tape import INTERVALS
from api.websocket import asyncapi
from api.websocket.requests import OPS


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_file_is_what_the_program_writes() -> None:
    assert asyncapi.FILE.read_text() == asyncapi.text(), "run python -m api.websocket.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()
    found = set(references(document))
    assert len(found) > 40
    for reference in found:
        at: Any = document
        for step in reference.removeprefix("#/").split("/"):
            at = at[step]


@pytest.mark.parametrize("word", [*OPS, *Channel, *INTERVALS, "heartbeat", "replay", "4001", "4008", "1009", "1011"])
def test_the_page_names_everything(word: str) -> None:
    page = (asyncapi.FILE.parent / "websocket.md").read_text()
    assert re.search(rf"\b{re.escape(word)}\b", page)


def test_every_operation_and_message_is_described() -> None:
    document = json.loads(asyncapi.text())
    assert document["asyncapi"] == "3.0.0"
    messages = document["components"]["messages"]
    assert set(document["channels"]["socket"]["messages"]) == set(messages)
    told = [reference["$ref"] for way in document["operations"].values() for reference in way["messages"]]
    assert len(told) == len(set(told)) == len(messages)
    assert all(message["summary"] for message in messages.values())
