"""Noun: flows, alerts' flows and the sample of quiet ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import endpoint, protocol, show, size, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("last seen", lambda row: when(row["last_seen_ms"])),
    ("agent", lambda row: row["agent_id"]),
    ("source", lambda row: endpoint(row, "src")),
    ("target", lambda row: endpoint(row, "dst")),
    ("proto", lambda row: protocol(row["protocol"])),
    ("packets", lambda row: str(row["packets"])),
    ("bytes", lambda row: size(row["bytes"])),
    ("score", lambda row: f"{row['score']:.2f}"),
    ("raised", lambda row: "alert" if row["raised"] else "-"),
    ("verdict", lambda row: row["verdict"] or "-"),
)
COUNTS = (
    ("minute", lambda row: when(row["minute_ms"])),
    ("rows", lambda row: str(row["rows"])),
    ("flows", lambda row: f"{row['flows']:.0f}"),
    ("alerts", lambda row: str(row["alerts"])),
    ("bytes", lambda row: size(row["bytes"])),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `counts`."""
    made = verbs.add(parsers, "list", list_flows)
    verbs.add_limit(made)
    made.add_argument("--agent", help="of this agent")
    made.add_argument("--host", metavar="ADDRESS", help="at either end")
    made.add_argument("--port", type=int, help="at either end")
    made.add_argument("--protocol", type=int, metavar="NUMBER", help="IANA protocol number")
    made.add_argument("--min-score", type=float, metavar="S", help="at least this strange")
    made.add_argument("--since-ms", type=int, metavar="MS", help="last seen at or after this time")
    made.add_argument("--until-ms", type=int, metavar="MS", help="last seen before this time")
    made.add_argument("--raised", action="store_const", const=True, help="only those that raised an alert")
    made.add_argument("--verdict", choices=("none", "benign", "malicious", "unsure"), help="judged like this")
    made = verbs.add(parsers, "counts", count_flows)
    made.add_argument("--minutes", type=int, default=60, help="how far back (default: 60)")


def list_flows(client: Client, options: argparse.Namespace) -> None:
    """Flows of staging and lake, latest first."""
    rows = client.pages(
        "/flows",
        limit=options.limit,
        agent=options.agent,
        host=options.host,
        port=options.port,
        protocol=options.protocol,
        min_score=options.min_score,
        since_ms=options.since_ms,
        until_ms=options.until_ms,
        raised=options.raised,
        verdict=options.verdict,
    )
    show(rows, COLUMNS, as_json=options.json)


def count_flows(client: Client, options: argparse.Namespace) -> None:
    """Flows received per minute."""
    show(client.get("/flows/counts", minutes=options.minutes), COUNTS, as_json=options.json)
