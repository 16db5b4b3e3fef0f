"""Intervals: right on what can be worked out by hand, and figures equal to scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trainer.judging import evaluate, spread


def _scores(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    # Rounded, so that there are ties, also between benign and attack rows.
    return (
        np.round(chance.normal(0, 1, 3000), 1).astype(np.float32),
        np.round(chance.normal(1.5, 1, 700), 1).astype(np.float32),
    )


def test_figures_equal_those_of_the_evaluation() -> None:
    """The fast way and the plain way agree, ties included."""
    benign, attack = _scores()
    _, group = np.unique(-np.concatenate([benign, attack]), return_inverse=True)
    count = int(group.max()) + 1
    found = spread.figures(
        np.bincount(group[:3000], minlength=count)[None], np.bincount(group[3000:], minlength=count)[None]
    )
    truth = np.r_[np.zeros(3000), np.ones(700)]
    assert found["roc_auc"][0] == pytest.approx(roc_auc_score(truth, np.concatenate([benign, attack])))
    assert found["average_precision"][0] == pytest.approx(evaluate.average_precision(benign, attack, 700 / 3700))
    assert found["average_precision_at_1_percent"][0] == pytest.approx(evaluate.average_precision(benign, attack, 0.01))
    assert found["tpr_at_fpr_1"][0] == pytest.approx(evaluate.tpr_at_fpr(benign, attack, 0.01))
    assert found["tpr_at_fpr_0_1"][0] == pytest.approx(evaluate.tpr_at_fpr(benign, attack, 0.001))


def test_too_few_benign_rows_give_no_tail_figure() -> None:
    """One row in a thousand of a hundred cannot be told."""
    drawn = spread.redrawn(*(part[:100] for part in _scores()), draws=5, chance=np.random.default_rng(1))
    assert np.isnan(drawn["tpr_at_fpr_0_1"]).all()
    assert spread.over_rows([drawn])["tpr_at_fpr_0_1"] is None


def test_the_interval_over_rows_covers_the_truth_about_as_often_as_it_says() -> None:
    """Sixty samples of a known law: at least fifty of their 95 % intervals hold its area."""
    from scipy.stats import norm

    area, hits = float(norm.cdf(1.5 / np.sqrt(2))), 0
    for seed in range(60):
        chance = np.random.default_rng(seed)
        benign, attack = (chance.normal(at, 1, 200).astype(np.float32) for at in (0, 1.5))
        low, high = spread.over_rows([spread.redrawn(benign, attack, 99, chance)])["roc_auc"] or (1.0, 0.0)
        hits += low <= area <= high
    assert hits >= 50


def test_the_interval_over_seeds_is_students() -> None:
    """Three values by hand; one value has no interval."""
    told = spread.over_seeds([0.90, 0.92, 0.94])
    assert told["mean"] == pytest.approx(0.92)
    assert told["high"] - told["mean"] == pytest.approx(4.3027 * 0.02 / np.sqrt(3), rel=1e-3)
    assert spread.over_seeds([0.5])["low"] is None
