"""Tables that forget the oldest and sums in closed form, against loops that do it row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.context_tables import BLOCK_S, HORIZONS_S, NEVER, Block, Starts, Table, Visit


def visit(table, keys, times):
    return Visit(table, np.asarray(keys, dtype=np.uint64), Block(np.asarray(times, dtype=np.float64)))


@pytest.mark.parametrize("entries", [1000, 12, 20, 0])
def test_table_size_is_checked(entries):
    """A size the tables cannot have is refused with the rule."""
    with pytest.raises(ValueError, match="power of two"):
        Table(entries, 1)


@given(
    blocks=st.lists(
        st.lists(st.tuples(st.integers(1, 5), st.floats(0, BLOCK_S), st.floats(0, 1e6)), min_size=1, max_size=30).map(
            lambda rows: sorted(rows, key=lambda row: row[1])
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_sums_equal_the_recurrence(blocks):
    """c(i) = c(i-1) exp(-(t(i) - t(i-1)) / h) + gain(i) for every key, over any number of blocks."""
    table, remembered = Table(64, 1, np.float64), {}
    for number, rows in enumerate(blocks):
        keys, times, gains = zip(*rows, strict=True)
        times = np.asarray(times) + number * 100.0
        block = Block(times)
        here = Visit(table, np.asarray(keys, dtype=np.uint64), block)
        got = here.accumulate(np.asarray(gains)[:, None] * block.weights[:, :2])
        for row, (key, now, gain) in enumerate(zip(keys, times.tolist(), gains, strict=True)):
            sums, then = remembered.get(key, ((0.0,) * len(HORIZONS_S), now))
            sums = tuple(
                value * math.exp(-(now - then) / horizon) + gain
                for value, horizon in zip(sums, HORIZONS_S, strict=True)
            )
            remembered[key] = (sums, now)
            np.testing.assert_allclose(got[row, 0], sums, rtol=1e-6, atol=1e-6)


def test_novelty_is_one_for_the_unknown_and_grows_with_the_gap():
    """A key never seen adds 1; one that returns at once adds nothing; across blocks the gap counts as well."""
    table = Table(64, 1)
    first = visit(table, [7, 7, 8], [0.0, 0.0, 1.0]).novelty()
    later = visit(table, [7], [10.0]).novelty()
    assert first[:, 0].tolist() == [1, 0, 1]
    np.testing.assert_allclose(later[0], [-math.expm1(-10 / horizon) for horizon in HORIZONS_S])


def test_the_least_recently_seen_of_a_full_set_gives_way():
    """Eight ways of one set hold the eight latest keys; the ninth takes the place of the oldest."""
    table = Table(8, 0)
    for key in range(1, 9):
        visit(table, [key], [float(key)])
    visit(table, [1], [9.0])  # seen again: now 2 is the oldest
    visit(table, [99], [10.0])
    assert set(table.keys.tolist()) == {1, 3, 4, 5, 6, 7, 8, 99}


def test_more_newcomers_than_ways_share_without_harm():
    """Twenty new keys of one set in one block: values are right for the block, and the table stays whole."""
    table = Table(8, 1)
    keys, times = list(range(1, 21)), [float(i) / 10 for i in range(20)]
    block = Block(np.asarray(times))
    got = Visit(table, np.asarray(keys, dtype=np.uint64), block).accumulate(block.weights[:, :2])
    np.testing.assert_allclose(got, 1.0)
    assert len(table.keys) == 8
    assert np.isfinite(table.sums).all()


def test_one_newcomer_does_not_drive_out_what_the_same_block_uses():
    """With a set full of keys in use, the ones in use keep what they remember."""
    table = Table(8, 1)
    block = Block(np.arange(8.0))
    Visit(table, np.arange(1, 9, dtype=np.uint64), block).accumulate(block.weights[:, :2])
    block = Block(np.full(8, 9.0))
    got = Visit(table, np.asarray([*range(2, 9), 50], dtype=np.uint64), block).accumulate(block.weights[:, :2])
    assert (got[:7, 0, 1] > 1.9).all()
    assert got[7, 0, 1] == pytest.approx(1)
    assert 1 not in table.keys.tolist()


def test_pauses_across_blocks():
    """The pause is since the beginning before, whichever block that was in; -1 where there was none."""
    table, starts = Table(64, 0), Starts(64)
    yes, no = np.ones(3, dtype=bool), np.zeros(3, dtype=bool)
    first = starts.pauses(visit(table, [5, 6, 5], [1.0, 1.0, 4.0]), np.array([1.0, 1.0, 4.0]), yes, no)
    again = starts.pauses(visit(table, [6, 5, 7], [10.0, 11.0, 11.0]), np.array([10.0, 11.0, 11.0]), yes, no)
    assert first.tolist() == [-1, -1, 3]
    assert again.tolist() == [9, 7, -1]


def test_a_new_key_in_an_old_place_has_no_past():
    """What an evicted key left behind is not the newcomer's."""
    table, starts = Table(8, 0), Starts(8)
    one, none = np.ones(1, dtype=bool), np.zeros(1, dtype=bool)
    for key in range(1, 20):
        here = visit(table, [key], [float(key)])
        assert here.before.tolist() == [NEVER]
        assert starts.pauses(here, np.array([float(key)]), one, one if key % 2 else none).tolist() == [-1]


def test_rows_that_began_out_of_order_pause_for_nothing():
    """A conversation that ended later but began earlier has a pause of zero, not a negative one."""
    table, starts = Table(64, 0), Starts(64)
    two = np.ones(2, dtype=bool)
    got = starts.pauses(visit(table, [5, 5], [4.0, 5.0]), np.array([3.0, 1.0]), two, ~two)
    assert got.tolist() == [-1, 0]
