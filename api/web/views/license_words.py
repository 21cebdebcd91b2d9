"""A license in plain words: what its terms allow, one sentence each."""

from __future__ import annotations

import json
from typing import Any

from api.web.numbers import Numbers
from api.web.words import Words
from domain.values import TermKind


def plain_words(terms: Any, t: Words, n: Numbers) -> tuple[str, ...]:
    """Sentences about a row of `projections.assets.terms`."""
    territory = json.loads(terms.territory)
    return (
        t(f"plain.purpose.{terms.purpose}"),
        t("plain.worldwide") if territory == ["worldwide"] else t("plain.territory", territory=", ".join(territory)),
        _ends(terms, t, n, "plain"),
        t("plain.resale", royalty=n.ppm(terms.resale_royalty_ppm)) if terms.transferable else t("plain.no_resale"),
        t("plain.derivatives") if terms.derivatives_allowed else t("plain.no_derivatives"),
    )


def term_words(terms: Any, t: Words, n: Numbers) -> str:
    """How long a license lasts, in a few words."""
    return _ends(terms, t, n, "term")


def _ends(terms: Any, t: Words, n: Numbers, group: str) -> str:
    match terms.term:
        case TermKind.FIXED_END:
            return t(f"{group}.fixed_end", day=n.day_of(terms.term_ends_ns))
        case TermKind.DAYS_FROM_ACTIVATION:
            return t(f"{group}.days", days=n.count(terms.term_days))
        case _:
            return t(f"{group}.perpetual")
