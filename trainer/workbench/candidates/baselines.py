"""Baselines: what a model must beat before it is worth anything. They never win a contest, they stand beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.classifiers import Learner, tree
from trainer.workbench.candidates.graph import Drawing, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told


class MostFrequent:
    """Gives every row the classes' shares among the fit rows. See `base.Classifier`."""

    def __init__(self) -> None:
        self.shares_: NDArray[np.float32] | None = None
        self.features_ = 0

    def fit(self, data: Prepared, _told: Told) -> Self:
        """Count the classes. Raises `ValueError` without any."""
        counts = np.bincount(data.known, minlength=len(data.classes))
        self.shares_ = (counts / counts.sum()).astype(np.float32)
        self.features_ = data.fit.shape[1]
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for every row."""
        shares = fitted(self, self.shares_)
        return np.repeat(shares[None, :], len(rows), axis=0)

    def to_onnx(self) -> Any:
        """The shares, once a row."""
        shares = fitted(self, self.shares_)
        drawing = Drawing()
        first = drawing.op("ReduceSum", "features", drawing.constant(np.array([1])), keepdims=1)
        nothing = drawing.op("Mul", first, drawing.constant(np.zeros(1, dtype=np.float32)))
        drawing.op("Add", nothing, drawing.constant(shares[None, :]), out="chances")
        return finished(drawing, self.features_, "chances", len(shares))


DESCRIBED: Final = (
    Described(
        name="most-frequent",
        title="Most frequent class",
        judges="classes",
        kind="ml",
        make=lambda _given, _seed: MostFrequent(),
        note="Always says the most frequent class. What does not beat it has learnt nothing.",
    ),
    Described(
        name="stump",
        title="Decision stump",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(tree, {"max_depth": 1, **given}, seed),
        note="One question about one column. If it is nearly perfect, that column may give the label away.",
    ),
)
BASELINES: Final = ("most-frequent", "stump", "std-count", "mahalanobis", "knn-distance", "isolation-forest")
"""Candidates that stand beside every result."""
