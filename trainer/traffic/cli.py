"""`anomaflow-trainer traffic`: the command around `scenario.build`."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protos.exits import ExitCode
from trainer.traffic.office import HOSTS
from trainer.traffic.packets import TrafficError
from trainer.traffic.scenario import SCENARIOS, SNAP, START, build

if TYPE_CHECKING:
    from trainer.traffic.scenario import Traffic


def add_arguments(subparsers: Any) -> argparse.ArgumentParser:
    """Add the `traffic` command to the trainer's parser; its `run` default is this module's `run`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "traffic",
        help="make a labelled capture of a small office and of attacks on it",
        description="Write a labelled capture: an ordinary office day, attacks, both, or short flows to measure with.",
    )
    parser.add_argument("--scenario", choices=SCENARIOS, default="mixed", help="what is played (default: mixed)")
    parser.add_argument("--out", type=Path, required=True, metavar="F.pcap", help="the capture to write")
    parser.add_argument("--labels", type=Path, metavar="F.json", help="the labels (default: F.pcap.labels.json)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="same seed and arguments, same file (default: 1)"
    )
    parser.add_argument(
        "--network", type=int, metavar="N", help="which office: its addresses and hosts (default: the seed)"
    )
    parser.add_argument("--hosts", type=int, default=HOSTS, metavar="N", help=f"hosts of the office (default: {HOSTS})")
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="how long it plays (default: 10)")
    parser.add_argument("--flows", type=int, default=100_000, metavar="N", help="flows of the bench (default: 100000)")
    parser.add_argument("--backup", action="store_true", help="the office also runs its backup: benign, heavy, unusual")
    parser.add_argument("--attacks", metavar="A,B", help="only these attacks (default: one campaign of each)")
    parser.add_argument(
        "--snap", type=int, default=SNAP, metavar="BYTES", help=f"cut IPv4 packets, 0 for whole ones (default: {SNAP})"
    )
    parser.add_argument("--start", type=_moment, default=START, metavar="TIME", help="first moment, ISO 8601, UTC")
    parser.add_argument("--json", action="store_true", help="print what was written as one JSON object")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the files and say what is in them. Returns an exit code."""
    try:
        made = build(
            args.scenario,
            args.out,
            args.seed,
            args.minutes,
            labels=args.labels,
            network=args.network,
            hosts=args.hosts,
            flows=args.flows,
            backup=args.backup,
            attacks=args.attacks.split(",") if args.attacks else None,
            snap=args.snap,
            start=args.start,
        )
    except TrafficError as error:
        print(f"anomaflow-trainer traffic: {error}", file=sys.stderr)
        return ExitCode.USAGE
    print(json.dumps(_summary(made)) if args.json else _table(made))
    return ExitCode.OK


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a moment; write it like 2026-01-05T09:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _summary(made: Traffic) -> dict[str, Any]:
    kinds = {kind: {"flows": flows, "packets": packets} for kind, (flows, packets) in made.by_kind.items()}
    return {
        "capture": str(made.capture),
        "labels": str(made.labels),
        "flows": made.flows,
        "packets": made.packets,
        "kinds": kinds,
    }


def _table(made: Traffic) -> str:
    rows = [f"{kind:<20}{flows:>10,}{packets:>12,}" for kind, (flows, packets) in made.by_kind.items()]
    total = f"{'all':<20}{made.flows:>10,}{made.packets:>12,}"
    return "\n".join((f"{'kind':<20}{'flows':>10}{'packets':>12}", *rows, total, f"{made.capture}", f"{made.labels}"))
