"""Incidents in the store: typed reads, latest activity first.

What state an incident is in follows from its alerts and the time: `suppressed` when a rule says of every one of them
that it is normal here, else `open` until no alert has arrived for `PAUSE`, then `closed`. An alert
that joins later opens it again. A verdict is another matter: it says what the incident was. So is who looks after it
(handling.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator import paging
from aggregator.errors import Invalid, NotFound
from aggregator.learning import labels
from aggregator.rows import VERDICTS, Incident, IncidentDetail, Page
from aggregator.triage import alerts, steps, timeline
from aggregator.triage.incidents import BEACON, GAP_MS, KINDS, SLOW_GAP_MS

if TYPE_CHECKING:
    import sqlite3

ALERTS_SHOWN: Final = 200

STATES: Final = ("open", "closed", "suppressed")

PAUSE: Final = f"CASE kind WHEN '{BEACON}' THEN {SLOW_GAP_MS} ELSE {GAP_MS} END"
"""The silence, in SQL, after which an incident counts as over: a beacon may be slow."""

_STATE: Final = (
    "CASE WHEN suppressed >= alerts THEN 'suppressed' "
    f"WHEN active_ms >= :now_ms - {PAUSE} THEN 'open' ELSE 'closed' END"
)


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents. None means any, except that suppressed ones are shown only when asked for."""

    state: str | None = None  # open | closed | suppressed | all
    kind: str | None = None
    verdict: str | None = None  # none | benign | malicious | unsure | mixed
    since_ms: int | None = None  # active at or after
    host: str | None = None  # among its hosts
    assignee: str | None = None  # none | a name
    acknowledged: bool | None = None  # by somebody, as it is now

    def conditions(self) -> tuple[str, dict[str, Any]]:
        """An SQL condition and its values. Raises `Invalid` for a state, kind or verdict that does not exist."""
        for noun, value, known in (
            ("state", self.state, (*STATES, "all")),
            ("kind of incident", self.kind, KINDS),
            ("verdict", self.verdict, ("none", *VERDICTS, "mixed")),
        ):
            if value is not None and value not in known:
                raise Invalid(f"no {noun} named {value[:40]!r}; use {', '.join(known)}")
        texts = ["merged_into IS NULL", "alerts > 0", "last_seen_ms >= :since_ms"]
        if self.state is None:
            texts.append("suppressed < alerts")
        elif self.state != "all":
            texts.append(f"{_STATE} = :state")
        if self.kind is not None:
            texts.append("kind = :kind")
        if self.verdict is not None:
            texts.append("verdict IS NULL" if self.verdict == "none" else "verdict = :verdict")
        if self.host is not None:
            texts.append("EXISTS (SELECT 1 FROM json_each(hosts) WHERE value = :host)")
        if self.assignee is not None:
            texts.append("assignee IS NULL" if self.assignee == "none" else "assignee = :assignee")
        if self.acknowledged is not None:
            texts.append(f"acknowledged_ms IS {'NOT ' * self.acknowledged}NULL")
        values = {name: getattr(self, name) for name in ("state", "kind", "verdict", "host", "assignee")}
        return " AND ".join(texts), {**values, "since_ms": self.since_ms or 0}


def find(
    db: sqlite3.Connection,
    where: IncidentFilter | None = None,
    *,
    now_ms: int,
    limit: int,
    cursor: str | None = None,
) -> Page[Incident]:
    """Incidents, latest activity first."""
    time_ms, key = paging.timed_cursor(cursor)
    if key and not key.isdecimal():
        raise Invalid(f"cursor {cursor!r} was not given by this list; leave it out to start at the beginning")
    condition, values = (where or IncidentFilter()).conditions()
    rows = db.execute(
        f"SELECT *, {_STATE} AS state FROM incidents WHERE {condition} "  # noqa: S608 - fixed texts
        "AND (last_seen_ms, id) < (:time_ms, :key) ORDER BY last_seen_ms DESC, id DESC LIMIT :rows",
        {**values, "now_ms": now_ms, "time_ms": time_ms, "key": int(key or 0), "rows": paging.size(limit) + 1},
    ).fetchall()
    return paging.page([from_row(row) for row in rows], limit, lambda found: f"{found.last_seen_ms}~{found.id}")


def counts(db: sqlite3.Connection, *, now_ms: int) -> dict[str, int]:
    """How many incidents there are in each state."""
    rows = db.execute(
        f"SELECT {_STATE} AS state, count(*) AS incidents FROM incidents "  # noqa: S608 - fixed text
        "WHERE merged_into IS NULL AND alerts > 0 GROUP BY 1",
        {"now_ms": now_ms},
    )
    found = {row["state"]: int(row["incidents"]) for row in rows}
    return {state: found.get(state, 0) for state in STATES}


def get(db: sqlite3.Connection, incident_id: int, *, now_ms: int) -> IncidentDetail:
    """One incident, or the one it merged into, with its strongest alerts. Raises `NotFound`."""
    survivor = labels.surviving_incident(db, incident_id)
    row = db.execute(
        f"SELECT *, {_STATE} AS state FROM incidents WHERE id = :id AND alerts > 0",  # noqa: S608 - fixed text
        {"id": survivor, "now_ms": now_ms},
    ).fetchone()
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    return IncidentDetail(
        incident=from_row(row),
        alerts=alerts.strongest(db, survivor, limit=ALERTS_SHOWN),
        labels=labels.of_incident(db, survivor),
        timeline=timeline.parts_of(db, survivor),
        steps=steps.of_incident(db, survivor),
    )


def from_row(row: sqlite3.Row) -> Incident:
    """A row of the incidents table, with its state."""
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
        state=row["state"],
        conversations=row["conversations"],
        evidence=tuple(json.loads(row["evidence"])),
        suppressed=row["suppressed"],
        active_ms=row["active_ms"],
        reopened=row["reopened"],
        acknowledged_by=row["acknowledged_by"],
        acknowledged_ms=row["acknowledged_ms"],
        assignee=row["assignee"],
        comments=row["comments"],
    )
