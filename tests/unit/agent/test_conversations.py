"""Evidence of two hosts added up, against a plain reading of its definition."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.context_tables import HORIZONS_S
from agent.conversations import CORRELATION, Conversations, deviates, judge, levels
from agent.flow import FLOW

NORMAL = NormalDist()
START_MS = 1_700_000_000_000


def make(rows) -> tuple[np.ndarray, np.ndarray]:
    """Flows and scores of (seconds, source, destination, score)."""
    flows = np.zeros(len(rows), dtype=FLOW)
    for flow, (second, source, destination, _) in zip(flows, rows, strict=True):
        flow["src_ip"][-1], flow["dst_ip"][-1] = source, destination
        flow["ended_ms"] = START_MS + round(second * 1000)
    return flows, np.array([row[3] for row in rows], dtype=np.float32)


def plain(rows) -> list[float]:
    """The definition, flow by flow."""
    found = []
    for at, (now, source, destination, _) in enumerate(rows):
        mine = [row for row in rows[: at + 1] if row[1:3] == (source, destination)]
        weights = [math.exp(-(now - row[0]) / HORIZONS_S[-1]) for row in mine]
        values = [NORMAL.inv_cdf(1 - min(10.0 ** -row[3], 0.9)) for row in mine]
        n = sum(weights)
        z = sum(w * v for w, v in zip(weights, values, strict=True)) / math.sqrt(n + n * (n - 1) * CORRELATION)
        found.append(-math.log10(1 - NORMAL.cdf(z)) if z > 0 else 0.0)
    return found


rows_of_a_network = st.lists(
    st.tuples(st.floats(0, 90), st.integers(1, 3), st.integers(1, 3), st.floats(0, 4)), min_size=1, max_size=40
).map(lambda rows: sorted((round(at, 3), *rest) for at, *rest in rows))


@given(rows_of_a_network)
@settings(deadline=None, max_examples=60)
def test_it_is_what_the_definition_says(rows):
    """Damped sums in closed form agree with adding up flow by flow."""
    assert Conversations().together(*make(rows)).tolist() == pytest.approx(plain(rows), rel=2e-3, abs=2e-3)


@given(rows_of_a_network, st.integers(1, 39))
@settings(deadline=None, max_examples=40)
def test_however_batches_are_cut(rows, cut):
    """Live and replay cut the same flows into other batches; what two hosts score together is the same."""
    flows, scores = make(rows)
    whole, memory = Conversations().together(flows, scores), Conversations()
    parts = [memory.together(flows[:cut], scores[:cut]), memory.together(flows[cut:], scores[cut:])]
    assert np.concatenate(parts).tolist() == pytest.approx(whole.tolist(), rel=1e-4, abs=1e-4)


def test_many_weak_flows_of_one_pair_are_strong_together():
    """A beat of score 2 every few seconds goes beyond 3; the same flows to as many hosts go nowhere."""
    beat = Conversations().together(*make([(4.0 * i, 1, 2, 2.0) for i in range(20)]))
    spread = Conversations().together(*make([(4.0 * i, 1, 2 + i, 2.0) for i in range(20)]))
    assert beat[0] == pytest.approx(2.0, abs=1e-3)
    assert beat[-1] > 3
    assert np.all(np.diff(beat) > 0)
    assert spread == pytest.approx(2.0, abs=1e-3)


def test_ordinary_flows_speak_against_it_and_quiet_forgets():
    """Among ordinary flows the same beat stays low, and an hour later it is forgotten."""
    mixed = [(2.0 * i, 1, 2, 2.0 if i % 4 == 0 else 0.2) for i in range(80)]
    assert Conversations().together(*make(mixed)).max() < 2.1
    beat = [(4.0 * i, 1, 2, 2.0) for i in range(20)]
    assert Conversations().together(*make([*beat, (3_700.0, 1, 2, 2.0)]))[-1] == pytest.approx(2.0, abs=1e-3)


def test_a_row_stands_for_as_many_flows_as_it_weighs():
    """One kept row of weight 20 says what 20 flows like it at once would say."""
    pairs, times = np.full(20, 7, dtype=np.uint64), np.full(20, START_MS)
    scores = np.full(20, 1.5, dtype=np.float32)
    many = Conversations().add(pairs, times, scores)[-1]
    one = Conversations().add(pairs[:1], times[:1], scores[:1], np.array([20.0], dtype=np.float32))
    assert one[0] == pytest.approx(many, rel=1e-4)


def test_scores_and_deviates_are_inverse_and_bounded():
    """From an ordinary flow to the strangest score, what goes in comes out; beyond it stays finite."""
    scores = np.array([0.4, 1.0, 2.5, 9.0, 200.0], dtype=np.float32)
    assert levels(deviates(scores)).tolist() == pytest.approx(scores.tolist(), rel=1e-3)
    assert np.isfinite(deviates(np.array([0.0, 1e6], dtype=np.float32))).all()
    assert np.isfinite(levels(np.array([-5.0, 1e3]))).all()


def test_the_louder_of_the_two_decides():
    """A flow keeps its own score unless its hosts together, less the handicap, score more."""
    scores, together = np.array([2.0, 2.0, 0.0], dtype=np.float32), np.array([2.3, 3.0, 0.0], dtype=np.float32)
    assert judge(scores, together, 0.5).tolist() == [2.0, 2.5, 0.0]


def test_memory_is_fixed_under_a_flood_of_hosts():
    """A flood from ever new hosts changes no array's size."""
    memory = Conversations(entries=1024)
    before = memory._pairs.sums.nbytes
    rng = np.random.default_rng(2)
    for second in range(20):
        pairs = rng.integers(0, 1 << 63, 1000, dtype=np.uint64)
        found = memory.add(pairs, np.full(1000, START_MS + second * 1000), np.ones(1000, dtype=np.float32))
        assert np.isfinite(found).all()
    assert memory._pairs.sums.nbytes == before
