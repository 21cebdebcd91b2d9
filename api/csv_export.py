"""CSV files for spreadsheets: UTF-8, a header row, and no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the start of a formula."""


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], *, numbers: frozenset[str]) -> str:
    """The file. Columns in `numbers` hold decimals that the house wrote; texts of all others are guarded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row[name], is_number=name in numbers) for name in columns])
    return out.getvalue()


def csv_response(text: str, name: str) -> Response:
    """The file as a download; its name ends with the start of its SHA-256."""
    content = text.encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()
    headers = {"Content-Disposition": f'attachment; filename="{name}-{digest[:12]}.csv"', "X-Content-Sha256": digest}
    return Response(content, headers=headers, media_type=MEDIA_TYPE)


def _cell(value: Any, *, is_number: bool) -> str:
    if value is None:
        return ""
    text = str(value)
    return text if is_number or isinstance(value, int) or not text.startswith(_FORMULA) else "'" + text
