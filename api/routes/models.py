"""Models, their versions and training runs, where they come from, and the report of one model."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from api import wire
from api.auth.principal import Principal
from api.paging import Paging
from api.replies import After, Cursor, IdempotencyKey, Limit, as_of, doors_of, record, reply
from api.routes.registry import (
    RECORDED,
    ModelPath,
    ModelVersionPath,
    TrainingRunPath,
    action,
    filter_number,
    found,
    found_row,
    router_of,
)
from api.routes.showing import Named, show, show_below
from api.schemas.base import Page, PartyId
from api.schemas.models import (
    Lineage,
    Model,
    ModelVersion,
    NewModel,
    NewModelVersion,
    NewTrainingRun,
    TrainingRun,
    WithdrawingModel,
)
from api.wire import public_id
from domain.commands import PublishModelVersion
from projections import assets

router = router_of("models")


@router.post("/models", **RECORDED)
async def register_model(
    request: Request,
    principal: Annotated[Principal, action("models.write")],
    body: NewModel,
    key: IdempotencyKey = None,
) -> Response:
    """Register a model of the asking developer."""
    command = body.command(principal.party)
    return await record(doors_of(request), principal, command, key, made=(wire.MODEL, "model"), at="/v1/models")


@router.get("/models", response_model=Page[Model])
async def list_models(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    search: Annotated[str | None, Query(max_length=200)] = None,
    developer: PartyId | None = None,
    family: Annotated[str | None, Query(max_length=200)] = None,
    modality: Annotated[str | None, Query(max_length=200)] = None,
    license: Annotated[str | None, Query(max_length=200)] = None,  # noqa: A002
    listed: Annotated[bool | None, Query(description="With or without a series.")] = None,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Models by number."""
    doors = doors_of(request)
    asked = {
        "search": search,
        "developer": developer,
        "family": family,
        "modality": modality,
        "license": license,
        "listed": listed,
    }
    paging = Paging(doors, limit, cursor, asked, address="/v1/models")
    filters = dict(paging.filters)
    filters["developer"] = filter_number(wire.PARTY, filters["developer"], "developer")
    await as_of(doors, after)
    rows = await paging.rows(assets.all_models, **filters)
    return paging.reply(rows, model_body, lambda row: row.model)


@router.get("/models/{model}", response_model=Model)
async def get_model(
    request: Request, _principal: Annotated[Principal, action("models.read")], model: ModelPath, after: After = None
) -> Response:
    """One model."""
    return await show(request, Named(wire.MODEL, model, assets.model), model_body, after)


@router.post("/models/{model}/versions", **RECORDED)
async def register_model_version(
    request: Request,
    principal: Annotated[Principal, action("models.write")],
    model: ModelPath,
    body: NewModelVersion,
    key: IdempotencyKey = None,
) -> Response:
    """Register a version of a model with what it was made of."""
    command = body.command(found(wire.MODEL, model))
    made = (wire.MODEL_VERSION, "model_version")
    return await record(doors_of(request), principal, command, key, made=made, at="/v1/model_versions")


@router.get("/models/{model}/versions", response_model=Page[ModelVersion])
async def list_model_versions(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    model: ModelPath,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Versions of a model by number."""
    owner = ("model", Named(wire.MODEL, model, assets.model))
    return await show_below(
        request,
        owner,
        assets.versions_of_model,
        model_version_body,
        "model_version",
        after=after,
        cursor=cursor,
        limit=limit,
    )


@router.post("/models/{model}/training_runs", **RECORDED)
async def record_training_run(
    request: Request,
    principal: Annotated[Principal, action("models.write")],
    model: ModelPath,
    body: NewTrainingRun,
    key: IdempotencyKey = None,
) -> Response:
    """Record that a model was trained, and on what."""
    command = body.command(found(wire.MODEL, model))
    made = (wire.TRAINING_RUN, "training_run")
    return await record(doors_of(request), principal, command, key, made=made, at="/v1/training_runs")


@router.get("/models/{model}/training_runs", response_model=Page[TrainingRun])
async def list_training_runs(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    model: ModelPath,
    after: After = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Training runs of a model by number."""
    owner = ("model", Named(wire.MODEL, model, assets.model))
    return await show_below(
        request, owner, assets.runs_of_model, training_run_body, "training_run", after=after, cursor=cursor, limit=limit
    )


@router.get("/training_runs/{training_run}", response_model=TrainingRun)
async def get_training_run(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    training_run: TrainingRunPath,
    after: After = None,
) -> Response:
    """One training run."""
    return await show(request, Named(wire.TRAINING_RUN, training_run, assets.training_run), training_run_body, after)


@router.get("/model_versions/{model_version}", response_model=ModelVersion)
async def get_model_version(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    model_version: ModelVersionPath,
    after: After = None,
) -> Response:
    """One version of a model."""
    return await show(
        request, Named(wire.MODEL_VERSION, model_version, assets.model_version), model_version_body, after
    )


@router.get("/model_versions/{model_version}/lineage", response_model=Lineage)
async def get_lineage(
    request: Request,
    _principal: Annotated[Principal, action("models.read")],
    model_version: ModelVersionPath,
    descendants: Annotated[bool, Query(description="What came from it, instead of what it came from.")] = False,
    after: After = None,
) -> Response:
    """Everything that a version was made from, step by step down to the data sets."""
    doors = doors_of(request)
    number = found(wire.MODEL_VERSION, model_version)
    await as_of(doors, after)
    found_row(await doors.reads.ask(assets.model_version, number))

    def question(connection: Any) -> assets.Lineage:
        return assets.lineage_of(connection, assets.MODEL, number, descendants=descendants)

    return reply(lineage_body(await doors.reads.ask(question)), position=doors.reads.position())


@router.post("/model_versions/{model_version}/publish", **RECORDED)
async def publish_model_version(
    request: Request,
    principal: Annotated[Principal, action("models.write")],
    model_version: ModelVersionPath,
    key: IdempotencyKey = None,
) -> Response:
    """Let series be listed for the version, and other models be made from it."""
    command = PublishModelVersion(model_version=found(wire.MODEL_VERSION, model_version))
    return await record(doors_of(request), principal, command, key)


@router.post("/model_versions/{model_version}/withdraw", **RECORDED)
async def withdraw_model_version(
    request: Request,
    principal: Annotated[Principal, action("models.write")],
    model_version: ModelVersionPath,
    body: WithdrawingModel,
    key: IdempotencyKey = None,
) -> Response:
    """Withdraw a version, or give notice of something that does not stop its use."""
    command = body.command(found(wire.MODEL_VERSION, model_version))
    return await record(doors_of(request), principal, command, key)


def model_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.MODEL, row.model),
        "developer": public_id(wire.PARTY, row.developer),
        "key": row.key,
        "title": row.title,
        "family": row.family,
        "modality": row.modality,
        "license": row.license,
        "source": row.source,
        "position": row.position,
    }


def model_version_body(row: Any) -> dict[str, Any]:
    run = row.training_run
    return {
        "id": public_id(wire.MODEL_VERSION, row.model_version),
        "model": public_id(wire.MODEL, row.model),
        "semver": row.semver,
        "digest": row.digest.hex(),
        "digest_basis": row.digest_basis,
        "training_run": None if run is None else public_id(wire.TRAINING_RUN, run),
        "state": row.state,
        "notice": row.notice,
        "position": row.last_position,
    }


def training_run_body(row: Any) -> dict[str, Any]:
    return {
        "id": public_id(wire.TRAINING_RUN, row.training_run),
        "model": public_id(wire.MODEL, row.model),
        "dataset_versions": [public_id(wire.DATASET_VERSION, version) for version in json.loads(row.dataset_versions)],
        "params_digest": None if row.params_digest is None else row.params_digest.hex(),
        "started_day": row.started_day,
        "ended_day": row.ended_day,
        "position": row.position,
    }


_PREFIX_OF_KIND = {assets.MODEL: wire.MODEL_VERSION, assets.DATASET: wire.DATASET_VERSION}


def lineage_body(lineage: assets.Lineage) -> dict[str, Any]:
    return {
        "model_versions": [
            {
                "id": public_id(wire.MODEL_VERSION, row.model_version),
                "model": public_id(wire.MODEL, row.model),
                "key": row.key,
                "title": row.title,
                "semver": row.semver,
                "state": row.state,
            }
            for row in lineage.models
        ],
        "dataset_versions": [
            {
                "id": public_id(wire.DATASET_VERSION, row.dataset_version),
                "dataset": public_id(wire.DATASET, row.dataset),
                "key": row.key,
                "title": row.title,
                "label": row.label,
                "state": row.state,
            }
            for row in lineage.datasets
        ],
        "edges": [
            {
                "made": public_id(_PREFIX_OF_KIND[row.kind], row.version),
                "source": public_id(_PREFIX_OF_KIND[row.parent_kind], row.parent),
                "relation": row.relation,
                "weight_ppb": row.weight_ppb,
            }
            for row in lineage.edges
        ],
        "whole": lineage.whole,
    }
