"""Scaling: bounded, invertible where it matters, and never blown up by a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.detectors.scaling import Scaling

_FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=60, deadline=None)
@given(rows=hnp.arrays(np.float32, (20, 3), elements=_FLOATS), probe=hnp.arrays(np.float32, (5, 3), elements=_FLOATS))
def test_scaled_values_are_finite_and_within_the_clip(rows: np.ndarray, probe: np.ndarray) -> None:
    """For any rows, seen or not."""
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1)
    scaled = scaling.apply(probe)
    assert np.isfinite(scaled).all()
    assert (np.abs(scaled) <= 8).all()
    assert np.isfinite(scaling.invert(scaled)).all()


def test_a_constant_feature_signals_when_it_changes_and_only_so_far() -> None:
    """No division by zero, no silence."""
    rows = np.zeros((100, 2), dtype=np.float32)
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1)
    assert (scaling.apply(rows) == 0).all()
    changed = scaling.apply(np.array([[1, 1e30]], dtype=np.float32))
    assert 3 < changed[0, 0] < 8
    assert changed[0, 1] == 8


def test_it_turns_back_what_it_scaled(synthetic: Any) -> None:
    """Expected values are read in original units."""
    rows = synthetic.benign(500, 1)
    scaling = Scaling.fit(rows, None, clip=50, floor=0.1)
    assert np.allclose(scaling.invert(scaling.apply(rows)), rows, rtol=1e-3, atol=1e-3)


def test_an_expectation_of_a_count_is_never_negative_nor_beyond_what_was_seen(synthetic: Any) -> None:
    """However far off the network rebuilds."""
    rows = synthetic.benign(500, 1)
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1)
    for value in (-1000, 1000):
        inverted = scaling.invert(np.full((1, rows.shape[1]), value, dtype=np.float32))
        assert (inverted >= 0).all()
        assert (inverted <= rows.max(0) * 1.001).all()


def test_weights_count(synthetic: Any) -> None:
    """A row of weight three counts like three rows."""
    rows = synthetic.benign(50, 1)
    weights = np.ones(50, dtype=np.float32)
    weights[:10] = 3
    weighted = Scaling.fit(rows, weights, clip=8, floor=0.01)
    repeated = Scaling.fit(np.concatenate([rows, rows[:10], rows[:10]]), None, clip=8, floor=0.01)
    assert np.allclose(weighted.mean, repeated.mean, atol=1e-4)
    assert np.allclose(weighted.deviation, repeated.deviation, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(rows=hnp.arrays(np.float32, (20, 3), elements=_FLOATS), probe=hnp.arrays(np.float32, (5, 3), elements=_FLOATS))
def test_normal_scores_are_finite_and_within_the_clip(rows: np.ndarray, probe: np.ndarray) -> None:
    """For any rows, seen or not, and so is what they turn back to."""
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1, knots=6)
    scaled = scaling.apply(probe)
    assert np.isfinite(scaled).all()
    assert (np.abs(scaled) <= 8).all()
    back = scaling.invert(scaled)
    assert np.isfinite(back).all()
    assert (np.abs(back) <= np.abs(rows).max(axis=0) * 1.001 + 1e-3).all()


@settings(max_examples=40, deadline=None)
@given(
    rows=hnp.arrays(np.float32, (30, 1), elements=st.floats(0, 2.0**40, width=32)),
    probe=hnp.arrays(np.float32, (20, 1), elements=st.floats(0, 2.0**60, width=32)),
)
def test_normal_scores_rise_with_the_value(rows: np.ndarray, probe: np.ndarray) -> None:
    """A larger value never has a smaller score, beyond rounding."""
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1, knots=6)
    scaled = scaling.apply(np.sort(probe, axis=0))
    assert (np.diff(scaled[:, 0]) >= -1e-3).all()


def test_normal_scores_are_as_a_normal_distribution_would_have_them() -> None:
    """Whatever the shape: exponential over nine decades, or two values."""
    chance = np.random.default_rng(1)
    rows = np.stack([np.exp(chance.gamma(4, 1.5, 5000)), chance.random(5000) < 0.02], axis=1).astype(np.float32)
    scaled = Scaling.fit(rows, None, clip=8, floor=0.1, knots=8).apply(rows)
    assert np.abs(scaled.mean(axis=0)).max() < 0.15
    assert scaled.std(axis=0) == pytest.approx([1, 1], abs=0.1)
    assert np.quantile(scaled[:, 0], [0.025, 0.5, 0.975]) == pytest.approx([-1.96, 0, 1.96], abs=0.3)
    assert scaled[rows[:, 1] == 1, 1].min() > 5


def test_what_is_very_rare_is_as_far_as_anything_can_be() -> None:
    """One in ten thousand rows has it: at the clip, and not below what is half as large."""
    rows = np.zeros((10_000, 1), dtype=np.float32)
    rows[0] = 1
    scaling = Scaling.fit(rows, None, clip=8, floor=0.1, knots=6)
    found = scaling.apply(np.array([[0], [0.25], [0.5], [1], [1e30]], dtype=np.float32))[:, 0]
    assert (np.diff(found) >= -1e-4).all()
    assert found[3] == pytest.approx(8, abs=1e-3)


def test_normal_scores_turn_back(synthetic: Any) -> None:
    """Within the knots the way back is the way there."""
    rows = synthetic.benign(500, 1)
    scaling = Scaling.fit(rows, None, clip=50, floor=0.1, knots=6)
    inside = np.sort(rows, axis=0)[50:-50]
    assert np.allclose(scaling.invert(scaling.apply(inside)), inside, rtol=0.05, atol=0.05)


def test_a_constant_feature_has_a_plain_curve() -> None:
    """One knot: it signals when it changes, and only so far."""
    scaling = Scaling.fit(np.zeros((100, 2), dtype=np.float32), None, clip=8, floor=0.1, knots=6)
    assert scaling.apply(np.zeros((3, 2), dtype=np.float32)) == pytest.approx(0, abs=1e-6)
    changed = scaling.apply(np.array([[1, 1e30]], dtype=np.float32))
    assert 3 < changed[0, 0] < 8
    assert changed[0, 1] == 8
