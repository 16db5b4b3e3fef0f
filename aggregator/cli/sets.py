"""Noun: sets, frozen rows that judge every retrained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("purpose", lambda row: row["purpose"]),
    ("rows", lambda row: str(row["rows"])),
    ("families", lambda row: ", ".join(row["families"]) or "-"),
    ("state", lambda row: "retired" if row["retired_ms"] else "in use" if row["usable"] else "another contract"),
    ("added", lambda row: when(row["at_ms"])),
    ("by", lambda row: row["by"]),
    ("sha256", lambda row: row["sha256"][:12]),
    ("note", lambda row: row["note"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `add`, `freeze`, `retire`."""
    verbs.add(parsers, "list", list_sets)
    made = verbs.add(parsers, "add", add_set)
    made.add_argument("purpose", choices=("attacks", "golden"))
    made.add_argument("file", type=Path, help="set file made by anomaflow-trainer sets")
    made.add_argument("--note", required=True, help="where it comes from, and why it judges models")
    made = verbs.add(parsers, "freeze", freeze)
    made.add_argument("incident", type=int, help="called malicious or benign as a whole")
    made.add_argument("--note", required=True, help="why it judges models")
    made = verbs.add(parsers, "retire", retire)
    made.add_argument("id", type=int)
    made.add_argument("--note", required=True, help="why it judges no longer")


def list_sets(client: Client, options: argparse.Namespace) -> None:
    """Frozen sets, newest first."""
    show(client.get("/sets")["items"], COLUMNS, as_json=options.json)


def add_set(client: Client, options: argparse.Namespace) -> None:
    """Add a set file: its rows judge models and never train one."""
    fields = {"purpose": options.purpose, "note": options.note}
    _print_set(client.upload("/sets", fields=fields, file=options.file), options)


def freeze(client: Client, options: argparse.Namespace) -> None:
    """Freeze the alerts of a judged incident: attacks, or golden rows."""
    _print_set(client.post("/sets/incidents", {"incident": options.incident, "note": options.note}), options)


def retire(client: Client, options: argparse.Namespace) -> None:
    """Judge by a set no longer."""
    _print_set(client.post(f"/sets/{options.id}/retire", {"note": options.note}), options)


def _print_set(made: dict[str, Any], options: argparse.Namespace) -> None:
    state = "retired" if made["retired_ms"] else "in use"
    text = f"set {made['id']}: {made['rows']} rows for {made['purpose']}, {state} ({made['sha256'][:12]})"
    print(json.dumps(made) if options.json else text)
