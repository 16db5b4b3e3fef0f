"""`/sets`: frozen sets, by which every retrained model is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from aggregator import notes
from aggregator.learning import teaching
from aggregator.learning.lessons import FrozenSet
from aggregator.learning.yardsticks import MOST_BYTES
from aggregator.rows import Role, as_json
from aggregator.web.api.asking import Asker, Served, list_of, shape

router = APIRouter(prefix="/sets", tags=["sets"])
_SET = shape(FrozenSet)


class Freezing(BaseModel):
    """Which incident, and why it judges models from now on."""

    model_config = ConfigDict(extra="forbid")
    incident: int
    note: str = Field(min_length=1, max_length=notes.LONGEST)


class Retiring(BaseModel):
    """Why a set judges no longer."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(min_length=1, max_length=notes.LONGEST)


@router.get("", response_model=list_of(FrozenSet), summary="Frozen sets, newest first")
def list_sets(services: Served, _: Asker) -> dict[str, Any]:
    """Retired ones included: nothing is forgotten."""
    return {"items": as_json(teaching.list_sets(services)), "next": None}


@router.post("", response_model=_SET, status_code=201, summary="Add a set file")
async def add_set(
    services: Served,
    asker: Asker,
    file: UploadFile,
    purpose: Annotated[Literal["attacks", "golden"], Form()],
    note: Annotated[str, Form(min_length=1, max_length=notes.LONGEST)],
) -> Any:
    """A file that `anomaflow-trainer sets` made. Its rows judge models and never train one. Operators and up."""
    asker.require(Role.OPERATOR)
    data = await file.read(MOST_BYTES + 1)
    return as_json(await teaching.add_set(services, asker, data, purpose=purpose, note=note))


@router.post("/incidents", response_model=_SET, status_code=201, summary="Freeze the alerts of a judged incident")
async def freeze_incident(services: Served, asker: Asker, freezing: Freezing) -> Any:
    """Malicious ones join the attack-replay sets, benign ones the golden sets. Operators and up."""
    return as_json(await teaching.add_set_from_incident(services, asker, freezing.incident, note=freezing.note))


@router.post("/{set_id}/retire", response_model=_SET, summary="Judge by a set no longer")
async def retire_set(services: Served, asker: Asker, set_id: int, retiring: Retiring) -> Any:
    """Its file and its row stay. Operators and up."""
    return as_json(await teaching.retire_set(services, asker, set_id, note=retiring.note))
