"""Noun: policies, how scores become decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import field, show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("version", lambda row: str(row["version"])),
    ("threshold", lambda row: f"{row['threshold']:.3f}"),
    ("promised fpr", lambda row: field("rate", row["promised_fpr"])),
    ("keep", lambda row: field("keep", row["keep_fraction"])),
    ("alerts/min", lambda row: str(row["max_alerts_per_minute"])),
    ("model", lambda row: field("digest", row["model_digest"])),
    ("since", lambda row: when(row["created_ms"])),
    ("by", lambda row: row["by"]),
    ("reason", lambda row: row["reason"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `set`."""
    verbs.add_limit(verbs.add(parsers, "list", list_policies))
    verbs.add(parsers, "show", show_policy)
    made = verbs.add(parsers, "set", set_policy)
    either = made.add_mutually_exclusive_group()
    either.add_argument("--promised-fpr", type=float, metavar="RATE", help="share of benign flows that may alert")
    either.add_argument("--threshold", type=float, metavar="SCORE", help="a flow scoring at least this is an alert")
    made.add_argument("--keep-fraction", type=float, metavar="SHARE", help="share of quiet flows sent as a sample")
    made.add_argument("--max-alerts-per-minute", type=int, metavar="N", help="hard cap of each agent")
    made.add_argument("--reason", default="", help="for the audit log")


def list_policies(client: Client, options: argparse.Namespace) -> None:
    """Policies, newest version first."""
    show(client.pages("/policies", limit=options.limit), COLUMNS, as_json=options.json)


def show_policy(client: Client, options: argparse.Namespace) -> None:
    """The policy that agents follow."""
    verbs.print_one(client.get("/policies/current"), options)


def set_policy(client: Client, options: argparse.Namespace) -> None:
    """Set a new policy version; what is left out stays as it is."""
    names = ("promised_fpr", "threshold", "keep_fraction", "max_alerts_per_minute", "reason")
    verbs.print_one(client.put("/policies/current", {name: getattr(options, name) for name in names}), options)
