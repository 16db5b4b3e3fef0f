"""`/policies`: how scores become decisions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from aggregator import queries
from aggregator.rows import Policy, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/policies", tags=["policies"])
_POLICY = shape(Policy)


class Change(BaseModel):
    """What is left out stays as it is. At most one of `promised_fpr` and `threshold`."""

    model_config = ConfigDict(extra="forbid")
    promised_fpr: float | None = None
    threshold: float | None = None
    keep_fraction: float | None = None
    max_alerts_per_minute: int | None = None
    reason: str = Field(default="", max_length=500)


@router.get("", response_model=list_of(Policy), summary="Policies, newest version first")
def list_policies(services: Served, _: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """The first one is current."""
    return as_json(queries.list_policies(services, limit=limit, cursor=cursor))


@router.get("/current", response_model=_POLICY, summary="The policy that agents follow")
def current_policy(services: Served, _: Asker) -> Any:
    """The newest version."""
    return as_json(queries.current_policy(services))


@router.put("/current", response_model=_POLICY, summary="Set a new policy version")
async def set_policy(services: Served, asker: Asker, change: Change) -> Any:
    """Agents receive it at once. With `promised_fpr` the threshold follows from the champion's calibration."""
    return as_json(await queries.set_policy(services, asker, **change.model_dump()))
