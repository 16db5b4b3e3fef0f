"""`/flows`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Flow, FlowCount, as_json
from aggregator.storage.flows import FlowFilter
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/flows", tags=["flows"])


@router.get("", response_model=list_of(Flow), summary="Flows of staging and lake, latest first")
def list_flows(  # noqa: PLR0917 - parameters of a query
    services: Served,
    _: Asker,
    agent: str | None = None,
    host: str | None = None,
    src: str | None = None,
    dst: str | None = None,
    port: int | None = None,
    protocol: int | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    min_score: float | None = None,
    raised: bool | None = None,
    verdict: str | None = None,
    flow_id: str | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Any:
    """Alerts' flows and the sample of quiet ones, a few seconds after they arrive. `host` and `port` are either end."""
    where = FlowFilter(
        agent=agent,
        host=host,
        src=src,
        dst=dst,
        port=port,
        protocol=protocol,
        since_ms=since_ms,
        until_ms=until_ms,
        min_score=min_score,
        raised=raised,
        verdict=verdict,
        flow_id=flow_id,
    )
    return as_json(queries.list_flows(services, where, limit=limit, cursor=cursor))


@router.get("/counts", response_model=list[shape(FlowCount)], summary="Flows received per minute")  # type: ignore[misc]
def count_flows(services: Served, _: Asker, minutes: int = 60) -> Any:
    """Oldest first, minutes without flows included."""
    return as_json(queries.count_flows(services, minutes=minutes))
