"""Permutation importance: what a model loses when one column is shuffled (Breiman, Machine Learning 45, 2001).

With labels that are known to be ordinary or not, the loss is that of the area under the ROC curve; with other classes
that of the share of right predictions. Without labels there is nothing to lose, so it is how far the answers move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.explanation.subject import Subject

REPEATS: Final = 5
MOVED: Final = "how far the score moves"


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean and deviation over the `repeats` of each column `[C]` (0: time did not reach it), and what was measured.

    `whole` is the figure with nothing shuffled, None where there is none.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    measure: str
    whole: float | None
    repeats: NDArray[np.int64]


def importance(
    subject: Subject,
    rows: NDArray[np.float64],
    labels: NDArray[np.object_] | None,
    *,
    seed: int,
    seconds_left: Callable[[], float] = lambda: float("inf"),
    tell: Callable[[float], None] = lambda _done: None,
) -> Importance:
    """Importance of each column on `rows` `[n, C]`: all of them once, then again while time is left."""
    chance = np.random.default_rng([seed, 93])
    measure, judge = _judge(subject, rows, labels)
    whole = judge(rows)
    width = rows.shape[1]
    found = np.zeros((REPEATS, width))
    done = 0
    while done < REPEATS * width and (done == 0 or seconds_left() > 0):
        repeat, at = divmod(done, width)
        shuffled = rows.copy()
        shuffled[:, at] = chance.permutation(shuffled[:, at])
        found[repeat, at] = judge(shuffled) if measure == MOVED else whole - judge(shuffled)
        done += 1
        tell(done / (REPEATS * width))
    repeats = np.full(width, done // width, dtype=np.int64)
    repeats[: done % width] += 1
    known = np.arange(REPEATS)[:, None] < repeats
    mean = found.sum(axis=0) / np.maximum(repeats, 1)
    deviation = np.sqrt((np.where(known, found - mean, 0) ** 2).sum(axis=0) / np.maximum(repeats, 1))
    named = measure != MOVED
    return Importance(mean, deviation, measure, whole if named else None, repeats)


def _judge(
    subject: Subject, rows: NDArray[np.float64], labels: NDArray[np.object_] | None
) -> tuple[str, Callable[[NDArray[np.float64]], float]]:
    """What is measured, and the measure of a matrix of rows; of `MOVED` it is 0 for `rows` themselves."""
    from sklearn.metrics import roc_auc_score

    opened = subject.opened
    if labels is not None:
        known = np.array([label is not None and label != "" for label in labels])
        words = labels[known].astype(str)
        strange = ~np.isin(words, list(opened.benign))
        if opened.benign and 0 < strange.sum() < len(strange):
            return "area under the ROC curve", lambda some: float(
                roc_auc_score(strange, opened.scores(subject.sheet.decode(some[known])))
            )
        if opened.judges_classes and len(words):
            classes = np.array(opened.classes, dtype=str)

            def right(some: NDArray[np.float64]) -> float:
                said = classes[opened.raw(subject.sheet.decode(some[known])).argmax(axis=1)]
                return float(np.mean(said == words))

            return "share of right predictions", right
    before = subject.says(rows)
    return MOVED, lambda some: float(np.mean(np.abs(subject.says(some) - before)))
