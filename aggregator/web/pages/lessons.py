"""What a model learnt from, as its report tells it: rows taken, rows left out and why, and the frozen sets.

A report is a document of the trainer's: whatever is missing in it, or not of the expected kind, is left away.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from aggregator.web.pages import parts, tables, wording
from aggregator.web.pages.tables import Cell, Column, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS: Final = (
    ("duplicates", "repeats of a row that is in already"),
    ("conflicting", "labelled both ways"),
    ("sampled_out", "beyond the most rows a run takes"),
    ("capped_by_host", "beyond the share of one host"),
    ("capped_by_source", "beyond the share of one source"),
    ("capped_labels", "beyond the labels of one host and day"),
    ("beside_attack", "called benign while its host was attacking"),
    ("frozen", "in a frozen set"),
    ("screened", "said to be quiet, and the champion alerts on it"),
)
"""Counts of a report's `data` that say why rows were left out."""


def left_out(report: dict[str, Any]) -> list[tuple[str, int]]:
    """Why rows were left out and how many, most first. Pure."""
    data = report.get("data")
    if not isinstance(data, dict):
        return []
    found: Counter[str] = Counter()
    for name, words in COUNTS:
        if isinstance(data.get(name), int):
            found[words] += data[name]
    # What the pass for verdicts passed over is what the other pass learns from.
    for source in (one for one in data.get("sources") or () if one.get("use") != "labelled"):
        for reason, count in dict(source.get("left_out") or {}).items():
            if isinstance(count, int):
                found[str(reason)] += count
    return [(reason, count) for reason, count in found.most_common() if count]


def replayed(report: dict[str, Any]) -> Iterator[tuple[str, int, float]]:
    """Families of the attack-replay set: name, rows, share caught. Pure."""
    frozen = report.get("frozen")
    attacks = frozen.get("attacks") if isinstance(frozen, dict) else None
    recall = attacks.get("recall") if isinstance(attacks, dict) else None
    for name, found in sorted((recall if isinstance(recall, dict) else {}).items()):
        if isinstance(found, dict) and isinstance(found.get("recall"), int | float):
            yield str(name), int(found.get("rows") or 0), float(found["recall"])


def panels(report: dict[str, Any]) -> None:
    """Two panels: what was left out, and the attacks it is judged by."""
    with parts.panel("What it did not learn from", flush=True):
        reasons = left_out(report)
        if reasons:
            columns = (Column("why", "Rows left out", "whole bare"), Column("rows", "Rows", "number"))
            rows = [Row(why, {"why": Cell(why), "rows": Cell(wording.count(count))}) for why, count in reasons]
            tables.Table(columns, label="Rows left out").fill(rows)
        else:
            parts.empty(
                "Its report names no row that was left out.", "docs/learning.md says what is held back and why."
            )
    with parts.panel("Attacks it is judged by and never learns", flush=True):
        families = list(replayed(report))
        if families:
            told = (
                Column("family", "Family", "whole bare"),
                Column("rows", "Flows", "number"),
                Column("recall", "Caught", "number"),
            )
            rows = [
                Row(
                    name,
                    {"family": Cell(name), "rows": Cell(wording.count(count)), "recall": Cell(wording.percent(share))},
                )
                for name, count, share in families
            ]
            tables.Table(told, label="Attack-replay set").fill(rows)
        else:
            parts.empty("No attack-replay set was given.", "The setting baseline_attacks names one for every training.")
