"""Noun: labels, verdicts on alerts, incidents and flows, and what is asked next."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.client import ClientError
from aggregator.cli.tables import show, when
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("given", lambda row: when(row["at_ms"])),
    ("by", lambda row: row["by"]),
    ("on", lambda row: f"{row['target']} {row['flow_id'] or row['target_id']}"),
    ("verdict", lambda row: row["verdict"] or f"(undoes {row['undoes']})"),
    ("alerts", lambda row: str(row["alerts"])),
    ("undone", lambda row: "yes" if row["undone"] else "expired" if row["expired"] else "-"),
    ("note", lambda row: row["note"]),
)

QUEUE_COLUMNS = (
    ("flow", lambda row: row["flow_id"]),
    ("alert", lambda row: str(row["alert_id"] or "-")),
    ("from", lambda row: f"{row['src_ip']}:{row['src_port']}"),
    ("to", lambda row: f"{row['dst_ip']}:{row['dst_port']}"),
    ("score", lambda row: f"{row['score']:.2f}"),
    ("kind", lambda row: row["kind"] or "-"),
    ("like it", lambda row: str(row["stands_for"])),
    ("why", lambda row: row["reason"]),
)
DAY_COLUMNS = tuple(
    (name, lambda row, name=name: str(row[name]))
    for name in ("day", "by", "labels", "undone", "benign", "malicious", "unsure")
)


def add_verbs(parsers: Any) -> None:
    """`list`, `queue`, `daily`, `add`, `undo`."""
    verbs.add_limit(verbs.add(parsers, "list", list_labels))
    verbs.add(parsers, "queue", show_queue)
    verbs.add(parsers, "daily", show_days).add_argument("--days", type=int, default=14, help="how far back (14)")
    made = verbs.add(parsers, "add", add_label)
    made.add_argument("target", choices=("alert", "incident", "flow"))
    made.add_argument("id", help="a number, or the name of a flow")
    made.add_argument("verdict", choices=("benign", "malicious", "unsure"))
    made.add_argument("--note", default="", help="why")
    made.add_argument("--family", default="", help="what attack a malicious one is")
    made.add_argument("--days", type=float, help="how long the verdict counts; for ever if not given")
    made = verbs.add(parsers, "undo", undo_label)
    made.add_argument("id", type=int, help="of the label")
    made.add_argument("--note", default="", help="why")


def list_labels(client: Client, options: argparse.Namespace) -> None:
    """Verdicts and their undoing, newest first."""
    show(client.pages("/labels", limit=options.limit), COLUMNS, as_json=options.json)


def show_queue(client: Client, options: argparse.Namespace) -> None:
    """The few alerts and quiet flows whose verdict would teach most, and why."""
    show(client.get("/labels/queue")["items"], QUEUE_COLUMNS, as_json=options.json)


def show_days(client: Client, options: argparse.Namespace) -> None:
    """Who gave how many verdicts on which day."""
    show(client.get("/labels/daily", days=options.days)["items"], DAY_COLUMNS, as_json=options.json)


def add_label(client: Client, options: argparse.Namespace) -> None:
    """Give a verdict on an alert, on every alert an incident has now, or on a flow."""
    body = {"target": options.target, "verdict": options.verdict, "note": options.note, "family": options.family}
    body |= {"flow_id": options.id} if options.target == "flow" else {"id": _number(options.id)}
    if options.days is not None:
        body["expires_ms"] = round(time.time() * 1000 + options.days * 86_400_000)
    label = client.post("/labels", body)
    text = (
        f"label {label['id']}: {label['target']} {label['target_id']} is {label['verdict']} ({label['alerts']} alerts)"
    )
    print(json.dumps(label) if options.json else text)


def undo_label(client: Client, options: argparse.Namespace) -> None:
    """Take a verdict back."""
    label = client.post(f"/labels/{options.id}/undo", {"note": options.note})
    print(json.dumps(label) if options.json else f"label {options.id} is undone ({label['alerts']} alerts)")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ClientError(f"{text!r} is no number of an alert or incident", ExitCode.USAGE)
    return int(text)
