"""Words and tones of the workbench: states, tasks, sources, as people read them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aggregator.web.pages import wording

if TYPE_CHECKING:
    from aggregator.workbench.rows import Dataset, Experiment, Prediction

STATE_TONES: Final = {
    "ready": "good",
    "succeeded": "good",
    "done": "good",
    "running": "info",
    "importing": "info",
    "queued": "info",
    "failed": "bad",
    "timed_out": "bad",
    "stopped": "warn",
    "cancelled": "warn",
    "interrupted": "warn",
}

UNDER_WAY: Final = frozenset({"running", "queued", "importing"})

TASKS: Final = {
    "": "not known yet",
    "benign-only": "learn what is ordinary, find what is not",
    "unsupervised": "find what is unlike the rest",
    "binary": "tell two classes apart",
    "multiclass": "tell several classes apart",
}

SOURCES: Final = {
    "file": "uploaded",
    "sql": "database",
    "remote": "remote file",
    "lake": "flows of the agents",
    "captures": "network capture",
}

KINDS: Final = {"ml": "machine learning", "dl": "deep learning"}


def state(value: object) -> str:
    """A state as words: `timed out`, not `timed_out`."""
    return str(value).replace("_", " ")


def tone(value: object) -> str:
    """The colour of a state."""
    return STATE_TONES.get(str(value), "")


def under_way(value: object) -> bool:
    """True while something may still change by itself."""
    return str(value) in UNDER_WAY


def metric(name: str) -> str:
    """A metric's name as words: `roc-auc` and `roc_auc` are ROC."""
    plain = name.replace("-", "_")
    return {
        "roc_auc": "ROC AUC",
        "f1": "F1 score",
        "macro_f1": "F1 score, classes alike",
        "average_precision": "average precision",
        "balanced_accuracy": "balanced accuracy",
        "average_precision_at_1_percent": "average precision at 1 % strange rows",
        "tpr_at_1_percent_fpr": "found at 1 % false alarms",
    }.get(plain, plain.replace("_", " "))


def progress_of(found: Dataset) -> str:
    """How far an import or profile is; empty where nothing is under way."""
    said = found.message or found.stage
    busy = under_way(found.state) or (found.state == "ready" and not found.profiled and bool(said))
    return f"{found.fraction * 100:.0f} %, {said}" if busy and said else ""


def shape(found: Dataset) -> str:
    """`25 192 rows, 42 columns`, or how far the import is."""
    if found.rows is None or found.columns is None:
        return f"{found.fraction * 100:.0f} %, {found.message or found.stage}" if found.message or found.stage else "-"
    return f"{wording.plural(found.rows, 'row')}, {wording.plural(found.columns, 'column')}"


def progress(found: Experiment | Prediction) -> str:
    """How far a run or a prediction is, in one line."""
    if str(found.state) == "queued":
        return "waiting for its turn"
    said = f"{found.stage}: {found.message}" if found.stage and found.message else found.message or found.stage
    return f"{found.fraction * 100:.0f} %, {said}" if said else f"{found.fraction * 100:.0f} %"
