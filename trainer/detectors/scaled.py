"""What detectors over scaled features have alike: how they are told to scale, and the scaling they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainer.detectors.base import CLIP, FLOOR
from trainer.detectors.scaling import Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Scaled:
    """`clip`, `floor` and `knots` are `Scaling`'s, `seed` is of everything random in the detector."""

    def __init__(self, *, clip: float = CLIP, floor: float = FLOOR, knots: int = 1, seed: int = 0) -> None:
        self.clip = clip
        self.floor = floor
        self.knots = knots
        self.seed = seed
        self.scaling_: Scaling | None = None

    def _scale_by(self, rows: NDArray[np.float32], weights: NDArray[np.float32]) -> Scaling:
        """Fit the scaling to `rows` `[n, F]`, and keep it."""
        self.scaling_ = Scaling.fit(rows, weights, clip=self.clip, floor=self.floor, knots=self.knots)
        return self.scaling_


def shares(rows: NDArray[np.float32], weights: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The weight of every row `[n]`, 1 if none was given."""
    return np.ones(len(rows), dtype=np.float32) if weights is None else weights.astype(np.float32)
