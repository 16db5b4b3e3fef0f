"""Classifiers of scikit-learn behind the contract, each with the graph that skl2onnx or a few operations give it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import fitted
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.distances import nearest
from trainer.workbench.candidates.graph import ML_OPSET, OPSET, Drawing, Runner, finished
from trainer.workbench.candidates.sampling import sampled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told

_THREADS: Final = 2
_BLOCK: Final = 16_384
_REMEMBERED: Final = 20_000
_NEAR: Final = 1e-2
"""Added to a squared distance: a known row met again counts much, not infinitely."""


class Learner:
    """An estimator made by `make(hyper-parameters, seed)`, of `most` fit rows at most. See `base.Classifier`."""

    def __init__(
        self, make: Callable[[dict[str, Any], int], Any], given: dict[str, Any], seed: int, *, most: int | None = None
    ) -> None:
        self.make = make
        self.given = given
        self.seed = seed
        self.most = most
        self.model_: Any = None
        self.features_ = 0
        self.classes_ = 0
        self.note_ = ""

    def fit(self, data: Prepared, _told: Told) -> Self:
        """Learn the classes of `data.fit`. Raises `ValueError` without any."""
        at, self.note_ = sampled(data, self.most, self.seed)
        model = self.make(self.given, self.seed)
        weights = None if data.weights is None else data.weights[at]
        if weights is None:
            model.fit(data.fit[at], data.known[at])
        else:
            model.fit(data.fit[at], data.known[at], sample_weight=weights)
        self.model_, self.features_, self.classes_ = model, data.fit.shape[1], len(data.classes)
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, K]`; a class that no sampled row has gets none."""
        model = fitted(self, self.model_)
        answer = np.zeros((len(rows), self.classes_), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            part = model.predict_proba(rows[start : start + _BLOCK])
            answer[start : start + _BLOCK, model.classes_] = part
        return answer

    def to_onnx(self) -> Any:
        """The estimator's graph."""
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType

        model = fitted(self, self.model_)
        made = convert_sklearn(
            model,
            initial_types=[("features", FloatTensorType([None, self.features_]))],
            options={id(model): {"zipmap": False}},
            target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
        )
        return only_chances(made, model.classes_, self.classes_, self.features_)


def only_chances(made: Any, present: NDArray[np.int64], classes: int, features: int) -> Any:
    """A converted classifier with `chances` [n, K] as its only output; classes it never saw get 0."""
    from onnx import helper, numpy_helper

    from trainer.workbench.candidates.graph import opsets, value

    graph = made.graph
    name = graph.output[-1].name
    nodes, constants = list(graph.node), list(graph.initializer)
    if len(present) == classes:
        nodes.append(helper.make_node("Identity", [name], ["chances"]))
    else:
        spread = np.zeros((len(present), classes), dtype=np.float32)
        spread[np.arange(len(present)), present] = 1.0
        constants.append(numpy_helper.from_array(spread, "spread"))
        nodes.append(helper.make_node("MatMul", [name, "spread"], ["chances"]))
    graph = helper.make_graph(
        used(nodes, "chances"),
        "anomaflow",
        [value("features", ["n", features])],
        [value("chances", ["n", classes])],
        constants,
    )
    return helper.make_model(graph, opset_imports=opsets(), producer_name="anomaflow", ir_version=8)


def used(nodes: list[Any], output: str) -> list[Any]:
    """Those nodes that `output` depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted & {*node.output}:
            kept.append(node)
            wanted |= {*node.input}
    return kept[::-1]


class Nearest:
    """The shares of classes among the `neighbours` nearest fit rows, of which 20,000 at most are remembered.

    What is kept is the graph, and it answers in Python, too: a distance is one matrix product.
    """

    def __init__(self, given: dict[str, Any], seed: int) -> None:
        self.neighbours = int(given.get("neighbours", 5))
        self.closer = bool(given.get("closer_counts_more", True))
        self.seed = seed
        self.note_ = ""
        self.model_: Any = None
        self.runner_: Runner | None = None

    def fit(self, data: Prepared, _told: Told) -> Self:
        """Remember rows and their classes. Raises `ValueError` without any."""
        at, self.note_ = sampled(data, _REMEMBERED, self.seed)
        near = min(self.neighbours, len(at))
        drawing = Drawing()
        squared, places = nearest(drawing, "features", data.fit[at], near)
        one_hot = np.eye(len(data.classes), dtype=np.float32)[data.known[at]]
        votes = drawing.op("Gather", drawing.constant(one_hot), places, axis=0)
        if data.weights is not None:
            held = drawing.op("Gather", drawing.constant(data.weights[at][:, None]), places, axis=0)
            votes = drawing.op("Mul", votes, held)
        if self.closer:
            apart = drawing.op("Sqrt", drawing.op("Add", squared, drawing.constant(np.float32(_NEAR))))
            votes = drawing.op("Div", votes, drawing.op("Unsqueeze", apart, drawing.constant(np.array([2]))))
        total = drawing.op("ReduceSum", votes, drawing.constant(np.array([1])), keepdims=0)
        whole = drawing.op("ReduceSum", total, drawing.constant(np.array([1])), keepdims=1)
        drawing.op("Div", total, whole, out="chances")
        self.model_ = finished(drawing, data.fit.shape[1], "chances", len(data.classes))
        self.runner_ = Runner(self.model_, block=1024)
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, K]`."""
        return fitted(self, self.runner_)(rows)

    def to_onnx(self) -> Any:
        """The graph."""
        return fitted(self, self.model_)


def tree(given: dict[str, Any], seed: int) -> Any:
    """A decision tree."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=seed, **given)


def _forest(given: dict[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(**{"n_estimators": 100, "n_jobs": _THREADS, **given}, random_state=seed)


def _gradient(given: dict[str, Any], seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(**{"subsample": 0.8, "max_features": 0.3, **given}, random_state=seed)


def _logistic(given: dict[str, Any], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**{"max_iter": 200, "tol": 1e-3, **given}, random_state=seed)


def _sgd(given: dict[str, Any], seed: int) -> Any:
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(**{"loss": "log_loss", "alpha": 1e-4, **given}, random_state=seed)


def _bayes(given: dict[str, Any], _seed: int) -> Any:
    from sklearn.naive_bayes import GaussianNB

    return GaussianNB(**{"var_smoothing": 1e-3, **given})


DESCRIBED: Final = (
    Described(
        name="decision-tree",
        title="Decision tree",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(tree, {"min_samples_leaf": 2, **given}, seed),
        space={"max_depth": (None, 8, 16), "min_samples_leaf": (1, 2, 5, 20), "criterion": ("gini", "entropy")},
        note="Questions about one column after the other, down to an answer; easy to read.",
    ),
    Described(
        name="gaussian-naive-bayes",
        title="Gaussian Naive Bayes",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(_bayes, given, seed),
        space={"var_smoothing": (1e-9, 1e-6, 1e-3, 1e-2, 1e-1)},
        note="Takes every column for a bell curve of its own in each class; very fast, often too simple.",
    ),
    Described(
        name="sgd",
        title="SGD",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(_sgd, given, seed),
        space={"alpha": (1e-6, 1e-5, 1e-4, 1e-3), "penalty": ("l2", "l1", "elasticnet")},
        note="A weighted sum of the columns, learnt row by row (stochastic gradient descent); fast on large tables.",
    ),
    Described(
        name="logistic-regression",
        title="Logistic regression",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(_logistic, given, seed),
        space={"C": (0.01, 0.1, 1.0, 10.0, 100.0)},
        note="A weighted sum of the columns turned into a chance; a sound and simple yardstick.",
    ),
    Described(
        name="random-forest",
        title="Random forest",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(_forest, given, seed),
        space={
            "max_features": ("sqrt", 0.1, 0.3, 0.6),
            "min_samples_leaf": (1, 2, 5),
            "criterion": ("gini", "entropy"),
            "n_estimators": (100, 200),
        },
        note="A hundred decision trees, each grown on other rows and columns, that vote; hard to misuse.",
    ),
    Described(
        name="k-nearest-neighbours",
        title="KNN",
        judges="classes",
        kind="ml",
        make=Nearest,
        space={"neighbours": (1, 3, 5, 9, 15), "closer_counts_more": (True, False)},
        note="Looks up the rows most alike and takes their class; needs no learning, but is slow when asked.",
    ),
    Described(
        name="gradient-boosting",
        title="Gradient Boosting",
        judges="classes",
        kind="ml",
        make=lambda given, seed: Learner(_gradient, given, seed, most=30_000),
        space={
            "learning_rate": (0.05, 0.1, 0.2),
            "max_depth": (3, 4, 6),
            "n_estimators": (100, 150),
        },
        note="Small trees one after the other, each mending what those before got wrong.",
    ),
)
