"""Pauses: growing, bounded, spread out."""

from __future__ import annotations

import random

from agent.backoff import LEAST_S, Backoff


def test_limits_double_up_to_the_longest() -> None:
    """With the worst luck the pauses are the limits themselves."""
    backoff = Backoff(lambda: 1.0, first_s=0.5, longest_s=4)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1, 2, 4, 4]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_full_jitter_spreads_over_the_whole_pause() -> None:
    """A fleet that lost its aggregator at once does not return at once."""
    chance = random.Random(1).random
    pauses = []
    for _ in range(2000):
        backoff = Backoff(chance, first_s=8, longest_s=8)
        pauses.append(backoff.next_s())
    assert min(pauses) >= LEAST_S
    assert max(pauses) <= 8
    assert sum(pause < 2 for pause in pauses) > 400


def test_never_none_at_all() -> None:
    """With the best luck there is still a pause, and a thousand failures do not overflow."""
    backoff = Backoff(lambda: 0.0)
    assert all(backoff.next_s() == LEAST_S for _ in range(1000))
