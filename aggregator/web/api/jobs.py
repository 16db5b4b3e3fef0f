"""`/jobs`: training runs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from aggregator import queries
from aggregator.rows import Job, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/jobs", tags=["jobs"])
_JOB = shape(Job)


class Retraining(BaseModel):
    """What is left out is as configured, or as the trainer has it. `quarantine_hours` 0 takes every flow there is."""

    model_config = ConfigDict(extra="forbid")
    name: str | None = None
    quarantine_hours: float | None = None
    auto_promote: bool = False
    epochs: int | None = None
    alpha: float | None = None
    seed: int | None = None


@router.get("", response_model=list_of(Job), summary="Training runs, newest first")
def list_jobs(services: Served, _: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """States: running, succeeded, failed, cancelled, timed_out, interrupted."""
    return as_json(queries.list_jobs(services, limit=limit, cursor=cursor))


@router.post("/retrain", response_model=_JOB, status_code=202, summary="Train on the baseline and the lake")
async def retrain(services: Served, asker: Asker, retraining: Retraining | None = None) -> Any:
    """One at a time. With `auto_promote`, a model that passes its gate is promoted. Operators and up."""
    wanted = retraining or Retraining()
    return as_json(await queries.start_retrain(services, asker, **wanted.model_dump()))


@router.get("/{job_id}", response_model=_JOB, summary="One training run")
def get_job(services: Served, _: Asker, job_id: int) -> Any:
    """With its progress."""
    return as_json(queries.get_job(services, job_id))


@router.get("/{job_id}/log", response_model=list[str], summary="The last lines of a run's log")
def job_log(services: Served, _: Asker, job_id: int, lines: Annotated[int, Query(ge=1, le=10_000)] = 200) -> list[str]:
    """As the trainer wrote them."""
    return queries.job_log(services, job_id, lines=lines)


@router.post("/{job_id}/cancel", response_model=_JOB, summary="Stop a training run")
async def cancel_job(services: Served, asker: Asker, job_id: int) -> Any:
    """Returns when nothing of it runs any more. Operators and up."""
    return as_json(await queries.cancel_job(services, asker, job_id))
