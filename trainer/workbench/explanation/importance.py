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
    """Mean and deviation over the repeats `[C]`, and what was measured; `whole` is the figure with nothing shuffled."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    measure: str
    whole: float | None
    columns_done: int


def importance(
    subject: Subject,
    rows: NDArray[np.float64],
    labels: NDArray[np.object_] | None,
    *,
    seed: int,
    seconds_left: Callable[[], float] = lambda: float("inf"),
    tell: Callable[[float], None] = lambda _done: None,
) -> Importance:
    """Importance of each column on `rows` `[n, C]`; columns that time does not reach have none."""
    chance = np.random.default_rng([seed, 93])
    measure, judge = _judge(subject, rows, labels)
    whole = judge(rows)
    width = rows.shape[1]
    found = np.zeros((width, REPEATS))
    done = 0
    for at in range(width):
        if at and seconds_left() <= 0:
            break
        for repeat in range(REPEATS):
            shuffled = rows.copy()
            shuffled[:, at] = chance.permutation(shuffled[:, at])
            found[at, repeat] = judge(shuffled) if measure == MOVED else whole - judge(shuffled)
        done = at + 1
        tell(done / width)
    named = measure != MOVED
    return Importance(found.mean(axis=1), found.std(axis=1), measure, whole if named else None, done)


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
