"""Judging a fitted candidate: its figures on all roles, what a page draws of it, and its file, tried and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.candidates.base import Classifier
from trainer.workbench.candidates.graph import Runner
from trainer.workbench.contest import curves as drawn
from trainer.workbench.contest import folder as files
from trainer.workbench.contest import metrics
from trainer.workbench.contest.importance import importance
from trainer.workbench.contest.threshold import PROMISED, threshold
from trainer.workbench.files import whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Detector
    from trainer.workbench.contest.board import Entry
    from trainer.workbench.contest.fitting import Fitted
    from trainer.workbench.rows.dealing import Dealt

FORMAT: Final = "anomaflow-candidate-1"
_TRAIN_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Bench:
    """What all candidates of a run are judged with. `provenance` goes into every model's description."""

    dealt: Dealt
    metric: str
    seed: int
    provenance: dict[str, Any]

    def select(self, candidate: Classifier | Detector) -> tuple[dict[str, float | None], float | None]:
        """Metrics on select rows, and the log loss of a classifier: what settings are compared by."""
        judged = self.dealt.select
        if isinstance(candidate, Classifier):
            if judged.truth is None:
                return dict(metrics.NONE), None
            chances = candidate.chances(judged.rows)
            found = metrics.of_classes(chances, judged.truth, len(self.dealt.task.benign))
            return found, metrics.loss(chances, judged.truth)
        if self.dealt.task.kind != "benign-only":
            return dict(metrics.NONE), None
        cut = threshold(candidate.strangeness(self.dealt.calibrate)).value
        return metrics.of_strangeness(candidate.strangeness(judged.rows), judged.truth, cut), None


def judge(
    bench: Bench,
    fitted: Fitted,
    entry: Entry,
    where: Path,
    *,
    late: Callable[[], bool],
) -> list[str]:
    """Complete `entry`, and write the model's files into `where`. Notes for the result. Raises `ParityError`."""
    candidate = fitted.candidate
    if isinstance(candidate, Classifier):
        classes, told = True, _classes(bench, candidate, entry)
    else:
        classes, told = False, _strangeness(bench, candidate, entry)
    notes: list[str] = told.pop("notes")
    expected: NDArray[np.float32] = told.pop("answers")
    dealt = bench.dealt
    description = {
        "candidate": entry.name,
        "title": entry.title,
        "judges": "classes" if classes else "strangeness",
        "classes": list(dealt.task.classes) if classes else [],
        "benign": list(dealt.task.benign),
        "label": dealt.task.label,
        "task": dealt.task.kind,
        "threshold": entry.threshold,
        **bench.provenance,
    }
    exported = candidate.to_onnx()
    run = Runner(exported)
    graph = whole.joined(dealt.encoder, exported)
    tried = whole.keep(where, graph, description, dealt.encoder, dealt.raw, expected=expected)
    entry.bytes, entry.rows_per_s = tried.size, tried.rows_per_s
    at = _some(len(dealt.prepared.fit), bench.seed)
    train_truth = None if dealt.prepared.fit_class is None else dealt.prepared.fit_class[at]
    told["importance"] = importance(
        dealt.prepared.sources,
        (dealt.prepared.fit[at], train_truth),
        (dealt.test.rows, dealt.test.truth),
        lambda rows, truth: _value(bench, run(rows), truth, classes=classes),
        seed=bench.seed,
        late=late,
    )
    result = {"format": FORMAT, "name": entry.name, "title": entry.title, **told}
    files.write(where / "result.json", {**result, "history": fitted.history, "threshold": entry.threshold})
    return notes


def _value(bench: Bench, answers: NDArray[np.float32], truth: NDArray[np.int64], *, classes: bool) -> float | None:
    if classes:
        return metrics.of_classes(answers, truth, len(bench.dealt.task.benign))[bench.metric]
    return metrics.of_strangeness(answers, truth, None)["average_precision"]


def _some(rows: int, seed: int) -> NDArray[np.intp]:
    if rows <= _TRAIN_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng([seed, 86]).choice(rows, _TRAIN_ROWS, replace=False))


def _classes(bench: Bench, candidate: Classifier, entry: Entry) -> dict[str, Any]:
    dealt = bench.dealt
    benign = len(dealt.task.benign)
    at = _some(len(dealt.prepared.fit), bench.seed)
    if dealt.prepared.fit_class is not None:
        entry.train = metrics.of_classes(
            candidate.chances(dealt.prepared.fit[at]), dealt.prepared.fit_class[at], benign
        )
    chances = candidate.chances(dealt.test.rows)
    truth = dealt.test.truth if dealt.test.truth is not None else np.zeros(0, dtype=np.int64)
    entry.test = metrics.of_classes(chances, truth, benign)
    told: dict[str, Any] = {
        "by_class": drawn.by_class(chances, truth, dealt.task.classes),
        "confusion": drawn.confusion(chances.argmax(axis=1), truth, dealt.task.classes),
        "curves": {"roc": None, "pr": None, "calibration": None},
        "answers": chances,
        "notes": [],
    }
    if benign:
        strange = (truth < 0) | (truth >= benign)
        told["curves"] = drawn.curves(1 - chances[:, :benign].sum(axis=1), strange, chance=True)
    if entry.name != "most-frequent" and len(np.unique(chances.argmax(axis=1))) == 1:
        told["notes"].append(f"{entry.title} gives every test row the same class: its accuracy says nothing.")
    return told


def _strangeness(bench: Bench, candidate: Detector, entry: Entry) -> dict[str, Any]:
    dealt = bench.dealt
    cut = threshold(candidate.strangeness(dealt.calibrate))
    entry.threshold, entry.promised_fpr = cut.value, PROMISED
    scores = candidate.strangeness(dealt.test.rows)
    truth = dealt.test.truth
    entry.test = metrics.of_strangeness(scores, truth, cut.value)
    notes: list[str] = []
    told: dict[str, Any] = {
        "by_class": [],
        "confusion": None,
        "curves": {"roc": None, "pr": None, "calibration": None},
        "answers": scores,
        "notes": notes,
    }
    if truth is not None:
        strange = truth == 1
        ordinary = scores[~strange]
        entry.realised_fpr = float((ordinary > cut.value).mean()) if len(ordinary) else None
        told["curves"] = drawn.curves(scores, strange, chance=False)
        told["confusion"] = drawn.confusion((scores > cut.value).astype(np.int64), truth, ("ordinary", "strange"))
        one_hot = np.stack([scores <= cut.value, scores > cut.value], axis=1).astype(np.float32)
        told["by_class"] = drawn.by_class(one_hot, truth, ("ordinary", "strange"))
    if not cut.certified and cut.note:
        notes.append(cut.note)
    if len(np.unique(scores)) < 5 or (scores.max() - scores.min()) <= 1e-9 * max(1.0, float(np.abs(scores).max())):
        notes.append(f"{entry.title} gives nearly all rows the same score: it tells nothing apart.")
    return told
