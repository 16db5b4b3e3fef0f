"""What the trainer is asked, and what it says: its command line and its progress lines. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from aggregator.errors import NotEnoughData

TEXT: Final = 500
"""Longest message that is kept."""


def fit_arguments(
    *,
    out: Path,
    report: Path,
    baseline: tuple[str, ...],
    lake: Path,
    lake_rows: int,
    labelled_rows: int,
    champion: Path | None,
    params: dict[str, Any],
    attacks: tuple[str, ...] = (),
    golden: tuple[str, ...] = (),
    held: Path | None = None,
) -> list[str]:
    """Arguments of `anomaflow-trainer fit`. Raises `NotEnoughData` when there is nothing benign to learn from.

    `attacks` and `golden` are the sources of the frozen sets, `held` the list of quarantine.py.
    """
    benign = [*baseline, *([str(lake)] if lake_rows else [])]
    if not benign:
        raise NotEnoughData(
            "there is nothing to train on: no flow is past quarantine and baseline_benign names no captures; wait, "
            "lower quarantine_hours for this run, or set baseline_benign"
        )
    arguments = ["fit", "--benign", *benign]
    if labelled_rows:
        arguments += ["--labelled", str(lake)]
    for option, sources in (("--attacks", attacks), ("--golden", golden)):
        if sources:
            arguments += [option, *sources]
    if held is not None:
        arguments += ["--held", str(held)]
    if champion is not None:
        arguments += ["--champion", str(champion)]
    arguments += ["--out", str(out), "--report", str(report), "--progress", "json"]
    for name in ("name", "epochs", "alpha", "seed"):
        if params.get(name) is not None:
            arguments += [f"--{name}", str(params[name])]
    return arguments


def parse_line(line: bytes) -> dict[str, Any]:
    """An event of the trainer's, with its texts cut and its fraction within bounds; {} for any other line."""
    try:
        event = json.loads(line)
        if event["event"] == "progress":
            return {
                "event": "progress",
                "stage": str(event["stage"])[:32],
                "fraction": min(1.0, max(0.0, float(event["fraction"]))),
                "message": str(event.get("message", ""))[:TEXT],
            }
        if event["event"] == "result" and isinstance(event["model"], str) and isinstance(event["report"], str):
            return dict(event)
    except (ValueError, KeyError, TypeError):
        pass
    return {}


def report_file(result: dict[str, Any]) -> Path:
    """The report that a result names, which may be a folder that holds it."""
    named = Path(result["report"])
    return named / "report.json" if named.is_dir() else named
