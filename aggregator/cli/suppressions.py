"""Noun: suppressions, rules that say what is normal here, until when."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import clean, show, when

if TYPE_CHECKING:
    from aggregator.cli.client import Client

DAY_MS = 86_400_000
LONGEST_DAYS = 365


def scope_text(row: dict[str, Any]) -> str:
    """What a rule is about, on one line."""
    ends = f"{row['source'] or 'any'} to {row['destination'] or 'any'}"
    port = "" if row["port"] is None else f" port {row['port']}"
    protocol = "" if row["protocol"] is None else f" protocol {row['protocol']}"
    kind = "" if row["kind"] is None else f", {row['kind']}"
    agent = "" if row["agent_id"] is None else f", seen by {row['agent_id']}"
    group = "" if row["group"] is None else f", seen in group {row['group']}"
    return f"{ends}{port}{protocol}{kind}{agent}{group}"


COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("state", lambda row: row["state"]),
    ("until", lambda row: when(row["until_ms"])),
    ("what", scope_text),
    ("alerts", lambda row: str(row["alerts"])),
    ("by", lambda row: row["by"]),
    ("reason", lambda row: row["reason"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `preview`, `add`, `end`, `undo`."""
    made = verbs.add(parsers, "list", list_suppressions)
    verbs.add_limit(made)
    made.add_argument("--state", choices=("in force", "expired", "ended", "undone"), help="in this state")
    made = verbs.add(parsers, "show", show_suppression)
    made.add_argument("id", type=int)
    _add_scope(verbs.add(parsers, "preview", preview_suppression))
    made = verbs.add(parsers, "add", add_suppression)
    _add_scope(made)
    made.add_argument("--reason", required=True, help="why this is normal here")
    made.add_argument("--days", required=True, type=_days, metavar="D", help=f"until when: at most {LONGEST_DAYS} days")
    made.add_argument("--past-days", type=_days, default=None, metavar="D", help="and for alerts of the last D days")
    made.add_argument("--insist", action="store_true", help="even if it is refused as too broad (operators)")
    for verb, name in ((end_suppression, "end"), (undo_suppression, "undo")):
        made = verbs.add(parsers, name, verb)
        made.add_argument("id", type=int)
        made.add_argument("--reason", default="", help="why")


def list_suppressions(client: Client, options: argparse.Namespace) -> None:
    """Rules, newest first."""
    show(client.pages("/suppressions", limit=options.limit, state=options.state), COLUMNS, as_json=options.json)


def show_suppression(client: Client, options: argparse.Namespace) -> None:
    """One rule and how many alerts it has hidden."""
    verbs.print_one(client.get(f"/suppressions/{options.id}"), options)


def preview_suppression(client: Client, options: argparse.Namespace) -> None:
    """What a rule would have hidden in the last days."""
    found = client.post("/suppressions/preview", _scope_of(options))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(
        f"of {found['alerts']} alerts in {found['days']} days it would have hidden {found['hidden']} "
        f"({found['share']:.1%}), and {found['incidents']} incidents whole"
    )
    for kind, alerts in found["kinds"].items():
        print(f"  {alerts:>7}  {clean(kind)}")
    for sentence in found["refusals"]:
        print(f"refused: {clean(sentence)}")
    for sentence in found["warnings"]:
        print(f"warning: {clean(sentence)}")


def add_suppression(client: Client, options: argparse.Namespace) -> None:
    """Say what is normal here."""
    now_ms = round(time.time() * 1000)
    body = {
        **_scope_of(options),
        "reason": options.reason,
        "until_ms": now_ms + round(options.days * DAY_MS),
        "since_ms": None if options.past_days is None else now_ms - round(options.past_days * DAY_MS),
        "insist": options.insist,
    }
    made = client.post("/suppressions", body)
    until = f"until {when(made['until_ms'])}, {made['alerts']} alerts hidden now"
    text = f"suppression {made['id']}: {scope_text(made)} {until}"
    print(json.dumps(made) if options.json else text)


def end_suppression(client: Client, options: argparse.Namespace) -> None:
    """End a rule early: what it hid stays hidden, new alerts are shown."""
    _end(client, options, "end")


def undo_suppression(client: Client, options: argparse.Namespace) -> None:
    """Undo a rule: what it hid comes back."""
    _end(client, options, "undo")


def _end(client: Client, options: argparse.Namespace, how: str) -> None:
    rule = client.post(f"/suppressions/{options.id}/{how}", {"reason": options.reason})
    print(json.dumps(rule) if options.json else f"suppression {rule['id']} is {rule['state']}")


def _add_scope(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", metavar="NETWORK", help="address or network of the source")
    parser.add_argument("--destination", metavar="NETWORK", help="address or network of the destination")
    parser.add_argument("--port", type=int, help="of the service")
    parser.add_argument("--protocol", type=int, metavar="NUMBER", help="6 is TCP, 17 UDP, 1 ICMP")
    parser.add_argument("--kind", help="kind of the incident, such as 'beacon'")
    parser.add_argument("--agent", help="seen by this agent")
    parser.add_argument("--group", help="seen by an agent of this group")


def _scope_of(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "source": options.source,
        "destination": options.destination,
        "port": options.port,
        "protocol": options.protocol,
        "kind": options.kind,
        "agent_id": options.agent,
        "group": options.group,
    }


def _days(text: str) -> float:
    days = float(text)
    if not 0 < days <= LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {LONGEST_DAYS}")
    return days
