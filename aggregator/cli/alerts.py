"""Noun: alerts, flows that scored at least the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import clean, endpoint, field, protocol, show, when
from protos import likeness

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("received", lambda row: when(row["received_ms"])),
    ("agent", lambda row: row["agent_id"]),
    ("source", lambda row: endpoint(row, "src")),
    ("target", lambda row: endpoint(row, "dst")),
    ("proto", lambda row: protocol(row["protocol"])),
    ("score", lambda row: f"{row['score']:.2f}"),
    ("incident", lambda row: field("incident_id", row["incident_id"])),
    ("verdict", lambda row: row["verdict"] or "-"),
    ("looks like", lambda row: row["family"] or "-"),
    ("why", lambda row: row["reasons"][0]["text"] if row["reasons"] else "-"),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`."""
    made = verbs.add(parsers, "list", list_alerts)
    verbs.add_limit(made)
    made.add_argument("--agent", help="of this agent")
    made.add_argument("--model", metavar="DIGEST", help="raised by this model")
    made.add_argument("--incident", type=int, metavar="ID", help="of this incident")
    made.add_argument("--verdict", choices=("none", "benign", "malicious", "unsure"), help="judged like this")
    made.add_argument("--host", metavar="ADDRESS", help="at either end")
    made.add_argument("--family", help="looks like this family of attacks to the model")
    made.add_argument("--min-score", type=float, metavar="S", help="at least this strange")
    made.add_argument("--since-ms", type=int, metavar="MS", help="received at or after this time")
    made.add_argument("--until-ms", type=int, metavar="MS", help="received before this time")
    made = verbs.add(parsers, "show", show_alert)
    made.add_argument("id", type=int)


def list_alerts(client: Client, options: argparse.Namespace) -> None:
    """Alerts, newest arrival first."""
    rows = client.pages(
        "/alerts",
        limit=options.limit,
        agent=options.agent,
        model=options.model,
        incident=options.incident,
        verdict=options.verdict,
        host=options.host,
        family=options.family,
        min_score=options.min_score,
        since_ms=options.since_ms,
        until_ms=options.until_ms,
    )
    show(rows, COLUMNS, as_json=options.json)


def show_alert(client: Client, options: argparse.Namespace) -> None:
    """One alert with its flow, its reasons and its verdicts."""
    alert = client.get(f"/alerts/{options.id}")
    verbs.print_one(alert, options, hidden=("reasons", "features", "health", "labels"))
    if options.json:
        return
    if alert["family"]:
        print(f"reason        {clean(likeness.sentence(alert['family'], alert['family_share']))}")
    for reason in alert["reasons"]:
        print(f"reason  {reason['share']:4.0%}  {clean(reason['text'])}")
    for label in alert["labels"]:
        deed = label["verdict"] or f"undid label {label['undoes']}"
        print(f"verdict {when(label['at_ms'])}  {label['by']}: {deed}  {clean(label['note'])}".rstrip())
