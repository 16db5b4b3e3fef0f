"""When the alerts of an incident began, in equal stretches of its span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class TimelinePart:
    """Alerts of an incident that began in a stretch of time."""

    from_ms: int
    length_ms: int
    alerts: int


def parts_of(db: sqlite3.Connection, incident_id: int, *, parts: int = 60) -> tuple[TimelinePart, ...]:
    """When its alerts began: their number in each of `parts` equal stretches of its span, empty ones included."""
    row = db.execute(
        "SELECT min(first_seen_ms) AS first, max(first_seen_ms) AS last FROM alerts WHERE incident_id = ?",
        (incident_id,),
    ).fetchone()
    if row["first"] is None:
        return ()
    first = int(row["first"])
    step = max(1, -(-(int(row["last"]) - first + 1) // parts))
    rows = db.execute(
        "SELECT (first_seen_ms - ?) / ? AS part, count(*) AS alerts FROM alerts WHERE incident_id = ? GROUP BY 1",
        (first, step, incident_id),
    )
    counted = {int(found["part"]): int(found["alerts"]) for found in rows}
    length = max(counted) + 1
    return tuple(TimelinePart(first + part * step, step, counted.get(part, 0)) for part in range(length))
