"""Noun: models, the registry of what agents run, ran and may run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import field, show, size, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("version", lambda row: str(row["version"])),
    ("digest", lambda row: row["digest"][:12]),
    ("name", lambda row: row["name"]),
    ("kind", lambda row: row["kind"]),
    ("state", lambda row: row["state"]),
    ("gate", lambda row: "-" if row["gate_passed"] is None else "passed" if row["gate_passed"] else "failed"),
    ("agents", lambda row: str(row["agents"])),
    ("alerts", lambda row: str(row["alerts"])),
    ("size", lambda row: size(row["size"])),
    ("admitted", lambda row: when(row["admitted_ms"])),
    ("by", lambda row: row["admitted_by"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `report`, `add`, `promote`, `rollback`, `refuse`."""
    verbs.add(parsers, "list", list_models)
    verbs.add(parsers, "show", show_model).add_argument("digest", help="or its first 8 digits or more")
    verbs.add(parsers, "report", show_report).add_argument("digest", help="or its first 8 digits or more")
    made = verbs.add(parsers, "add", add_model)
    made.add_argument("file", type=Path, help="model file (ONNX)")
    made.add_argument("--report", type=Path, metavar="FILE", help="its report.json")
    made = verbs.add(parsers, "promote", promote)
    made.add_argument("digest", help="or its first 8 digits or more")
    made.add_argument("--reason", default="", help="for the audit log")
    made.add_argument("--force", action="store_true", help="against a failed gate; needs a reason")
    made = verbs.add(parsers, "rollback", rollback)
    made.add_argument("--reason", default="", help="for the audit log")
    made = verbs.add(parsers, "refuse", refuse)
    made.add_argument("digest", help="or its first 8 digits or more")
    made.add_argument("--reason", required=True, help="for the audit log")


def list_models(client: Client, options: argparse.Namespace) -> None:
    """Models, newest version first."""
    show(client.get("/models")["items"], COLUMNS, as_json=options.json)


def show_model(client: Client, options: argparse.Namespace) -> None:
    """One model with its manifest."""
    model = client.get(f"/models/{options.digest}")
    verbs.print_one(model, options, hidden=("manifest",))
    if options.json:
        return
    for entry in model["manifest"]["thresholds"]:
        how = "certified" if entry["certified"] else "estimated"
        print(f"threshold {field('score', entry['score'])} for a false-positive rate of {entry['alpha']:g} ({how})")


def show_report(client: Client, options: argparse.Namespace) -> None:
    """The training report: figures of the model and its baseline."""
    report = client.get(f"/models/{options.digest}/report")
    if options.json:
        print(json.dumps(report, indent=1))
        return
    figures = report.get("metrics", {})
    names = sorted({name for values in figures.values() for name in values})
    columns = [("figure", lambda row: row["figure"])] + [
        (kind, lambda row, kind=kind: field("value", row.get(kind))) for kind in figures
    ]
    show(
        [{"figure": name, **{kind: figures[kind].get(name) for kind in figures}} for name in names],
        columns,
        as_json=False,
    )
    for check in (report.get("gate") or {}).get("checks", []):
        print(f"gate {'passed' if check['passed'] else 'FAILED'}  {check['name']}: {check['detail']}")


def add_model(client: Client, options: argparse.Namespace) -> None:
    """Admit a model file; it is verified first."""
    _print_model(client.upload("/models", model=options.file, report=options.report), options)


def promote(client: Client, options: argparse.Namespace) -> None:
    """Make a model the champion; agents receive it at once."""
    body = {"reason": options.reason, "force": options.force}
    _print_model(client.post(f"/models/{options.digest}/promote", body), options)


def rollback(client: Client, options: argparse.Namespace) -> None:
    """Bring the previous champion back."""
    _print_model(client.post("/models/rollback", {"reason": options.reason}), options)


def refuse(client: Client, options: argparse.Namespace) -> None:
    """Mark a model as not wanted: it can never be promoted."""
    _print_model(client.post(f"/models/{options.digest}/refuse", {"reason": options.reason}), options)


def _print_model(model: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        print(json.dumps(model))
    else:
        print(f"model {model['digest'][:12]} ({model['name']}, version {model['version']}) is {model['state']}")
