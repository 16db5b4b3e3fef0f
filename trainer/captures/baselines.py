"""Classical baselines beside a model: fitted on the rows the model was fitted on, calibrated on the rows it was.

Mahalanobis distance, nearest neighbours and an isolation forest. (The standard-deviation count travels in every model's
manifest.) The rows are dealt anew by the model's own seed and shares, so the same captures give the same roles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.corpora import collecting
from trainer.corpora.split import Role, split
from trainer.detectors.base import fitted
from trainer.detectors.mahalanobis import Mahalanobis
from trainer.detectors.neighbours import Neighbours
from trainer.judging.examine import Baseline
from trainer.making import calibrate
from trainer.making.recipe import Shares

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.making.model import Model

MAX_ROWS: Final = 200_000
_TREES: Final = 200


class Forest:
    """An isolation forest (Liu, Ting, Zhou, ICDM 2008). See `base.Detector`; it has no graph and never travels."""

    kind = "isolation_forest"

    def __init__(self, *, seed: int) -> None:
        self.seed = seed
        self.trees_: Any = None

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Grow the trees on benign rows `[n, F]`; it knows no scale, so none is needed."""
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(n_estimators=_TREES, random_state=self.seed, n_jobs=1)
        self.trees_ = forest.fit(rows, sample_weight=weights)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """0 to 1, higher is stranger: scikit-learn's sign turned round. `[n]`."""
        score: NDArray[np.float32] = -fitted(self, self.trees_).score_samples(rows).astype(np.float32)
        return score


def fit(
    paths: Sequence[Path], model: Model, progress: Callable[[float, str], None]
) -> tuple[dict[str, Baseline], frozenset[str]]:
    """The baselines, calibrated for the model's own rates, and the SHA-256 of every capture they were fitted on.

    Raises `DataError`, or the agent's `SourceError` for a capture that cannot be read.
    """
    recipe = model.manifest.provenance.get("recipe", {})
    seed = int(recipe.get("seed", 7))
    rows = collecting.collect(
        tuple(paths), (), profile=model.manifest.profile, max_rows=MAX_ROWS, seed=seed, progress=progress
    )
    dealt = split(rows, Shares(), seed)
    fit_on, held = rows.features[dealt.rows(Role.FIT)], rows.features[dealt.calibration]
    alphas = [threshold.alpha for threshold in model.manifest.thresholds]
    detectors: dict[str, Mahalanobis | Neighbours | Forest] = {
        "mahalanobis": Mahalanobis(seed=seed),
        "nearest_neighbours": Neighbours(seed=seed),
        "isolation_forest": Forest(seed=seed),
    }
    found = {}
    for number, (name, detector) in enumerate(detectors.items()):
        progress(number / len(detectors), f"fitting {name}")
        detector.fit(fit_on)
        found[name] = Baseline(detector, calibrate.calibrate(detector.raw_score(held), alphas))
    return found, frozenset(entry.sha256 for entry in rows.files)
