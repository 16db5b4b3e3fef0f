"""Groups of agents: who is calibrated together. Set here by operators; an agent cannot choose its group.

A group comes to be when an agent is put into it. Agents of one network belong together: their quiet traffic is counted
together, and they follow one policy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from aggregator import agents, audit
from aggregator.calibration import policies
from aggregator.calibration.policies import DEFAULT
from aggregator.errors import Invalid
from aggregator.models.rollout import Target

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Agent, Model

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def names(db: sqlite3.Connection) -> tuple[str, ...]:
    """Every group that has an agent or a policy, the default one first."""
    found = {row["group"] for row in db.execute('SELECT DISTINCT "group" FROM agents')}
    found |= {DEFAULT, *policies.groups_with_policy(db)}
    return tuple(sorted(found, key=lambda name: (name != DEFAULT, name)))


def members(db: sqlite3.Connection, group: str) -> tuple[str, ...]:
    """The agents of a group, by name."""
    rows = db.execute('SELECT agent_id FROM agents WHERE "group" = ? ORDER BY agent_id', (group,))
    return tuple(row["agent_id"] for row in rows)


def assign(db: sqlite3.Connection, agent_id: str, group: str, *, by: str, now_ms: int) -> Agent:
    """Put an agent into `group`. Raises `NotFound`, `Invalid`.

    The group's policy gets a new version that says the same, so that the agent is sent one newer than what it follows.
    """
    require_name(group)
    before = agents.get(db, agent_id)
    if before.group == group:
        return before
    db.execute('UPDATE agents SET "group" = ? WHERE agent_id = ?', (group, agent_id))
    detail = {"group": group, "before": before.group}
    audit.record(db, at_ms=now_ms, actor=by, action="agent.group", about=agent_id, detail=detail)
    policies.follow(
        db, policies.current(db, group), group=group, by=by, reason=f"agent {agent_id} joined {group}", now_ms=now_ms
    )
    return agents.get(db, agent_id)


def target(db: sqlite3.Connection, champion: Model | None) -> Target:
    """What the fleet should run now."""
    return Target(
        champion,
        {name: policies.current(db, name) for name in policies.groups_with_policy(db)},
        {row["agent_id"]: row["group"] for row in db.execute('SELECT agent_id, "group" FROM agents')},
    )


def require_name(group: str) -> str:
    """`group`, when it is one's name. Raises `Invalid`."""
    if not NAME.fullmatch(group):
        raise Invalid(f"group {group[:64]!r}: use 1 to 64 letters, digits, dots, dashes and underscores")
    return group
