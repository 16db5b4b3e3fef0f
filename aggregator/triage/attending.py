"""What people can do about an incident: the functions below both REST and console pages.

They follow queries.py: writes require the role here, write the audit log, publish an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.rows import Role
from aggregator.triage import steps
from aggregator.triage.handling import ACKNOWLEDGE, ASSIGN, COMMENT

if TYPE_CHECKING:
    from aggregator.services import Services
    from aggregator.triage.handling import Step
    from aggregator.users import Principal


def assignees(services: Services) -> tuple[str, ...]:
    """Whom an incident may be assigned to, by name."""
    return services.store.read(steps.assignees)


async def acknowledge(services: Services, actor: Principal, incident_id: int, *, note: str = "") -> Step:
    """Say that an incident was looked at. Analysts and up. Raises `NotFound`, `Conflict` when somebody has."""
    return await _add(services, actor, incident_id, ACKNOWLEDGE, note=note)


async def assign(services: Services, actor: Principal, incident_id: int, *, to: str | None, note: str = "") -> Step:
    """Let somebody look after an incident, or nobody (None). Analysts and up.

    Raises `NotFound`, `Invalid` when there is no such account or it may not, `Conflict` when it is so already.
    """
    return await _add(services, actor, incident_id, ASSIGN, assignee=to, note=note)


async def comment(services: Services, actor: Principal, incident_id: int, *, note: str) -> Step:
    """Say something about an incident. Analysts and up. Raises `NotFound`, `Invalid`."""
    return await _add(services, actor, incident_id, COMMENT, note=note)


async def undo(services: Services, actor: Principal, step_id: int, *, note: str = "") -> Step:
    """Take a step back. Analysts and up. Raises `NotFound`, `Conflict`."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()
    step = await services.store.write(lambda db: steps.undo(db, step_id, note=note, by=actor.name, at_ms=now_ms))
    services.events.publish("incident", ids=[step.incident_id])
    return step


async def _add(
    services: Services, actor: Principal, incident_id: int, deed: str, *, assignee: str | None = None, note: str
) -> Step:
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()
    step = await services.store.write(
        lambda db: steps.add(db, incident_id, deed, assignee=assignee, note=note, by=actor.name, at_ms=now_ms)
    )
    services.events.publish("incident", ids=[step.incident_id])
    return step
