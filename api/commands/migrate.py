"""`tallystick migrate`."""

from __future__ import annotations

from api.bootstrap import Places, make_log
from api.output import Output
from ledger.schema import REVISION


def run(output: Output, where: Places) -> None:
    make_log(where)
    if output.as_json:
        output.json({"log": where.shown_url, "revision": REVISION})
    else:
        output.line(f"{where.shown_url}: schema revision {REVISION}")
