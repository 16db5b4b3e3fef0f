"""Metrics of answers against truth; higher is better in all of them, and one that does not apply is None.

Of two classes precision, recall and F1 are those of the class that is not ordinary. Of more they are means over the
classes, weighted by their rows, with the plain mean of F1 beside (`macro_f1`). A row whose true class was never learnt
counts as wrong. Average precision at 1 % is that of the same scores if one row in a hundred were strange.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES: Final = (
    *("accuracy", "precision", "recall", "f1", "macro_f1", "roc_auc", "average_precision", "balanced_accuracy"),
    *("average_precision_at_1_percent", "tpr_at_1_percent_fpr"),
)
OF_SETTING: Final = {
    "accuracy": "accuracy",
    "balanced-accuracy": "balanced_accuracy",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "roc-auc": "roc_auc",
    "average-precision": "average_precision",
}
_ONE_PERCENT: Final = 0.01
NONE: Final[dict[str, float | None]] = dict.fromkeys(NAMES)


def of_classes(chances: NDArray[np.float32], truth: NDArray[np.int64], benign: int) -> dict[str, float | None]:
    """From chances [n, K] and class numbers [n], -1 for one never learnt. The first `benign` classes are ordinary."""
    from sklearn import metrics as sk

    if len(truth) == 0:
        return dict(NONE)
    classes = chances.shape[1]
    said = chances.argmax(axis=1)
    known = np.where(truth < 0, classes, truth)
    found: dict[str, float | None] = dict(NONE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["accuracy"] = float((said == known).mean())
        found["balanced_accuracy"] = float(sk.balanced_accuracy_score(known, said))
        two = classes == 2
        how: dict[str, Any] = {"labels": [1], "average": "macro"} if two else {"average": "weighted"}
        precision, recall, f1, _ = sk.precision_recall_fscore_support(known, said, zero_division=0.0, **how)
        found |= {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        found["macro_f1"] = float(sk.f1_score(known, said, average="macro", zero_division=0.0))
    if not two:
        each = [one_of(chances[:, at], known == at) for at in range(classes)]
        rows = np.array([(known == at).sum() for at in range(classes)], dtype=np.float64)
        for key in ("roc_auc", "average_precision"):
            told = [(one[key], count) for one, count in zip(each, rows, strict=True) if one[key] is not None]
            if told:
                found[key] = float(np.average([value or 0.0 for value, _ in told], weights=[w for _, w in told]))
    if 0 < benign < classes:
        strange = (known >= benign).astype(np.bool_)
        ranked = one_of(1 - chances[:, :benign].sum(axis=1), strange)
        found |= {key: ranked[key] for key in ("average_precision_at_1_percent", "tpr_at_1_percent_fpr")}
        if two:
            found |= {key: ranked[key] for key in ("roc_auc", "average_precision")}
    return found


def one_of(scores: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, float | None]:
    """What a ranking by `scores` [n] is worth; nothing where all rows are of one kind."""
    from sklearn import metrics as sk

    found: dict[str, float | None] = dict(NONE)
    if not 0 < strange.sum() < len(strange):
        return found
    false, true, _ = sk.roc_curve(strange, scores)
    found["roc_auc"] = float(sk.auc(false, true))
    found["average_precision"] = float(sk.average_precision_score(strange, scores))
    share = float(strange.mean())
    weight = np.where(strange, _ONE_PERCENT / share, (1 - _ONE_PERCENT) / (1 - share))
    found["average_precision_at_1_percent"] = float(sk.average_precision_score(strange, scores, sample_weight=weight))
    found["tpr_at_1_percent_fpr"] = float(true[false <= _ONE_PERCENT].max())
    return found


def of_strangeness(
    scores: NDArray[np.float32], truth: NDArray[np.int64] | None, threshold: float | None
) -> dict[str, float | None]:
    """From strangeness [n] and 1 for strange rows [n]; what needs a threshold is None without one."""
    if truth is None or len(truth) == 0:
        return dict(NONE)
    strange = truth == 1
    found = one_of(scores, strange)
    if threshold is not None:
        above = scores > threshold
        hits = float((above & strange).sum())
        found["accuracy"] = float((above == strange).mean())
        found["precision"] = hits / float(above.sum()) if above.any() else 0.0
        if strange.any():
            recall = found["recall"] = hits / float(strange.sum())
            precision = found["precision"] or 0.0
            found["f1"] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
            if not strange.all():
                found["balanced_accuracy"] = (recall + float((~above[~strange]).mean())) / 2
    return found


def losses(chances: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """`-log` of the chance given to the true class of each row whose class was learnt, at most 13.8."""
    known = np.flatnonzero(truth >= 0)
    found: NDArray[np.float64] = -np.log(np.maximum(chances[known, truth[known]].astype(np.float64), 1e-6))
    return found


def loss(chances: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The mean of `losses`; parts what metrics call equal. Infinite where no class was learnt."""
    found = losses(chances, truth)
    return float(found.mean()) if len(found) else float("inf")
