"""The checked-in description of the HTTP doors: `python -m api.openapi` writes it, a test compares it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from api.app import bare_app
from api.description import describe
from api.settings import Settings

FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "openapi.json"


def text_of(document: dict[str, Any]) -> str:
    """The document as the file has it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(text_of(describe(bare_app(Settings()))), encoding="utf-8")


if __name__ == "__main__":
    main()
