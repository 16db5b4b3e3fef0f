"""Read-outs: one wish moves alerts a day, false positives, precision and recall together."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.calibration import readouts
from aggregator.calibration.counts import DAY_MS, Quiet
from aggregator.calibration.readouts import Labelled, Plan, Wish, labelled, plan, precision, preview
from aggregator.calibration.recalibration import TRIFLE
from aggregator.errors import Conflict, Invalid
from aggregator.rows import Policy
from protos import histogram
from protos.manifest import Threshold

MODEL = [Threshold(alpha, -math.log10(alpha), True) for alpha in (0.1, 0.01, 0.005, 0.001, 1e-4)]
POLICY = Policy(3, "a" * 64, 3.0, 0.001, 0.05, 600, 1, "ada", "")
CURVE = Labelled(tuple((at / 10, 1 - at / 100, 0.5 + at / 300) for at in range(100)), 400, 0.2)


def quiet(rows: int = 20_000, *, days: float = 1.0, stretch: float = 1.0) -> Quiet:
    scores = np.random.default_rng(1).exponential(stretch / math.log(10), rows).astype("f4")
    counted = histogram.count(scores)
    windows = histogram.count(scores.reshape(-1, 20).max(axis=1)) if rows >= 20 else histogram.empty()
    return Quiet(counted, counted, windows, windows, int(24 * days), int(DAY_MS * days))


def look(wish: Wish, *, counted: Quiet | None = None, known: Labelled = CURVE, base_rate: float = 0.001) -> Any:
    found = quiet() if counted is None else counted
    return preview(plan(wish, POLICY, found, MODEL, known), POLICY, found, MODEL, known, base_rate=base_rate)


def test_alerts_a_day_become_a_rate_and_a_threshold_that_gives_them() -> None:
    """Two hundred a day of twenty thousand flows are one in a hundred, and so many alert at most."""
    found = look(Wish(alerts_per_day=200))
    assert found.promised_fpr == pytest.approx(0.01)
    assert found.basis == "certified"
    assert 100 < found.expected_alerts_per_day <= 200
    assert found.fpr <= 0.01
    assert found.fpr_low < found.fpr < found.fpr_high


@settings(max_examples=40, deadline=None)
@given(budgets=st.lists(st.floats(1, 5_000), min_size=2, max_size=4, unique=True))
def test_the_readouts_move_together(budgets: list[float]) -> None:
    """A larger budget: a lower threshold, more alerts and false positives, no less recall, no higher precision bound."""
    found = [look(Wish(alerts_per_day=budget)) for budget in sorted(budgets)]
    for tighter, looser in itertools.pairwise(found):
        # Weighing hosts may move one of two near budgets and not the other, by a trifle.
        if tighter.threshold < looser.threshold:
            assert looser.threshold - tighter.threshold <= TRIFLE
            continue
        assert tighter.expected_alerts_per_day <= looser.expected_alerts_per_day
        assert tighter.fpr <= looser.fpr
        assert tighter.recall <= looser.recall


def test_precision_follows_from_recall_rate_and_base_rate() -> None:
    """Bayes, by hand: recall 0.8, one false positive in a thousand, one attack in a thousand flows."""
    assert precision(0.8, 0.001, 0.001) == pytest.approx(0.0008 / (0.0008 + 0.000999))
    assert precision(None, 0.1, 0.1) is None
    assert precision(0.0, 0.0, 0.1) is None
    rare, common = look(Wish(fpr=0.01), base_rate=1e-4), look(Wish(fpr=0.01), base_rate=0.1)
    assert rare.precision < common.precision
    assert rare.recall == common.recall
    for found in (rare, common):
        assert found.precision_low <= found.precision <= found.precision_high
        assert found.recall_low <= found.recall <= found.recall_high


def test_a_point_of_the_curve_keeps_its_recall_and_gets_a_rate() -> None:
    """The threshold is the highest that still catches so many; counted flows bound what it costs."""
    found = look(Wish(recall=0.9))
    assert found.recall >= 0.9
    assert found.threshold == pytest.approx(1.0, abs=histogram.STEP)
    assert found.promised_fpr is not None
    assert found.promised_fpr > found.fpr
    assert found.attack_rows == 400


def test_without_counts_the_models_own_calibration_answers() -> None:
    """It says so; what cannot be known is not invented."""
    found = look(Wish(fpr=0.001), counted=quiet(0))
    assert (found.threshold, found.basis) == (pytest.approx(3.0), "model")
    assert found.expected_alerts_per_day is None
    assert found.fpr == 0.001
    assert found.fpr_low is None
    assert found.windows is None
    known = [Threshold(0.001, 3.0, True, 0.02, True)]
    before = preview(Plan(3.0, 0.001, "model", 0, ""), POLICY, quiet(0), known, CURVE, base_rate=0.001)
    assert before.windows == 0.02
    with pytest.raises(Conflict, match="need flows a day"):
        look(Wish(alerts_per_day=5), counted=quiet(0))


def test_without_labels_there_is_no_recall() -> None:
    """And nothing to choose it by."""
    found = look(Wish(fpr=0.01), known=Labelled())
    assert (found.recall, found.precision, found.curve) == (None, None, ())
    with pytest.raises(Conflict, match="no labelled attacks"):
        look(Wish(recall=0.5), known=Labelled())
    with pytest.raises(Conflict, match="no threshold of the champion's report"):
        look(Wish(recall=0.999), known=Labelled(((1.0, 0.5, 0.5),), 4, 0.5))


def test_nothing_wished_shows_what_holds() -> None:
    """The present promise, by hand or not."""
    assert look(Wish()).promised_fpr == 0.001
    by_hand = Policy(3, "a" * 64, 4.5, None, 0.05, 600, 1, "ada", "", basis="hand")
    found = plan(Wish(), by_hand, quiet(), MODEL, CURVE)
    assert (found.threshold, found.promised_fpr, found.basis) == (4.5, None, "hand")


@pytest.mark.parametrize(
    ("wish", "problem"),
    [
        (Wish(fpr=0.1, recall=0.5), "give one of"),
        (Wish(fpr=0.9), "fpr = 0.9"),
        (Wish(alerts_per_day=-1), "alerts_per_day"),
        (Wish(recall=math.nan), "recall"),
        (Wish(threshold=0), "threshold"),
    ],
)
def test_wishes_out_of_range(wish: Wish, problem: str) -> None:
    """The error names the wish."""
    with pytest.raises(Invalid, match=problem):
        look(wish)
    with pytest.raises(Invalid, match="base_rate"):
        look(Wish(fpr=0.01), base_rate=1.0)


@pytest.mark.parametrize("report", [None, {}, {"metrics": {"model": {}}}, {"metrics": 3}])
def test_reports_that_say_nothing(report: Any) -> None:
    """A model may come without labels, or without a report."""
    assert labelled(report) == Labelled()


def test_a_report_gives_its_curve() -> None:
    """In the trainer's shape: recall, precision, threshold."""
    body = {
        "metrics": {"model": {"attack_rows": 10, "prevalence": 0.5}},
        "curves": {"model": {"precision_recall": [[1.0, 0.5, 1.0], [0.5, 0.9, 3.0]]}},
    }
    known = labelled(body)
    assert known.recall_at(2.0) == 0.5
    assert known.recall_at(3.5) == 0.0
    assert known.fpr_at(1.0) == 1.0
    assert known.threshold_for(0.5) == 3.0
    assert readouts.Labelled().fpr_at(1.0) is None
