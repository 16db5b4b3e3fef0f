"""The monitor: promises that are kept are left alone, broken ones are found, and looking for ever is allowed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aggregator.calibration.monitor import ALARM, HOLDS, Block, State, watch

ALPHA = 0.005
HOUR = 3_600_000


def hours(rates: list[float], *, flows: int = 2_000, clump: int = 1, seed: int = 1) -> list[Block]:
    """Hours of traffic with these rates, exceedances in clumps of one host-window each."""
    chance = np.random.default_rng(seed)
    found = []
    for number, rate in enumerate(rates):
        windows = int(chance.binomial(flows // clump, rate))
        found.append(Block(number * HOUR, flows, windows * clump, windows))
    return found


def test_a_kept_promise_holds() -> None:
    """A week at the promised rate."""
    found = watch(hours([ALPHA] * 168), ALPHA)
    assert found.state is State.HOLDS
    assert found.since_ms is None
    assert found.realised == pytest.approx(ALPHA, rel=0.1)
    assert found.low < found.realised < found.high < HOLDS * ALPHA


@pytest.mark.parametrize("times", [2.5, 4, 10, 40])
def test_a_broken_promise_is_found_with_its_beginning(times: float) -> None:
    """After three quiet days the network changes: the alarm names about that hour."""
    found = watch(hours([ALPHA] * 72 + [times * ALPHA] * 48), ALPHA)
    assert found.state is State.EXPIRED
    assert found.since_ms is not None
    assert 66 * HOUR <= found.since_ms <= 78 * HOUR
    assert "times the promised" in found.why


def test_little_traffic_is_unsure() -> None:
    """Some hundred flows tell nothing about one in two hundred, nor does silence."""
    assert watch(hours([ALPHA], flows=150), ALPHA).state is State.UNSURE
    found = watch([], ALPHA)
    assert (found.state, found.flows, found.realised) == (State.UNSURE, 0, None)
    assert "nothing was counted" in found.why


def test_a_threshold_set_by_hand_promises_nothing() -> None:
    """Its realised rate is shown all the same."""
    found = watch(hours([0.1] * 24), None)
    assert found.state is State.NONE
    assert found.realised == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("clump", [1, 5, 40])
def test_false_alarms_are_as_rare_as_stated_however_often_one_looks(clump: int) -> None:
    """Years of hours at one and a half times the promise, looked at again and again: an alarm in ninety days at most.

    Clumps of forty flows from one host are events, not flows.
    """
    alarms, looks = 0, 0
    for seed in range(40):
        blocks = hours([1.5 * ALPHA] * 168, clump=clump, seed=seed)
        looks += len(blocks)
        alarms += any(watch(blocks[:end], ALPHA).state is State.EXPIRED for end in range(24, len(blocks) + 1, 24))
    assert alarms <= math.ceil(looks / ALARM)


def test_one_noisy_machine_is_one_event() -> None:
    """Thirty strange flows of one host in one hour do not break a promise that the others keep."""
    calm = hours([ALPHA / 2] * 48)
    odd = [*calm[:-1], Block(calm[-1].hour_ms, 2_000, calm[-1].exceeding + 60, calm[-1].windows + 1)]
    assert watch(odd, ALPHA).state is State.HOLDS


def test_the_order_of_hours_does_not_matter() -> None:
    """They come from a database."""
    blocks = hours([ALPHA] * 30 + [5 * ALPHA] * 10)
    assert watch(blocks, ALPHA) == watch(reversed(blocks), ALPHA)


def test_an_old_breach_is_forgotten() -> None:
    """A promise that holds again for days is believed again."""
    assert watch(hours([20 * ALPHA] * 5 + [ALPHA] * 72), ALPHA).state is not State.EXPIRED
