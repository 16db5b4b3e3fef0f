"""Evaluation: the right figures, and none where there is nothing to measure."""

from __future__ import annotations

import numpy as np
import pytest

from protos.manifest import Threshold
from trainer.judging import evaluate

THRESHOLDS = (Threshold(0.1, 1.0, certified=True), Threshold(0.01, 2.0, certified=False))


def _scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_a_perfect_detector_gets_perfect_figures() -> None:
    """Every attack above every benign row: 1 at every prevalence."""
    found = evaluate.metrics(np.linspace(0, 1, 200).astype(np.float32), _scores(3, 4, 5), THRESHOLDS, 0.01)
    for key in ("average_precision", "average_precision_at_1_percent", "roc_auc", "tpr_at_fpr_1", "recall"):
        assert found[key] == 1
    assert found["prevalence"] == pytest.approx(3 / 203)
    assert found["reason"] is None


def test_average_precision_is_that_of_the_stated_prevalence() -> None:
    """Re-weighting to 1 % equals measuring on a set that has 1 % attacks."""
    chance = np.random.default_rng(1)
    benign, attack = chance.normal(0, 1, 990).astype(np.float32), chance.normal(1.5, 1, 10).astype(np.float32)
    measured = evaluate.average_precision(benign, attack, 0.01)
    swollen = evaluate.average_precision(benign, np.repeat(attack, 50), 0.01)
    assert measured == pytest.approx(swollen, rel=0.02)
    assert evaluate.average_precision(benign, attack, 0.001) < measured


def test_chance_is_chance() -> None:
    """A detector that knows nothing has an AUC of a half and a precision of the prevalence."""
    chance = np.random.default_rng(2)
    benign, attack = chance.random(4000).astype(np.float32), chance.random(4000).astype(np.float32)
    found = evaluate.metrics(benign, attack, THRESHOLDS, 0.1)
    assert found["roc_auc"] == pytest.approx(0.5, abs=0.02)
    assert found["average_precision_at_1_percent"] == pytest.approx(0.01, abs=0.003)


def test_without_attacks_the_ranking_is_null_and_says_why() -> None:
    """Nothing is invented; the false-positive rate is measured all the same."""
    found = evaluate.metrics(_scores(*[0.5] * 98, 1.5, 2.5), _scores(), THRESHOLDS, 0.1)
    assert found["average_precision"] is None
    assert found["roc_auc"] is None
    assert found["reason"] == evaluate.NO_ATTACKS
    assert found["realised_fpr"] == pytest.approx(0.02)
    assert evaluate.curves(_scores(1), _scores()) == {"precision_recall": [], "roc": []}


def test_without_benign_rows_nothing_is_known() -> None:
    """No rate of nothing."""
    found = evaluate.metrics(_scores(), _scores(3), THRESHOLDS, 0.1)
    assert found["realised_fpr"] is None
    assert found["reason"] == evaluate.NO_BENIGN


def test_promised_stands_beside_realised_for_every_threshold() -> None:
    """With its interval, and whether it was certified."""
    rates = evaluate.metrics(_scores(0.5, 1.5, 2.5, 0.1), _scores(), THRESHOLDS, 0.01)["false_positive_rates"]
    assert [(rate["alpha"], rate["alerts"], rate["certified"]) for rate in rates] == [(0.1, 2, True), (0.01, 1, False)]
    assert all(rate["interval"][0] < rate["realised"] < rate["interval"][1] for rate in rates)


@pytest.mark.parametrize(("hits", "rows"), [(0, 100), (3, 100), (100, 100), (1, 1)])
def test_intervals_contain_the_rate_and_stay_within_zero_and_one(hits: int, rows: int) -> None:
    """Clopper and Pearson, checked against the known rule of three for no hits."""
    low, high = evaluate.interval(hits, rows)
    assert 0 <= low <= hits / rows <= high <= 1
    assert evaluate.interval(0, 100)[1] == pytest.approx(0.0362, abs=1e-3)
    assert evaluate.interval(0, 0) == [0.0, 1.0]


def test_tpr_at_fpr_needs_enough_benign_rows() -> None:
    """One row in a thousand cannot be told from fifty."""
    benign, attack = np.arange(100, dtype=np.float32), _scores(98.5, 99.5, 200)
    assert evaluate.tpr_at_fpr(benign, attack, 0.01) == 1.0
    assert evaluate.tpr_at_fpr(benign, _scores(50, 98.5), 0.01) == 0.5
    assert evaluate.tpr_at_fpr(benign, attack, 0.001) is None


def test_curves_are_short_and_monotone_where_they_must_be() -> None:
    """A curve is drawn, not stored whole; recall falls as the threshold rises."""
    chance = np.random.default_rng(3)
    found = evaluate.curves(
        chance.normal(0, 1, 20_000).astype(np.float32), chance.normal(2, 1, 5_000).astype(np.float32)
    )
    recall, precision, cuts = np.array(found["precision_recall"]).T
    rate, caught = np.array(found["roc"]).T
    assert len(recall) <= evaluate.CURVE_POINTS
    assert len(rate) <= evaluate.CURVE_POINTS
    assert (np.diff(recall) <= 0).all()
    assert (np.diff(cuts) >= 0).all()
    assert (np.diff(rate) >= 0).all()
    assert (np.diff(caught) >= 0).all()
    assert ((precision >= 0) & (precision <= 1)).all()
    assert (rate < 0.01).sum() >= 10


def test_recall_by_class_counts_each_class_alone() -> None:
    """With its interval."""
    found = evaluate.recall_by_class(_scores(1, 3, 3, 0), np.array(["a", "a", "b", "b"]), 2.0)
    assert {name: (told["rows"], told["recall"]) for name, told in found.items()} == {"a": (2, 0.5), "b": (2, 0.5)}
    assert found["a"]["interval"] == evaluate.interval(1, 2)


def test_the_best_stump_finds_the_telling_column_on_either_side() -> None:
    """A low value can betray an attack as well as a high one."""
    chance = np.random.default_rng(1)
    attack = np.repeat([False, True], 100)
    rows = chance.normal(0, 1, (200, 3)).astype(np.float32)
    rows[attack, 1] -= 5
    name, side, at, area = evaluate.best_stump(rows, attack, ["a", "b", "c"])
    assert (name, side, at) == ("b", "low", 1)
    assert area == pytest.approx(1.0, abs=1e-3)
    assert evaluate.stump_area(rows[:, 1], attack, "low") == pytest.approx(area)
    assert evaluate.stump_area(np.zeros(200, dtype=np.float32), attack, "high") == pytest.approx(0.5)


def test_false_alerts_a_day_are_the_rate_times_the_flows() -> None:
    """And unknown where the rate is."""
    assert evaluate.alerts_a_day(0.002, 1e6) == pytest.approx(2000)
    assert evaluate.alerts_a_day(None, 1e6) is None
