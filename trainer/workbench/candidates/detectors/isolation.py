"""Isolation: rows that random cuts part from the rest early are strange. scikit-learn grows the trees, a graph asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.graphed import Graphed
from trainer.workbench.candidates.trees import grown, summed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing


class IsolationForest(Graphed):
    """How few random cuts part a row from ordinary ones (Liu, Ting and Zhou, ICDM 2008; scikit-learn's trees)."""

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        from sklearn.ensemble import IsolationForest as Forest

        given = {"n_estimators": 100, "max_samples": 256, **self.given}
        given["max_samples"] = min(given["max_samples"], len(data.fit))
        forest = Forest(**given, n_jobs=2, random_state=self.seed).fit(data.fit)
        self.trees = grown([one.tree_ for one in forest.estimators_], _path_lengths, forest.estimators_features_)
        self.usual = float(_mean_path(np.array([forest.max_samples_]))[0]) * len(forest.estimators_)

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        length = drawing.op("Squeeze", summed(drawing, rows, self.trees, 1), drawing.constant(np.array([1])))
        share = drawing.op("Mul", length, drawing.constant(np.float32(-1 / max(self.usual, 1e-9))))
        return drawing.op("Pow", drawing.constant(np.float32(2)), share)


def _mean_path(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Mean depth of a random search tree of that many rows, as scikit-learn has it."""
    rows = rows.astype(np.float64)
    long = 2 * (np.log(np.maximum(rows - 1, 1)) + np.euler_gamma) - 2 * (rows - 1) / np.maximum(rows, 1)
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, long))


def _path_lengths(tree: Any) -> NDArray[np.float64]:
    """Cuts down to each node, and those that would part the rows it still holds."""
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # children come after their parent
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    return depth + _mean_path(tree.n_node_samples)


DESCRIBED: Final = (
    Described(
        name="isolation-forest",
        title="Isolation forest",
        judges="strangeness",
        kind="ml",
        make=IsolationForest,
        space={"n_estimators": (100, 200), "max_samples": (128, 256, 1024), "max_features": (0.5, 1.0)},
        note="Random cuts part strange rows from the rest sooner than ordinary ones.",
    ),
)
