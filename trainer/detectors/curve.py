"""A curve a feature: the rising, piecewise-linear map to standardised normal scores, and back.

The knots of a feature are values it had, chosen at even steps of the normal score of their weighted middle rank; a
feature of few values has a knot at each. Scores beyond `REACH` deviations are not told apart, since a fitted sample of
thousands does not reach further. The levels are standardised, so that a feature that is nearly always zero puts its
rare values far out. Beyond the outermost knots the map goes on as the logarithm would, by the deviation.

Maps are sums of ramps: a few passes over memory, in numpy as in the graph. Back goes by ramps held on both sides,
because what is expected must lie among what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

REACH: Final = 3.5
STEEPEST: Final = 2.0
_CLOSEST: Final = 0.05
"""Knots whose levels are nearer than this are one: on the way back, a tiny error would become a large one."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`knots` and `levels` `[K, F]`, rising; `slopes` `[K + 1, F]` before, between and after them."""

    knots: NDArray[np.float32]
    levels: NDArray[np.float32]
    slopes: NDArray[np.float32]
    reach: NDArray[np.float32]
    """Log values `[2, F]` at which the clip is reached: further out nothing is told apart."""

    @classmethod
    def fit(
        cls,
        logs: NDArray[np.float64],
        weights: NDArray[np.float32] | None,
        deviation: NDArray[np.float64],
        *,
        clip: float,
        floor: float,
        knots: int,
    ) -> Curve:
        """From log values `[n, F]` with weights `[n]`, and their deviations `[F]`."""
        share = np.ones(len(logs)) if weights is None else weights.astype(np.float64)
        fitted = [_fit(logs[:, at], share / share.sum(), knots, floor, clip) for at in range(logs.shape[1])]
        places, levels = (np.stack([_padded(pair[side], knots) for pair in fitted], axis=1) for side in (0, 1))
        outer = np.minimum(1 / deviation, 1 / floor)
        widths = np.diff(places, axis=0)
        inner = np.divide(np.diff(levels, axis=0), widths, out=np.zeros_like(widths), where=widths > 0)
        slopes = np.concatenate([outer[None], inner, outer[None]])
        reach = np.stack([places[0] - (clip + levels[0]) / outer, places[-1] + (clip - levels[-1]) / outer])
        return cls(*(np.ascontiguousarray(part, np.float32) for part in (places, levels, slopes, reach)))

    def apply(self, logs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log values `[n, F]` to standardised normal scores."""
        held = np.clip(logs, self.reach[0], self.reach[1])
        scaled = (held - self.knots[0]) * self.slopes[0] + self.levels[0]
        for knot, turn in zip(self.knots, self._turns(), strict=True):
            scaled += np.maximum(held - knot, 0) * turn
        return scaled

    def graph(self, logs: Any, tf: Any) -> Any:
        """`apply` in TensorFlow operations."""
        held = tf.minimum(tf.maximum(logs, self.reach[0]), self.reach[1])
        # All ramps in one tensor: an agent runs without a memory arena, where every further buffer costs page faults.
        ramps = tf.nn.relu(tf.expand_dims(held, 1) - self.knots) * self._turns()
        return (held - self.knots[0]) * self.slopes[0] + self.levels[0] + tf.reduce_sum(ramps, axis=1)

    def invert(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores `[n, F]` back to log values, within the outermost knots."""
        logs = np.broadcast_to(self.knots[0], scaled.shape).copy()
        for level, width, rate in self._steps():
            logs += np.clip(scaled - level, 0, width) * rate
        return logs

    def invert_graph(self, scaled: Any, tf: Any) -> Any:
        """`invert` in TensorFlow operations."""
        steps = [tf.minimum(tf.nn.relu(scaled - level), width) * rate for level, width, rate in self._steps()]
        return tf.add_n(steps) + self.knots[0] if steps else tf.zeros_like(scaled) + self.knots[0]

    def _turns(self) -> NDArray[np.float32]:
        """By how much the slope changes at every knot `[K, F]`."""
        return np.diff(self.slopes.astype(np.float64), axis=0).astype(np.float32)

    def _steps(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:
        """From which level, over what width and how fast the way back rises, segment by segment."""
        widths = np.diff(self.levels, axis=0)
        rises = np.diff(self.knots, axis=0)
        rates = np.divide(rises, widths, out=np.zeros_like(rises), where=widths > 0)
        return list(zip(self.levels[:-1], widths, rates, strict=True))


def _fit(
    values: NDArray[np.float64], share: NDArray[np.float64], knots: int, floor: float, clip: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots and standardised levels of one feature, at most `knots` of each."""
    from scipy.stats import norm

    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    mass = np.add.reduceat(share[order], starts)
    least = float(norm.cdf(-REACH))
    scores = norm.ppf(np.clip(np.cumsum(mass) - mass / 2, least, 1 - least))
    middle = float(np.sum(mass * scores))
    spread = max(float(np.sqrt(np.sum(mass * (scores - middle) ** 2))), floor)
    chosen = np.arange(len(distinct))
    if len(distinct) > knots:
        wanted = np.linspace(scores[0], scores[-1], knots)
        chosen = np.unique(np.abs(scores[:, None] - wanted).argmin(axis=0))
    places, levels = distinct[chosen], np.clip((scores[chosen] - middle) / spread, -clip, clip)
    kept = [0]
    rising = [float(levels[0])]
    for at in range(1, len(places)):
        # No steeper than the floor allows: what hardly varies must not shout.
        level = min(float(levels[at]), rising[-1] + (places[at] - places[kept[-1]]) * STEEPEST / floor)
        if level - rising[-1] >= _CLOSEST:
            kept.append(at)
            rising.append(level)
    return places[kept], np.array(rising)


def _padded(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`count` values: the last one again where there are fewer."""
    return np.concatenate([values, np.full(count - len(values), values[-1])])
