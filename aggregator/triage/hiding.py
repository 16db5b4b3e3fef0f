"""What can be asked about, and done to, rules of what is normal here: the functions below both REST and console pages.

They follow queries.py: reads are plain and quick, writes require the role here, write the audit log, publish an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.rows import Role
from aggregator.triage import suppressions

if TYPE_CHECKING:
    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.triage.normality import Scope, Suppression, SuppressionPreview
    from aggregator.users import Principal

PAGE: int = 50
"""Rows of a list when nobody asks for another number."""


def list_suppressions(
    services: Services, *, state: str | None = None, limit: int = PAGE, cursor: str | None = None
) -> Page[Suppression]:
    """Rules that say what is normal here, newest first."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: suppressions.find(db, state=state, now_ms=now_ms, limit=limit, cursor=cursor))


def get_suppression(services: Services, suppression_id: int) -> Suppression:
    """One rule. Raises `NotFound`."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: suppressions.get(db, suppression_id, now_ms=now_ms))


def preview_suppression(services: Services, scope: Scope) -> SuppressionPreview:
    """What a rule would have hidden in the last days, and what speaks against it. Raises `Invalid`."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: suppressions.preview(db, scope, now_ms=now_ms))


async def add_suppression(
    services: Services,
    actor: Principal,
    scope: Scope,
    *,
    until_ms: int,
    since_ms: int | None = None,
    reason: str,
    insist: bool = False,
) -> Suppression:
    """Say what is normal here. Analysts and up; to insist on a rule that is refused as too broad, operators and up.

    Raises `Invalid`, and `Conflict` for a rule that is too broad.
    """
    actor.require(Role.OPERATOR if insist else Role.ANALYST)
    now_ms = services.clock.now_ms()
    made = await services.store.write(
        lambda db: suppressions.add(
            db,
            scope,
            until_ms=until_ms,
            since_ms=since_ms,
            reason=reason,
            by=actor.name,
            at_ms=now_ms,
            insisted=insist,
        )
    )
    _publish_suppression(services, made)
    return made


async def end_suppression(
    services: Services, actor: Principal, suppression_id: int, *, reason: str = "", undo: bool = False
) -> Suppression:
    """End a rule early; with `undo`, what it hid comes back. Analysts and up. Raises `NotFound`, `Conflict`."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()
    ended = await services.store.write(
        lambda db: suppressions.end(db, suppression_id, reason=reason, by=actor.name, at_ms=now_ms, undo=undo)
    )
    _publish_suppression(services, ended)
    return ended


def _publish_suppression(services: Services, rule: Suppression) -> None:
    services.events.publish("alert", suppression=rule.id)
    services.events.publish("incident", suppression=rule.id)
