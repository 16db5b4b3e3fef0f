"""`/incidents`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Alert, Incident, Label, TimelinePart, as_json
from aggregator.triage.cases import IncidentFilter
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/incidents", tags=["incidents"])

_DETAIL = shape(
    Incident,
    name="IncidentDetail",
    extra={
        "alert_items": (list[shape(Alert, name="IncidentAlert")], ...),  # type: ignore[misc]
        "labels": (list[shape(Label, name="IncidentLabel")], ...),  # type: ignore[misc]
        "timeline": (list[shape(TimelinePart)], ...),  # type: ignore[misc]
    },
)


@router.get("", response_model=list_of(Incident), summary="Incidents, latest activity first")
def list_incidents(  # noqa: PLR0917 - parameters of a query
    services: Served,
    _: Asker,
    state: str | None = None,
    kind: str | None = None,
    verdict: str | None = None,
    since_ms: int | None = None,
    host: str | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Any:
    """`state` is open, closed, suppressed or all; left out, all but suppressed. `since_ms`: active at or after it."""
    where = IncidentFilter(state, kind, verdict, since_ms, host)
    return as_json(queries.list_incidents(services, where, limit=limit, cursor=cursor))


@router.get("/{incident_id}", response_model=_DETAIL, summary="One incident with its strongest alerts")
def get_incident(services: Served, _: Asker, incident_id: int) -> Any:
    """The id of an incident that was merged gives the one it merged into. At most 200 alerts; list the rest."""
    return as_json(queries.get_incident(services, incident_id))
