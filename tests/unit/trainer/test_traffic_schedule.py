"""Playing: one stream in the order of time, out of many."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.traffic.flows import Flow
from trainer.traffic.packets import TrafficError
from trainer.traffic.schedule import HORIZON_US, play
from trainer.traffic.templates import Endpoint

END = Endpoint(bytes(6), bytes(4))


def flow(times: list[int], name: str = "x", start: int | None = None) -> Flow:
    packets = ((time, name.encode(), 60) for time in times)
    return Flow(name, (END, 1, END, 2), 6, times[0] if start is None else start, packets)


TIMES = st.lists(st.integers(0, 10**8), min_size=1, max_size=6).map(sorted)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(TIMES, max_size=6).map(sorted), max_size=5), st.one_of(st.none(), st.integers(0, 10**8)))
def test_it_equals_sorting_everything(sources, until):
    """The stream is all packets before the end, sorted; flows know what was written of them."""
    ended: list[Flow] = []
    played = list(play([iter([flow(times) for times in source]) for source in sources], until, ended.append))
    flat = [times for source in sources for times in source]
    kept = [[time for time in times if until is None or time < until] for times in flat]
    assert [time for time, _, _ in played] == sorted(time for times in kept for time in times)
    expected = sorted((times[0], times[-1], len(times)) for times in kept if times)
    assert sorted((one.first_us, one.last_us, one.written) for one in ended) == expected


def test_a_source_may_be_out_of_order_within_the_horizon():
    """Activities that overlap need not be sorted by hand."""
    source = iter([flow([5_000_000]), flow([1_000_000]), flow([3_000_000])])
    assert [time for time, _, _ in play([source], None, lambda _: None)] == [1_000_000, 3_000_000, 5_000_000]


def test_a_source_further_out_of_order_is_refused():
    """A capture that goes back in time is never written."""
    late = 2 * HORIZON_US
    with pytest.raises(TrafficError, match="out of order"):
        list(play([iter([flow([late]), flow([late + HORIZON_US * 2]), flow([0], "late")])], None, lambda _: None))


def test_it_reads_no_further_ahead_than_the_horizon():
    """Memory holds what is under way, not the scenario."""
    made = 0

    def endless():
        nonlocal made
        while True:
            made += 1
            yield flow([made * 1_000_000])

    stream = play([endless()], None, lambda _: None)
    for _ in range(50):
        next(stream)
    assert made < 50 + 2 * HORIZON_US // 1_000_000 + 2


def test_equal_times_keep_the_order_of_the_sources():
    """Nothing but the input decides."""
    names = [name for _, name, _ in play([iter([flow([7], n)]) for n in "abc"], None, lambda _: None)]
    assert names == [b"a", b"b", b"c"]
