"""Verdicts: append-only, with who, when and why. Taking one back is a label too.

A verdict on an incident is a verdict on each alert the incident has at that moment; an alert that joins later was not
looked at and has none. What an alert is called is its newest verdict that was not undone. When that changes, the
alert's row in the lake is stale until the lake rewrites it (`lake_stale`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator import audit, paging
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.rows import VERDICTS, Label, Page

if TYPE_CHECKING:
    import sqlite3

LONGEST_NOTE: Final = 2000

_LABEL: Final[str] = """
    SELECT labels.*, (SELECT count(*) FROM label_alerts WHERE label_id = coalesce(labels.undoes, labels.id)) AS alerts,
           EXISTS (SELECT 1 FROM labels AS later WHERE later.undoes = labels.id) AS undone
    FROM labels
"""


def add(db: sqlite3.Connection, *, target: str, target_id: int, verdict: str, note: str, by: str, at_ms: int) -> Label:
    """Give a verdict on an alert, or on all alerts an incident has now. Raises `Invalid`, `NotFound`."""
    if verdict not in VERDICTS:
        raise Invalid(f"no verdict named {verdict[:40]!r}; use {', '.join(VERDICTS)}")
    note = _require_note(note)
    if target == "incident":
        target_id = surviving_incident(db, target_id)
    elif target != "alert":
        raise Invalid(f"a verdict is given on an alert or an incident, not on {target[:40]!r}")
    members = _members(db, target, target_id)
    if not members:
        raise NotFound(f"there is no {target} {target_id}")
    inserted = db.execute(
        'INSERT INTO labels (target, target_id, verdict, note, "by", at_ms) VALUES (?, ?, ?, ?, ?, ?)',
        (target, target_id, verdict, note, by, at_ms),
    )
    created = int(inserted.lastrowid or 0)
    db.executemany("INSERT INTO label_alerts VALUES (?, ?)", [(alert_id, created) for alert_id in members])
    _settle(db, created)
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action="label.add",
        about=f"{target} {target_id}",
        detail={"label": created, "verdict": verdict, "alerts": len(members)},
    )
    return get(db, created)


def undo(db: sqlite3.Connection, label_id: int, *, note: str, by: str, at_ms: int) -> Label:
    """Take a verdict back. Raises `NotFound`, `Conflict` when it was undone already or is itself an undoing."""
    label = get(db, label_id)
    if label.undoes is not None:
        raise Conflict(f"label {label_id} is itself an undoing; give a new verdict instead")
    if label.undone:
        raise Conflict(f"label {label_id} was undone already")
    created = db.execute(
        'INSERT INTO labels (target, target_id, note, "by", at_ms, undoes) VALUES (?, ?, ?, ?, ?, ?)',
        (label.target, label.target_id, _require_note(note), by, at_ms, label_id),
    ).lastrowid
    _settle(db, label_id)
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action="label.undo",
        about=f"{label.target} {label.target_id}",
        detail={"label": label_id, "alerts": label.alerts},
    )
    return get(db, int(created or 0))


def get(db: sqlite3.Connection, label_id: int) -> Label:
    """One label. Raises `NotFound`."""
    row = db.execute(_LABEL + "WHERE id = ?", (label_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no label {label_id}")
    return _label(row)


def find(db: sqlite3.Connection, *, limit: int, cursor: str | None = None) -> Page[Label]:
    """Labels, newest first."""
    rows = db.execute(
        _LABEL + "WHERE id < ? ORDER BY id DESC LIMIT ?", (paging.id_cursor(cursor), paging.size(limit) + 1)
    ).fetchall()
    return paging.page([_label(row) for row in rows], limit, lambda label: str(label.id))


def of_alert(db: sqlite3.Connection, alert_id: int) -> tuple[Label, ...]:
    """Every verdict that touched an alert, and every undoing of one, newest first."""
    given = "SELECT label_id FROM label_alerts WHERE alert_id = ?"
    rows = db.execute(f"{_LABEL} WHERE coalesce(undoes, id) IN ({given}) ORDER BY id DESC", (alert_id,))
    return tuple(_label(row) for row in rows)


def of_incident(db: sqlite3.Connection, incident_id: int) -> tuple[Label, ...]:
    """Every verdict on an incident, on those merged into it, or on one of its alerts; newest first, at most 200."""
    given = "SELECT label_alerts.label_id FROM label_alerts JOIN alerts ON alerts.id = alert_id WHERE incident_id = ?"
    rows = db.execute(
        f"{_LABEL} WHERE coalesce(undoes, id) IN ({given}) ORDER BY id DESC LIMIT 200",
        (incident_id,),
    )
    return tuple(_label(row) for row in rows)


def surviving_incident(db: sqlite3.Connection, incident_id: int) -> int:
    """The incident that `incident_id` is part of today."""
    row = db.execute("SELECT merged_into FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    while row is not None and row["merged_into"] is not None:
        incident_id = row["merged_into"]
        row = db.execute("SELECT merged_into FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    return incident_id


def summarise(db: sqlite3.Connection, incident_id: int) -> None:
    """Set an incident's verdict from its alerts': None while one has none, `mixed` when they differ."""
    db.execute(
        """
        UPDATE incidents SET verdict = (
            SELECT CASE WHEN count(*) > count(verdict) THEN NULL WHEN min(verdict) = max(verdict) THEN min(verdict)
                   ELSE 'mixed' END
            FROM alerts WHERE incident_id = incidents.id
        ) WHERE id = ?
        """,
        (incident_id,),
    )


def _members(db: sqlite3.Connection, target: str, target_id: int) -> list[int]:
    column = "id" if target == "alert" else "incident_id"
    return [row["id"] for row in db.execute(f"SELECT id FROM alerts WHERE {column} = ?", (target_id,))]  # noqa: S608


def _settle(db: sqlite3.Connection, label_id: int) -> None:
    """Work out what each alert of a label is called now, and mark its row in the lake as stale."""
    mine = "SELECT alert_id FROM label_alerts WHERE label_id = ?"
    db.execute(
        f"""
        UPDATE alerts SET lake_stale = 1, (verdict, verdict_by, verdict_ms, label_id) = (
            SELECT given.verdict, given."by", given.at_ms, given.id
            FROM label_alerts JOIN labels AS given ON given.id = label_alerts.label_id
            WHERE label_alerts.alert_id = alerts.id
              AND NOT EXISTS (SELECT 1 FROM labels AS later WHERE later.undoes = given.id)
            ORDER BY given.id DESC LIMIT 1
        ) WHERE id IN ({mine})
        """,  # noqa: S608 - fixed texts
        (label_id,),
    )
    touched = f"SELECT DISTINCT incident_id FROM alerts WHERE id IN ({mine}) AND incident_id IS NOT NULL"  # noqa: S608
    for row in db.execute(touched, (label_id,)).fetchall():
        summarise(db, row["incident_id"])


def _require_note(note: str) -> str:
    if len(note) > LONGEST_NOTE:
        raise Invalid(f"a note has at most {LONGEST_NOTE} characters, this one {len(note)}")
    return note.strip()


def _label(row: sqlite3.Row) -> Label:
    return Label(
        id=row["id"],
        target=row["target"],
        target_id=row["target_id"],
        verdict=row["verdict"],
        note=row["note"],
        by=row["by"],
        at_ms=row["at_ms"],
        undoes=row["undoes"],
        undone=bool(row["undone"]),
        alerts=row["alerts"],
    )
