"""Scaling: bounded, invertible where it matters, and never blown up by a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
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
