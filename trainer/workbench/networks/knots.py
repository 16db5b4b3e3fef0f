"""What a network is given for a feature's value: where it stands among the fitted values, whatever the feature's unit.

The fitted values of each feature are cut at quantiles into at most `bins` pieces, at every distinct value where there
are few. For each piece there is a *share*, 0 below it, 1 above it, and rising in between: piecewise-linear encoding
(Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning, 2022). From the shares
comes one *score* a feature: the value of a normal distribution with as much of it below, so that bytes over nine
decades, rates between 0 and 1 and yes/no features arrive alike, and what is rare is far.

A value beyond all fitted ones keeps rising, with the logarithm of how far beyond it is, so that a detector sees it; no
score is beyond `CLIP`. Everything is a few plain operations in float32, the same in numpy and in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP: Final = 8.0
_MOST_ROWS: Final = 50_000
"""Quantiles of so many rows, evenly spaced, are as good as those of all."""
_LARGEST: Final = 1e30


@dataclass(frozen=True, slots=True)
class Knots:
    """Fitted pieces of `F` features, `S` in all. Arrays are float32."""

    feature: NDArray[np.int32]
    """`[S]`: the feature each piece belongs to."""
    start: NDArray[np.float32]
    """`[S]`: where the piece begins."""
    width: NDArray[np.float32]
    """`[S]`: how long it is, above zero."""
    base: NDArray[np.float32]
    """`[F]`: the score of a feature's least fitted value."""
    rise: NDArray[np.float32]
    """`[S, F]`: what a whole piece adds to the score of its feature, and zero elsewhere."""
    least: NDArray[np.float32]
    most: NDArray[np.float32]
    unit: NDArray[np.float32]
    """`[F]`: in what beyond the least and the most is counted."""

    @classmethod
    def fit(cls, rows: NDArray[np.float32], *, bins: int) -> Self:
        """Learn from rows `[n, F]`, n at least 1."""
        seen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(np.int64)]
        width = rows.shape[1]
        pieces: list[tuple[int, float, float, float]] = []
        base = np.zeros(width, dtype=np.float32)
        # The ends are those of all rows: a value that was fitted is never beyond.
        least, most = rows.min(axis=0), rows.max(axis=0)
        unit = np.ones(width, dtype=np.float32)
        for place in range(width):
            knots, scores = _knots(seen[:, place], least[place], most[place], bins)
            base[place] = scores[0]
            if len(knots) > 1:
                unit[place] = max(float(np.std(seen[:, place], dtype=np.float64)), float(knots[-1] - knots[0]) * 1e-3)
                pieces += [
                    (place, float(knots[at]), float(knots[at + 1] - knots[at]), float(scores[at + 1] - scores[at]))
                    for at in range(len(knots) - 1)
                ]
            else:
                unit[place] = max(abs(float(knots[0])), 1.0)
        if not pieces:  # every feature is constant; one empty piece keeps the shapes
            pieces = [(0, _LARGEST, 1.0, 0.0)]
        feature = np.array([piece[0] for piece in pieces], dtype=np.int32)
        rise = np.zeros((len(pieces), width), dtype=np.float32)
        rise[np.arange(len(pieces)), feature] = [piece[3] for piece in pieces]
        return cls(
            feature=feature,
            start=np.array([piece[1] for piece in pieces], dtype=np.float32),
            width=np.array([piece[2] for piece in pieces], dtype=np.float32),
            base=base,
            rise=rise,
            least=least.astype(np.float32),
            most=most.astype(np.float32),
            unit=unit,
        )

    def shares(self, features: Any, tf: Any) -> Any:
        """`[n, S]` of the tensor `features` `[n, F]`: how much of each piece lies below the value, 0 to 1."""
        values = tf.gather(features, self.feature, axis=1)
        return tf.minimum(tf.nn.relu((values - self.start) / self.width), np.float32(1))

    def scores(self, features: Any, tf: Any) -> Any:
        """`[n, F]` of the tensor `features` `[n, F]`: normal scores, within plus or minus `CLIP`."""
        inside = tf.matmul(self.shares(features, tf), self.rise) + self.base
        above = tf.math.log(tf.nn.relu((features - self.most) / self.unit) + 1.0)
        below = tf.math.log(tf.nn.relu((self.least - features) / self.unit) + 1.0)
        return tf.minimum(tf.maximum(inside + above - below, np.float32(-CLIP)), np.float32(CLIP))


def _knots(
    column: NDArray[np.float32], least: np.float32, most: np.float32, bins: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Rising knots, at most `bins + 1`, and their normal scores."""
    from scipy.special import ndtri

    values, counts = np.unique(column, return_counts=True)
    if len(values) > bins + 1:
        # Quantiles of the rows, so that a value which many rows share takes one knot and the rest are spread.
        wanted = np.quantile(column, np.linspace(0, 1, bins + 1), method="nearest")
        values_kept = np.unique(np.concatenate([values[:1], wanted, values[-1:]]))
    else:
        values_kept = values
    values_kept = np.unique(np.concatenate([[least], values_kept, [most]]).astype(np.float32))
    below = np.searchsorted(values, values_kept, side="left")
    upto = np.searchsorted(values, values_kept, side="right")
    cumulated = np.concatenate([[0], np.cumsum(counts)])
    middle = (cumulated[below] + cumulated[upto]) / 2 / len(column)
    edge = 0.5 / (len(column) + 1)
    return values_kept, np.asarray(ndtri(np.clip(middle, edge, 1 - edge)), dtype=np.float64)
