"""Calibration: a raw score becomes `-log10 p`, and a false-positive rate becomes a threshold with a promise.

**p-value.** Against n held-out benign scores, p(r) = (1 + #{scores >= r}) / (n + 1), the conformal p-value (Vovk et
al., 2005; Bates et al., Annals of Statistics 51, 2023). `-log10 p` over log r is drawn as a piecewise-linear function
through knots at ranks 1, 2, 4, 8, 16, ... of the calibration scores, so it is monotone and fits into a graph of
plain operations. It is 0 below the smallest calibration score.

**Tail.** Beyond the largest calibration score the data are silent. There the function continues as a generalised
Pareto tail of log r, fitted to the excesses of the largest tenth of the scores over the next one (peaks over
threshold; Balkema and de Haan, 1974; Pickands, 1975), its shape held within bounds. The fit is drawn through a few more
knots, so the function stays piecewise linear and strictly increasing, and goes on straight after the last one. It is an
estimate, and thresholds that rest on it say so. With few excesses the shape is taken as 0: an exponential tail.

**Thresholds.** For each rate alpha: the k-th largest calibration score with the largest k for which
BetaCDF(alpha; k, n - k + 1) >= 0.95. A new benign flow then exceeds it with probability at most alpha, with 95 %
confidence over the draw of the calibration rows: `certified`. Where n is too small for any k the threshold is
`-log10 alpha` on the estimated tail, and not certified. A threshold lies `NUDGE` above its order statistic, so that
rows that tie with it, and rounding between machines, do not count as exceeding it.

**Host-windows.** Flows of one host are alike, so n flows are fewer than n independent ones. Where the host-window of
each row is known (`windows`: initiator and ten minutes), every threshold also says at most which share of host-windows
holds a flow that reaches it, with 95 % confidence: with x of W calibration windows reaching it, the q with
BetaCDF(q; x + 1, W - x) = 0.95 (Clopper and Pearson). Windows are the better unit for what a person sees: an odd host
is one finding, however many flows it makes.

**Together.** Agents add up what two hosts do (`agent/conversations.py`): a flow alerts by its own score, or by that of
its hosts together less a handicap that the model carries. The handicap makes the second way as rare as the first, or
rarer, and the thresholds are order statistics of what decides (`with_together`): one promise covers both ways.

**Weights.** Calibration rows are unweighted: `split.py` thins weighted rows to plain draws before they come here,
because a certificate for weighted order statistics would only be approximate.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent import conversations
from protos import certificates
from protos.manifest import Threshold, read_thresholds
from trainer.errors import NotEnoughRows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
WINDOW_MS: Final = 600_000
_SEEN: Final = 5
"""Rows beyond a quantile from which it is one."""
_LEAST_HANDICAP: Final = 0.7
"""Flows of two hosts together must be five times as rare as one flow: log10(5). Calibration rows are of the hosts that
were fitted on; where a host is new, all its flows are odd for one reason and add up to what those rows never showed."""
NUDGE: Final = 1e-3
FEWEST: Final = 20
_TINIEST: Final = 1e-12
_CLOSEST: Final = 5e-3
"""Knots stand at least this far apart in log r: a steeper step would turn rounding errors into score."""
_TAIL_SHARE: Final = 0.1
_TAIL_ROWS: Final = (10, 500)
_TAIL_RATE: Final = (0.5, 20.0)
"""Bounds of the tail's rate: below, an outlier would make everything beyond it alike; above, a tie would explode."""

_SHAPES: Final = (-0.25, 0.5)
"""Bounds of the tail's shape: below, the tail would end soon after the data; above, it would hardly fall."""

_SHAPE_ROWS: Final = 40
"""Excesses from which a shape is fitted: its standard error is then about 0.16."""

_TAIL_LEVELS: Final = (0.3, 0.8, 1.6, 2.8, 4.5)
"""Where the tail's knots stand: `-log10` of the share of scores beyond the largest one that lie beyond the knot."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted map. `knots` are log r `[K]` and `levels` their `-log10 p` `[K]`, both strictly increasing."""

    knots: NDArray[np.float64]
    levels: NDArray[np.float64]
    tail_slope: float
    rows: int
    thresholds: tuple[Threshold, ...]
    observed: int
    """Of the knots, those that calibration rows reach; the others are the tail's."""

    shape: float = 0.0
    """Of the fitted tail."""

    together: float | None = None
    """What flows of two hosts together must have beyond a flow's own score to count the same (together.py)."""

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
            "largest_observed_score": round(float(self.levels[self.observed - 1]), 4),
            "beyond": "estimated: generalised Pareto tail of the logarithm of the raw score",
            "tail_shape": round(self.shape, 4),
            "observed_knots": self.observed,
            "tail_slope": round(self.tail_slope, 6),
            "together": self.together,
            "knots": [[round(float(x), 6), round(float(y), 6)] for x, y in zip(self.knots, self.levels, strict=True)],
            "thresholds": [asdict(entry) for entry in self.thresholds],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`. Raises `KeyError`, `TypeError` or `ValueError` when `raw` is damaged."""
        knots, levels = np.array(raw["knots"], dtype=np.float64).T
        thresholds = tuple(read_thresholds(raw["thresholds"]))
        observed, shape = int(raw.get("observed_knots", len(knots))), float(raw.get("tail_shape", 0.0))
        together = None if raw.get("together") is None else float(raw["together"])
        return cls(knots, levels, float(raw["tail_slope"]), int(raw["rows"]), thresholds, observed, shape, together)


def calibrate(
    raw: NDArray[np.floating], alphas: Sequence[float], windows: NDArray[np.int64] | None = None
) -> Calibration:
    """Fit the map and the thresholds to raw scores `[n]` of held-out benign rows. Raises `NotEnoughRows`.

    `windows` `[n]` numbers the host-window of each row (`host_windows`); without it no threshold speaks of them.
    """
    if len(raw) < FEWEST:
        raise NotEnoughRows(f"calibrating on {len(raw)} benign rows: at least {FEWEST} are needed; give more traffic")
    position = np.sort(np.log(np.maximum(np.asarray(raw, dtype=np.float64), _TINIEST)))[::-1]
    knots, levels = _knots(position)
    observed = len(knots)
    shape, beyond, further = _tail(position)
    knots, levels = np.append(knots, knots[-1] + beyond), np.append(levels, levels[-1] + further)
    slope = float((levels[-1] - levels[-2]) / (knots[-1] - knots[-2]))
    bare = Calibration(knots, levels, slope, len(raw), (), observed, shape)
    thresholds = _thresholds(bare, np.sort(bare.score(np.exp(position)))[::-1], alphas)
    if windows is not None:
        thresholds = _with_windows(thresholds, bare.score(np.asarray(raw)), windows, float(levels[observed - 1]))
    return Calibration(knots, levels, slope, len(raw), thresholds, observed, shape)


def with_together(
    alone: Calibration,
    scores: NDArray[np.float32],
    together: NDArray[np.float32],
    alpha: float,
    windows: NDArray[np.int64] | None = None,
) -> Calibration:
    """`alone`, with thresholds that hold when flows of two hosts may alert together as well as one alone.

    `scores` `[n]` are those of the calibration rows, `together` `[n]` those of their hosts at that moment. The handicap
    makes the two as rare at `alpha`: the difference of their quantiles there, or where five rows lie beyond. It is
    `_LEAST_HANDICAP` at least, since no calibration row is of a host nobody has seen. The thresholds are order
    statistics of what decides, so the promise covers both ways at once.
    """
    place = 1.0 - max(alpha, min(_SEEN / len(scores), 0.5))
    handicap = round(max(float(np.quantile(together, place)) - float(np.quantile(scores, place)), _LEAST_HANDICAP), 4)
    decisive = conversations.judge(scores, together, handicap)
    alphas = [entry.alpha for entry in alone.thresholds]
    thresholds = _thresholds(alone, np.sort(decisive)[::-1], alphas)
    if windows is not None:
        thresholds = _with_windows(thresholds, decisive, windows, float(alone.levels[alone.observed - 1]))
    return replace(alone, thresholds=thresholds, together=handicap)


def certified_rank(rows: int, alpha: float) -> int:
    """The largest k with BetaCDF(alpha; k, rows - k + 1) >= 0.95, or 0 when `rows` are too few for any."""
    return certificates.certified_rank(rows, alpha, CONFIDENCE)


def host_windows(origin: NDArray[np.integer], host: NDArray[np.int64], time_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers `[n]` of the host-windows of rows: one for each origin, initiator and ten minutes that occurs."""
    keys = np.stack(
        [np.asarray(origin, dtype=np.int64), host, np.asarray(time_ms, dtype=np.int64) // WINDOW_MS], axis=1
    )
    _, numbers = np.unique(keys, axis=0, return_inverse=True)
    return numbers.reshape(-1).astype(np.int64)


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


def _tail(position: NDArray[np.float64]) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Shape of the tail, and its knots beyond the largest of log scores `[n]`, largest first: where, and how much more.

    Above the largest one S is the tail's survival given that it is exceeded, so the map goes on where it stands.
    """
    count = int(np.clip(round(len(position) * _TAIL_SHARE), *_TAIL_ROWS))
    count = min(count, len(position) - 1)
    excesses = np.maximum(position[:count] - position[count], 0.0)
    scale = 1.0 / float(np.clip(1.0 / max(float(np.mean(excesses)), _CLOSEST), *_TAIL_RATE))
    shape = _shape(excesses) if count >= _SHAPE_ROWS else 0.0
    # The mean excess is scale / (1 - shape): the bounds of the rate hold for the mean, whatever the shape.
    scale *= 1.0 - shape
    reached = float(excesses[0])
    if shape < 0:  # the fitted end of the tail must lie beyond what was seen
        scale = max(scale, -shape * reached * 1.05)
    levels = np.asarray(_TAIL_LEVELS)
    here = max(1.0 + shape * reached / scale, 1e-9)
    beyond = np.log(10) * levels * scale if shape == 0 else scale / shape * here * (10 ** (shape * levels) - 1)
    steps = np.log(10) * np.diff(levels, prepend=0.0)
    widths = np.clip(np.diff(beyond, prepend=0.0), steps / _TAIL_RATE[1], steps / _TAIL_RATE[0])
    return shape, np.cumsum(widths), levels


def _shape(excesses: NDArray[np.float64]) -> float:
    """The shape of a generalised Pareto distribution of `excesses`, by maximum likelihood, within its bounds."""
    from scipy import stats

    positive = excesses[excesses > 0]
    if len(positive) < _SHAPE_ROWS or float(np.ptp(positive)) < _CLOSEST:
        return 0.0
    shape = float(stats.genpareto.fit(positive, floc=0)[0])
    if not np.isfinite(shape):
        return 0.0
    bounded = float(np.clip(shape, *_SHAPES))
    return 0.0 if abs(bounded) < 1e-3 else bounded


def _with_windows(
    thresholds: Sequence[Threshold], scores: NDArray[np.float32], windows: NDArray[np.int64], observed: float
) -> tuple[Threshold, ...]:
    """The thresholds with what they mean for host-windows. `scores` `[n]` are those of the calibration rows."""
    _, places = np.unique(windows, return_inverse=True)
    highest = np.zeros(int(places.max()) + 1, dtype=np.float32)
    np.maximum.at(highest, places.reshape(-1), scores)
    return tuple(
        replace(
            entry,
            windows=round(certificates.upper_rate(int((highest >= entry.score).sum()), len(highest), CONFIDENCE), 8),
            windows_certified=entry.score <= observed + NUDGE,
        )
        for entry in thresholds
    )


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
