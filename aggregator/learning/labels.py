"""Verdicts: append-only, with who, when, why and until when. Taking one back is a label too.

A verdict on an incident is a verdict on each alert the incident has at that moment; an alert that joins later was not
looked at and has none. A verdict on a flow that raised no alert is a verdict on that flow (judged.py). What either is
called is its newest verdict that was neither undone nor has expired. When that changes, its row in the lake is stale
until the lake rewrites it (`lake_stale`).

Where the newest verdicts of two people contradict each other (benign, malicious) the alert is *disputed*: it is shown
with the newest, and trained on with none, until one of them takes the word back or an operator speaks. An operator's
verdict settles what was said before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aggregator import audit, notes, paging
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.learning import judged
from aggregator.learning.lessons import LabelDay
from aggregator.rows import VERDICTS, Label, Page
from protos import likeness

if TYPE_CHECKING:
    import sqlite3

LONGEST_FAMILY: Final = likeness.LONGEST
DAY_MS: Final = 86_400_000

_LABEL: Final[str] = """
    SELECT labels.*, EXISTS (SELECT 1 FROM labels AS later WHERE later.undoes = labels.id) AS undone,
           CASE target WHEN 'flow' THEN 1 ELSE
               (SELECT count(*) FROM label_alerts WHERE label_id = coalesce(labels.undoes, labels.id)) END AS alerts,
           CASE target WHEN 'flow' THEN (SELECT flow_id FROM judged_flows WHERE id = target_id) ELSE '' END AS flow_id
    FROM labels
"""


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict as somebody gives it. `settles`: whether the giver's role ends disputes."""

    verdict: str
    note: str
    by: str
    at_ms: int
    expires_ms: int | None = None
    family: str = ""
    settles: bool = False

    def checked(self) -> Said:
        """With its texts in order. Raises `Invalid`."""
        if self.verdict not in VERDICTS:
            raise Invalid(f"no verdict named {self.verdict[:40]!r}; use {', '.join(VERDICTS)}")
        if self.expires_ms is not None and self.expires_ms <= self.at_ms:
            raise Invalid("a verdict expires after it was given; choose a later time, or none")
        family = self.family.strip()
        if family and self.verdict != "malicious":
            raise Invalid("only a malicious verdict names a family of attacks")
        if len(family) > LONGEST_FAMILY or not family.isprintable():
            raise Invalid(f"the name of a family has at most {LONGEST_FAMILY} printable characters")
        return Said(
            self.verdict,
            notes.require(self.note),
            self.by,
            self.at_ms,
            self.expires_ms,
            family,
            self.settles,
        )


def add(
    db: sqlite3.Connection,
    *,
    target: str,
    target_id: int,
    verdict: str,
    note: str,
    by: str,
    at_ms: int,
    expires_ms: int | None = None,
    family: str = "",
    settles: bool = False,
) -> Label:
    """Give a verdict on an alert, or on all alerts an incident has now. Raises `Invalid`, `NotFound`."""
    said = Said(verdict, note, by, at_ms, expires_ms, family, settles).checked()
    if target == "incident":
        target_id = surviving_incident(db, target_id)
    elif target != "alert":
        raise Invalid(f"a verdict is given on an alert, an incident or a flow, not on {target[:40]!r}")
    members = _members(db, target, target_id)
    if not members:
        raise NotFound(f"there is no {target} {target_id}")
    created = _insert(db, target, target_id, said)
    db.executemany("INSERT INTO label_alerts VALUES (?, ?)", [(alert_id, created) for alert_id in members])
    _settle(db, created, now_ms=at_ms)
    _record(db, said, created, f"{target} {target_id}", alerts=len(members))
    return get(db, created, now_ms=at_ms)


def add_to_flow(db: sqlite3.Connection, place: judged.Place, said: Said) -> Label:
    """Give a verdict on a flow by its name. One that raised an alert gets it as an alert. Raises `Invalid`."""
    said = said.checked()
    alert = db.execute("SELECT id FROM alerts WHERE flow_id = ?", (place.flow_id,)).fetchone()
    if alert is not None:
        return add(
            db,
            target="alert",
            target_id=alert["id"],
            verdict=said.verdict,
            note=said.note,
            by=said.by,
            at_ms=said.at_ms,
            expires_ms=said.expires_ms,
            family=said.family,
            settles=said.settles,
        )
    number = judged.number_of(db, place)
    created = _insert(db, "flow", number, said)
    judged.settle(db, number, now_ms=said.at_ms)
    _record(db, said, created, f"flow {place.flow_id}", alerts=0)
    return get(db, created, now_ms=said.at_ms)


def undo(db: sqlite3.Connection, label_id: int, *, note: str, by: str, at_ms: int) -> Label:
    """Take a verdict back. Raises `NotFound`, `Conflict` when it was undone already or is itself an undoing."""
    label = get(db, label_id)
    if label.undoes is not None:
        raise Conflict(f"label {label_id} is itself an undoing; give a new verdict instead")
    if label.undone:
        raise Conflict(f"label {label_id} was undone already")
    created = db.execute(
        'INSERT INTO labels (target, target_id, note, "by", at_ms, undoes) VALUES (?, ?, ?, ?, ?, ?)',
        (label.target, label.target_id, notes.require(note), by, at_ms, label_id),
    ).lastrowid
    _settle(db, label_id, now_ms=at_ms)
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action="label.undo",
        about=f"{label.target} {label.flow_id or label.target_id}",
        detail={"label": label_id, "alerts": label.alerts},
    )
    return get(db, int(created or 0), now_ms=at_ms)


def expire(db: sqlite3.Connection, *, now_ms: int) -> int:
    """Let go of verdicts whose time is over; returns how many labels something was still called by."""
    over = db.execute(
        "SELECT id FROM labels WHERE expires_ms <= ? AND (EXISTS (SELECT 1 FROM alerts WHERE label_id = labels.id) "
        "OR EXISTS (SELECT 1 FROM judged_flows WHERE label_id = labels.id))",
        (now_ms,),
    ).fetchall()
    for row in over:
        _settle(db, row["id"], now_ms=now_ms)
    return len(over)


def get(db: sqlite3.Connection, label_id: int, *, now_ms: int | None = None) -> Label:
    """One label. Raises `NotFound`."""
    row = db.execute(_LABEL + "WHERE id = ?", (label_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no label {label_id}")
    return _label(row, now_ms)


def find(db: sqlite3.Connection, *, limit: int, cursor: str | None = None, now_ms: int | None = None) -> Page[Label]:
    """Labels, newest first."""
    rows = db.execute(
        _LABEL + "WHERE id < ? ORDER BY id DESC LIMIT ?", (paging.id_cursor(cursor), paging.size(limit) + 1)
    ).fetchall()
    return paging.page([_label(row, now_ms) for row in rows], limit, lambda label: str(label.id))


def per_day(db: sqlite3.Connection, *, now_ms: int, days: int) -> tuple[LabelDay, ...]:
    """Who said how much on which day, newest day first: one account that labels in bulk shows here."""
    rows = db.execute(
        f"""
        SELECT date(at_ms / 1000, 'unixepoch') AS day, "by", count(*) AS labels, sum(undone) AS undone,
               {
            ", ".join(
                f"sum(CASE WHEN NOT undone AND verdict = '{one}' THEN alerts ELSE 0 END) AS {one}" for one in VERDICTS
            )
        }
        FROM ({_LABEL} WHERE verdict IS NOT NULL AND at_ms > ?) GROUP BY day, "by" ORDER BY day DESC, labels DESC
        """,  # noqa: S608 - our own names
        (now_ms - days * DAY_MS,),
    )
    return tuple(LabelDay(**dict(row)) for row in rows)


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


def _insert(db: sqlite3.Connection, target: str, target_id: int, said: Said) -> int:
    inserted = db.execute(
        'INSERT INTO labels (target, target_id, verdict, note, "by", at_ms, expires_ms, family, settles) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            target, target_id, said.verdict, said.note, said.by, said.at_ms, said.expires_ms, said.family,
            int(said.settles),
        ),
    )  # fmt: skip
    return int(inserted.lastrowid or 0)


def _record(db: sqlite3.Connection, said: Said, created: int, about: str, *, alerts: int) -> None:
    audit.record(
        db,
        at_ms=said.at_ms,
        actor=said.by,
        action="label.add",
        about=about,
        detail={"label": created, "verdict": said.verdict, "alerts": alerts},
    )


def _members(db: sqlite3.Connection, target: str, target_id: int) -> list[int]:
    column = "id" if target == "alert" else "incident_id"
    return [row["id"] for row in db.execute(f"SELECT id FROM alerts WHERE {column} = ?", (target_id,))]  # noqa: S608


def _settle(db: sqlite3.Connection, label_id: int, *, now_ms: int) -> None:
    """Work out what each alert (or the flow) of a label is called now, and mark its row in the lake as stale."""
    flow = db.execute("SELECT target_id FROM labels WHERE id = ? AND target = 'flow'", (label_id,)).fetchone()
    if flow is not None:
        judged.settle(db, flow["target_id"], now_ms=now_ms)
        return
    mine = "SELECT alert_id FROM label_alerts WHERE label_id = :label"
    given = "SELECT label_id FROM label_alerts WHERE alert_id = alerts.id"
    db.execute(
        f"UPDATE alerts SET {judged.outcome(given)} WHERE id IN ({mine})",  # noqa: S608 - fixed texts
        {"label": label_id, "now": now_ms},
    )
    touched = f"SELECT DISTINCT incident_id FROM alerts WHERE id IN ({mine}) AND incident_id IS NOT NULL"  # noqa: S608
    for row in db.execute(touched, {"label": label_id}).fetchall():
        summarise(db, row["incident_id"])


def _label(row: sqlite3.Row, now_ms: int | None = None) -> Label:
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
        expires_ms=row["expires_ms"],
        expired=now_ms is not None and row["expires_ms"] is not None and row["expires_ms"] <= now_ms,
        family=row["family"],
        settles=bool(row["settles"]),
        flow_id=row["flow_id"] or "",
    )
