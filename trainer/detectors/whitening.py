"""Whitening: scaled features turned so that ordinary traffic varies equally, and independently, in every direction.

The covariance is shrunk towards a multiple of the identity (Ledoit and Wolf, Journal of Multivariate Analysis 88, 2004;
scikit-learn's implementation), so that a hundred correlated features and a few hundred rows still give an inverse, and
a direction in which nothing varied counts as if it varied by `FLOOR`: else rounding there would outweigh everything.

The symmetric root of the inverse keeps every whitened coordinate as close to its feature as can be (Kessy, Lewin and
Strimmer, The American Statistician 72, 2018), so the square of a coordinate is that feature's part of a distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FLOOR: Final = 0.1
"""Least variance of a direction, of 1 for a scaled feature. On captures .03 to .3 made little difference."""


@dataclass(frozen=True, slots=True)
class Whitening:
    """`root` `[F, F]` whitens a deviation `[F]`; `regression` `[F, F]` gives its mean given the other features."""

    root: NDArray[np.float32]
    regression: NDArray[np.float32]

    @classmethod
    def fit(cls, deviations: NDArray[np.float32], weights: NDArray[np.float32]) -> Whitening:
        """From scaled deviations of benign rows `[n, F]`, weighted `[n]`."""
        from sklearn.covariance import LedoitWolf

        # Rows times the root of their relative weight have the weighted covariance.
        relative = weights.astype(np.float64) / float(weights.mean(dtype=np.float64))
        spread = LedoitWolf(assume_centered=True).fit(deviations * np.sqrt(relative)[:, None]).covariance_
        values, vectors = np.linalg.eigh(spread)
        values = np.maximum(values, FLOOR)
        inverse = (vectors / values) @ vectors.T
        regression = -inverse / np.diag(inverse)[None, :]
        np.fill_diagonal(regression, 0.0)
        root = (vectors / np.sqrt(values)) @ vectors.T
        return cls(np.ascontiguousarray(root, np.float32), np.ascontiguousarray(regression, np.float32))
