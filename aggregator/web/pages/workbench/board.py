"""The leaderboard of a run: every model with what it got on train and test rows, as rows for the shared table.

Everything here shows a run as the trainer wrote it (`anomaflow-run-1`); nothing is computed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aggregator.web.pages import wording
from aggregator.web.pages.tables import Cell, Column, Row
from aggregator.web.pages.workbench import grid, words

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Final = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1 score",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "F1, classes alike",
    "tpr_at_1_percent_fpr": "Found at 1 % false alarms",
    "average_precision_at_1_percent": "Average precision at 1 % strange rows",
}
"""Metrics in the order people read them."""

HEADLINES: Final = ("accuracy", "f1", "roc_auc", "average_precision")

STATE_TONES: Final = {"done": "good", "failed": "bad", "skipped": "warn"}


def columns(metric: str) -> tuple[Column, ...]:
    """Columns of the short leaderboard; the chosen metric comes first."""
    shown = (metric, *(one for one in HEADLINES if one != metric))
    return (
        Column("model", "Model", "lead"),
        *(Column(one, f"{METRICS.get(one, one)}, test", "number") for one in shown),
        Column("choosing", "When choosing", "number"),
        Column("fit", "Time to fit", "number"),
        Column("speed", "Rows/s", "number"),
        Column("size", "Size", "number"),
        Column("state", "State", "narrow end"),
    )


def rows(result: Mapping[str, Any], metric: str, address: str) -> list[Row]:
    """Rows of the short leaderboard; `address` is the page of the run."""
    return [_row(one, result, metric, address) for one in result.get("leaderboard", ())]


def train_and_test(result: Mapping[str, Any]) -> grid.Grid:
    """The whole table: each metric on train and test rows, side by side."""
    done = [one for one in result.get("leaderboard", ()) if one.get("state") == "done"]
    shown = [
        name
        for name in METRICS
        if any((one.get(role) or {}).get(name) is not None for one in done for role in ("train", "test"))
    ]
    made = grid.Grid("Metrics of every model on train and test rows")
    made.fill(
        ["Algorithm", *(f"{role} {words.metric(name)}" for name in shown for role in ("Train", "Test"))],
        [
            [
                one["title"],
                *(grid.metric((one.get(role) or {}).get(name)) for name in shown for role in ("train", "test")),
            ]
            for one in done
        ],
        [one["name"] == result.get("best") for one in done],
    )
    return made


def _row(one: Mapping[str, Any], result: Mapping[str, Any], metric: str, address: str) -> Row:
    name, state = str(one["name"]), str(one.get("state", "done"))
    test, choosing = one.get("test") or {}, one.get("select") or {}
    best = name == result.get("best")
    baseline = name in result.get("baselines", ())
    aside = "the pick" if best else "for comparison" if baseline else ""
    # What is said of a model that is done: it was cut off before its last epoch.
    said = ", ".join(each for each in (aside, str(one.get("why") or "")) if each)
    done = state == "done"
    return Row(
        name,
        {
            "model": Cell(str(one["title"]), sub=said, href=f"{address}/models/{name}" if done else ""),
            **{key: Cell(grid.metric(test.get(key))) for key in {metric, *HEADLINES}},
            "choosing": Cell(grid.metric(choosing.get(metric))),
            "fit": Cell(wording.duration(one["fit_s"] * 1000) if one.get("fit_s") is not None else "-"),
            "speed": Cell(wording.count(one["rows_per_s"]) if one.get("rows_per_s") else "-"),
            "size": Cell(wording.size(one["bytes"]) if one.get("bytes") else "-"),
            "state": Cell("best" if best else state, tone="info" if best else STATE_TONES.get(state, "")),
        },
        about=str(one["title"]),
    )
