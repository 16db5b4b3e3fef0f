"""`/agents`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from aggregator import queries
from aggregator.rows import Agent, Gap, as_json
from aggregator.web.api.asking import PAGE, Asker, Limit, Served, list_of, shape

router = APIRouter(prefix="/agents", tags=["agents"])


class Membership(BaseModel):
    """Which group an agent belongs to."""

    model_config = ConfigDict(extra="forbid")
    group: str = Field(min_length=1, max_length=64)


@router.get("", response_model=list_of(Agent), summary="Every agent ever seen, with its health")
def list_agents(services: Served, _: Asker) -> Any:
    """By name."""
    return as_json(queries.list_agents(services))


@router.get("/gaps", response_model=list_of(Gap), summary="Declared losses and batches set aside, newest first")
def list_gaps(services: Served, _: Asker, agent: str | None = None, limit: Limit = PAGE) -> Any:
    """Silence is not quiet: what a spool had to drop is in here."""
    return as_json(queries.list_gaps(services, agent=agent, limit=limit))


@router.get("/{agent_id}", response_model=shape(Agent), summary="One agent")
def get_agent(services: Served, _: Asker, agent_id: str) -> Any:
    """As last heard of."""
    return as_json(queries.get_agent(services, agent_id))


@router.put("/{agent_id}/group", response_model=shape(Agent), summary="Put an agent into a group")
async def set_group(services: Served, asker: Asker, agent_id: str, membership: Membership) -> Any:
    """Agents of a group are calibrated together and follow one policy. An agent cannot choose its group."""
    return as_json(await services.promises.assign(asker, agent_id, membership.group))
