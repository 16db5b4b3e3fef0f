"""Noun: incidents, alerts that belong together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aggregator.cli import alerts, verbs
from aggregator.cli.tables import clean, show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("last seen", lambda row: when(row["last_seen_ms"])),
    ("kind", lambda row: row["kind"]),
    ("state", lambda row: row["state"]),
    ("alerts", lambda row: str(row["alerts"])),
    ("score", lambda row: f"{row['max_score']:.2f}"),
    ("verdict", lambda row: row["verdict"] or "-"),
    ("seen by", lambda row: row["acknowledged_by"] or "-"),
    ("whose", lambda row: row["assignee"] or "-"),
    ("what", lambda row: row["title"]),
)


def step_text(step: dict[str, Any]) -> str:
    """What a step was, in words."""
    if step["deed"] == "assign":
        return f"assigned to {step['assignee'] or 'nobody'}"
    if step["deed"] == "undo":
        return f"step {step['undoes']} taken back"
    return {"acknowledge": "acknowledged", "comment": "commented on"}[step["deed"]]


STEP_COLUMNS = (
    ("step", lambda row: str(row["id"])),
    ("when", lambda row: when(row["at_ms"])),
    ("by", lambda row: row["by"]),
    ("what", step_text),
    ("taken back", lambda row: "yes" if row["undone"] else "-"),
    ("note", lambda row: row["note"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `acknowledge`, `assign`, `comment`, `undo`."""
    made = verbs.add(parsers, "list", list_incidents)
    verbs.add_limit(made)
    made.add_argument(
        "--state",
        choices=("open", "closed", "suppressed", "all"),
        help="in this state (default: all but suppressed ones)",
    )
    made.add_argument("--kind", help="of this kind, such as 'port scan'")
    made.add_argument("--verdict", choices=("none", "benign", "malicious", "unsure", "mixed"), help="judged like this")
    made.add_argument("--host", metavar="ADDRESS", help="this host is part of it")
    made.add_argument("--since-ms", type=int, metavar="MS", help="active at or after this time")
    made.add_argument("--assignee", metavar="NAME", help="assigned to NAME; `me` and `none` are understood")
    made.add_argument("--acknowledged", choices=("yes", "no"), help="somebody has looked at it as it is, or nobody")
    made = verbs.add(parsers, "show", show_incident)
    made.add_argument("id", type=int)
    made = verbs.add(parsers, "acknowledge", acknowledge_incident)
    made.add_argument("id", type=int)
    made.add_argument("--note", default="", help="what was seen")
    made = verbs.add(parsers, "assign", assign_incident)
    made.add_argument("id", type=int)
    whose = made.add_mutually_exclusive_group()
    whose.add_argument("--to", metavar="NAME", help="the account that looks after it (default: oneself)")
    whose.add_argument("--nobody", action="store_true", help="let nobody look after it")
    made.add_argument("--note", default="", help="why")
    made = verbs.add(parsers, "comment", comment_on_incident)
    made.add_argument("id", type=int)
    made.add_argument("note", help="what was found or done")
    made = verbs.add(parsers, "undo", undo_step)
    made.add_argument("step", type=int, help="of the list that `show` gives")
    made.add_argument("--note", default="", help="why")


def list_incidents(client: Client, options: argparse.Namespace) -> None:
    """Incidents, latest activity first."""
    rows = client.pages(
        "/incidents",
        limit=options.limit,
        state=options.state,
        kind=options.kind,
        verdict=options.verdict,
        host=options.host,
        since_ms=options.since_ms,
        assignee=options.assignee,
        acknowledged=None if options.acknowledged is None else options.acknowledged == "yes",
    )
    show(rows, COLUMNS, as_json=options.json)


def show_incident(client: Client, options: argparse.Namespace) -> None:
    """One incident with its evidence and its strongest alerts."""
    incident = client.get(f"/incidents/{options.id}")
    verbs.print_one(incident, options, hidden=("reasons", "evidence", "alert_items", "labels", "timeline", "steps"))
    if options.json:
        return
    for sentence in incident["evidence"]:
        print(f"evidence  {clean(sentence)}")
    for reason in incident["reasons"]:
        print(f"reason  {reason['share']:4.0%}  {clean(reason['text'])}")
    print()
    if incident["steps"]:
        show(incident["steps"], STEP_COLUMNS, as_json=False)
        print()
    show(incident["alert_items"][:20], alerts.COLUMNS, as_json=False)


def acknowledge_incident(client: Client, options: argparse.Namespace) -> None:
    """Say that an incident was looked at."""
    _say(client.post(f"/incidents/{options.id}/acknowledge", {"note": options.note}), options)


def assign_incident(client: Client, options: argparse.Namespace) -> None:
    """Let somebody look after an incident: oneself, another, or nobody."""
    to = {"to": options.to} if options.to or options.nobody else {}
    _say(client.post(f"/incidents/{options.id}/assign", {"note": options.note, **to}), options)


def comment_on_incident(client: Client, options: argparse.Namespace) -> None:
    """Say something about an incident."""
    _say(client.post(f"/incidents/{options.id}/comment", {"note": options.note}), options)


def undo_step(client: Client, options: argparse.Namespace) -> None:
    """Take back an acknowledgement, an assignment or a comment."""
    _say(client.post(f"/incidents/steps/{options.step}/undo", {"note": options.note}), options)


def _say(step: dict[str, Any], options: argparse.Namespace) -> None:
    text = f"incident {step['incident_id']}: {step_text(step)} by {step['by']} (step {step['id']})"
    print(json.dumps(step) if options.json else text)
