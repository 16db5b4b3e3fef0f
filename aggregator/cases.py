"""Incidents in the store: typed reads, latest activity first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from aggregator import alerts, labels, paging
from aggregator.errors import Invalid, NotFound
from aggregator.rows import Incident, IncidentDetail, Page

if TYPE_CHECKING:
    import sqlite3

ALERTS_SHOWN: Final = 200


def find(
    db: sqlite3.Connection, *, since_ms: int | None = None, limit: int, cursor: str | None = None
) -> Page[Incident]:
    """Incidents, latest activity first."""
    time_ms, key = paging.timed_cursor(cursor)
    if key and not key.isdecimal():
        raise Invalid(f"cursor {cursor!r} was not given by this list; leave it out to start at the beginning")
    rows = db.execute(
        "SELECT * FROM incidents WHERE merged_into IS NULL AND alerts > 0 AND last_seen_ms >= ? "
        "AND (last_seen_ms, id) < (?, ?) ORDER BY last_seen_ms DESC, id DESC LIMIT ?",
        (since_ms or 0, time_ms, int(key or 0), paging.size(limit) + 1),
    ).fetchall()
    return paging.page([from_row(row) for row in rows], limit, lambda found: f"{found.last_seen_ms}~{found.id}")


def get(db: sqlite3.Connection, incident_id: int) -> IncidentDetail:
    """One incident, or the one it merged into, with its strongest alerts. Raises `NotFound`."""
    survivor = labels.surviving_incident(db, incident_id)
    row = db.execute("SELECT * FROM incidents WHERE id = ? AND alerts > 0", (survivor,)).fetchone()
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    return IncidentDetail(
        incident=from_row(row),
        alerts=alerts.strongest(db, survivor, limit=ALERTS_SHOWN),
        labels=labels.of_incident(db, survivor),
    )


def from_row(row: sqlite3.Row) -> Incident:
    """A row of the incidents table."""
    return Incident(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        src_ip=row["src_ip"],
        dst_ip=row["dst_ip"],
        sources=row["sources"],
        targets=row["targets"],
        ports=row["ports"],
        hosts=tuple(json.loads(row["hosts"])),
        agents=tuple(json.loads(row["agents"])),
        first_seen_ms=row["first_seen_ms"],
        last_seen_ms=row["last_seen_ms"],
        updated_ms=row["updated_ms"],
        alerts=row["alerts"],
        max_score=row["max_score"],
        reasons=alerts.reasons(row["reasons"]),
        verdict=row["verdict"],
    )
