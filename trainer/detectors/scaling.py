"""Scaling of features: counts and times over nine decades to numbers of a few deviations.

`sign(x) * log1p(|x|)`, then (value - mean) / deviation, then held within plus or minus `clip`. Logarithms tame the
heavy tails of traffic, the floor under the deviation keeps a feature that never varied from blowing up (one that is
always 0 and becomes 1 moves by log(2) / floor deviations), and the clip bounds what any one feature can contribute.

Where no fitted value was below zero, as with counts, sizes and times, a value below zero is read as zero: the sign is
then not needed, and a graph that scores a million rows a second is made of what it can leave out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scaling:
    """Fitted scaling. All arrays are `[F]` float32; `lowest` and `highest` are log values seen on the fitted rows."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]
    clip: float
    signed: bool = False

    @classmethod
    def fit(
        cls, rows: NDArray[np.float32], weights: NDArray[np.float32] | None, *, clip: float, floor: float
    ) -> Scaling:
        """Mean and deviation of the log values of `rows` `[n, F]`, weighted."""
        signed = bool((rows < 0).any())
        logs = to_log(rows, signed=signed).astype(np.float64)
        mean = np.average(logs, axis=0, weights=weights)
        deviation = np.sqrt(np.average((logs - mean) ** 2, axis=0, weights=weights))
        return cls(
            mean=mean.astype(np.float32),
            deviation=np.maximum(deviation, floor).astype(np.float32),
            lowest=logs.min(axis=0).astype(np.float32),
            highest=logs.max(axis=0).astype(np.float32),
            clip=clip,
            signed=signed,
        )

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows `[n, F]` in original units to deviations, within plus or minus `clip`."""
        logs = to_log(rows, signed=self.signed)
        scaled: NDArray[np.float32] = np.clip((logs - self.mean) / self.deviation, -self.clip, self.clip)
        return scaled

    def invert(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Deviations back to original units, at most what the fitted rows showed, and a count never below zero."""
        floor = self.lowest if self.signed else np.float32(0)
        logs = np.clip(scaled * self.deviation + self.mean, floor, self.highest)
        original: NDArray[np.float32] = np.sign(logs) * np.expm1(np.abs(logs))
        return original


def to_log(rows: NDArray[np.float32], *, signed: bool) -> NDArray[np.float32]:
    """`sign(x) * log1p(|x|)`, or `log1p(max(x, 0))` where nothing is signed. float32 in and out."""
    logs: NDArray[np.float32] = np.sign(rows) * np.log1p(np.abs(rows)) if signed else np.log1p(np.maximum(rows, 0))
    return logs
