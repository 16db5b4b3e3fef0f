"""The baseline counts features beyond three deviations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainer.detectors.std_count import StdCount


def test_it_counts_and_breaks_ties_without_outweighing_a_feature(synthetic: Any) -> None:
    """The whole number is the count; the fraction grows with all deviations."""
    rows = synthetic.benign(2000, 1)
    detector = StdCount().fit(rows)
    score = detector.raw_score(rows)
    scaled = np.abs(detector.scaling_.apply(rows))
    assert np.array_equal(np.floor(score), (scaled > 3).sum(axis=1))
    fraction = score - np.floor(score)
    assert np.corrcoef(fraction, scaled.sum(axis=1))[0, 1] > 0.99
    assert detector.raw_score(synthetic.scan(50, 2)).min() > np.median(score)


def test_it_survives_its_own_json(synthetic: Any) -> None:
    """It travels in a manifest beside the model."""
    rows = synthetic.benign(500, 1)
    detector = StdCount().fit(rows)
    again = StdCount.from_json(detector.to_json())
    assert again.raw_score(rows) == pytest.approx(detector.raw_score(rows), abs=1e-3)
    with pytest.raises(KeyError):
        StdCount.from_json({})
