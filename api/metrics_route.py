"""`GET /metrics`, in Prometheus's text format."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from api.auth.principal import Principal
from api.authorization import authorize, principal_for
from api.metrics import Metrics


def metrics_route(metrics: Metrics) -> APIRoute:
    """`GET /metrics`: for whoever asks from this machine itself, and for those who look after the house."""

    async def read(
        request: Request, principal: Annotated[Principal, Depends(principal_for("market.read"))]
    ) -> Response:
        if not _is_local(request):
            authorize(principal, "operate.read")
        return Response(metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return APIRoute("/metrics", read, include_in_schema=False)


def _is_local(request: Request) -> bool:
    """Whether a process of this machine asks, and for nobody else."""
    client = request.client
    is_forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via"))
    return client is not None and not is_forwarded and ip_address(client.host).is_loopback
