"""Boosted trees by LightGBM: columns in bins, trees by leaves, stopped by the select rows.

The graph is drawn from LightGBM's own description of its trees, as one tree ensemble with a sum a class (trees.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.graph import Drawing, finished
from trainer.workbench.candidates.trees import boosted, summed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told

_THREADS: Final = 2
_MOST_ROUNDS: Final = 300
_PATIENCE: Final = 20
_DEFAULTS: Final[dict[str, Any]] = {
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_child_samples": 15,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.9,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "max_bin": 255,
}


class Boosting:
    """See the top of this module and `base.Classifier`. `rounds` fixes the number of trees a class."""

    def __init__(self, given: dict[str, Any], seed: int) -> None:
        given = dict(given)
        self.rounds = given.pop("rounds", None)
        self.given = given
        self.seed = seed
        self.booster_: Any = None
        self.features_ = 0
        self.classes_ = 0
        self.rounds_ = 0

    def fit(self, data: Prepared, told: Told) -> Self:
        """Grow trees until the select rows are predicted no better, time is up, or somebody says stop."""
        import lightgbm

        several = len(data.classes) > 2
        parameters = {
            **_DEFAULTS,
            **self.given,
            "objective": "multiclass" if several else "binary",
            "metric": "multi_logloss" if several else "binary_logloss",
            "num_threads": _THREADS,
            "seed": self.seed,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
            "use_missing": False,
        }
        if several:
            parameters["num_class"] = len(data.classes)
        fit = lightgbm.Dataset(data.fit, data.known, weight=data.weights, free_raw_data=True)
        called: list[Any] = [_ends(told)]
        valid: list[Any] = []
        if self.rounds is None and data.select_class is not None and len(data.select):
            valid = [lightgbm.Dataset(data.select, data.select_class, reference=fit)]
            called.append(lightgbm.early_stopping(_PATIENCE, verbose=False, min_delta=1e-5))
        booster = lightgbm.train(parameters, fit, self.rounds or _MOST_ROUNDS, valid_sets=valid, callbacks=called)
        best = booster.best_iteration if booster.best_iteration > 0 else booster.current_iteration()
        self.booster_, self.rounds_ = booster, max(best, 1)
        self.features_, self.classes_ = data.fit.shape[1], len(data.classes)
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, K]`."""
        booster = fitted(self, self.booster_)
        found = np.asarray(booster.predict(rows, num_iteration=self.rounds_, num_threads=_THREADS), dtype=np.float32)
        return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)

    def to_onnx(self) -> Any:
        """All trees as one ensemble, then a softmax, or a sigmoid of two classes."""
        booster = fitted(self, self.booster_)
        sums = self.classes_ if self.classes_ > 2 else 1
        told = booster.dump_model(num_iteration=self.rounds_)["tree_info"]
        drawing = Drawing()
        raw = summed(drawing, "features", boosted([one["tree_structure"] for one in told], sums), sums)
        if sums > 1:
            drawing.op("Softmax", raw, axis=1, out="chances")
        else:
            chance = drawing.op("Sigmoid", raw)
            rest = drawing.op("Sub", drawing.constant(np.float32(1)), chance)
            drawing.op("Concat", rest, chance, axis=1, out="chances")
        return finished(drawing, self.features_, "chances", self.classes_)


def _ends(told: Told) -> Any:
    import lightgbm

    def look(env: Any) -> None:
        if told.stop() or told.seconds_left() <= 0:
            raise lightgbm.callback.EarlyStopException(
                env.iteration, env.evaluation_result_list or [("", "", 0.0, False)]
            )

    return look


DESCRIBED: Final = (
    Described(
        name="lightgbm",
        title="Histogram boosting (LightGBM)",
        judges="classes",
        kind="ml",
        make=Boosting,
        space={
            "learning_rate": (0.04, 0.06, 0.1, 0.15),
            "num_leaves": (15, 31, 63, 127),
            "min_child_samples": (5, 15, 40),
            "feature_fraction": (0.4, 0.7, 1.0),
            "lambda_l2": (0.0, 1.0, 10.0),
        },
        note="Boosted trees on columns sorted into bins; most often the best there is for tables.",
    ),
)
