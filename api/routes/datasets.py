"""Data sets and their versions."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.paging import Paging
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record
from api.routes.registry import (
    RECORDED,
    DatasetPath,
    DatasetVersionPath,
    action,
    filter_number,
    found,
    router_of,
)
from api.routes.showing import Named, show, show_below
from api.schemas.base import Page, PartyId
from api.schemas.datasets import Dataset, DatasetVersion, NewDataset, NewDatasetVersion, Withdrawing
from api.wire import public_id
from domain.commands import PublishDatasetVersion
from domain.values import Classification
from projections import assets

router = router_of("datasets")


@router.post("/datasets", **RECORDED)
async def register_dataset(
    request: Request,
    principal: Annotated[Principal, action("datasets.write")],
    body: NewDataset,
    key: IdempotencyKey = None,
) -> Response:
    """Register a data set of the asking provider."""
    command = body.command(principal.party)
    return await record(doors_of(request), principal, command, key, made=(wire.DATASET, "dataset"), at="/v1/datasets")


@router.get("/datasets", response_model=Page[Dataset])
async def list_datasets(
    request: Request,
    _principal: Annotated[Principal, action("datasets.read")],
    search: Annotated[str | None, Query(max_length=200)] = None,
    provider: PartyId | None = None,
    classification: Classification | None = None,
    license: Annotated[str | None, Query(max_length=200)] = None,  # noqa: A002
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Data sets by number."""
    doors = doors_of(request)
    asked = {"search": search, "provider": provider, "classification": classification, "license": license}
    paging = Paging(doors, limit, cursor, asked, address="/v1/datasets")
    filters = dict(paging.filters)
    filters["provider"] = filter_number(wire.PARTY, filters["provider"], "provider")
    await as_of(doors, after)
    rows = await paging.rows(assets.all_datasets, **filters)
    return paging.reply(rows, dataset_body, lambda row: row.dataset)


@router.get("/datasets/{dataset}", response_model=Dataset)
async def get_dataset(
    request: Request,
    _principal: Annotated[Principal, action("datasets.read")],
    dataset: DatasetPath,
    after: After = None,
) -> Response:
    """One data set."""
    return await show(request, Named(wire.DATASET, dataset, assets.dataset), dataset_body, after)


@router.post("/datasets/{dataset}/versions", **RECORDED)
async def register_dataset_version(
    request: Request,
    principal: Annotated[Principal, action("datasets.write")],
    dataset: DatasetPath,
    body: NewDatasetVersion,
    key: IdempotencyKey = None,
) -> Response:
    """Register a version of a data set; it is used once it is published."""
    command = body.command(found(wire.DATASET, dataset))
    made = (wire.DATASET_VERSION, "dataset_version")
    return await record(doors_of(request), principal, command, key, made=made, at="/v1/dataset_versions")


@router.get("/datasets/{dataset}/versions", response_model=Page[DatasetVersion])
async def list_dataset_versions(
    request: Request,
    _principal: Annotated[Principal, action("datasets.read")],
    dataset: DatasetPath,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Versions of a data set by number."""
    owner = ("dataset", Named(wire.DATASET, dataset, assets.dataset))
    return await show_below(
        request,
        owner,
        assets.versions_of_dataset,
        dataset_version_body,
        "dataset_version",
        after=after,
        cursor=cursor,
        limit=limit,
    )


@router.get("/dataset_versions/{dataset_version}", response_model=DatasetVersion)
async def get_dataset_version(
    request: Request,
    _principal: Annotated[Principal, action("datasets.read")],
    dataset_version: DatasetVersionPath,
    after: After = None,
) -> Response:
    """One version of a data set."""
    return await show(
        request, Named(wire.DATASET_VERSION, dataset_version, assets.dataset_version), dataset_version_body, after
    )


@router.post("/dataset_versions/{dataset_version}/publish", **RECORDED)
async def publish_dataset_version(
    request: Request,
    principal: Annotated[Principal, action("datasets.write")],
    dataset_version: DatasetVersionPath,
    key: IdempotencyKey = None,
) -> Response:
    """Let models name the version in their lineage."""
    command = PublishDatasetVersion(dataset_version=found(wire.DATASET_VERSION, dataset_version))
    return await record(doors_of(request), principal, command, key)


@router.post("/dataset_versions/{dataset_version}/withdraw", **RECORDED)
async def withdraw_dataset_version(
    request: Request,
    principal: Annotated[Principal, action("datasets.write")],
    dataset_version: DatasetVersionPath,
    body: Withdrawing,
    key: IdempotencyKey = None,
) -> Response:
    """Withdraw a version, or give notice of something that does not stop its use."""
    command = body.command(found(wire.DATASET_VERSION, dataset_version))
    return await record(doors_of(request), principal, command, key)


def dataset_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.DATASET, row.dataset),
        "provider": public_id(wire.PARTY, row.provider),
        "key": row.key,
        "title": row.title,
        "license": row.license,
        "classification": row.classification,
        "tags": json.loads(row.tags),
        "personal_data": row.personal_data,
        "source": row.source,
        "position": row.position,
    }


def dataset_version_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.DATASET_VERSION, row.dataset_version),
        "dataset": public_id(wire.DATASET, row.dataset),
        "label": row.label,
        "digest": row.digest.hex(),
        "digest_basis": row.digest_basis,
        "state": row.state,
        "notice": row.notice,
        "position": row.last_position,
    }
