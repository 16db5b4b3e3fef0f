"""Noun: labels, verdicts on alerts and incidents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("given", lambda row: when(row["at_ms"])),
    ("by", lambda row: row["by"]),
    ("on", lambda row: f"{row['target']} {row['target_id']}"),
    ("verdict", lambda row: row["verdict"] or f"(undoes {row['undoes']})"),
    ("alerts", lambda row: str(row["alerts"])),
    ("undone", lambda row: "yes" if row["undone"] else "-"),
    ("note", lambda row: row["note"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `add`, `undo`."""
    verbs.add_limit(verbs.add(parsers, "list", list_labels))
    made = verbs.add(parsers, "add", add_label)
    made.add_argument("target", choices=("alert", "incident"))
    made.add_argument("id", type=int)
    made.add_argument("verdict", choices=("benign", "malicious", "unsure"))
    made.add_argument("--note", default="", help="why")
    made = verbs.add(parsers, "undo", undo_label)
    made.add_argument("id", type=int, help="of the label")
    made.add_argument("--note", default="", help="why")


def list_labels(client: Client, options: argparse.Namespace) -> None:
    """Verdicts and their undoing, newest first."""
    show(client.pages("/labels", limit=options.limit), COLUMNS, as_json=options.json)


def add_label(client: Client, options: argparse.Namespace) -> None:
    """Give a verdict on an alert, or on every alert an incident has now."""
    body = {"target": options.target, "id": options.id, "verdict": options.verdict, "note": options.note}
    label = client.post("/labels", body)
    text = (
        f"label {label['id']}: {label['target']} {label['target_id']} is {label['verdict']} ({label['alerts']} alerts)"
    )
    print(json.dumps(label) if options.json else text)


def undo_label(client: Client, options: argparse.Namespace) -> None:
    """Take a verdict back."""
    label = client.post(f"/labels/{options.id}/undo", {"note": options.note})
    print(json.dumps(label) if options.json else f"label {options.id} is undone ({label['alerts']} alerts)")
