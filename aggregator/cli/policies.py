"""Noun: policies, how scores become decisions, what they promise, and whether that holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import card, field, show, when

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("version", lambda row: str(row["version"])),
    ("group", lambda row: row["group"]),
    ("threshold", lambda row: f"{row['threshold']:.3f}"),
    ("promised fpr", lambda row: field("rate", row["promised_fpr"])),
    ("basis", lambda row: row["basis"]),
    ("keep", lambda row: field("keep", row["keep_fraction"])),
    ("alerts/min", lambda row: str(row["max_alerts_per_minute"])),
    ("model", lambda row: field("digest", row["model_digest"])),
    ("since", lambda row: when(row["created_ms"])),
    ("by", lambda row: row["by"]),
    ("reason", lambda row: row["reason"]),
)

GROUPS = (
    ("group", lambda row: row["group"]),
    ("agents", lambda row: str(row["agents"])),
    ("calibration", lambda row: row["state"] + (f" since {when(row['since_ms'])}" if row["since_ms"] else "")),
    ("threshold", lambda row: f"{row['threshold']:.3f}"),
    ("basis", lambda row: row["basis"]),
    ("promised fpr", lambda row: field("rate", row["promised_fpr"])),
    ("realised fpr", lambda row: field("rate", row["realised_fpr"])),
    ("promised/day", lambda row: field("rate", row["expected_alerts_per_day"])),
    ("realised/day", lambda row: field("rate", row["realised_alerts_per_day"])),
    ("quiet flows", lambda row: str(row["flows"])),
    ("why", lambda row: row["why"]),
)


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `groups`, `preview`, `set`, `recalibrate`, `undo`."""
    verbs.add_limit(verbs.add(parsers, "list", list_policies))
    _add_group(verbs.add(parsers, "show", show_policy))
    verbs.add(parsers, "groups", list_groups)
    made = verbs.add(parsers, "preview", preview)
    _add_group(made)
    _add_wishes(made, recall=True).add_argument("--threshold", type=float, metavar="SCORE", help="set by hand")
    made.add_argument(
        "--base-rate",
        type=float,
        metavar="SHARE",
        help="share of flows that are attacks, as you suppose (default: 0.001)",
    )
    made = verbs.add(parsers, "set", set_policy)
    _add_group(made)
    either = _add_wishes(made, recall=True)
    either.add_argument("--promised-fpr", type=float, metavar="RATE", help="the same by the model's own calibration")
    either.add_argument("--threshold", type=float, metavar="SCORE", help="a flow scoring at least this is an alert")
    made.add_argument("--keep-fraction", type=float, metavar="SHARE", help="share of quiet flows sent as a sample")
    made.add_argument("--max-alerts-per-minute", type=int, metavar="N", help="hard cap of each agent")
    made.add_argument("--reason", default="", help="for the audit log")
    made = verbs.add(parsers, "recalibrate", recalibrate)
    _add_group(made)
    _add_wishes(made)
    made.add_argument("--reason", default="", help="for the audit log")
    made = verbs.add(parsers, "undo", undo)
    _add_group(made)
    made.add_argument("--reason", default="", help="for the audit log")


def list_policies(client: Client, options: argparse.Namespace) -> None:
    """Policies of every group, newest version first."""
    show(client.pages("/policies", limit=options.limit), COLUMNS, as_json=options.json)


def show_policy(client: Client, options: argparse.Namespace) -> None:
    """The policy a group follows, what it promises and whether that holds."""
    policy = client.get("/policies/current", group=options.group)
    standing = [row for row in client.get("/policies/groups")["items"] if row["group"] == options.group]
    if options.json:
        print(json.dumps({**policy, "promise": standing[0] if standing else None}, indent=1))
        return
    print(card(policy))
    for row in standing:
        print()
        print(card({name: text(row) for name, text in GROUPS if name not in ("group", "threshold", "basis")}))


def list_groups(client: Client, options: argparse.Namespace) -> None:
    """Groups of agents: what each is promised, and whether it holds."""
    show(client.get("/policies/groups")["items"], GROUPS, as_json=options.json)


def preview(client: Client, options: argparse.Namespace) -> None:
    """What a policy would do before it is set: alerts a day, false positives, precision and recall."""
    names = ("group", "alerts_per_day", "fpr", "recall", "threshold", "base_rate")
    answer = client.get("/policies/preview", **{name: getattr(options, name) for name in names})
    verbs.print_one(answer, options, hidden=("curve",))


def set_policy(client: Client, options: argparse.Namespace) -> None:
    """Set a new policy version; what is left out stays as it is."""
    names = (
        "promised_fpr", "threshold", "alerts_per_day", "fpr", "recall", "keep_fraction", "max_alerts_per_minute",
        "group", "reason",
    )  # fmt: skip
    verbs.print_one(client.put("/policies/current", {name: getattr(options, name) for name in names}), options)


def recalibrate(client: Client, options: argparse.Namespace) -> None:
    """Choose a group's threshold anew from what its agents counted, for its promise or another one."""
    names = ("group", "alerts_per_day", "fpr", "reason")
    answer = client.post("/policies/recalibrate", {name: getattr(options, name) for name in names})
    verbs.print_one(answer, options)


def undo(client: Client, options: argparse.Namespace) -> None:
    """Bring back what the group's policy version before said, as a new version."""
    verbs.print_one(client.post("/policies/undo", {"group": options.group, "reason": options.reason}), options)


def _add_group(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--group", default="default", help="group of agents (default: default)")


def _add_wishes(parser: argparse.ArgumentParser, *, recall: bool = False) -> Any:
    """The ways to say what is wanted, of which one may be given."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--alerts-per-day", type=float, metavar="N", help="alerts a day that may be false")
    either.add_argument("--fpr", type=float, metavar="RATE", help="share of benign flows that may alert")
    if recall:
        either.add_argument("--recall", type=float, metavar="SHARE", help="share of labelled attacks that should alert")
    return either
