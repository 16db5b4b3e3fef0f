"""`/agents`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from aggregator import queries
from aggregator.rows import Agent, Gap, as_json
from aggregator.web.api.asking import PAGE, Asker, Limit, Served, list_of, shape

router = APIRouter(prefix="/agents", tags=["agents"])


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
