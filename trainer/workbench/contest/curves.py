"""What a page draws of a judged candidate: curves of at most 200 points, the confusion, and figures class by class."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

POINTS: Final = 200
_BINS: Final = 10


def by_class(chances: NDArray[np.float32], truth: NDArray[np.int64], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Rows, precision, recall and F1 of each class."""
    matrix = np.array(confusion(chances.argmax(axis=1), truth, classes)["matrix"])
    told = []
    for at in range(len(classes)):
        hits, rows, said = float(matrix[at, at]), float(matrix[at].sum()), float(matrix[:, at].sum())
        recall = hits / rows if rows else None
        precision = hits / said if said else (None if not rows else 0.0)
        f1 = 2 * hits / (rows + said) if rows else None
        told.append({"class": classes[at], "rows": int(rows), "precision": precision, "recall": recall, "f1": f1})
    return told


def confusion(said: NDArray[Any], truth: NDArray[np.int64], classes: Sequence[str]) -> dict[str, Any]:
    """Rows by true class (down) and answer (across); `never learnt` is a row more where test rows have such a class."""
    names = [*classes, *(["never learnt"] if (truth < 0).any() else [])]
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(matrix, (np.where(truth < 0, len(classes), truth), said), 1)
    return {"classes": names, "matrix": matrix.tolist()}


def curves(scores: NDArray[Any], strange: NDArray[np.bool_], *, chance: bool) -> dict[str, Any]:
    """ROC, precision-recall and, of chances, calibration of strange against ordinary."""
    from sklearn import metrics as sk

    if not 0 < strange.sum() < len(strange):
        return {"roc": None, "pr": None, "calibration": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        false, true, _ = sk.roc_curve(strange, scores)
        precision, recall, _ = sk.precision_recall_curve(strange, scores)
    roc, pr = thinned(false), thinned(recall)
    return {
        "roc": {"fpr": false[roc].tolist(), "tpr": true[roc].tolist()},
        "pr": {"recall": recall[pr].tolist(), "precision": precision[pr].tolist()},
        "calibration": calibration(scores, strange) if chance else None,
    }


def thinned(along: NDArray[Any]) -> NDArray[np.intp]:
    """At most `POINTS` places, evenly along `along`, the ends among them."""
    if len(along) <= POINTS:
        return np.arange(len(along))
    rising = along if along[-1] >= along[0] else along[::-1]
    found = np.searchsorted(rising, np.linspace(rising[0], rising[-1], POINTS))
    found = np.unique(np.clip(np.concatenate([[0], found, [len(along) - 1]]), 0, len(along) - 1))[-POINTS:]
    return found if rising is along else np.sort(len(along) - 1 - found)


def calibration(chances: NDArray[Any], strange: NDArray[np.bool_]) -> dict[str, Any]:
    """In ten bins of the chance: what was predicted, what came, and how many rows."""
    place = np.minimum((chances * _BINS).astype(np.intp), _BINS - 1)
    told: dict[str, list[Any]] = {"predicted": [], "observed": [], "rows": []}
    for at in range(_BINS):
        here = place == at
        if here.any():
            told["predicted"].append(float(chances[here].mean()))
            told["observed"].append(float(strange[here].mean()))
            told["rows"].append(int(here.sum()))
    return told
