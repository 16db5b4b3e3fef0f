"""Noun: predictions, what models of the workbench said of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.datasets import print_rows
from aggregator.cli.tables import clean, field, show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("experiment", lambda row: f"{row['experiment_id']} {row['experiment_name']}"),
    ("model", lambda row: row["model"]),
    ("source", lambda row: row["source"]),
    ("state", lambda row: row["state"]),
    ("rows", lambda row: field("rows", row["rows"])),
    ("anomalies", lambda row: field("anomalies", row["anomalies"])),
    ("created", lambda row: when(row["created_ms"])),
    ("by", lambda row: row["by"]),
    ("message", lambda row: row["error"] or row["message"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `get`, `summary`, `rows`, `download`, `cancel`, `delete`; made by `experiments predict`."""
    made = verbs.add(parsers, "list", list_predictions)
    verbs.add_limit(made)
    made.add_argument("--experiment", type=int, metavar="ID", help="only those of this experiment")
    for name, verb in (("get", get_prediction), ("summary", summary), ("cancel", cancel), ("delete", delete)):
        verbs.add(parsers, name, verb).add_argument("id", type=int)
    made = verbs.add(parsers, "rows", rows)
    made.add_argument("id", type=int)
    verbs.add_limit(made, 20)
    made.add_argument("--offset", type=int, default=0, metavar="N", help="rows to leave out at the beginning")
    made.add_argument("--sort", metavar="COLUMN", help="sorted by it, such as score")
    made.add_argument("--descending", action="store_true", help="largest first")
    made.add_argument("--prediction", metavar="VALUE", help="only rows that were called so")
    made = verbs.add(parsers, "download", download)
    made.add_argument("id", type=int)
    made.add_argument("--out", type=Path, required=True, metavar="CSV")


def list_predictions(client: Client, options: argparse.Namespace) -> None:
    """Predictions, newest first."""
    found = client.pages("/predictions", limit=options.limit, experiment_id=options.experiment)
    show(found, COLUMNS, as_json=options.json)


def get_prediction(client: Client, options: argparse.Namespace) -> None:
    """One prediction."""
    verbs.print_one(client.get(f"/predictions/{options.id}"), options)


def summary(client: Client, options: argparse.Namespace) -> None:
    """What a prediction found: counts, and what of the table did not fit."""
    found = client.get(f"/predictions/{options.id}/summary")
    if options.json or not found:
        print(json.dumps(found, indent=1))
        return
    counts = ", ".join(f"{clean(str(name))} {rows}" for name, rows in found["counts"].items())
    print(f"rows       {found['rows']}\ncounts     {counts}\nanomalies  {field('value', found['anomalies'])}")
    for said in (*(found["schema"].get("notes") or ()), *(found.get("notes") or ())):
        print(f"note       {clean(str(said))}")


def rows(client: Client, options: argparse.Namespace) -> None:
    """Some rows of a prediction, with what the model said of them."""
    asked = {name: getattr(options, name) for name in ("offset", "limit", "sort", "descending", "prediction")}
    print_rows(client.get(f"/predictions/{options.id}/rows", **asked), as_json=options.json)


def download(client: Client, options: argparse.Namespace) -> None:
    """All rows of a prediction as CSV."""
    written = client.fetch(f"/predictions/{options.id}/rows.csv", options.out)
    print(json.dumps({"file": str(options.out), "bytes": written}) if options.json else options.out)


def cancel(client: Client, options: argparse.Namespace) -> None:
    """End a prediction under way."""
    one = client.post(f"/predictions/{options.id}/cancel")
    print(json.dumps(one) if options.json else f"prediction {one['id']} is {one['state']}")


def delete(client: Client, options: argparse.Namespace) -> None:
    """Delete a prediction."""
    client.delete(f"/predictions/{options.id}")
    print(json.dumps({"deleted": options.id}) if options.json else f"prediction {options.id} is deleted")
