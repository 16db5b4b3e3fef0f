"""Steps people took about incidents, in the store: append-only, each with its entry in the audit log.

What follows from them (handling.py) is kept in the incident's row, so that lists can be narrowed by it. `settle` works
it out anew: after a step, and whenever an incident's figures are refreshed, because kinds change and incidents merge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator import audit, notes
from aggregator.errors import Invalid, NotFound
from aggregator.learning import labels
from aggregator.rows import Role
from aggregator.triage import handling
from aggregator.triage.handling import ASSIGN, UNDO, Handling, Step

if TYPE_CHECKING:
    import sqlite3

SHOWN: Final = 200

_STEP: Final = (
    "SELECT incident_steps.*, EXISTS (SELECT 1 FROM incident_steps AS later WHERE later.undoes = incident_steps.id) "
    "AS undone FROM incident_steps "
)
_PARTS: Final = (
    "WITH RECURSIVE parts (id) AS (SELECT :id UNION "
    "SELECT incidents.id FROM incidents JOIN parts ON incidents.merged_into = parts.id) "
)


def add(
    db: sqlite3.Connection,
    incident_id: int,
    deed: str,
    *,
    assignee: str | None = None,
    note: str = "",
    by: str,
    at_ms: int,
) -> Step:
    """Acknowledge, assign or comment on an incident, or on the one it was merged into.

    Raises `NotFound`, `Invalid` for an assignee who cannot look after it, `Conflict` when it is so already.
    """
    survivor = labels.surviving_incident(db, incident_id)
    row = db.execute("SELECT kind FROM incidents WHERE id = ? AND alerts > 0", (survivor,)).fetchone()
    if row is None:
        raise NotFound(f"there is no incident {incident_id}")
    if assignee is not None and assignee not in assignees(db):
        raise Invalid(f"nobody named {assignee[:40]!r} may look after incidents; {_choice(db)}")
    note = handling.require_new(deed, settle(db, survivor), assignee=assignee, note=note)
    created = db.execute(
        'INSERT INTO incident_steps (incident_id, deed, assignee, kind, note, "by", at_ms) '
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (survivor, deed, assignee, row["kind"], note, by, at_ms),
    ).lastrowid
    detail = {"step": created, **({"assignee": assignee} if deed == ASSIGN else {})}
    audit.record(db, at_ms=at_ms, actor=by, action=f"incident.{deed}", about=f"incident {survivor}", detail=detail)
    settle(db, survivor)
    return get(db, int(created or 0))


def undo(db: sqlite3.Connection, step_id: int, *, note: str = "", by: str, at_ms: int) -> Step:
    """Take a step back. Raises `NotFound`, and `Conflict` when it was taken back or is itself a taking back."""
    step = get(db, step_id)
    handling.require_undoable(step)
    created = db.execute(
        'INSERT INTO incident_steps (incident_id, deed, kind, note, "by", at_ms, undoes) VALUES (?, ?, ?, ?, ?, ?, ?)',
        (step.incident_id, UNDO, step.kind, notes.require(note), by, at_ms, step_id),
    ).lastrowid
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action="incident.undo",
        about=f"incident {step.incident_id}",
        detail={"step": step_id, "deed": step.deed},
    )
    settle(db, labels.surviving_incident(db, step.incident_id))
    return get(db, int(created or 0))


def get(db: sqlite3.Connection, step_id: int) -> Step:
    """One step. Raises `NotFound`."""
    row = db.execute(_STEP + "WHERE id = ?", (step_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no step {step_id} of an incident")
    return _step(row)


def of_incident(db: sqlite3.Connection, incident_id: int, *, limit: int = SHOWN) -> tuple[Step, ...]:
    """What was done about an incident and about those merged into it, newest first."""
    rows = db.execute(
        f"{_PARTS}{_STEP}WHERE incident_id IN (SELECT id FROM parts) ORDER BY id DESC LIMIT :rows",  # noqa: S608 - our own texts
        {"id": incident_id, "rows": limit},
    )
    return tuple(_step(row) for row in rows)


def settle(db: sqlite3.Connection, incident_id: int) -> Handling:
    """Work out anew who looks after an incident, and keep it in its row."""
    row = db.execute("SELECT kind, reopened_ms FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    steps = of_incident(db, incident_id, limit=-1)
    now = handling.standing(steps, incident_id, kind=row["kind"], reopened_ms=row["reopened_ms"])
    if steps:
        db.execute(
            "UPDATE incidents SET acknowledged_by = ?, acknowledged_ms = ?, assignee = ?, comments = ? WHERE id = ?",
            (now.acknowledged_by, now.acknowledged_ms, now.assignee, now.comments, incident_id),
        )
    return now


def assignees(db: sqlite3.Connection) -> tuple[str, ...]:
    """Who may look after incidents: accounts in use from analyst up, by name."""
    rows = db.execute("SELECT name, role FROM users WHERE disabled = 0 ORDER BY name")
    return tuple(row["name"] for row in rows if Role(row["role"]).covers(Role.ANALYST))


def _choice(db: sqlite3.Connection) -> str:
    names = assignees(db)
    return f"use {', '.join(names[:10])}" if names else "there is no account from analyst up"


def _step(row: sqlite3.Row) -> Step:
    names = ("id", "incident_id", "deed", "assignee", "kind", "note", "by", "at_ms", "undoes")
    return Step(**{name: row[name] for name in names}, undone=bool(row["undone"]))
