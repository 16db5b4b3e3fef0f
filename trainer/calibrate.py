"""Calibration: a raw score becomes `-log10 p`, and a false-positive rate becomes a threshold with a promise.

**p-value.** Against n held-out benign scores, p(r) = (1 + #{scores >= r}) / (n + 1), the conformal p-value (Vovk et
al., 2005; Bates et al., Annals of Statistics 51, 2023). `-log10 p` over log r is drawn as a piecewise-linear function
through knots at ranks 1, 2, 4, 8, 16, ... of the calibration scores, so it is monotone and fits into a graph of
plain operations. It is 0 below the smallest calibration score.

**Tail.** Beyond the largest calibration score the data are silent. There the function continues as the exponential
tail of log r, fitted to the largest tenth of the scores (Hill's estimator, that is a generalised Pareto tail in r):
strictly increasing, and only an estimate.

**Thresholds.** For each rate alpha: the k-th largest calibration score with the largest k for which
BetaCDF(alpha; k, n - k + 1) >= 0.95. A new benign flow then exceeds it with probability at most alpha, with 95 %
confidence over the draw of the calibration rows: `certified`. Where n is too small for any k the threshold is
`-log10 alpha` on the estimated tail, and not certified. A threshold lies `NUDGE` above its order statistic, so that
rows that tie with it, and rounding between machines, do not count as exceeding it.

**Weights.** Calibration rows are unweighted: `split.py` thins weighted rows to plain draws before they come here,
because a certificate for weighted order statistics would only be approximate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos.manifest import Threshold
from trainer.errors import NotEnoughRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
NUDGE: Final = 1e-3
FEWEST: Final = 20
_TINIEST: Final = 1e-12
_CLOSEST: Final = 5e-3
"""Knots stand at least this far apart in log r: a steeper step would turn rounding errors into score."""
_TAIL_SHARE: Final = 0.1
_TAIL_ROWS: Final = (10, 500)
_TAIL_RATE: Final = (0.5, 20.0)
"""Bounds of the tail's rate: below, an outlier would make everything beyond it alike; above, a tie would explode."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted map. `knots` are log r `[K]` and `levels` their `-log10 p` `[K]`, both strictly increasing."""

    knots: NDArray[np.float64]
    levels: NDArray[np.float64]
    tail_slope: float
    rows: int
    thresholds: tuple[Threshold, ...]

    def score(self, raw: NDArray[np.floating]) -> NDArray[np.float32]:
        """`-log10 p` `[n]` of raw scores `[n]`. Monotone; strictly increasing from the first knot on."""
        position = np.log(np.maximum(np.asarray(raw, dtype=np.float64), _TINIEST))
        inside = np.interp(position, self.knots, self.levels)
        beyond = np.maximum(position - self.knots[-1], 0.0) * self.tail_slope
        return (inside + beyond).astype(np.float32)

    def graph(self, raw: Any, tf: Any) -> Any:
        """The same in TensorFlow operations: a sum of ramps, each of which only rises, so rounding cannot bend it."""
        widths = np.append(np.diff(self.knots), np.inf)
        slopes = np.append(np.diff(self.levels) / np.diff(self.knots), self.tail_slope)
        widths[-1] = 1e6  # no raw score's logarithm gets this far
        position = tf.math.log(tf.maximum(raw, np.float32(_TINIEST)))
        ramps = tf.clip_by_value(
            tf.expand_dims(position, 1) - self.knots.astype(np.float32), 0.0, widths.astype(np.float32)
        )
        return tf.squeeze(tf.matmul(ramps, slopes.astype(np.float32)[:, None]), axis=1)

    def threshold_for(self, alpha: float) -> Threshold:
        """The threshold of `alpha` itself, which must be one of those calibrated for. Raises `KeyError`."""
        for threshold in self.thresholds:
            if threshold.alpha == alpha:
                return threshold
        raise KeyError(alpha)

    def to_json(self) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "rows": self.rows,
            "confidence": CONFIDENCE,
            "largest_observed_score": round(float(self.levels[-1]), 4),
            "beyond": "estimated: exponential tail of the logarithm of the raw score",
            "tail_slope": round(self.tail_slope, 6),
            "knots": [[round(float(x), 6), round(float(y), 6)] for x, y in zip(self.knots, self.levels, strict=True)],
            "thresholds": [
                {"alpha": entry.alpha, "score": entry.score, "certified": entry.certified} for entry in self.thresholds
            ],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`. Raises `KeyError`, `TypeError` or `ValueError` when `raw` is damaged."""
        knots, levels = np.array(raw["knots"], dtype=np.float64).T
        thresholds = (Threshold(float(t["alpha"]), float(t["score"]), bool(t["certified"])) for t in raw["thresholds"])
        return cls(knots, levels, float(raw["tail_slope"]), int(raw["rows"]), tuple(thresholds))


def calibrate(raw: NDArray[np.floating], alphas: Sequence[float]) -> Calibration:
    """Fit the map and the thresholds to raw scores `[n]` of held-out benign rows. Raises `NotEnoughRows`."""
    if len(raw) < FEWEST:
        raise NotEnoughRows(f"calibrating on {len(raw)} benign rows: at least {FEWEST} are needed; give more traffic")
    position = np.sort(np.log(np.maximum(np.asarray(raw, dtype=np.float64), _TINIEST)))[::-1]
    knots, levels = _knots(position)
    slope = _tail_rate(position) / np.log(10)
    bare = Calibration(knots, levels, slope, len(raw), ())
    thresholds = _thresholds(bare, np.sort(bare.score(np.exp(position)))[::-1], alphas)
    return Calibration(knots, levels, slope, len(raw), thresholds)


def certified_rank(rows: int, alpha: float) -> int:
    """The largest k with BetaCDF(alpha; k, rows - k + 1) >= 0.95, or 0 when `rows` are too few for any."""
    from scipy import stats

    # The CDF falls as k grows, so the largest k is found by bisection.
    low, high = 0, rows
    while low < high:
        middle = (low + high + 1) // 2
        if stats.beta.cdf(alpha, middle, rows - middle + 1) >= CONFIDENCE:
            low = middle
        else:
            high = middle - 1
    return low


def _knots(position: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Knots from log scores `[n]`, largest first."""
    count = len(position)
    ranks = [*(1 << power for power in range(count.bit_length()) if 1 << power < count), count]
    picked: list[tuple[float, float]] = []
    for chosen in reversed(ranks):
        place = float(position[chosen - 1])
        # Scores that tie share the rank of the last of them: their p is the same, and it is the larger one.
        tied = int(np.searchsorted(-position, -place, side="right"))
        level = float(-np.log10((1 + tied) / (count + 1)))
        if picked and place - picked[-1][0] < _CLOSEST:
            continue
        picked.append((place, level))
    if len(picked) < 2:
        # All scores are equal: a ramp of the least width, so that the map is still a function.
        picked.append((picked[0][0] + _CLOSEST, float(np.log10((count + 1) / 2))))
    knots, levels = np.array(picked).T
    return knots, levels


def _tail_rate(position: NDArray[np.float64]) -> float:
    count = int(np.clip(round(len(position) * _TAIL_SHARE), *_TAIL_ROWS))
    count = min(count, len(position) - 1)
    excess = float(np.mean(position[:count] - position[count]))
    return float(np.clip(1.0 / max(excess, _CLOSEST), *_TAIL_RATE))


def _thresholds(
    calibration: Calibration, descending: NDArray[np.float32], alphas: Sequence[float]
) -> tuple[Threshold, ...]:
    thresholds: list[Threshold] = []
    lowest = 0.0
    for alpha in sorted(alphas, reverse=True):
        rank = certified_rank(calibration.rows, alpha)
        score = float(descending[rank - 1]) + NUDGE if rank else float(-np.log10(alpha))
        # A stricter promise never has a lower threshold, also where a tail estimate follows a certificate.
        lowest = max(score, lowest + NUDGE)
        thresholds.append(Threshold(alpha=alpha, score=round(lowest, 5), certified=rank > 0))
    return tuple(thresholds)
