"""Spread: how far a figure would move with another seed and another draw of test rows.

*Over seeds* the interval is Student's t of the mean. *Over seeds and rows* it is a percentile bootstrap: for every seed
the benign and the attack test rows are drawn again with replacement, each as many as there are (Efron and Tibshirani,
1993), and the figures of all seeds are pooled. The second is the wider one and the one to compare detectors by; where a
test has few rows of a kind, a detector without chance in it would otherwise look certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESAMPLES: Final = 198
"""Draws over all seeds together."""
FIGURES: Final = (
    "roc_auc",
    "average_precision",
    "average_precision_at_1_percent",
    "average_precision_at_0_1_percent",
    "tpr_at_fpr_1",
    "tpr_at_fpr_0_1",
)
_BLOCK: Final = 32


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean and 95 % t interval of one figure per seed; with one seed there is no interval."""
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "low": None, "high": None, "values": [float(value) for value in values]}
    half = float(stats.t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / float(np.sqrt(len(values)))
    return {"mean": mean, "low": mean - half, "high": mean + half, "values": [float(value) for value in values]}


def redrawn(
    benign: NDArray[np.float32], attack: NDArray[np.float32], draws: int, chance: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Every one of `FIGURES` `[draws]` on redrawn test rows; NaN where the benign rows are too few for it."""
    scores = np.concatenate([benign, attack])
    _, group = np.unique(-scores, return_inverse=True)
    groups = int(group.max()) + 1
    parts = []
    for start in range(0, draws, _BLOCK):
        count = min(_BLOCK, draws - start)
        drawn = [
            np.stack(
                [np.bincount(part[chance.integers(0, len(part), len(part))], minlength=groups) for _ in range(count)]
            )
            for part in (group[: len(benign)], group[len(benign) :])
        ]
        parts.append(figures(drawn[0], drawn[1]))
    return {name: np.concatenate([part[name] for part in parts]) for name in FIGURES}


def figures(benign: NDArray[np.int64], attack: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """`FIGURES` of rows counted by score: `[draws, groups]`, groups from the highest score to the lowest."""
    wrong, caught = np.cumsum(benign, axis=1), np.cumsum(attack, axis=1)
    negatives, positives = wrong[:, -1:], caught[:, -1:]
    fpr, tpr = wrong / negatives, caught / positives
    before = np.pad(tpr[:, :-1], ((0, 0), (1, 0)))
    share = benign / negatives
    found = {"roc_auc": np.sum(share * (tpr + before) / 2, axis=1)}
    for name, prevalence in (
        ("average_precision", positives / (positives + negatives)),
        ("average_precision_at_1_percent", 0.01),
        ("average_precision_at_0_1_percent", 0.001),
    ):
        right = prevalence * tpr
        precision = right / np.maximum(right + (1 - prevalence) * fpr, 1e-300)
        found[name] = np.sum(precision * attack / positives, axis=1)
    for name, rate in (("tpr_at_fpr_1", 0.01), ("tpr_at_fpr_0_1", 0.001)):
        allowed = (negatives[:, 0] * rate).astype(np.int64)
        # Attacks that lie above the first benign row too many: the groups before the one in which it lies.
        stop = (wrong <= allowed[:, None]).sum(axis=1)
        at = np.take_along_axis(np.pad(tpr, ((0, 0), (1, 0))), stop[:, None], axis=1)[:, 0]
        found[name] = np.where(allowed >= 1, at, np.nan)
    return found


def over_rows(drawn: Sequence[dict[str, NDArray[np.float64]]]) -> dict[str, list[float] | None]:
    """The 95 % percentile interval of every figure, pooled over the seeds' redrawn rows."""
    pooled: dict[str, list[float] | None] = {}
    for name in FIGURES:
        values = np.concatenate([part[name] for part in drawn])
        values = values[np.isfinite(values)]
        pooled[name] = [float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))] if len(values) else None
    return pooled
