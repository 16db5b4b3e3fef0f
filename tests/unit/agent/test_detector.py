"""Decisions: a table of cases, and the laws behind it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.detector import AlertBudget, Decision, Rule, decide
from protos.v1 import flow_pb2

R, K, I = Decision.RAISE, Decision.KEEP, Decision.IGNORE  # noqa: E741


@pytest.mark.parametrize(
    ("scores", "threshold", "keep", "cap", "uniforms", "codes", "capped"),
    [
        ([], 3, 0.5, 9, [], [], 0),
        ([3.0], 3, 0, 9, [0.0], [R], 0),
        ([2.999], 3, 0, 9, [0.0], [I], 0),
        ([2.0, 2.0], 3, 0.5, 9, [0.49, 0.5], [K, I], 0),
        ([0.0], 3, 1, 9, [0.999], [K], 0),
        ([5, 4, 6], 3, 0, 2, [0, 0, 0], [R, K, R], 1),
        ([5, 5, 5], 3, 0, 2, [0, 0, 0], [R, R, K], 1),
        ([5, 1, 5], 3, 0, 0, [0, 0, 0], [K, I, K], 2),
        ([5], 3, 0, -4, [0], [K], 1),
        ([9, 9], float("inf"), 0, 9, [0, 0], [I, I], 0),
        ([0.0], 0, 0, 9, [0.5], [R], 0),
    ],
)
def test_cases(scores, threshold, keep, cap, uniforms, codes, capped) -> None:
    """Threshold, sample and cap, case by case."""
    decided = decide(np.array(scores, np.float32), Rule(threshold, keep), cap, np.array(uniforms, np.float64))
    assert decided.codes.tolist() == codes
    assert decided.capped == capped


@given(
    scores=hnp.arrays(np.float32, st.integers(0, 60), elements=st.floats(0, 10, width=32)),
    threshold=st.floats(0, 10),
    keep=st.floats(0, 1),
    cap=st.integers(0, 60),
    seed=st.integers(0, 1000),
)
def test_laws(scores, threshold, keep, cap, seed) -> None:
    """The cap holds; nothing quiet is raised; no strange flow is lost; the raised ones are the strongest."""
    uniforms = np.random.default_rng(seed).random(len(scores))
    decided = decide(scores, Rule(threshold, keep), cap, uniforms)
    raised, strange = decided.codes == R, scores >= threshold
    assert raised.sum() == min(cap, strange.sum())
    assert decided.capped == strange.sum() - raised.sum()
    assert not (raised & ~strange).any()
    assert not ((decided.codes == I) & strange).any()
    beaten = strange & ~raised
    if raised.any() and beaten.any():
        assert scores[raised].min() >= scores[beaten].max()
    assert decided.raised.tolist() == np.flatnonzero(raised).tolist()
    assert (decided.weights[strange] == 1).all()
    assert np.isfinite(decided.weights).all()


def test_weights_make_the_sample_stand_for_all() -> None:
    """The weights of kept quiet flows sum to about the number of quiet flows."""
    uniforms = np.random.default_rng(1).random(100_000)
    decided = decide(np.zeros(100_000, np.float32), Rule(3, 0.05), 10, uniforms)
    kept = decided.codes == K
    assert 0.045 < kept.mean() < 0.055
    assert decided.weights[kept].sum() == pytest.approx(100_000, rel=0.05)


def test_codes_are_those_of_the_wire() -> None:
    """What leaves the host means the same on both sides; ignored flows have no code there."""
    assert Decision.KEEP == flow_pb2.DECISION_KEEP
    assert Decision.RAISE == flow_pb2.DECISION_RAISE
    assert Decision.IGNORE not in flow_pb2.Decision.values()


class TestAlertBudget:
    """The hard cap in a minute of traffic time."""

    def test_a_minute_has_its_share(self) -> None:
        """Spent within a minute, renewed with the next."""
        budget = AlertBudget(5)
        assert budget.left(60_000) == 5
        budget.spend(4)
        assert budget.left(119_999) == 1
        budget.spend(1)
        assert budget.left(119_999) == 0
        assert budget.left(120_000) == 5

    def test_a_clock_that_runs_back_opens_nothing(self) -> None:
        """Flows a little out of order do not renew the budget; a clock set far back does not lock it."""
        budget = AlertBudget(5)
        budget.left(600_000)
        budget.spend(5)
        assert budget.left(599_000) == 0
        assert budget.left(60_000) == 5

    def test_a_lower_cap_holds_at_once(self) -> None:
        """A policy that lowers the cap counts what was spent already."""
        budget = AlertBudget(10)
        budget.left(0)
        budget.spend(8)
        budget.per_minute = 5
        assert budget.left(1) == 0
