"""Many calibrations drawn at once answer as each does by itself."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.detectors import levels
from trainer.making import calibrate


@pytest.fixture(scope="module")
def fitted() -> list[calibrate.Calibration]:
    """Three maps of different knots: many rows, few rows, rows that are all alike."""
    chance = np.random.default_rng(5)
    return [
        calibrate.calibrate(raw, ())
        for raw in (chance.lognormal(0, 1, 4000), chance.lognormal(2, 0.1, 40), np.ones(60))
    ]


def test_each_column_has_its_own_map(fitted: list[calibrate.Calibration]) -> None:
    """Within the tolerance of an export, from zero to far beyond what was seen."""
    raw = np.concatenate([np.zeros((1, 3)), np.geomspace(1e-9, 1e9, 400)[:, None] * np.ones(3)]).astype(np.float32)
    drawn = levels.graph(fitted, tf.constant(raw), tf).numpy()
    assert drawn.shape == (401, 3)
    for at, level in enumerate(fitted):
        wanted = level.score(raw[:, at])
        assert drawn[:, at] == pytest.approx(wanted, rel=1e-4, abs=1e-4)
        assert drawn[:, at] == pytest.approx(level.graph(tf.constant(raw[:, at]), tf).numpy(), rel=1e-5, abs=1e-5)


def test_rounding_does_not_bend_a_map(fitted: list[calibrate.Calibration]) -> None:
    """Of two raw scores that float32 can tell apart the larger one never has the lower level."""
    raw = np.nextafter(np.float32(1), np.float32(2)) ** np.arange(20_000, dtype=np.float32)
    drawn = levels.graph(fitted, tf.constant(np.stack([raw] * 3, axis=1)), tf).numpy()
    assert (np.diff(drawn, axis=0) >= 0).all()
