"""Rules that say what is normal here, until when: append-only records with who, why, when and expiry.

A rule hides, it never deletes: an alert it holds for is stored, keeps its place in its incident, and names the rule
(`suppression_id`). An incident of which every alert is hidden is `suppressed`: neither counted nor shown as open.
Nor is a rule a label: hidden alerts have no verdict and teach a model nothing, unless a verdict says so.

Which rule an alert falls under is a function of the records and of what the alert and its incident are now: it was
received while the rule was in force, and the rule, the oldest that holds, is not undone. So an incident that grows into
another kind comes back by itself. A rule can be ended early, from then on, or undone, as if it had never been.
"""

from __future__ import annotations

import json
from dataclasses import astuple
from typing import TYPE_CHECKING, Any, Final

from aggregator import audit, paging
from aggregator.errors import Conflict, Invalid, NotFound
from aggregator.triage.normality import (
    DAY_MS,
    LONGEST_DAYS,
    PREVIEW_DAYS,
    Met,
    Scope,
    Suppression,
    SuppressionPreview,
    objections,
)
from aggregator.triage.points import TCP, UDP, is_service

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from aggregator.rows import Page

STATES: Final = ("in force", "expired", "ended", "undone")
LONGEST_REASON: Final = 2000

_RULE: Final = """
    SELECT suppressions.*, ended.at_ms AS end_ms, ended."by" AS end_by, undone.at_ms AS undo_ms, undone."by" AS undo_by,
           (SELECT count(*) FROM alerts WHERE suppression_id = suppressions.id) AS alerts,
           (SELECT max(received_ms) FROM alerts WHERE suppression_id = suppressions.id) AS latest_ms
    FROM suppressions
    LEFT JOIN suppression_ends AS ended ON ended.suppression_id = suppressions.id AND ended.how = 'end'
    LEFT JOIN suppression_ends AS undone ON undone.suppression_id = suppressions.id AND undone.how = 'undo'
"""
_MET: Final = (
    "SELECT alerts.id, alerts.src_ip, src_port, alerts.dst_ip, dst_port, protocol, opened, coalesce(kind, '') AS kind, "
    "alerts.agent_id, coalesce(\"group\", '') AS agent_group, received_ms, incident_id, alerts.verdict, "
    "suppression_id FROM alerts LEFT JOIN incidents ON incidents.id = incident_id "
    "LEFT JOIN agents ON agents.agent_id = alerts.agent_id "
)


def add(
    db: sqlite3.Connection,
    scope: Scope,
    *,
    until_ms: int,
    since_ms: int | None = None,
    reason: str,
    by: str,
    at_ms: int,
    insisted: bool = False,
) -> Suppression:
    """Make a rule, from now on or for alerts received since `since_ms`. Hides what it holds for at once.

    Raises `Invalid` for a scope, reason or end that cannot be, and `Conflict` for a rule that `preview` refuses, unless
    somebody `insisted`.
    """
    scope = scope.checked()
    reason = _require_reason(reason)
    if not at_ms < until_ms <= at_ms + LONGEST_DAYS * DAY_MS:
        raise Invalid(f"a suppression must end between now and {LONGEST_DAYS} days from now: say until when")
    since_ms = at_ms if since_ms is None else since_ms
    if not at_ms - LONGEST_DAYS * DAY_MS <= since_ms <= at_ms:
        raise Invalid(f"a suppression holds from now, or from at most {LONGEST_DAYS} days ago")
    seen = preview(db, scope, now_ms=at_ms)
    if seen.refusals and not insisted:
        raise Conflict(
            f"this suppression is too broad: {'; '.join(seen.refusals)}. Narrow it, or let an operator insist on it"
        )
    created = db.execute(
        'INSERT INTO suppressions (src, dst, port, protocol, kind, agent_id, "group", reason, "by", at_ms, since_ms, '
        "until_ms, share, forced) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*astuple(scope), reason, by, at_ms, since_ms, until_ms, seen.share, int(bool(seen.refusals))),
    ).lastrowid
    suppression_id = int(created or 0)
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action="suppression.add",
        about=f"suppression {suppression_id}",
        detail={"until_ms": until_ms, "since_ms": since_ms, "share": round(seen.share, 4), "insisted": insisted},
    )
    touched = {alert.incident_id for alert in _met(db, scope, since_ms) if alert.incident_id is not None}
    settle(db, touched)
    return get(db, suppression_id, now_ms=at_ms)


def end(
    db: sqlite3.Connection, suppression_id: int, *, reason: str = "", by: str, at_ms: int, undo: bool = False
) -> Suppression:
    """Let a rule hold no longer; with `undo`, as if it had never held: what it hid comes back.

    Raises `NotFound`, and `Conflict` when that was done already or the rule is over.
    """
    rule = get(db, suppression_id, now_ms=at_ms)
    if rule.state == "undone" or (not undo and rule.state != "in force"):
        raise Conflict(f"suppression {suppression_id} is {rule.state} already")
    how = "undo" if undo else "end"
    db.execute(
        'INSERT INTO suppression_ends (suppression_id, how, reason, "by", at_ms) VALUES (?, ?, ?, ?, ?)',
        (suppression_id, how, reason.strip()[:LONGEST_REASON], by, at_ms),
    )
    audit.record(
        db,
        at_ms=at_ms,
        actor=by,
        action=f"suppression.{how}",
        about=f"suppression {suppression_id}",
        detail={"alerts": rule.alerts},
    )
    if undo:
        rows = db.execute(
            "SELECT DISTINCT incident_id FROM alerts WHERE suppression_id = ? AND incident_id IS NOT NULL",
            (suppression_id,),
        )
        settle(db, {row["incident_id"] for row in rows.fetchall()})
    return get(db, suppression_id, now_ms=at_ms)


def preview(db: sqlite3.Connection, scope: Scope, *, now_ms: int) -> SuppressionPreview:
    """What a rule would have hidden in the last `PREVIEW_DAYS`. Raises `Invalid`."""
    scope = scope.checked()
    since_ms = now_ms - PREVIEW_DAYS * DAY_MS
    total = db.execute("SELECT count(*) FROM alerts WHERE received_ms >= ?", (since_ms,)).fetchone()[0]
    met = list(_met(db, scope, since_ms))
    counted: dict[int, int] = {}
    for alert in met:
        if alert.incident_id is not None:
            counted[alert.incident_id] = counted.get(alert.incident_id, 0) + 1
    sizes = db.execute(
        "SELECT id, alerts FROM incidents WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(sorted(counted)),)
    )
    whole = sum(counted[row["id"]] >= row["alerts"] for row in sizes)
    return objections(scope, int(total), met, whole)


def find(
    db: sqlite3.Connection, *, state: str | None = None, now_ms: int, limit: int, cursor: str | None = None
) -> Page[Suppression]:
    """Rules, newest first; `state` narrows. Raises `Invalid`."""
    if state is not None and state not in STATES:
        raise Invalid(f"no state named {state[:40]!r}; use {', '.join(STATES)}")
    rows = db.execute(_RULE + "WHERE suppressions.id < ? ORDER BY suppressions.id DESC", (paging.id_cursor(cursor),))
    size = paging.size(limit)
    found: list[Suppression] = []
    for row in rows:
        rule = _rule(row, now_ms)
        if state in {None, rule.state}:
            found.append(rule)
        if len(found) > size:
            break
    return paging.page(found, limit, lambda rule: str(rule.id))


def get(db: sqlite3.Connection, suppression_id: int, *, now_ms: int) -> Suppression:
    """One rule. Raises `NotFound`."""
    row = db.execute(_RULE + "WHERE suppressions.id = ?", (suppression_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no suppression {suppression_id}")
    return _rule(row, now_ms)


def settle(db: sqlite3.Connection, incidents: Iterable[int]) -> None:
    """Work out anew which alerts of some incidents a rule hides, and count them."""
    standing = db.execute(
        "SELECT suppressions.*, ended.at_ms AS end_ms FROM suppressions "
        "LEFT JOIN suppression_ends AS ended ON ended.suppression_id = suppressions.id AND ended.how = 'end' "
        "WHERE NOT EXISTS (SELECT 1 FROM suppression_ends AS undone WHERE undone.suppression_id = suppressions.id "
        "AND undone.how = 'undo') ORDER BY suppressions.id"
    ).fetchall()
    rules = [
        (row["id"], _scope(row), row["since_ms"], min(row["until_ms"], row["end_ms"] or row["until_ms"]))
        for row in standing
    ]
    for incident_id in incidents:
        changes = []
        some = "" if rules else " AND suppression_id IS NOT NULL"
        for row in db.execute(_MET + "WHERE incident_id = ?" + some, (incident_id,)):
            alert = _alert(row)
            wanted = next(
                (
                    number
                    for number, scope, since_ms, until_ms in rules
                    if since_ms <= alert.received_ms < until_ms and scope.holds(alert)
                ),
                None,
            )
            if wanted != row["suppression_id"]:
                changes.append((wanted, alert.id))
        db.executemany("UPDATE alerts SET suppression_id = ? WHERE id = ?", changes)
        db.execute(
            "UPDATE incidents SET suppressed = (SELECT count(suppression_id) FROM alerts "
            "WHERE incident_id = incidents.id) WHERE id = ?",
            (incident_id,),
        )


def _met(db: sqlite3.Connection, scope: Scope, since_ms: int) -> Iterator[Met]:
    coarse = {  # what SQL can say of the scope, so that few alerts are looked at one by one
        "alerts.agent_id = :agent": scope.agent_id,
        "protocol = :protocol": scope.protocol,
        "kind = :kind": scope.kind,
        ":port IN (src_port, dst_port)": scope.port,
        ":source IN (alerts.src_ip, alerts.dst_ip)": _single(scope.source),
        ":destination IN (alerts.src_ip, alerts.dst_ip)": _single(scope.destination),
    }
    values = {text.partition(":")[2].partition(" ")[0]: value for text, value in coarse.items()}
    given = "".join(f" AND {text}" for text, value in coarse.items() if value is not None)
    for row in db.execute(_MET + "WHERE received_ms >= :since" + given, {**values, "since": since_ms}):
        alert = _alert(row)
        if scope.holds(alert):
            yield alert


def _single(network: str | None) -> str | None:
    return None if network is None or "/" in network else network


def _alert(row: sqlite3.Row) -> Met:
    names = ("id", "src_ip", "src_port", "dst_ip", "dst_port", "protocol", "kind", "agent_id", "received_ms")
    served = is_service(row["src_port"]) and not is_service(row["dst_port"])
    turned = served and (row["protocol"] == UDP or (row["protocol"] == TCP and not row["opened"]))
    values: dict[str, Any] = {name: row[name] for name in (*names, "incident_id", "verdict")}
    return Met(**values, group=row["agent_group"], turned=turned)


def _scope(row: sqlite3.Row) -> Scope:
    return Scope(row["src"], row["dst"], row["port"], row["protocol"], row["kind"], row["agent_id"], row["group"])


def _rule(row: sqlite3.Row, now_ms: int) -> Suppression:
    if row["undo_ms"] is not None:
        state = "undone"
    elif row["end_ms"] is not None:
        state = "ended"
    else:
        state = "in force" if now_ms < row["until_ms"] else "expired"
    return Suppression(
        id=row["id"],
        source=row["src"],
        destination=row["dst"],
        port=row["port"],
        protocol=row["protocol"],
        kind=row["kind"],
        agent_id=row["agent_id"],
        group=row["group"],
        reason=row["reason"],
        by=row["by"],
        at_ms=row["at_ms"],
        since_ms=row["since_ms"],
        until_ms=row["until_ms"],
        state=state,
        ended_ms=row["undo_ms"] or row["end_ms"],
        ended_by=row["undo_by"] or row["end_by"],
        share=row["share"],
        forced=bool(row["forced"]),
        alerts=row["alerts"],
        latest_ms=row["latest_ms"],
    )


def _require_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid("say why this is normal here: a suppression needs a reason")
    if len(reason) > LONGEST_REASON:
        raise Invalid(f"a reason has at most {LONGEST_REASON} characters, this one {len(reason)}")
    return reason
