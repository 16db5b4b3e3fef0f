"""Clusters: centres that cover rows, by weight, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.detectors.clusters import MOST_ROWS, assign, kmeans

CENTRES = np.array([[0, 0], [10, 0], [0, 10]], dtype=np.float32)


def _rows(count: int = 300) -> np.ndarray:
    chance = np.random.default_rng(1)
    return (CENTRES[chance.integers(0, 3, count)] + chance.normal(scale=0.2, size=(count, 2))).astype(np.float32)


def test_centres_are_where_the_rows_are() -> None:
    """Three heaps, three centres, each within its heap."""
    found = kmeans(_rows(), np.ones(300, dtype=np.float32), 3, 4)
    assert sorted(assign(CENTRES, found).tolist()) == [0, 1, 2]
    assert np.abs(found[assign(CENTRES, found)] - CENTRES).max() < 0.2


def test_the_same_seed_gives_the_same_centres() -> None:
    """To the last bit; another seed starts elsewhere."""
    rows, ones = _rows(), np.ones(300, dtype=np.float32)
    assert np.array_equal(kmeans(rows, ones, 20, 4), kmeans(rows, ones, 20, 4))
    assert not np.array_equal(kmeans(rows, ones, 20, 4), kmeans(rows, ones, 20, 5))


def test_few_or_equal_rows_give_fewer_centres() -> None:
    """Never more centres than different rows."""
    ones = np.ones(3, dtype=np.float32)
    assert len(kmeans(CENTRES, ones, 10, 1)) == 3
    assert len(kmeans(np.zeros((3, 2), np.float32), ones, 10, 1)) == 1


def test_a_row_of_no_weight_draws_no_centre() -> None:
    """Its place is far, but it stands for nobody."""
    rows = np.concatenate([_rows(), [[1e3, 1e3]]]).astype(np.float32)
    weights = np.ones(301, dtype=np.float32)
    weights[-1] = 1e-12
    assert kmeans(rows, weights, 3, 1).max() < 100


def test_many_rows_are_sampled_and_still_covered() -> None:
    """The centres of a sample are those of the whole."""
    rows = _rows(MOST_ROWS + 1000)
    found = kmeans(rows, np.ones(len(rows), dtype=np.float32), 3, 4)
    assert found[assign(CENTRES, found)] == pytest.approx(CENTRES, abs=0.1)
