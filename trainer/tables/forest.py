"""Isolation forest (Liu, Ting and Zhou, 2008), as scikit-learn makes it, with its sign turned: higher is stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.tables.views import learned

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREES: Final = 200


class Forest:
    """A baseline. See `base.Detector`; there is no graph, because it does not travel."""

    kind = "isolation_forest"

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.trees_: Any = None

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Learn benign rows `[n, F]`."""
        from sklearn.ensemble import IsolationForest

        self.trees_ = IsolationForest(n_estimators=TREES, random_state=self.seed).fit(rows, sample_weight=weights)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """How easily a row is set apart, between 0 and 1. `[n]`."""
        scores: NDArray[np.float32] = -learned(self.trees_, self.kind).score_samples(rows)
        return scores.astype(np.float32)
