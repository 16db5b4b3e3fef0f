"""`/labels`: verdicts."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from aggregator import queries
from aggregator.labels import LONGEST_NOTE
from aggregator.rows import Label, Verdict, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/labels", tags=["labels"])
_LABEL = shape(Label)


class NewLabel(BaseModel):
    """A verdict on an alert, or on every alert an incident has now."""

    model_config = ConfigDict(extra="forbid")
    target: Literal["alert", "incident"]
    id: int
    verdict: Verdict
    note: str = Field(default="", max_length=LONGEST_NOTE)


class Undoing(BaseModel):
    """Why a verdict is taken back."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=LONGEST_NOTE)


@router.get("", response_model=list_of(Label), summary="Verdicts and their undoing, newest first")
def list_labels(services: Served, _: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Labels are never changed or removed."""
    return as_json(queries.list_labels(services, limit=limit, cursor=cursor))


@router.post("", response_model=_LABEL, status_code=201, summary="Give a verdict")
async def add_label(services: Served, asker: Asker, label: NewLabel) -> Any:
    """Analysts and up."""
    given = await queries.add_label(
        services, asker, target=label.target, target_id=label.id, verdict=label.verdict, note=label.note
    )
    return as_json(given)


@router.post("/{label_id}/undo", response_model=_LABEL, summary="Take a verdict back")
async def undo_label(services: Served, asker: Asker, label_id: int, undoing: Undoing | None = None) -> Any:
    """What the alerts were called before counts again. Analysts and up."""
    return as_json(await queries.undo_label(services, asker, label_id, note=undoing.note if undoing else ""))
