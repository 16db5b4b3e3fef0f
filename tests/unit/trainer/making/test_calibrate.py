"""Calibration: monotone, honest about its reach, and its certificates hold."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from agent import conversations
from trainer.errors import NotEnoughRows
from trainer.making.calibrate import (
    CONFIDENCE,
    Calibration,
    calibrate,
    certified_rank,
    host_windows,
    with_together,
)
from trainer.making.recipe import ALPHAS

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


@pytest.mark.parametrize(("shape", "expected"), [(0.4, 0.4), (0.0, 0.0), (-0.2, -0.2)])
def test_the_tails_shape_is_found(shape: float, expected: float) -> None:
    """Log scores with a generalised Pareto tail: its shape comes back, within its standard error."""
    raw = np.exp(stats.genpareto.rvs(shape, scale=0.4, size=5_000, random_state=5))
    fitted = calibrate(raw, ALPHAS)
    assert fitted.shape == pytest.approx(expected, abs=0.16)


@pytest.mark.parametrize("shape", [0.2, 0.0, -0.2])
def test_beyond_the_data_scores_stay_minus_log_p(shape: float) -> None:
    """Ten times rarer than anything calibrated on: the estimate is within a factor of three of the truth on average."""
    errors = []
    for seed in range(20):
        raw = np.exp(stats.genpareto.rvs(shape, scale=0.4, size=3_000, random_state=seed))
        fitted = calibrate(raw, ALPHAS)
        far = math.exp(stats.genpareto.isf(10**-4.5, shape, scale=0.4))
        errors.append(float(fitted.score(np.array([far]))[0]) - 4.5)
    assert abs(float(np.mean(errors))) < 0.5


def test_host_windows_are_an_origin_a_host_and_ten_minutes() -> None:
    """Equal addresses of two captures are two hosts, and a host begins anew after ten minutes."""
    origin, host = np.array([0, 0, 0, 1, 0]), np.array([5, 5, 6, 5, 5])
    time_ms = np.array([0, 599_999, 0, 0, 600_000])
    assert host_windows(origin, host, time_ms).tolist() == [0, 0, 2, 3, 1]


def test_the_share_of_host_windows_is_kept_at_its_confidence() -> None:
    """Windows of a shared strangeness: the share of later windows that alert exceeds the promise in about one of twenty."""
    chance = np.random.default_rng(8)

    def traffic(count: int) -> tuple[np.ndarray, np.ndarray]:
        odd = chance.gamma(2.0, size=count)[:, None]
        return (odd * chance.lognormal(sigma=0.3, size=(count, 12))).ravel(), np.repeat(np.arange(count), 12)

    later, _ = traffic(20_000)
    highest = later.reshape(-1, 12).max(axis=1)
    broken = 0
    for _ in range(40):
        raw, windows = traffic(120)
        fitted = calibrate(raw, (0.05,), windows)
        [threshold] = fitted.thresholds
        assert threshold.windows is not None
        assert threshold.windows_certified
        broken += float(np.mean(fitted.score(highest) >= threshold.score)) > threshold.windows
    assert broken <= 6


def test_host_windows_promise_less_as_thresholds_rise() -> None:
    """And nothing is said of them where they are not known."""
    chance = np.random.default_rng(9)
    raw, windows = chance.lognormal(size=4_000), np.repeat(np.arange(400), 10)
    shares = [threshold.windows for threshold in calibrate(raw, ALPHAS, windows).thresholds]
    assert all(first >= second for first, second in itertools.pairwise(shares))
    assert [threshold.windows for threshold in calibrate(raw, ALPHAS).thresholds] == [None] * len(ALPHAS)


def test_a_baseline_of_an_older_manifest_is_still_read() -> None:
    """Its tail was one slope, and it knew no host-windows."""
    old = {
        "rows": 100, "tail_slope": 2.0, "knots": [[0.0, 0.0], [1.0, 2.0]],
        "thresholds": [{"alpha": 0.1, "score": 1.0, "certified": True}],
    }  # fmt: skip
    fitted = Calibration.from_json(old)
    assert fitted.score(np.exp(np.array([2.0])))[0] == pytest.approx(4.0)
    assert fitted.thresholds[0].windows is None


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


def test_one_promise_covers_both_ways_to_alert() -> None:
    """Fresh rows that alert alone or together keep the promised rate, and a threshold never falls for the second way."""
    chance = np.random.default_rng(11)
    broken = 0
    for _ in range(40):
        raw, fresh = chance.lognormal(size=2_000), chance.lognormal(size=20_000)
        alone = calibrate(raw, ALPHAS)
        together, later = (-np.log10(chance.random(size)).astype(np.float32) * 1.5 for size in (2_000, 20_000))
        both = with_together(alone, alone.score(raw), together, 5e-3)
        assert both.together is not None
        assert both.together > 0.5
        for before, after in zip(alone.thresholds, both.thresholds, strict=True):
            assert after.score >= before.score - 1e-6
            assert after.certified == before.certified
        decisive = conversations.judge(alone.score(fresh), later, both.together)
        broken += float((decisive >= both.threshold_for(1e-2).score).mean()) > 1e-2
    assert broken <= 6  # 5 % of 40, and three deviations


def test_flows_together_are_never_heard_as_soon_as_one_flow() -> None:
    """Calibration rows whose hosts add up to nothing say little about hosts nobody has seen: a handicap stays."""
    raw = np.random.default_rng(12).lognormal(size=2_000)
    alone = calibrate(raw, ALPHAS)
    silent = with_together(alone, alone.score(raw), np.zeros(2_000, np.float32), 5e-3)
    assert silent.together == pytest.approx(np.log10(5), abs=0.01)
    # Together costs a flow's own threshold nothing where it never decides.
    assert [entry.score for entry in silent.thresholds] == pytest.approx([entry.score for entry in alone.thresholds])
    loud = with_together(alone, alone.score(raw), 2 * alone.score(raw), 5e-3)
    assert loud.together is not None
    assert loud.together > 2


def test_together_survives_json() -> None:
    """What flows together need travels with the rest; a report without it is one of flows alone."""
    alone = calibrate(np.random.default_rng(2).lognormal(size=700), ALPHAS)
    both = with_together(alone, np.ones(700, np.float32), np.linspace(0, 4, 700, dtype=np.float32), 5e-3)
    assert Calibration.from_json(both.to_json()).together == both.together
    raw = alone.to_json()
    del raw["together"]
    assert Calibration.from_json(raw).together is None
