"""Noun: incidents, alerts that belong together."""

from __future__ import annotations

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
    ("what", lambda row: row["title"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`."""
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
    made = verbs.add(parsers, "show", show_incident)
    made.add_argument("id", type=int)


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
    )
    show(rows, COLUMNS, as_json=options.json)


def show_incident(client: Client, options: argparse.Namespace) -> None:
    """One incident with its evidence and its strongest alerts."""
    incident = client.get(f"/incidents/{options.id}")
    verbs.print_one(incident, options, hidden=("reasons", "evidence", "alert_items", "labels", "timeline"))
    if options.json:
        return
    for sentence in incident["evidence"]:
        print(f"evidence  {clean(sentence)}")
    for reason in incident["reasons"]:
        print(f"reason  {reason['share']:4.0%}  {clean(reason['text'])}")
    print()
    show(incident["alert_items"][:20], alerts.COLUMNS, as_json=False)
