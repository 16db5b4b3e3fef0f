"""Noun: jobs, training runs."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from aggregator.cli import verbs
from aggregator.cli.tables import clean, field, show, when
from protos.exits import ExitCode

if TYPE_CHECKING:
    import argparse

    from aggregator.cli.client import Client

COLUMNS = (
    ("id", lambda row: str(row["id"])),
    ("state", lambda row: row["state"]),
    ("stage", lambda row: row["stage"]),
    ("done", lambda row: f"{row['fraction']:.0%}"),
    ("started", lambda row: when(row["started_ms"])),
    ("ended", lambda row: when(row["ended_ms"])),
    ("by", lambda row: row["by"]),
    ("model", lambda row: field("digest", row["model_digest"])),
    ("message", lambda row: row["error"] or row["message"]),
)
POLL_S = 1.0


def add_verbs(parsers: Any) -> None:
    """`list`, `show`, `log`, `retrain`, `wait`, `cancel`."""
    verbs.add_limit(verbs.add(parsers, "list", list_jobs))
    verbs.add(parsers, "show", show_job).add_argument("id", type=int)
    made = verbs.add(parsers, "log", show_log)
    made.add_argument("id", type=int)
    made.add_argument("--lines", type=int, default=50, help="how many (default: 50)")
    made = verbs.add(parsers, "retrain", retrain)
    made.add_argument("--name", help="of the new model")
    made.add_argument("--quarantine-hours", type=float, metavar="H", help="age a flow must have; 0 takes all")
    made.add_argument("--auto-promote", action="store_true", help="promote the model if it passes its gate")
    made.add_argument("--epochs", type=int, help="of the fit")
    made.add_argument("--alpha", type=float, help="false-positive rate to calibrate for")
    made.add_argument("--seed", type=int, help="of the fit")
    made.add_argument("--wait", action="store_true", help="show progress until it ends")
    verbs.add(parsers, "wait", wait_for).add_argument("id", type=int)
    verbs.add(parsers, "cancel", cancel).add_argument("id", type=int)


def list_jobs(client: Client, options: argparse.Namespace) -> None:
    """Training runs, newest first."""
    show(client.pages("/jobs", limit=options.limit), COLUMNS, as_json=options.json)


def show_job(client: Client, options: argparse.Namespace) -> None:
    """One training run."""
    verbs.print_one(client.get(f"/jobs/{options.id}"), options)


def show_log(client: Client, options: argparse.Namespace) -> None:
    """The last lines of a training run's log."""
    lines = client.get(f"/jobs/{options.id}/log", lines=options.lines)
    print(json.dumps(lines) if options.json else "\n".join(clean(line) for line in lines))


def retrain(client: Client, options: argparse.Namespace) -> int:
    """Train on the baseline and the lake."""
    names = ("name", "quarantine_hours", "auto_promote", "epochs", "alpha", "seed")
    job = client.post("/jobs/retrain", {name: getattr(options, name) for name in names})
    if options.wait:
        return _follow(client, job["id"], as_json=options.json)
    print(
        json.dumps(job)
        if options.json
        else f"job {job['id']} is running; follow it with: anomaflow jobs wait {job['id']}"
    )
    return ExitCode.OK


def wait_for(client: Client, options: argparse.Namespace) -> int:
    """Show a training run's progress until it ends."""
    return _follow(client, options.id, as_json=options.json)


def cancel(client: Client, options: argparse.Namespace) -> None:
    """Stop a training run."""
    job = client.post(f"/jobs/{options.id}/cancel")
    print(json.dumps(job) if options.json else f"job {job['id']} is {job['state']}")


def _follow(client: Client, job_id: int, *, as_json: bool) -> int:
    """The exit code says how it ended: a gate that failed is its own."""
    shown = ""
    while True:
        job = client.get(f"/jobs/{job_id}")
        line = f"{job['fraction']:4.0%}  {job['stage']:<9} {clean(job['error'] or job['message'])}"
        if line != shown and not as_json:
            shown = line
            print(line, file=sys.stderr, flush=True)
        if job["state"] != "running":
            print(json.dumps(job) if as_json else f"job {job['id']} {job['state']}")
            if job["state"] != "succeeded":
                return ExitCode.DATA
            return ExitCode.GATE if job["gate"] is not None and not job["gate"]["passed"] else ExitCode.OK
        time.sleep(POLL_S)
