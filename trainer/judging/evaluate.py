"""Evaluation: what a detector does on rows it has never seen, in figures that cannot be got by peeking.

- Average precision, area under the ROC curve and TPR at a fixed FPR need attack rows. Where there are none the figures
  are null and say why: nothing is invented to fill a table.
- Average precision depends on how rare attacks are, so its prevalence stands beside it, and it is also given
  re-weighted to 1 % and 0.1 % attacks.
- The promised false-positive rate of every threshold stands beside the one realised on later benign rows, with its 95 %
  interval (Clopper and Pearson, 1934).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from protos.manifest import Threshold

CURVE_POINTS: Final = 160
NO_ATTACKS: Final = "there are no rows labelled malicious: label some, or give a manifest of attack captures"
NO_BENIGN: Final = "there are no benign test rows"


def metrics(
    benign: NDArray[np.float32], attack: NDArray[np.float32], thresholds: Sequence[Threshold], alpha: float
) -> dict[str, Any]:
    """Figures of one detector from its scores on benign `[n]` and attack `[m]` test rows. `alpha` is the headline's."""
    rates = [false_positives(benign, threshold) for threshold in thresholds]
    headline = next(rate for rate in rates if rate["alpha"] == alpha)
    result: dict[str, Any] = {
        "benign_rows": len(benign),
        "attack_rows": len(attack),
        "promised_fpr": alpha,
        "realised_fpr": headline["realised"],
        "realised_fpr_interval": headline["interval"],
        "threshold": headline["score"],
        "certified": headline["certified"],
        "false_positive_rates": rates,
    }
    ranking = dict.fromkeys(
        (
            "prevalence",
            "average_precision",
            "average_precision_at_1_percent",
            "average_precision_at_0_1_percent",
            "roc_auc",
            "tpr_at_fpr_1",
            "tpr_at_fpr_0_1",
            "recall",
        )
    )
    reason = NO_ATTACKS if len(attack) == 0 else NO_BENIGN if len(benign) == 0 else None
    if reason is None:
        ranking |= _ranking(benign, attack, headline["score"])
    return result | ranking | {"reason": reason}


def _ranking(benign: NDArray[np.float32], attack: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    truth, scores = _together(benign, attack)
    prevalence = len(attack) / len(truth)
    return {
        "prevalence": prevalence,
        "average_precision": average_precision(benign, attack, prevalence),
        "average_precision_at_1_percent": average_precision(benign, attack, 0.01),
        "average_precision_at_0_1_percent": average_precision(benign, attack, 0.001),
        "roc_auc": float(roc_auc_score(truth, scores)),
        "tpr_at_fpr_1": tpr_at_fpr(benign, attack, 0.01),
        "tpr_at_fpr_0_1": tpr_at_fpr(benign, attack, 0.001),
        "recall": float(np.mean(attack >= threshold)),
    }


def average_precision(benign: NDArray[np.float32], attack: NDArray[np.float32], prevalence: float) -> float:
    """Average precision as if a share `prevalence` of all rows were attacks."""
    from sklearn.metrics import average_precision_score

    truth, scores = _together(benign, attack)
    weight = prevalence / (1 - prevalence) * len(benign) / len(attack)
    return float(average_precision_score(truth, scores, sample_weight=np.where(truth, weight, 1.0)))


def tpr_at_fpr(benign: NDArray[np.float32], attack: NDArray[np.float32], rate: float) -> float | None:
    """Share of attacks above the score that a share `rate` of benign rows exceed at most; None if rows are too few."""
    allowed = int(len(benign) * rate)
    if allowed < 1:
        return None
    bar = np.sort(benign)[::-1][allowed]
    return float(np.mean(attack > bar))


def false_positives(benign: NDArray[np.float32], threshold: Threshold) -> dict[str, Any]:
    """Promised against realised rate of one threshold, with a 95 % interval."""
    alerts = int((benign >= threshold.score).sum())
    return {
        "alpha": threshold.alpha,
        "score": threshold.score,
        "certified": threshold.certified,
        "rows": len(benign),
        "alerts": alerts,
        "realised": alerts / len(benign) if len(benign) else None,
        "interval": interval(alerts, len(benign)),
    }


def interval(hits: int, rows: int) -> list[float]:
    """The 95 % Clopper-Pearson interval of a rate."""
    from scipy import stats

    if rows == 0:
        return [0.0, 1.0]
    low = float(stats.beta.ppf(0.025, hits, rows - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(0.975, hits + 1, rows - hits)) if hits < rows else 1.0
    return [low, high]


def alerts_a_day(rate: float | None, flows_a_day: float) -> float | None:
    """False alerts a day at a false-positive rate, if `flows_a_day` benign flows pass."""
    return None if rate is None else rate * flows_a_day


def recall_by_class(scores: NDArray[np.float32], classes: NDArray[np.str_], threshold: float) -> dict[str, Any]:
    """For every class of attack rows: how many there are, the share at or above the threshold, its 95 % interval."""
    found: dict[str, Any] = {}
    for name in np.unique(classes).tolist():
        caught = scores[classes == name] >= threshold
        hits = int(caught.sum())
        found[name] = {"rows": len(caught), "recall": hits / len(caught), "interval": interval(hits, len(caught))}
    return found


def best_stump(
    rows: NDArray[np.float32], attack: NDArray[np.bool_], names: Sequence[str]
) -> tuple[str, str, int, float]:
    """The feature that alone ranks attacks best: its name, `high` or `low`, its column, its area under the ROC curve.

    A detector that one column nearly equals has learned little; a column that is nearly perfect is a leak.
    """
    best = ("", "high", 0, 0.5)
    for at, name in enumerate(names):
        area = stump_area(rows[:, at], attack, "high")
        if max(area, 1 - area) > best[3]:
            best = (name, "high" if area >= 0.5 else "low", at, max(area, 1 - area))
    return best


def stump_area(values: NDArray[np.float32], attack: NDArray[np.bool_], side: str) -> float:
    """Area under the ROC curve of one feature `[n]`, if attacks are on its `high` or its `low` side.

    Ties count half.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    positives, negatives = int(attack.sum()), int((~attack).sum())
    area = float((middle[place][attack].sum() - positives * (positives + 1) / 2) / (positives * negatives))
    return area if side == "high" else 1 - area


def curves(benign: NDArray[np.float32], attack: NDArray[np.float32]) -> dict[str, list[list[float]]]:
    """Precision-recall points `[recall, precision, threshold]` and ROC points `[FPR, TPR]`; empty without attacks."""
    if len(attack) == 0 or len(benign) == 0:
        return {"precision_recall": [], "roc": []}
    from sklearn.metrics import precision_recall_curve, roc_curve

    truth, scores = _together(benign, attack)
    precision, recall, cuts = precision_recall_curve(truth, scores)
    precision, recall = precision[:-1], recall[:-1]
    rate, caught, _ = roc_curve(truth, scores)
    return {
        "precision_recall": [
            [_short(recall[at]), _short(precision[at]), _short(cuts[at])] for at in _picks(len(cuts), 1 - recall)
        ],
        "roc": [[_short(rate[at]), _short(caught[at])] for at in _picks(len(rate), rate)],
    }


def _picks(count: int, spread: NDArray[np.float64]) -> NDArray[np.intp]:
    """Positions to draw: evenly along the curve's index, and finely where `spread` is small, which is what matters."""
    even = np.linspace(0, count - 1, CURVE_POINTS // 2).astype(np.intp)
    fine = np.searchsorted(np.maximum.accumulate(spread), np.geomspace(1e-4, 1, CURVE_POINTS // 2))
    picked: NDArray[np.intp] = np.unique(np.concatenate([even, np.minimum(fine, count - 1)]))
    return picked


def _together(
    benign: NDArray[np.float32], attack: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    truth = np.zeros(len(benign) + len(attack), dtype=np.bool_)
    truth[len(benign) :] = True
    return truth, np.concatenate([benign, attack])


def _short(value: float) -> float:
    return round(float(value), 5)
