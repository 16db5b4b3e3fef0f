"""Nearest neighbours among all fitted rows, exactly.

An edge host has room for a coreset alone; a bench has room for the rows. The nearest decides: with many modes of
ordinary traffic, the fifth neighbour of a row of a small mode already belongs to another. See `base.Detector`; there is
no graph, because this detector does not travel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np

from trainer.detectors.base import CLIP, FLOOR, TINY
from trainer.detectors.scaling import Scaling
from trainer.tables.views import learned

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROWS: Final = 20_000
"""Of more fitted rows a seeded sample of as many is searched: time grows with rows times rows."""
_BLOCK: Final = 1024


class Nearest:
    """Mean distance to the `nearest` nearest fitted rows, after log scaling, per root of the number of features."""

    kind = "nearest"

    def __init__(self, nearest: int = 1, *, floor: float = FLOOR, seed: int = 0) -> None:
        self.nearest = nearest
        self.floor = floor
        self.seed = seed
        self.scaling_: Scaling | None = None
        self.rows_: NDArray[np.float32] | None = None

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Remember benign rows `[n, F]`. A weight says nothing here but whether it is zero."""
        if weights is not None:
            rows = rows[weights > 0]
        self.scaling_ = Scaling.fit(rows, None, clip=CLIP, floor=self.floor)
        if len(rows) > MOST_ROWS:
            rows = rows[np.sort(np.random.default_rng([self.seed, 21]).choice(len(rows), MOST_ROWS, replace=False))]
        self.rows_ = self.scaling_.apply(rows)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean distance in deviations per feature. `[n]`, above zero."""
        scaled, known = learned(self.scaling_, self.kind).apply(rows), learned(self.rows_, self.kind)
        nearest = min(self.nearest, len(known))
        half = np.einsum("ij,ij->i", known, known) / 2
        found = np.empty(len(scaled), dtype=np.float32)
        # Blocks have one size, short ones are filled up: a matrix product may round a row otherwise in another shape.
        for start in range(0, len(scaled), _BLOCK):
            part = np.zeros((_BLOCK, scaled.shape[1]), dtype=np.float32)
            rest = scaled[start : start + _BLOCK]
            part[: len(rest)] = rest
            near = part @ known.T - half
            best = np.partition(near, len(known) - nearest, axis=1)[: len(rest), len(known) - nearest :]
            length = np.einsum("ij,ij->i", rest, rest)[:, None]
            squared = np.maximum(length - 2 * best, 0) / np.float32(max(scaled.shape[1], 1))
            found[start : start + _BLOCK] = np.sqrt(squared).mean(axis=1)
        return found + np.float32(TINY)
