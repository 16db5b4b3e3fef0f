"""Noun: agents, the sensor hosts and how they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import field, show, size, table, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("agent", lambda row: row["agent_id"]),
    ("link", lambda row: "connected" if row["connected"] else "away"),
    ("state", lambda row: row["health"]["state"] or "-"),
    ("source", lambda row: row["source"]),
    ("last seen", lambda row: when(row["last_seen_ms"])),
    ("flows", lambda row: str(row["flows"])),
    ("alerts", lambda row: str(row["alerts"])),
    ("dropped", lambda row: str(row["health"]["packets_dropped"])),
    ("lost", lambda row: str(row["lost_flows"])),
    ("spool", lambda row: size(row["spool_bytes"])),
    ("group", lambda row: row["group"]),
    ("policy", lambda row: str(row["policy_version"])),
    ("model", lambda row: field("digest", row["model_digest"])),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `group`, `gaps`."""
    verbs.add(parsers, "list", list_agents)
    made = verbs.add(parsers, "show", show_agent)
    made.add_argument("agent")
    made = verbs.add(parsers, "group", set_group)
    made.add_argument("agent")
    made.add_argument("group", help="a name; a group comes to be with its first agent")
    made = verbs.add(parsers, "gaps", list_gaps)
    verbs.add_limit(made)
    made.add_argument("--agent", help="of this agent")


def list_agents(client: Client, options: argparse.Namespace) -> None:
    """Every agent ever seen, with its health."""
    show(client.get("/agents")["items"], COLUMNS, as_json=options.json)


def show_agent(client: Client, options: argparse.Namespace) -> None:
    """One agent."""
    agent = client.get(f"/agents/{options.agent}")
    health = {} if options.json else {f"health.{name}": value for name, value in agent.pop("health").items()}
    verbs.print_one({**agent, **health}, options)


def set_group(client: Client, options: argparse.Namespace) -> None:
    """Put an agent into a group: its agents are calibrated together and follow one policy."""
    agent = client.put(f"/agents/{options.agent}/group", {"group": options.group})
    agent.pop("health")
    verbs.print_one(agent, options)


def list_gaps(client: Client, options: argparse.Namespace) -> None:
    """Declared losses and batches set aside, newest first."""
    rows = client.get("/agents/gaps", agent=options.agent, limit=min(options.limit, 1000))["items"]
    if options.json:
        show(rows, (), as_json=True)
    else:
        print(table(rows))
