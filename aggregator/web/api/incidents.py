"""`/incidents`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from aggregator import notes, queries
from aggregator.rows import Alert, Incident, Label, TimelinePart, as_json
from aggregator.triage import attending
from aggregator.triage.cases import IncidentFilter
from aggregator.triage.handling import Step
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/incidents", tags=["incidents"])

_DETAIL = shape(
    Incident,
    name="IncidentDetail",
    extra={
        "alert_items": (list[shape(Alert, name="IncidentAlert")], ...),  # type: ignore[misc]
        "labels": (list[shape(Label, name="IncidentLabel")], ...),  # type: ignore[misc]
        "timeline": (list[shape(TimelinePart)], ...),  # type: ignore[misc]
        "steps": (list[shape(Step)], ...),  # type: ignore[misc]
    },
)
_STEP = shape(Step, name="IncidentStep")


class Remark(BaseModel):
    """Why, or what was found."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=notes.LONGEST)


class Assignment(Remark):
    """To whom: left out, to oneself; null, to nobody."""

    to: str | None = Field(default=None, max_length=64)


@router.get("", response_model=list_of(Incident), summary="Incidents, latest activity first")
def list_incidents(  # noqa: PLR0917 - parameters of a query
    services: Served,
    asker: Asker,
    state: str | None = None,
    kind: str | None = None,
    verdict: str | None = None,
    since_ms: int | None = None,
    host: str | None = None,
    assignee: str | None = None,
    acknowledged: bool | None = None,
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Any:
    """`state` is open, closed, suppressed or all; left out, all but suppressed. `since_ms`: active at or after it.

    `assignee` is a name, `me` or `none`.
    """
    whose = asker.name if assignee == "me" else assignee
    where = IncidentFilter(state, kind, verdict, since_ms, host, whose, acknowledged)
    return as_json(queries.list_incidents(services, where, limit=limit, cursor=cursor))


@router.get("/assignees", summary="Whom incidents may be assigned to")
def list_assignees(services: Served, _: Asker) -> dict[str, list[str]]:
    """Names of accounts in use, from analyst up."""
    return {"items": list(attending.assignees(services))}


@router.get("/{incident_id}", response_model=_DETAIL, summary="One incident with its strongest alerts")
def get_incident(services: Served, _: Asker, incident_id: int) -> Any:
    """The id of an incident that was merged gives the one it merged into. At most 200 alerts; list the rest."""
    return as_json(queries.get_incident(services, incident_id))


@router.post("/{incident_id}/acknowledge", response_model=_STEP, status_code=201, summary="Say that it was looked at")
async def acknowledge_incident(services: Served, asker: Asker, incident_id: int, remark: Remark | None = None) -> Any:
    """It counts until an alert opens the incident again, or the incident becomes of another kind. Analysts and up."""
    return as_json(await attending.acknowledge(services, asker, incident_id, note=remark.note if remark else ""))


@router.post("/{incident_id}/assign", response_model=_STEP, status_code=201, summary="Let somebody look after it")
async def assign_incident(services: Served, asker: Asker, incident_id: int, given: Assignment | None = None) -> Any:
    """To an account from analyst up; `to` left out: to oneself, null: to nobody. Analysts and up."""
    given = given or Assignment()
    to = given.to if "to" in given.model_fields_set else asker.name
    return as_json(await attending.assign(services, asker, incident_id, to=to, note=given.note))


@router.post("/{incident_id}/comment", response_model=_STEP, status_code=201, summary="Say something about it")
async def comment_on_incident(services: Served, asker: Asker, incident_id: int, remark: Remark) -> Any:
    """Comments stay with the incident when it is merged. Analysts and up."""
    return as_json(await attending.comment(services, asker, incident_id, note=remark.note))


@router.post("/steps/{step_id}/undo", response_model=_STEP, status_code=201, summary="Take a step back")
async def undo_step(services: Served, asker: Asker, step_id: int, remark: Remark | None = None) -> Any:
    """The step stays in the history and counts no more. Analysts and up."""
    return as_json(await attending.undo(services, asker, step_id, note=remark.note if remark else ""))
