"""Columns that give the label away, or would: what a model learns from them is worth nothing on tomorrow's rows.

- *By themselves*: a small tree on one column alone (or, for words, the most frequent class of each word) is fitted on
  half of the sample and judged on the other half by balanced accuracy, beside what guessing gets. Nearly perfect means
  the column is the label in other clothes, or was written after it was known.
- *Identifiers*: another value in every row; they name rows, they do not describe them.
- *Constant within each class*, and different between classes: the same thing, seen without a model.
- *Time order*: rows that lie sorted by class, or a time column that separates the classes: a random split then tests on
  the neighbours of what was learnt.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.datasets.exploration.labels import MOST_CLASSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.datasets.exploration.columns import Counted
    from trainer.workbench.datasets.exploration.sampling import Sample

PERFECT: Final = 0.98
"""Balanced accuracy of one column alone from which on it is suspect (1 is perfect)."""
ORDERED: Final = 0.95
"""The same of a row's place or time."""
_UNIQUE: Final = 0.95
_IDENTIFIERS: Final = re.compile(
    r"(?:^|[\W_])(id|ids|uuid|guid|index|idx|key|row|rowid|no|nr|number)(?:$|[\W_])", re.IGNORECASE
)
_LEAVES: Final = 32
_CLASS_ROWS: Final = 20
"""A class with fewer rows in the sample is left out of the judgement: it would be chance."""


def suspects(
    sample: Sample, counted: Counted, kinds: dict[str, str], rows: int, label: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Suspects, the strongest first, and sentences about the table as a whole."""
    found: dict[str, dict[str, Any]] = {}
    for one in counted.properties:
        if one["name"] != label and (why := identifies(one, sample, kinds, rows)) is not None:
            found[one["name"]] = {"name": one["name"], "reason": why, "strength": _round(one["unique"] / rows)}
    if label is None:
        return _sorted(found), []
    classes = _classes(sample, label)
    if classes is None:
        return _sorted(found), [f"the label {label!r} has too many different values, or only one, to look for suspects"]
    use, codes = classes
    half = _halves(len(use))
    for name, kind in kinds.items():
        if name in {label, *counted.constants}:
            continue
        column = sample.numbers[name] if name in sample.numbers else sample.codes[name]
        words = name not in sample.numbers
        strength = alone(column[use], codes, half, words=words)
        if kind == "time":
            if strength >= ORDERED:
                found[name] = _suspect(
                    name, "its moments alone tell the classes apart: they were recorded at different times", strength
                )
        elif strength >= PERFECT:
            fixed = _fixed(column[use], codes)
            reason = (
                "it has one value within each class: it says the class itself"
                if fixed
                else "by itself it predicts the label almost perfectly; make sure it is known before the label is"
            )
            found[name] = _suspect(
                name, found[name]["reason"] + ", and " + reason if name in found else reason, strength
            )
    warnings = []
    ordered = alone(sample.place[use].astype(np.float64), codes, half, words=False)
    if ordered >= ORDERED:
        warnings.append(
            "the rows lie sorted by class: where a row stands tells its class; "
            "columns that count rows or time give it away"
        )
    return _sorted(found), warnings


def identifies(one: dict[str, Any], sample: Sample, kinds: dict[str, str], rows: int) -> str | None:
    """Why a column is an identifier; None if it is none."""
    name, kind = str(one["name"]), kinds[str(one["name"])]
    there = rows - int(one["missing"])
    if rows < 10 or there == 0 or kind in {"time", "boolean", "number"}:
        return None
    share = int(one["unique"]) / there
    if kind in {"text", "categorical"}:
        return "nearly every row has another value: it names rows" if share >= _UNIQUE else None
    if share < _UNIQUE:
        return None
    values = sample.numbers[name]
    steps = np.diff(values[~np.isnan(values)])
    if len(steps) and (steps > 0).all():
        return "it counts the rows"
    return (
        "nearly every row has another number, and its name says that it identifies"
        if _IDENTIFIERS.search(name)
        else None
    )


def alone(column: NDArray, codes: NDArray[np.int64], half: NDArray[np.bool_], *, words: bool) -> float:
    """Balanced accuracy of one column by itself on the other half, scaled so that guessing is 0 and perfect is 1."""
    if words:
        predicted = _by_word(column + 1, codes, half)
    else:
        from sklearn.tree import DecisionTreeClassifier

        filled = np.nan_to_num(column, nan=np.nanmin(column) - 1 if np.isfinite(column).any() else 0.0).astype(
            np.float32
        )
        tree = DecisionTreeClassifier(
            max_leaf_nodes=_LEAVES, min_samples_leaf=5, class_weight="balanced", random_state=0
        )
        predicted = tree.fit(filled[half, None], codes[half]).predict(filled[~half, None])
    truth = codes[~half]
    recalls = [float((predicted[truth == one] == one).mean()) for one in np.unique(truth)]
    guess = 1 / max(len(recalls), 2)
    return max((float(np.mean(recalls)) - guess) / (1 - guess), 0.0)


def _by_word(column: NDArray[np.int64], codes: NDArray[np.int64], half: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each word the class it points to most, classes counting alike however many rows they have."""
    weights = 1.0 / np.maximum(np.bincount(codes[half], minlength=int(codes.max()) + 1), 1)
    table = np.zeros((int(column.max()) + 1, int(codes.max()) + 1))
    np.add.at(table, (column[half], codes[half]), weights[codes[half]])
    # A word that was not seen points nowhere: that is no class, and counts as wrong.
    return np.where(table.sum(1) > 0, table.argmax(1), -1)[column[~half]]


def _classes(sample: Sample, label: str) -> tuple[NDArray[np.intp], NDArray[np.int64]] | None:
    """Places of the rows to judge by, and the class of each."""
    if label in sample.codes:
        raw = sample.codes[label]
    else:
        values = sample.numbers[label]
        _, raw = np.unique(values, return_inverse=True)
        raw = np.where(np.isnan(values), -1, raw)
    counts = np.bincount(raw[raw >= 0]) if (raw >= 0).any() else np.zeros(0, dtype=np.int64)
    enough = np.flatnonzero(counts >= min(_CLASS_ROWS, max(len(raw) // 20, 2)))
    if not 2 <= len(enough) <= MOST_CLASSES:
        return None
    use = np.flatnonzero(np.isin(raw, enough))
    return use, np.searchsorted(enough, raw[use]).astype(np.int64)


def _halves(count: int) -> NDArray[np.bool_]:
    half = np.zeros(count, dtype=np.bool_)
    half[np.random.default_rng(7).permutation(count)[: (count + 1) // 2]] = True
    return half


def _fixed(column: NDArray, codes: NDArray[np.int64]) -> bool:
    return all(len(np.unique(column[codes == one])) == 1 for one in np.unique(codes))


def _suspect(name: str, reason: str, strength: float) -> dict[str, Any]:
    return {"name": name, "reason": reason, "strength": _round(strength)}


def _sorted(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found.values(), key=lambda one: -float(one["strength"]))


def _round(value: float) -> float:
    return round(float(value), 4)
