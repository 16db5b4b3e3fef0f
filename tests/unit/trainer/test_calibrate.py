"""Calibration: monotone, honest about its reach, and its certificates hold."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from trainer.calibrate import CONFIDENCE, Calibration, calibrate, certified_rank
from trainer.errors import NotEnoughRows
from trainer.recipe import ALPHAS

_RAW = hnp.arrays(np.float32, st.integers(20, 200), elements=st.floats(0, 1e6, width=32))


@pytest.mark.parametrize(("alpha", "rows"), [(1e-2, 299), (1e-3, 2_995), (1e-4, 29_956)])
def test_the_rows_a_certificate_needs(alpha: float, rows: int) -> None:
    """The known sizes from which a rate can be certified at all."""
    assert certified_rank(rows, alpha) == 1
    assert certified_rank(rows - 1, alpha) == 0


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(1, 5000), alpha=st.sampled_from(ALPHAS))
def test_the_certified_rank_is_the_largest_that_holds(rows: int, alpha: float) -> None:
    """One rank further and the Beta certificate would not reach its confidence."""
    rank = certified_rank(rows, alpha)
    if rank:
        assert stats.beta.cdf(alpha, rank, rows - rank + 1) >= CONFIDENCE
    if rank < rows:
        assert stats.beta.cdf(alpha, rank + 1, rows - rank) < CONFIDENCE


@settings(max_examples=80, deadline=None)
@given(raw=_RAW, probes=hnp.arrays(np.float64, 40, elements=st.floats(1e-9, 1e9)))
def test_the_map_never_falls_and_strictly_rises_beyond_the_data(raw: np.ndarray, probes: np.ndarray) -> None:
    """A stranger flow never scores less, and far beyond the calibration rows it still scores more."""
    fitted = calibrate(raw, ALPHAS)
    scores = fitted.score(np.sort(probes))
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert (np.diff(scores) >= 0).all()
    beyond = fitted.score(max(float(raw.max()), 1e-9) * np.array([2.0, 20.0, 2000.0]))
    assert (np.diff(beyond) > 0).all()
    assert (np.diff(fitted.knots) > 0).all()
    assert (np.diff(fitted.levels) > 0).all()


@settings(max_examples=50, deadline=None)
@given(raw=_RAW)
def test_thresholds_rise_as_the_promise_gets_stricter(raw: np.ndarray) -> None:
    """Also where an estimate follows a certificate, and where scores tie."""
    scores = [threshold.score for threshold in calibrate(raw, ALPHAS).thresholds]
    assert all(first < second for first, second in itertools.pairwise(scores))


@settings(max_examples=50, deadline=None)
@given(raw=_RAW)
def test_a_certified_threshold_is_reached_by_fewer_rows_than_its_rank(raw: np.ndarray) -> None:
    """Ties with the order statistic do not count as reaching it."""
    fitted = calibrate(raw, ALPHAS)
    scores = fitted.score(raw)
    for threshold in fitted.thresholds:
        if threshold.certified:
            assert (scores >= threshold.score).sum() < certified_rank(len(raw), threshold.alpha)


def test_scores_are_minus_log_p() -> None:
    """A tenth of benign flows scores above 1, a hundredth above 2, and a thousandth about 3 on the estimated tail."""
    chance = np.random.default_rng(1)
    fitted = calibrate(chance.lognormal(size=5_000), ALPHAS)
    fresh = fitted.score(chance.lognormal(size=400_000))
    for level, tolerance in ((1, 0.01), (2, 0.003), (3, 0.0008)):
        assert np.mean(fresh >= level) == pytest.approx(10.0**-level, abs=tolerance)


def test_a_certificate_keeps_its_promise_at_its_confidence() -> None:
    """Over many draws of the calibration rows the realised rate exceeds the promise in at most about one of twenty."""
    chance = np.random.default_rng(2)
    broken = 0
    for _ in range(200):
        fitted = calibrate(chance.gamma(2.0, size=400), (0.05,))
        [threshold] = fitted.thresholds
        assert threshold.certified
        broken += stats.gamma.sf(_invert(fitted, threshold.score), 2.0) > 0.05
    assert broken <= 20


def _invert(fitted: Calibration, score: float) -> float:
    grid = np.exp(np.linspace(-5, 5, 20_001))
    return float(grid[np.searchsorted(fitted.score(grid), score)])


def test_small_sets_estimate_instead_of_certifying() -> None:
    """With a hundred rows only the loosest rates are certified; the others say that they are not."""
    fitted = calibrate(np.random.default_rng(3).lognormal(size=100), ALPHAS)
    assert [threshold.certified for threshold in fitted.thresholds] == [True, True, False, False, False, False, False]
    assert fitted.thresholds[-1].score == pytest.approx(4, abs=0.01)


def test_equal_scores_are_not_strange_and_anything_above_them_is() -> None:
    """A detector that knows only one value on benign rows still gives a usable map."""
    fitted = calibrate(np.full(50, 3.0), ALPHAS)
    assert fitted.score(np.array([3.0]))[0] == 0
    assert fitted.score(np.array([3.1]))[0] > 1


def test_too_few_rows_are_refused() -> None:
    """A handful of rows calibrates nothing."""
    with pytest.raises(NotEnoughRows, match="calibrating on 19"):
        calibrate(np.arange(19.0), ALPHAS)


def test_it_survives_its_own_json() -> None:
    """The baseline's calibration travels in a manifest."""
    fitted = calibrate(np.random.default_rng(4).lognormal(size=500), ALPHAS)
    again = Calibration.from_json(fitted.to_json())
    probes = np.exp(np.linspace(-4, 6, 200))
    assert again.score(probes) == pytest.approx(fitted.score(probes), abs=1e-3)
    assert again.thresholds == fitted.thresholds
    assert fitted.threshold_for(0.01).alpha == 0.01
    with pytest.raises(KeyError):
        fitted.threshold_for(0.2)


@pytest.mark.parametrize("raw", [{}, {"knots": []}, {"knots": [[1]], "thresholds": []}])
def test_damaged_json_is_an_error_of_a_known_kind(raw: Any) -> None:
    """Whoever reads a foreign manifest can catch it."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_json(raw)
