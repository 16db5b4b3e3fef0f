"""Agents as last heard of, and what they declared lost: typed reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aggregator import paging
from aggregator.errors import NotFound
from aggregator.rows import Agent, Gap, Health, Page

if TYPE_CHECKING:
    import sqlite3


def find(db: sqlite3.Connection) -> Page[Agent]:
    """Every agent ever seen, by name."""
    return Page(tuple(_agent(row) for row in db.execute("SELECT * FROM agents ORDER BY agent_id")), None)


def get(db: sqlite3.Connection, agent_id: str) -> Agent:
    """One agent. Raises `NotFound`."""
    row = db.execute("SELECT * FROM agents WHERE agent_id = ?", (agent_id,)).fetchone()
    if row is None:
        raise NotFound(f"no agent named {agent_id[:64]!r} was ever seen")
    return _agent(row)


def gaps(db: sqlite3.Connection, *, agent: str | None, limit: int) -> Page[Gap]:
    """Declared losses and batches set aside, newest first."""
    rows = db.execute(
        "SELECT * FROM gaps WHERE ? IS NULL OR agent_id = ? ORDER BY id DESC LIMIT ?",
        (agent, agent, paging.size(limit)),
    )
    return Page(tuple(Gap(**dict(row)) for row in rows), None)


def health(text: str) -> Health:
    """The health kept as JSON; a figure it lacks is zero."""
    kept: dict[str, Any] = json.loads(text)
    return Health(**{name: kept[name] for name in Health.__dataclass_fields__ if name in kept})


def _agent(row: sqlite3.Row) -> Agent:
    return Agent(
        agent_id=row["agent_id"],
        hostname=row["hostname"],
        version=row["version"],
        source=row["source"],
        epoch=row["epoch"],
        connected=bool(row["connected"]),
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
        model_digest=row["model_digest"],
        model_state=row["model_state"],
        model_detail=row["model_detail"],
        policy_version=row["policy_version"],
        spool_bytes=row["spool_bytes"],
        spool_records=row["spool_records"],
        batches=row["batches"],
        flows=row["flows"],
        alerts=row["alerts"],
        lost_flows=row["lost_flows"],
        lost_alerts=row["lost_alerts"],
        broken_batches=row["broken_batches"],
        group=row["group"],
        health=health(row["health"]),
    )
