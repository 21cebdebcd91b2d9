"""The description of the socket, AsyncAPI 3.0: out of the models of what is asked and what is sent.

`python -m api.websocket.asyncapi` writes it to `docs/reference/asyncapi.json`, and a test holds the two equal.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from api.schemas.orders import PlaceOrder
from api.websocket import requests, schemas

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "reference" / "asyncapi.json"
VERSION: Final = "1.0.0"
"""Of the messages; it grows with what is added and starts anew with another path."""
_SCHEMA: Final = "#/components/schemas/"


def document() -> dict[str, Any]:
    asked = {model.__name__: model for model in requests.MODELS}
    sent = {model.__name__: model for model in schemas.MODELS}
    modes = [(model, "validation") for model in (*asked.values(), PlaceOrder)] + [
        (model, "serialization") for model in sent.values()
    ]
    _, found = models_json_schema(modes, ref_template=_SCHEMA + "{model}")  # type: ignore[arg-type]
    components = found["$defs"]
    components["Place"]["properties"]["order"] = {"$ref": f"{_SCHEMA}PlaceOrder"}
    messages = {
        name: {
            "name": name,
            "title": name,
            "summary": (model.__doc__ or "").strip().partition("\n")[0],
            "contentType": "application/json",
            "payload": {"$ref": _SCHEMA + name},
        }
        for name, model in {**asked, **sent}.items()
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tallystick",
            "version": VERSION,
            "description": "Everything that moves, and orders, over one socket; docs/reference/websocket.md says how.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/v1/ws",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "ask": _operation("receive", asked),
            "tell": _operation("send", sent),
        },
        "components": {"messages": messages, "schemas": components},
    }


def _operation(action: str, models: dict[str, Any]) -> dict[str, Any]:
    """`action` as the server sees it."""
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{name}"} for name in models],
    }


def text() -> str:
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
