"""Mahalanobis distance: how far a row lies from ordinary traffic, in units of how ordinary traffic varies together.

Raw score: the mean over features of the squared whitened deviation (whitening.py). A feature's part is the square of
its own whitened coordinate, and expected is its mean given all the other features. Labelled kinds of ordinary traffic
(kinds.py) have centres of their own under the same covariance, and the nearest one counts. More centres, found by
clustering the bulk, changed nothing on captures (area under the ROC curve .987 with 1, 4, 8, 16 and 32 of them).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from trainer.detectors import kinds
from trainer.detectors.base import CLIP, FLOOR, TINY, fitted
from trainer.detectors.scaled import Scaled, shares
from trainer.detectors.whitening import Whitening
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Mahalanobis(Scaled):
    """Squared Mahalanobis distance over scaled features. See `base.Detector`."""

    kind = "mahalanobis"

    def __init__(self, *, clip: float = CLIP, floor: float = FLOOR, knots: int = 1, seed: int = 0) -> None:
        super().__init__(clip=clip, floor=floor, knots=knots, seed=seed)
        self.whitening_: Whitening | None = None
        self.centres_: NDArray[np.float32] | None = None

    def fit(
        self,
        rows: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        *,
        scale_on: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Learn benign rows `[n, F]`. Rows not in `scale_on` `[n]` are labelled kinds beside the bulk."""
        everyone, bulk = shares(rows, weights, scale_on)
        scaled = self._scale_by(rows[bulk], everyone[bulk]).apply(rows)
        self.centres_ = kinds.find(scaled, everyone, bulk, self.seed)
        self.whitening_ = Whitening.fit(scaled[bulk], everyone[bulk])
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean squared whitened deviation. `[n]`, above zero."""
        score: NDArray[np.float32] = self._parts(self._deviations(rows)).mean(axis=1, dtype=np.float32)
        return score + np.float32(TINY)

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, which sum to 1 over a row, and conditional means `[n, F]` in original units."""
        scaling = fitted(self, self.scaling_)
        deviations = self._deviations(rows)
        parts = self._parts(deviations)
        centre = scaling.apply(rows) - deviations
        expected = scaling.invert(centre + deviations @ fitted(self, self.whitening_).regression)
        return parts / (parts.sum(axis=1, keepdims=True) + np.float32(TINY)), expected

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """The same in TensorFlow operations: raw score `[n]`, contributions and expected `[n, F]`."""
        tf = tensorflow()
        scaling, whitening = fitted(self, self.scaling_), fitted(self, self.whitening_)
        scaled = scaling.graph(features, tf)
        deviations = kinds.graph(scaled, fitted(self, self.centres_), tf)
        parts = tf.square(tf.matmul(deviations, whitening.root))
        total = tf.reduce_sum(parts, axis=1, keepdims=True)
        raw = tf.squeeze(total, axis=1) * np.float32(1.0 / len(scaling.mean)) + np.float32(TINY)
        likely = scaled - deviations + tf.matmul(deviations, whitening.regression)
        return raw, parts / (total + np.float32(TINY)), scaling.invert_graph(likely, tf)

    def _deviations(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return kinds.deviate(fitted(self, self.scaling_).apply(rows), fitted(self, self.centres_))

    def _parts(self, deviations: NDArray[np.float32]) -> NDArray[np.float32]:
        parts: NDArray[np.float32] = (deviations @ fitted(self, self.whitening_).root) ** 2
        return parts
