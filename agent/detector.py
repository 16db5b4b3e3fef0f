"""Scores to decisions. Pure: no clock, no chance of its own, nothing remembered.

A flow that scores at least the threshold is raised as an alert, as long as the hard cap has room; when it has not, the
strongest ones are raised and the others kept as flows, and counted. A quiet flow is kept with probability
`keep_fraction` and then stands for `1 / keep_fraction` flows, so that sums over kept rows estimate sums over all rows.
Everything else is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MINUTE_MS: Final = 60_000
MOST_WEIGHT: Final = 1e9


class Decision(IntEnum):
    """What becomes of a flow. `KEEP` and `RAISE` are the values of `Decision` in flow.proto; ignored flows end here."""

    KEEP = 0
    RAISE = 1
    IGNORE = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """How to decide. A score of at least `threshold` makes an alert."""

    threshold: float
    keep_fraction: float


@dataclass(frozen=True, slots=True)
class Decided:
    """Columns of a batch: `codes` of `Decision` [n] u8, `weights` [n] f32, and how many alerts the cap turned down."""

    codes: NDArray[np.uint8]
    weights: NDArray[np.float32]
    capped: int

    @property
    def raised(self) -> NDArray[np.intp]:
        """Rows that are alerts, in order."""
        return np.flatnonzero(self.codes == Decision.RAISE)


def decide(scores: NDArray[np.float32], rule: Rule, cap_left: int, uniforms: NDArray[np.float64]) -> Decided:
    """Decide about flows with finite `scores` [n].

    `uniforms` [n] are drawn from [0, 1); `cap_left` is the room under the hard cap.
    """
    strange = scores >= rule.threshold
    kept = ~strange & (uniforms < rule.keep_fraction)
    codes = np.full(len(scores), Decision.IGNORE, dtype=np.uint8)
    codes[kept] = Decision.KEEP
    weights = np.ones(len(scores), dtype=np.float32)
    if rule.keep_fraction > 0:
        weights[kept] = min(1 / rule.keep_fraction, MOST_WEIGHT)
    candidates = np.flatnonzero(strange)
    room = max(0, cap_left)
    capped = max(0, len(candidates) - room)
    if capped:
        # Stable: of equal scores the earlier flow is raised.
        order = np.argsort(-scores[candidates], kind="stable")
        codes[candidates[order[room:]]] = Decision.KEEP
        candidates = candidates[order[:room]]
    codes[candidates] = Decision.RAISE
    return Decided(codes, weights, capped)


class AlertBudget:
    """The hard cap: at most `per_minute` alerts in a minute of traffic time, so that a replay is capped as live is."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._minute = 0
        self._spent = 0

    def left(self, traffic_ms: int) -> int:
        """Alerts that may still be raised in the minute of `traffic_ms`."""
        minute = traffic_ms // MINUTE_MS
        # A clock that was set back must not open the budget again minute by minute, nor lock it for long.
        if minute > self._minute or minute < self._minute - 1:
            self._minute, self._spent = minute, 0
        return max(0, self.per_minute - self._spent)

    def spend(self, count: int) -> None:
        """Take `count` from the minute last asked about."""
        self._spent += count
