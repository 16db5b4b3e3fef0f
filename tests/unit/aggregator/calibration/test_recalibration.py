"""Recalibration: a group's own scores give its threshold, few rows say so, and nobody silences a group."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.calibration.recalibration import FEWEST, UP, HostWindows, Outcome, own_threshold, recalibrate
from protos import histogram
from protos.manifest import Threshold

ALPHA = 0.005
MODEL = tuple(
    Threshold(alpha, -math.log10(alpha), True) for alpha in (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 1e-4)
)
OWN = -math.log10(ALPHA)


def quiet(rows: int, *, shift: float = 0.0, stretch: float = 1.0, seed: int = 1) -> np.ndarray:
    """Scores of a network: `-log10 p` where the model's calibration holds, shifted and stretched where it does not."""
    return np.random.default_rng(seed).exponential(stretch / math.log(10), rows).astype(np.float32) + np.float32(shift)


def windows(scores: np.ndarray, *, each: int = 25, servers: int = 10) -> HostWindows:
    """Host-windows of `each` flows by initiator and `each * servers` by responder, in the order of `scores`."""
    return HostWindows(_highest(scores, each), _highest(scores, each * servers))


def _highest(scores: np.ndarray, each: int) -> np.ndarray:
    parts = np.array_split(scores, max(1, len(scores) // each))
    return histogram.count(np.array([part.max() for part in parts if len(part)]))


@pytest.mark.parametrize(
    ("rows", "shift", "outcome", "words"),
    [
        (FEWEST - 1, 1.0, Outcome.KEPT, "are needed to know a network"),
        (100, 0.0, Outcome.ESTIMATED, "fewer than the 598 that certify"),
        (100, 0.5, Outcome.ESTIMATED, "estimated from the tail"),
        (1_000, 0.5, Outcome.CERTIFIED, "which certifies 0.005"),
        (50_000, 0.5, Outcome.CERTIFIED, "which certifies"),
        (50_000, 3.0, Outcome.ESTIMATED, "the most that counting may raise it to"),
        (50_000, -1.5, Outcome.CERTIFIED, "quiet days prove little"),
    ],
)
def test_the_table(rows: int, shift: float, outcome: Outcome, words: str) -> None:
    """Every line of the module's table, with its sentence."""
    found = recalibrate(histogram.count(quiet(rows, shift=shift)), MODEL, ALPHA)
    assert found.outcome is outcome
    assert words in found.why
    assert found.rows == rows
    assert found.certified == (outcome is Outcome.CERTIFIED)


@pytest.mark.parametrize("rows", [600, 1_000, 5_000])
@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.0), (0.7, 1.0), (0.3, 1.3)])
def test_a_certified_threshold_keeps_the_promise(rows: int, shift: float, stretch: float) -> None:
    """In at least 95 % of runs the rate of later flows is at most the promised one (exchangeable scores)."""
    broken = 0
    for seed in range(300):
        found = recalibrate(histogram.count(quiet(rows, shift=shift, stretch=stretch, seed=seed)), MODEL, ALPHA)
        rate = math.exp(-(found.threshold - shift) * math.log(10) / stretch)
        broken += found.certified and rate > ALPHA
    assert broken <= 24  # 15 are expected; 24 is 2.4 deviations more


def test_an_estimated_threshold_keeps_it_on_average() -> None:
    """Too few rows for a certificate: over many networks the mean rate still stays at the promise."""
    rates = []
    for seed in range(200):
        found = recalibrate(histogram.count(quiet(300, shift=0.4, seed=seed)), MODEL, ALPHA)
        assert not found.certified
        rates.append(10 ** -(found.threshold - 0.4))
    assert float(np.mean(rates)) <= ALPHA


@settings(max_examples=80, deadline=None)
@given(
    rows=st.integers(0, 3_000),
    shift=st.floats(-1, 3),
    stretch=st.floats(0.5, 2),
    seed=st.integers(0, 1_000),
    alphas=st.lists(st.floats(1e-5, 0.3), min_size=2, max_size=5, unique=True),
)
def test_a_stricter_rate_never_gets_a_lower_threshold(
    rows: int, shift: float, stretch: float, seed: int, alphas: list[float]
) -> None:
    """Also across the border between certified and estimated, and at both bounds."""
    counts = histogram.count(quiet(rows, shift=shift, stretch=stretch, seed=seed))
    found = [recalibrate(counts, MODEL, alpha).threshold for alpha in sorted(alphas, reverse=True)]
    assert all(looser <= stricter + 1e-9 for looser, stricter in itertools.pairwise(found))


@settings(max_examples=80, deadline=None)
@given(
    scores=st.lists(st.floats(0, 40, width=32), max_size=300),
    alpha=st.floats(1e-5, 0.3),
    each=st.integers(1, 60),
)
def test_whatever_was_counted_the_bounds_hold(scores: list[float], alpha: float, each: int) -> None:
    """No histogram opens the doors, none silences a group."""
    counted = np.array(scores, dtype=np.float32)
    own = own_threshold(MODEL, alpha)
    for hosts in (None, windows(counted, each=each) if len(counted) else None):
        found = recalibrate(histogram.count(counted), MODEL, alpha, hosts=hosts)
        assert own - 1e-9 <= found.threshold <= own + UP + histogram.STEP
        assert found.why


@pytest.mark.parametrize("rows", [500, 5_000, 500_000])
def test_counting_never_lowers(rows: int) -> None:
    """A network that looks quiet keeps the model's own threshold, however much was counted."""
    assert OWN <= recalibrate(histogram.count(np.zeros(rows)), MODEL, ALPHA).threshold <= OWN + histogram.STEP


def scan(minutes: int, score: float = 6.0) -> tuple[np.ndarray, int]:
    """What a sensor counts of one scanner: a capped number of flows in each window of ten minutes."""
    seen = max(1, minutes // 10)
    return np.full(seen * 60, score, dtype=np.float32), seen


@pytest.mark.parametrize("minutes", [10, 60, 600, 1440])
@pytest.mark.parametrize("hosts", [8, 100])
def test_a_scan_while_counting_does_not_raise_the_threshold(minutes: int, hosts: int) -> None:
    """One scanner, unnoticed by incidents, for minutes or for the whole day that was counted, in a small or large net."""
    calm = quiet(hosts * 144 * 10)
    loud, seen = scan(minutes)
    of_sources, of_targets = _highest(calm, 10), _highest(calm, 80)
    of_sources += histogram.count(np.full(seen, 6.0))
    of_targets += histogram.count(np.full(len(loud), 6.0))
    before = recalibrate(histogram.count(calm), MODEL, ALPHA, hosts=HostWindows(_highest(calm, 10), _highest(calm, 80)))
    after = recalibrate(
        histogram.count(np.concatenate([calm, loud])), MODEL, ALPHA, hosts=HostWindows(of_sources, of_targets)
    )
    assert after.threshold <= max(OWN, before.threshold) + 0.25
    assert after.threshold < 3.0


def test_a_flood_from_many_sources_does_not_either() -> None:
    """Spoofed sources are many; the responder they flood is one."""
    calm = quiet(8 * 144 * 10)
    loud = np.full(600 * 20, 5.0, dtype=np.float32)  # twenty windows of a responder, each at its cap
    of_sources = _highest(calm, 10) + histogram.count(loud)
    of_targets = _highest(calm, 80) + histogram.count(np.full(20, 5.0))
    found = recalibrate(
        histogram.count(np.concatenate([calm, loud])), MODEL, ALPHA, hosts=HostWindows(of_sources, of_targets)
    )
    assert found.outcome is Outcome.REFUSED
    assert found.threshold == OWN
    assert "responder host-windows" in found.why


def test_a_network_that_is_merely_different_is_recalibrated() -> None:
    """Every host looks a little strange: nothing is refused, and the promise is kept again."""
    found = recalibrate(
        histogram.count(quiet(20_000, shift=0.8)), MODEL, ALPHA, hosts=windows(quiet(20_000, shift=0.8))
    )
    assert found.outcome is Outcome.CERTIFIED
    assert 10 ** -(found.threshold - 0.8) <= ALPHA


@pytest.mark.parametrize(
    ("loud", "outcome", "low", "high"),
    [
        (5, Outcome.ESTIMATED, 2.7, 3.2),
        (10, Outcome.ESTIMATED, 2.4, 3.2),
        (50, Outcome.REFUSED, OWN, OWN),
    ],
)
def test_a_raise_goes_as_far_as_more_than_a_few_hosts_ask(loud: int, outcome: Outcome, low: float, high: float) -> None:
    """Everybody looks a little strange (they would ask for 3.17), and one machine very, in some of 600 host-windows."""
    calm, strange = quiet(6_000, shift=0.6), np.full(60 * loud, 5.0, dtype=np.float32)
    highest = histogram.count(np.full(loud, 5.0))
    hosts = HostWindows(_highest(calm, 10) + highest, _highest(calm, 80) + highest)
    found = recalibrate(histogram.count(np.concatenate([calm, strange])), MODEL, ALPHA, hosts=hosts)
    assert found.outcome is outcome
    assert low <= found.threshold <= high
    assert not found.certified


def test_flows_of_a_host_that_are_alike_prove_less() -> None:
    """The same scores in clumps ask for more rows, and say so."""
    scores = np.repeat(quiet(200, shift=0.5), 5)
    spread = recalibrate(histogram.count(scores), MODEL, ALPHA)
    clumped = recalibrate(histogram.count(scores), MODEL, ALPHA, hosts=windows(scores, each=5, servers=1))
    assert spread.certified
    assert not clumped.certified
    assert "flows of one host are alike" in clumped.why


def test_what_holds_stays_when_nothing_can_be_said() -> None:
    """A refusal and a lack of rows both keep the current threshold."""
    found = recalibrate(histogram.count(quiet(10)), MODEL, ALPHA, current=3.25)
    assert found.threshold == 3.25
    assert found.outcome is Outcome.KEPT


def test_the_models_own_threshold() -> None:
    """The largest rate not above the wanted one; beyond the strictest the score goes on as a score does."""
    assert own_threshold(MODEL, 0.007) == pytest.approx(OWN)
    assert own_threshold(MODEL, 1e-6) == pytest.approx(6)
    assert own_threshold((), 0.01) == pytest.approx(2)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, math.nan])
def test_a_rate_lies_between_zero_and_one(alpha: float) -> None:
    """Anything else is the caller's mistake."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        recalibrate(histogram.empty(), MODEL, alpha)
