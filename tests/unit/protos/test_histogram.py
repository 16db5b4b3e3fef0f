"""Histograms of scores: exact at their edges, sums of their parts, and safe to read from a peer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from protos import histogram
from protos.histogram import BINS, EDGES, STEP, TOP, HistogramError

_SCORES = hnp.arrays(np.float32, st.integers(0, 200), elements=st.floats(0, 30, width=32))


@given(scores=_SCORES, place=st.integers(0, BINS - 1))
def test_at_an_edge_the_count_is_exact(scores: np.ndarray, place: int) -> None:
    """What a detector with this threshold would raise is what the histogram says, flow for flow."""
    edge = float(EDGES[place])
    assert histogram.at_least(histogram.count(scores), edge) == int((scores >= np.float32(edge)).sum())


@given(scores=_SCORES, threshold=st.floats(0, 25))
def test_between_edges_only_those_that_surely_reach_are_counted(scores: np.ndarray, threshold: float) -> None:
    """Never more than there are, and what is missing lies within a step."""
    counted = histogram.at_least(histogram.count(scores), threshold)
    assert counted <= int((scores >= threshold).sum())
    if threshold <= TOP - STEP:
        assert counted >= int((scores >= threshold + STEP).sum())


@given(first=_SCORES, second=_SCORES)
def test_merging_is_counting_together(first: np.ndarray, second: np.ndarray) -> None:
    """The histogram of a whole is the sum of those of its parts; taking a part away gives the other."""
    both = histogram.count(np.concatenate([first, second]))
    parts = histogram.count(first), histogram.count(second)
    assert (histogram.merge(parts) == both).all()
    assert (histogram.subtract(both, parts[0]) == parts[1]).all()
    assert both.sum() == len(first) + len(second)


@given(total=_SCORES, part=_SCORES)
def test_no_bin_falls_below_zero(total: np.ndarray, part: np.ndarray) -> None:
    """Also when more is taken away than was counted."""
    left = histogram.subtract(histogram.count(total), histogram.count(part))
    assert (left >= 0).all()


@given(scores=_SCORES)
def test_it_survives_the_wire(scores: np.ndarray) -> None:
    """Sparse and back."""
    counts = histogram.count(scores)
    assert (histogram.unpack(*histogram.pack(counts)) == counts).all()


@settings(max_examples=60)
@given(scores=_SCORES.filter(len), rank=st.integers(1, 250))
def test_fewer_than_its_rank_reach_the_edge_above_it(scores: np.ndarray, rank: int) -> None:
    """And one step lower that many do, so the edge is the smallest."""
    counts = histogram.count(scores)
    edge = histogram.above_rank(counts, rank)
    if math.isinf(edge):
        assert int((scores >= TOP).sum()) >= rank
        return
    assert histogram.at_least(counts, edge) < rank
    if edge > 0:
        assert histogram.at_least(counts, edge - STEP) >= rank


def test_quantiles() -> None:
    """A share of at most one less the quantile's reaches it."""
    counts = histogram.count(np.linspace(0, 10, 1001, dtype=np.float32))
    assert histogram.quantile(counts, 0.9) == pytest.approx(9, abs=2 * STEP)
    assert histogram.at_least(counts, histogram.quantile(counts, 0.99)) <= 11
    with pytest.raises(HistogramError, match="empty"):
        histogram.quantile(histogram.empty(), 0.5)


def test_edges_are_exact_in_single_precision() -> None:
    """A policy travels as float32 and means the same edge."""
    assert (EDGES.astype(np.float32).astype(np.float64) == EDGES).all()
    assert histogram.edge_above(2.301) == 2.3125
    assert histogram.edge_above(2.3125) == 2.3125
    assert histogram.edge_above(99.0) == TOP


def test_strange_scores() -> None:
    """Infinity overflows, what lies below zero counts as zero, and NaN is an error."""
    counts = histogram.count(np.array([np.inf, -3.0, 20.0], dtype=np.float32))
    assert counts[-1] == 2
    assert counts[0] == 1
    with pytest.raises(HistogramError, match="not a number"):
        histogram.count(np.array([1.0, np.nan]))


@pytest.mark.parametrize(
    ("filled", "counts", "problem"),
    [
        ([1, 2], [1], "2 bins has 1 counts"),
        ([BINS], [1], "outside"),
        ([-1], [1], "outside"),
        ([2, 2], [1, 1], "do not rise"),
        ([3, 2], [1, 1], "do not rise"),
        ([1], [-1], "below zero"),
        ([1, 2], [1 << 53, 1], "more than"),
    ],
)
def test_what_a_peer_may_not_send(filled: list[int], counts: list[int], problem: str) -> None:
    """Every fault has its sentence."""
    with pytest.raises(HistogramError, match=problem):
        histogram.unpack(filled, counts)
