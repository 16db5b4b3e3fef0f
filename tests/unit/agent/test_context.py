"""Context features against a plain reading of their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.context import HORIZONS_S, MEASURES, NAMES, Context, unanswered
from agent.flow import FLOW

HOSTS = np.random.default_rng(5).integers(0, 256, size=(6, 16), dtype=np.uint8)


def make(rows) -> np.ndarray:
    """Flows of (seconds, source, destination, port, answered)."""
    flows = np.zeros(len(rows), dtype=FLOW)
    for flow, (second, source, destination, port, answered) in zip(flows, rows, strict=True):
        flow["src_ip"], flow["dst_ip"] = HOSTS[source], HOSTS[destination]
        flow["dst_port"], flow["protocol"] = port, 17
        flow["ended_ms"] = 1_700_000_000_000 + int(second * 1000)
        flow["dst2src_packets"] = int(answered)
    return flows


def naive(rows) -> np.ndarray:
    """The definition, row by row."""
    result = []
    for i, (now, source, destination, port, _) in enumerate(rows):
        past = rows[: i + 1]
        values = []
        for horizon in HORIZONS_S:

            def fade(then: float, *, now: float = now, horizon: int = horizon) -> float:
                return math.exp(-(now - then) / horizon)

            def count(chosen, *, fade=fade) -> float:
                return sum(fade(row[0]) for row in chosen)

            def distinct(chosen, key, *, fade=fade) -> float:
                return sum(fade(last) for last in {key(row): row[0] for row in chosen}.values())

            of_source = [row for row in past if row[1] == source]
            of_target = [row for row in past if row[2] == destination]
            of_pair = [row for row in of_source if row[2] == destination]
            values += [
                count(of_source),
                distinct(of_source, lambda row: row[2]),
                distinct(of_source, lambda row: row[3]),
                count([row for row in of_source if not row[4]]),
                count(of_target),
                distinct(of_target, lambda row: row[1]),
                distinct(of_target, lambda row: row[3]),
                count([row for row in of_target if not row[4]]),
                count(of_pair),
                distinct(of_pair, lambda row: row[3]),
                count([row for row in of_pair if not row[4]]),
                count([row for row in of_target if row[3] == port]),
            ]
        result.append(values)
    return np.asarray(result)


rows_strategy = st.lists(
    st.tuples(
        st.floats(0, 900).map(lambda second: round(second, 3)),
        st.integers(0, 5),
        st.integers(0, 5),
        st.sampled_from([53, 80, 443, 50_000]),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
).map(lambda rows: sorted(rows, key=lambda row: row[0]))


@given(rows=rows_strategy, cuts=st.lists(st.integers(1, 20), max_size=20))
@settings(max_examples=60, deadline=None)
def test_vectorised_equals_the_definition_however_it_is_cut(rows, cuts):
    """Any cutting into batches gives what the definition gives, row by row."""
    flows, context, parts, at = make(rows), Context(seed=3), [], 0
    for size in [*cuts, len(rows)]:
        parts.append(context.update(flows[at : at + size]))
        at += size
        if at >= len(rows):
            break
    np.testing.assert_allclose(np.concatenate(parts), naive(rows), rtol=1e-4, atol=1e-5)


def test_names_are_horizons_times_measures():
    """Column names follow the order of the columns."""
    assert len(NAMES) == len(HORIZONS_S) * len(MEASURES)
    assert NAMES[0] == "src_flows_10s"
    assert NAMES[-1] == "service_flows_300s"


def test_a_scan_stands_out():
    """One source on 500 ports of one host within a second shows in every measure that should see it."""
    rows = [(i / 500, 0, 1, 1000 + i, False) for i in range(500)]
    last = dict(zip(NAMES, Context().update(make(rows))[-1].tolist(), strict=True))
    assert last["src_ports_10s"] > 450
    assert last["src_unanswered_10s"] > 450
    assert last["src_peers_10s"] == pytest.approx(1, abs=0.01)
    assert last["service_flows_10s"] == pytest.approx(1)


def test_memory_is_fixed_under_a_flood_of_sources():
    """A flood from 100,000 sources changes no array's size, and its target's counts stay right."""
    rng = np.random.default_rng(1)
    context = Context(entries=1024)
    before = context._sources.sums.nbytes + context._pairs.keys.nbytes
    for _ in range(100):
        flows = np.zeros(1000, dtype=FLOW)
        flows["src_ip"] = rng.integers(0, 256, size=(1000, 16), dtype=np.uint8)
        flows["dst_ip"] = HOSTS[0]
        flows["ended_ms"] = 1_700_000_000_000
        columns = context.update(flows)
    assert context._sources.sums.nbytes + context._pairs.keys.nbytes == before
    assert np.isfinite(columns).all()
    assert columns[-1][NAMES.index("dst_flows_10s")] == pytest.approx(100_000, rel=1e-3)


def test_time_never_runs_backwards():
    """A flow that ended earlier than its predecessor is treated as simultaneous, not as a negative age."""
    columns = Context().update(make([(100, 0, 1, 53, True), (5, 0, 1, 53, True)]))
    assert columns[1][NAMES.index("src_flows_10s")] == pytest.approx(2)


def test_unanswered_is_about_the_responder():
    """No packet back, or a SYN that only a reset came back for, counts; a mid-stream flow with answers does not."""
    flows = np.zeros(4, dtype=FLOW)
    flows["protocol"] = [17, 6, 6, 6]
    flows["dst2src_packets"] = [0, 1, 1, 3]
    flows["src2dst_syn_packets"] = [0, 1, 1, 0]
    flows["dst2src_syn_packets"] = [0, 0, 1, 0]
    assert unanswered(flows).tolist() == [True, True, False, False]


def test_table_size_is_checked():
    """A size the tables cannot have is refused with the rule."""
    with pytest.raises(ValueError, match="power of two"):
        Context(entries=1000)


def test_a_clock_set_back_keeps_ages_and_goes_on_fading():
    """After a step back of a day, a steady flow a second still counts about ten over ten seconds."""
    context = Context()
    steady = [(float(second), 0, 1, 53, True) for second in range(100)]
    context.update(make([(second + 86_400, *rest) for second, *rest in steady]))
    after = context.update(make([(second + 200, *rest) for second, *rest in steady]))
    assert after[-1][NAMES.index("src_flows_10s")] == pytest.approx(10.5, rel=0.02)
