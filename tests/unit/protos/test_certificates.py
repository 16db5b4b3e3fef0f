"""Ranks and intervals are those of the binomial distribution."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from protos import certificates


@pytest.mark.parametrize(("alpha", "rows"), [(1e-2, 299), (1e-3, 2_995), (1e-4, 29_956)])
def test_the_rows_a_rate_needs(alpha: float, rows: int) -> None:
    """The known sizes, from either side."""
    assert certificates.rows_needed(alpha) == rows
    assert certificates.certified_rank(rows, alpha) == 1
    assert certificates.certified_rank(rows - 1, alpha) == 0


@settings(max_examples=100)
@given(rows=st.integers(0, 300_000), alpha=st.floats(1e-5, 0.2))
def test_the_rank_is_the_largest_that_holds(rows: int, alpha: float) -> None:
    """One rank further the certificate would miss its confidence, by scipy's own binomial tail."""
    rank = certificates.certified_rank(rows, alpha)
    if rank:
        assert stats.binom.sf(rank - 1, rows, alpha) >= certificates.CONFIDENCE - 1e-7
    if rank < rows:
        assert stats.binom.sf(rank, rows, alpha) < certificates.CONFIDENCE + 1e-7


def test_intervals() -> None:
    """Clopper and Pearson's, one-sided and two-sided, and their ends."""
    low, high = certificates.interval(3, 100)
    assert [low, high] == pytest.approx(stats.beta.ppf([0.025, 0.975], [3, 4], [98, 97]))
    assert certificates.interval(0, 0) == (0.0, 1.0)
    assert certificates.interval(0, 50)[0] == 0.0
    assert certificates.interval(50, 50)[1] == 1.0
    assert certificates.upper_rate(0, 299) == pytest.approx(0.00997, abs=1e-4)
    assert certificates.upper_rate(5, 5) == 1.0
