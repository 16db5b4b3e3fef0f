"""`/labels`: verdicts, and what is asked next."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from aggregator import notes
from aggregator.errors import Invalid
from aggregator.learning import teaching
from aggregator.learning.labels import LONGEST_FAMILY
from aggregator.learning.lessons import LabelDay, Queue
from aggregator.rows import Label, Verdict, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/labels", tags=["labels"])
_LABEL = shape(Label)


class NewLabel(BaseModel):
    """A verdict on an alert, on every alert an incident has now, or on a flow by its name (`flow_id`)."""

    model_config = ConfigDict(extra="forbid")
    target: Literal["alert", "incident", "flow"]
    id: int | None = Field(default=None, description="Of the alert or incident.")
    flow_id: str = Field(default="", max_length=256, description="Of the flow, whether it raised an alert or not.")
    verdict: Verdict
    note: str = Field(default="", max_length=notes.LONGEST)
    expires_ms: int | None = Field(default=None, description="From then on the verdict counts no more.")
    family: str = Field(default="", max_length=LONGEST_FAMILY, description="What attack it is, of a malicious one.")


class Undoing(BaseModel):
    """Why a verdict is taken back."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=notes.LONGEST)


@router.get("", response_model=list_of(Label), summary="Verdicts and their undoing, newest first")
def list_labels(services: Served, _: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Labels are never changed or removed."""
    return as_json(teaching.list_labels(services, limit=limit, cursor=cursor))


@router.get("/queue", response_model=shape(Queue), summary="The few flows whose verdict would teach most")
def review_queue(services: Served, _: Asker) -> Any:
    """Alerts first, then flows that raised none, each with the reason why it is asked."""
    return as_json(teaching.review_queue(services))


@router.get("/daily", response_model=list_of(LabelDay), summary="Who gave how many verdicts on which day")
def labels_per_day(
    services: Served, _: Asker, days: Annotated[int, Query(ge=1, le=366)] = teaching.DAYS
) -> dict[str, Any]:
    """Newest day first. One account that labels in bulk shows here."""
    return {"items": as_json(teaching.labels_per_day(services, days=days)), "next": None}


@router.post("", response_model=_LABEL, status_code=201, summary="Give a verdict")
async def add_label(services: Served, asker: Asker, label: NewLabel) -> Any:
    """Analysts and up."""
    said: dict[str, Any] = {
        "verdict": label.verdict,
        "note": label.note,
        "expires_ms": label.expires_ms,
        "family": label.family,
    }
    if (label.target == "flow") != bool(label.flow_id) or (label.target == "flow") == (label.id is not None):
        raise Invalid("name an alert or incident by `id`, a flow by `flow_id`, and not both")
    if label.target == "flow":
        return as_json(await teaching.label_flow(services, asker, label.flow_id, **said))
    return as_json(await teaching.add_label(services, asker, target=label.target, target_id=label.id or 0, **said))


@router.post("/{label_id}/undo", response_model=_LABEL, summary="Take a verdict back")
async def undo_label(services: Served, asker: Asker, label_id: int, undoing: Undoing | None = None) -> Any:
    """What the alerts were called before counts again. Analysts and up."""
    return as_json(await teaching.undo_label(services, asker, label_id, note=undoing.note if undoing else ""))
