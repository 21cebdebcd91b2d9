"""Terms of licenses."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.paging import Paging
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record
from api.routes.registry import RECORDED, TermsPath, action, filter_number, router_of
from api.routes.showing import Named, show
from api.schemas.base import Page, PartyId
from api.schemas.terms import NewTerms, Terms
from api.wire import public_id, rfc3339
from projections import assets

router = router_of("terms")


@router.post("/terms", **RECORDED)
async def adopt_terms(
    request: Request,
    principal: Annotated[Principal, action("terms.write")],
    body: NewTerms,
    key: IdempotencyKey = None,
) -> Response:
    """Adopt terms under which the asking developer's models are licensed."""
    command = body.command(principal.party)
    return await record(doors_of(request), principal, command, key, made=(wire.TERMS, "terms"), at="/v1/terms")


@router.get("/terms", response_model=Page[Terms])
async def list_terms(
    request: Request,
    _principal: Annotated[Principal, action("terms.read")],
    developer: PartyId | None = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Terms by number."""
    doors = doors_of(request)
    paging = Paging(doors, limit, cursor, {"developer": developer}, address="/v1/terms")
    await as_of(doors, after)
    number = filter_number(wire.PARTY, paging.filters["developer"], "developer")
    rows = await paging.rows(assets.all_terms, developer=number)
    return paging.reply(rows, terms_body, lambda row: row.terms)


@router.get("/terms/{terms}", response_model=Terms)
async def get_terms(
    request: Request, _principal: Annotated[Principal, action("terms.read")], terms: TermsPath, after: After = None
) -> Response:
    """One set of terms."""
    return await show(request, Named(wire.TERMS, terms, assets.terms_row), terms_body, after)


def terms_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.TERMS, row.terms),
        "developer": public_id(wire.PARTY, row.developer),
        "purpose": row.purpose,
        "territory": json.loads(row.territory),
        "term": row.term,
        "term_ends_at": None if row.term_ends_ns is None else rfc3339(row.term_ends_ns),
        "term_days": row.term_days,
        "unit": row.unit,
        "transferable": bool(row.transferable),
        "derivatives_allowed": bool(row.derivatives_allowed),
        "resale_royalty_ppm": row.resale_royalty_ppm,
        "text_digest": row.text_digest.hex(),
        "license": row.license,
        "position": row.position,
    }
