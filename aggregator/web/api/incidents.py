"""`/incidents`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Alert, Incident, Label, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/incidents", tags=["incidents"])

_DETAIL = shape(
    Incident,
    name="IncidentDetail",
    extra={
        "alert_items": (list[shape(Alert, name="IncidentAlert")], ...),  # type: ignore[misc]
        "labels": (list[shape(Label, name="IncidentLabel")], ...),  # type: ignore[misc]
    },
)


@router.get("", response_model=list_of(Incident), summary="Incidents, latest activity first")
def list_incidents(
    services: Served, _: Asker, since_ms: int | None = None, limit: Limit = PAGE, cursor: Cursor = None
) -> Any:
    """With `since_ms`, only those active at or after it."""
    return as_json(queries.list_incidents(services, since_ms=since_ms, limit=limit, cursor=cursor))


@router.get("/{incident_id}", response_model=_DETAIL, summary="One incident with its strongest alerts")
def get_incident(services: Served, _: Asker, incident_id: int) -> Any:
    """The id of an incident that was merged gives the one it merged into. At most 200 alerts; list the rest."""
    return as_json(queries.get_incident(services, incident_id))
