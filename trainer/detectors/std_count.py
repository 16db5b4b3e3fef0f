"""The baseline: the number of features in which a row stands more than three deviations from the mean.

It is what an operator would do by hand, and an autoencoder alone does not always beat it; so it stands beside every
model in every report. The count is an integer with many ties, so the sum of all deviations breaks them: scaled to stay
below one, it never outweighs a feature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.detectors.scaling import Scaling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_STRANGE: Final = 3.0
_CLIP: Final = 8.0
_FLOOR: Final = 0.1


class StdCount:
    """Number of features beyond three standard deviations, after log scaling. See `base.Detector`."""

    kind = "std_count"

    def __init__(self) -> None:
        self.scaling_: Scaling | None = None

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Mean and deviation of every feature of benign rows `[n, F]`."""
        self.scaling_ = Scaling.fit(rows, weights, clip=_CLIP, floor=_FLOOR)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features beyond three deviations, plus a fraction below one that grows with all deviations. `[n]`."""
        scaling = fitted(self, self.scaling_)
        deviations = np.abs(scaling.apply(rows))
        tie_break = deviations.sum(axis=1) / (_CLIP * rows.shape[1] + 1)
        return ((deviations > _STRANGE).sum(axis=1) + tie_break).astype(np.float32)

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
        detector.scaling_ = Scaling(mean, deviation, mean, mean, _CLIP)
        return detector
