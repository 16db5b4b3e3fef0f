"""The baseline: the number of features in which a row stands more than three deviations from the mean.

It is what an operator would do by hand, and an autoencoder alone does not always beat it; so it stands beside every
model in every report, and is a member of the portfolio. The count is an integer with many ties, so the sum of all
deviations breaks them: scaled to stay below one, it never outweighs a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import CLIP, TINY, fitted
from trainer.detectors.scaled import Scaled, shares
from trainer.detectors.scaling import Scaling
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_STRANGE: Final = 3.0


class StdCount(Scaled):
    """Number of features beyond three standard deviations, after log scaling. See `base.Detector`."""

    kind = "std_count"

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Mean and deviation of benign rows `[n, F]`."""
        self._scale_by(rows, shares(rows, weights))
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features beyond three deviations, plus a fraction below one that grows with all deviations. `[n]`."""
        score: NDArray[np.float32] = self._parts(fitted(self, self.scaling_).apply(rows)).sum(axis=1, dtype=np.float32)
        return score + np.float32(TINY)

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, which sum to 1 over a row, and typical values `[n, F]` in original units."""
        scaling = fitted(self, self.scaling_)
        scaled = scaling.apply(rows)
        parts, expected = self._parts(scaled), scaling.invert(np.zeros_like(scaled))
        return parts / (parts.sum(axis=1, keepdims=True) + np.float32(TINY)), expected

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """The same in TensorFlow operations: raw score `[n]`, contributions and expected `[n, F]`."""
        tf = tensorflow()
        scaling = fitted(self, self.scaling_)
        scaled = scaling.graph(features, tf)
        size = tf.abs(scaled)
        parts = tf.cast(size > np.float32(_STRANGE), tf.float32) + size * np.float32(1 / self._bound(len(scaling.mean)))
        total = tf.reduce_sum(parts, axis=1, keepdims=True) + np.float32(TINY)
        return tf.squeeze(total, axis=1), parts / total, scaling.invert_graph(tf.zeros_like(scaled), tf)

    def _parts(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        size = np.abs(scaled)
        parts: NDArray[np.float32] = size * np.float32(1 / self._bound(scaled.shape[1]))
        parts += size > _STRANGE
        return parts

    def _bound(self, width: int) -> float:
        """More than all deviations of a row can add up to."""
        return self.clip * width + 1

    def to_json(self) -> dict[str, Any]:
        """Everything needed to score again later: the model's manifest carries its baseline."""
        scaling = fitted(self, self.scaling_)
        return {
            "mean": [round(float(value), 6) for value in scaling.mean],
            "deviation": [round(float(value), 6) for value in scaling.deviation],
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> StdCount:
        """The baseline a manifest carries. Raises `KeyError`, `TypeError` or `ValueError` when it is damaged."""
        mean = np.asarray(raw["mean"], dtype=np.float32)
        deviation = np.asarray(raw["deviation"], dtype=np.float32)
        detector = cls()
        detector.scaling_ = Scaling(mean, deviation, mean, mean, CLIP)
        return detector
