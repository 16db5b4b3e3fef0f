"""`/policies`: how scores become decisions, in each group of agents; what is promised, and whether it holds."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from aggregator import queries
from aggregator.calibration.policies import DEFAULT
from aggregator.calibration.promised import GroupPromise, Preview
from aggregator.calibration.readouts import BASE_RATE, Wish
from aggregator.rows import Page, Policy, as_json
from aggregator.web.api.asking import PAGE, Asker, Cursor, Limit, Served, list_of, shape

router = APIRouter(prefix="/policies", tags=["policies"])
_POLICY = shape(Policy)

Group = Annotated[str, Query(max_length=64, description="Group of agents.")]
Budget = Annotated[float | None, Query(description="Alerts a day that may be false.")]
Rate = Annotated[float | None, Query(description="Share of benign flows that may alert.")]
Recall = Annotated[float | None, Query(description="Share of the report's labelled attack rows that should alert.")]
Score = Annotated[float | None, Query(description="Threshold, set by hand.")]
BaseRate = Annotated[float, Query(description="Share of flows that are attacks, as you suppose.")]


class Change(BaseModel):
    """What is left out stays as it is. At most one of `promised_fpr`, `threshold`, `alerts_per_day` and `recall`.

    `promised_fpr` takes the champion's own calibration, `fpr` what the group counted where it counted enough.
    """

    model_config = ConfigDict(extra="forbid")
    promised_fpr: float | None = None
    threshold: float | None = None
    alerts_per_day: float | None = None
    fpr: float | None = None
    recall: float | None = None
    keep_fraction: float | None = None
    max_alerts_per_minute: int | None = None
    group: str = Field(default=DEFAULT, max_length=64)
    reason: str = Field(default="", max_length=500)


class Recalibration(BaseModel):
    """For which promise; without one, the group's present one."""

    model_config = ConfigDict(extra="forbid")
    group: str = Field(default=DEFAULT, max_length=64)
    alerts_per_day: float | None = None
    fpr: float | None = None
    reason: str = Field(default="", max_length=500)


class Undo(BaseModel):
    """Of which group."""

    model_config = ConfigDict(extra="forbid")
    group: str = Field(default=DEFAULT, max_length=64)
    reason: str = Field(default="", max_length=500)


@router.get("", response_model=list_of(Policy), summary="Policies, newest version first")
def list_policies(services: Served, _: Asker, limit: Limit = PAGE, cursor: Cursor = None) -> Any:
    """Of every group; the first one of a group is its current one."""
    return as_json(queries.list_policies(services, limit=limit, cursor=cursor))


@router.get("/current", response_model=_POLICY, summary="The policy that agents of a group follow")
def current_policy(services: Served, _: Asker, group: Group = DEFAULT) -> Any:
    """The newest version of the group, or of the default group when it has none of its own."""
    return as_json(queries.current_policy(services, group=group))


@router.put("/current", response_model=_POLICY, summary="Set a new policy version")
async def set_policy(services: Served, asker: Asker, change: Change) -> Any:
    """Agents receive it at once."""
    return as_json(await queries.set_policy(services, asker, **change.model_dump()))


@router.get("/groups", response_model=list_of(GroupPromise), summary="Each group's promise, and whether it holds")
def list_groups(services: Served, _: Asker) -> Any:
    """Promised against realised, from all flows the agents counted, the default group first."""
    return as_json(Page(services.promises.standing(), None))


@router.get("/preview", response_model=shape(Preview), summary="What a policy would do, before it is set")
async def preview(  # noqa: PLR0917 - each is a parameter of the request
    services: Served,
    _: Asker,
    group: Group = DEFAULT,
    alerts_per_day: Budget = None,
    fpr: Rate = None,
    recall: Recall = None,
    threshold: Score = None,
    base_rate: BaseRate = BASE_RATE,
) -> Any:
    """Alerts a day, false-positive rate, precision and recall at one threshold; of the present one without a wish."""
    wish = Wish(alerts_per_day=alerts_per_day, fpr=fpr, recall=recall, threshold=threshold)
    return as_json(await asyncio.to_thread(services.promises.preview, wish, group=group, base_rate=base_rate))


@router.post("/recalibrate", response_model=_POLICY, summary="Choose a group's threshold from what it counted")
async def recalibrate(services: Served, asker: Asker, wanted: Recalibration) -> Any:
    """409 with the reason when the counts do not say enough, or a few hosts own them; nothing changes then."""
    wish = Wish(alerts_per_day=wanted.alerts_per_day, fpr=wanted.fpr)
    return as_json(await services.promises.recalibrate(asker, wish, group=wanted.group, reason=wanted.reason))


@router.post("/undo", response_model=_POLICY, summary="Bring back what the version before said")
async def undo(services: Served, asker: Asker, wanted: Undo) -> Any:
    """As a new version."""
    return as_json(await services.promises.undo(asker, group=wanted.group, reason=wanted.reason))
