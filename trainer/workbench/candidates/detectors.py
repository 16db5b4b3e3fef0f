"""Detectors: what differs from ordinary rows is strange. Each is a few operations, and its graph is what answers.

A fitted detector holds constants; `draw` writes them into a graph with what is done with them, and Python asks that
graph: there is one implementation of a score, so the file cannot disagree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.whitening import Whitening
from trainer.errors import NotFitted
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.classifiers import nearest, sampled
from trainer.workbench.candidates.graph import Drawing, Runner, finished

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told

CLIP: Final = 8.0
FLOOR: Final = 0.1
_STRANGE: Final = 3.0
_MOST: Final = 10_000


class Graphed:
    """A detector that is its graph. Subclasses learn constants in `_learn` and write them in `draw`."""

    block = 4096

    def __init__(self, given: dict[str, Any], seed: int) -> None:
        self.given = given
        self.seed = seed
        self.features_ = 0
        self.note_ = ""
        self.model_: Any = None
        self.runner_: Runner | None = None

    def fit(self, data: Prepared, told: Told) -> Self:
        """Learn what is ordinary from `data.fit`."""
        self.features_ = data.fit.shape[1]
        self._learn(data, told)
        drawing = Drawing()
        drawing.op("Identity", self.draw(drawing, "features"), out="strangeness")
        self.model_ = finished(drawing, self.features_, "strangeness", None)
        self.runner_ = Runner(self.model_, block=self.block)
        return self

    def strangeness(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n]`."""
        if self.runner_ is None:
            raise NotFitted("fit this candidate before it is asked")
        return self.runner_(rows)

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A detector has none."""
        raise NotImplementedError

    def to_onnx(self) -> Any:
        """The graph."""
        if self.model_ is None:
            raise NotFitted("fit this candidate before it is exported")
        return self.model_

    def _learn(self, data: Prepared, told: Told) -> None:
        raise NotImplementedError

    def draw(self, drawing: Drawing, rows: str) -> str:
        """Write the fitted detector into `drawing`: from `rows` [n, F] to strangeness [n], float32."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Deviations:
    """Rows in deviations from the fit rows' mean, none beyond `CLIP`."""

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Deviations:
        """From fit rows."""
        spread = rows.std(axis=0, dtype=np.float64)
        return cls(rows.mean(axis=0, dtype=np.float64).astype(np.float32), np.maximum(spread, FLOOR).astype(np.float32))

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, F]`."""
        apart: NDArray[np.float32] = np.clip((rows - self.centre) / self.spread, -CLIP, CLIP)
        return apart

    def draw(self, drawing: Drawing, rows: str) -> str:
        """The same as operations."""
        apart = drawing.op("Sub", rows, drawing.constant(self.centre))
        apart = drawing.op("Div", apart, drawing.constant(self.spread))
        bound = np.float32(CLIP)
        return drawing.op("Clip", apart, drawing.constant(-bound), drawing.constant(bound))


class StdCount(Graphed):
    """How many features are more than three deviations off; the mean deviation parts equal counts."""

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        self.deviations = Deviations.of(data.fit)

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        size = drawing.op("Abs", self.deviations.draw(drawing, rows))
        off = drawing.single(drawing.op("Greater", size, drawing.constant(np.float32(_STRANGE))))
        axis = drawing.constant(np.array([1]))
        count = drawing.op("ReduceSum", off, axis, keepdims=0)
        mean = drawing.op("ReduceMean", size, axes=[1], keepdims=0)
        return drawing.op("Add", count, drawing.op("Mul", mean, drawing.constant(np.float32(1 / CLIP))))


class Mahalanobis(Graphed):
    """Distance from the mean in the directions in which ordinary rows vary (detectors/whitening.py)."""

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        self.deviations = Deviations.of(data.fit)
        apart = self.deviations.apply(data.fit)
        self.root = Whitening.fit(apart, np.ones(len(apart), dtype=np.float32)).root

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        white = drawing.op("MatMul", self.deviations.draw(drawing, rows), drawing.constant(self.root))
        squared = drawing.op("ReduceMean", drawing.op("Mul", white, white), axes=[1], keepdims=0)
        return drawing.op("Sqrt", squared)


class Distance(Graphed):
    """Mean distance to the `neighbours` nearest of at most 10,000 ordinary rows."""

    block = 1024

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        at, self.note_ = sampled(data, _MOST, self.seed)
        self.deviations = Deviations.of(data.fit) if self.given.get("deviations", False) else None
        self.known = data.fit[at] if self.deviations is None else self.deviations.apply(data.fit[at])
        self.near = min(int(self.given.get("neighbours", 3)), len(at))

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        if self.deviations is not None:
            rows = self.deviations.draw(drawing, rows)
        squared, _ = nearest(drawing, rows, self.known, self.near)
        return drawing.op("ReduceMean", drawing.op("Sqrt", squared), axes=[1], keepdims=0)


class LocalOutlierFactor(Graphed):
    """How much thinner rows lie here than around the nearest ordinary rows (Breunig et al., SIGMOD 2000), as novelty.

    Reachability of a neighbour is the larger of its own k-distance and the distance to it; density is one over the mean
    reachability; the factor is the neighbours' mean density over one's own.
    """

    block = 1024

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        from sklearn.neighbors import NearestNeighbors

        at, self.note_ = sampled(data, _MOST, self.seed)
        self.known = data.fit[at]
        self.near = min(int(self.given.get("neighbours", 20)), len(at) - 1)
        found = NearestNeighbors(n_neighbors=self.near, n_jobs=2).fit(self.known)
        apart, places = found.kneighbors()
        self.reach = apart[:, -1].astype(np.float32)
        mean = np.maximum(self.reach[places], apart).mean(axis=1)
        self.density = (1.0 / (mean + _THIN)).astype(np.float32)

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        squared, places = nearest(drawing, rows, self.known, self.near)
        theirs = drawing.op("Gather", drawing.constant(self.reach), places, axis=0)
        mean = drawing.op("ReduceMean", drawing.op("Max", theirs, drawing.op("Sqrt", squared)), axes=[1], keepdims=0)
        around = drawing.op("Gather", drawing.constant(self.density), places, axis=0)
        dense = drawing.op("ReduceMean", around, axes=[1], keepdims=0)
        return drawing.op("Mul", dense, drawing.op("Add", mean, drawing.constant(np.float32(_THIN))))


_THIN: Final = 1e-3
"""Added to a mean reachability: ordinary rows that are alike to the last digit are not infinitely dense."""


class IsolationForest(Graphed):
    """How few random cuts part a row from ordinary ones (Liu, Ting and Zhou, ICDM 2008; scikit-learn's trees)."""

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        from sklearn.ensemble import IsolationForest as Forest

        given = {"n_estimators": 100, "max_samples": 256, **self.given}
        given["max_samples"] = min(given["max_samples"], len(data.fit))
        forest = Forest(**given, n_jobs=2, random_state=self.seed).fit(data.fit)
        self.trees = grown([one.tree_ for one in forest.estimators_], _path_lengths)
        self.usual = float(_mean_path(np.array([forest.max_samples_]))[0]) * len(forest.estimators_)

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        length = drawing.op(
            "TreeEnsembleRegressor", rows, domain="ai.onnx.ml", n_targets=1, aggregate_function="SUM", **self.trees
        )
        length = drawing.op("Squeeze", length, drawing.constant(np.array([1])))
        share = drawing.op("Mul", length, drawing.constant(np.float32(-1 / max(self.usual, 1e-9))))
        return drawing.op("Pow", drawing.constant(np.float32(2)), share)


def _mean_path(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Mean depth of a random search tree of that many rows, as scikit-learn has it."""
    rows = rows.astype(np.float64)
    long = 2 * (np.log(np.maximum(rows - 1, 1)) + np.euler_gamma) - 2 * (rows - 1) / np.maximum(rows, 1)
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, long))


def _path_lengths(tree: Any) -> NDArray[np.float64]:
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # children come after their parent
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                depth[child] = depth[node] + 1
    return depth + _mean_path(tree.n_node_samples)


def grown(trees: list[Any], worth: Any) -> dict[str, Any]:
    """scikit-learn's trees as attributes of an ensemble with one sum; `worth(tree)` gives each leaf's part."""
    nodes: dict[str, list[Any]] = {key: [] for key in _NODES}
    leaves: dict[str, list[Any]] = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}
    for at, tree in enumerate(trees):
        leaf = tree.children_left < 0
        cuts = tree.threshold.astype(np.float32)
        cuts = np.where(cuts > tree.threshold, np.nextafter(cuts, np.float32(-np.inf)), cuts)
        nodes["treeids"] += [at] * tree.node_count
        nodes["nodeids"] += range(tree.node_count)
        nodes["featureids"] += np.where(leaf, 0, tree.feature).tolist()
        nodes["values"] += np.where(leaf, 0, cuts).tolist()
        nodes["modes"] += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
        nodes["truenodeids"] += np.where(leaf, 0, tree.children_left).tolist()
        nodes["falsenodeids"] += np.where(leaf, 0, tree.children_right).tolist()
        at_leaf = np.flatnonzero(leaf)
        leaves["treeids"] += [at] * len(at_leaf)
        leaves["nodeids"] += at_leaf.tolist()
        leaves["ids"] += [0] * len(at_leaf)
        leaves["weights"] += worth(tree)[at_leaf].tolist()
    return {f"nodes_{key}": value for key, value in nodes.items()} | {
        f"target_{key}": value for key, value in leaves.items()
    }


_NODES: Final = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")


class Tails(Graphed):
    """How far out in the tails of each column a row lies, added up (ECOD: Li et al., TKDE 2022).

    Of each feature the share of fit rows at most, and at least, as large; the sum of minus logarithms over the lower
    tails, the upper ones, and those on the side to which each feature leans; the largest of the three. The shares are
    steps at 255 values a feature at most, so that the detector is one tree a feature.
    """

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        rows = data.fit
        attributes: dict[str, Any] = {f"nodes_{key}": [] for key in _NODES}
        attributes |= {f"target_{key}": [] for key in ("treeids", "nodeids", "ids", "weights")}
        for feature in range(rows.shape[1]):
            ordered = np.sort(rows[:, feature])
            known = np.unique(ordered)
            if len(known) > _STEPS:
                known = np.unique(ordered[np.linspace(0, len(ordered) - 1, _STEPS).astype(np.intp)])
            middle = ((known[:-1].astype(np.float64) + known[1:]) / 2).astype(np.float32)
            middle = np.minimum(np.maximum(middle, known[:-1]), np.nextafter(known[1:], np.float32(-np.inf)))
            below = np.nextafter(known[:1], np.float32(-np.inf))
            cuts = np.concatenate([below, middle, known[-1:]])
            count = len(ordered)
            low = np.searchsorted(ordered, known, side="right") / count
            high = 1 - np.searchsorted(ordered, known, side="left") / count
            rare = 1 / (count + 1)
            lower = -np.log(np.concatenate([[rare], low, [1.0]]))
            upper = -np.log(np.concatenate([[1.0], high, [rare]]))
            spread = ordered.std(dtype=np.float64)
            lean = float((((ordered - ordered.mean(dtype=np.float64)) / (spread or 1.0)) ** 3).mean())
            side = lower if lean < 0 else upper if lean > 0 else np.maximum(lower, upper)
            _steps(attributes, feature, cuts, np.stack([lower, upper, side], axis=1))
        self.trees = attributes

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        sums = drawing.op(
            "TreeEnsembleRegressor", rows, domain="ai.onnx.ml", n_targets=3, aggregate_function="SUM", **self.trees
        )
        return drawing.op("ReduceMax", sums, axes=[1], keepdims=0)


_STEPS: Final = 255


def _steps(into: dict[str, list[Any]], feature: int, cuts: NDArray[np.float32], levels: NDArray[np.float64]) -> None:
    """A balanced tree that finds the step of a feature: step `i` is at most `cuts[i]` and above the one before."""
    waiting, number = [(0, len(cuts), 0)], 1
    while waiting:
        low, high, here = waiting.pop()
        into["nodes_treeids"].append(feature)
        into["nodes_nodeids"].append(here)
        into["nodes_featureids"].append(feature)
        if low == high:
            held: tuple[Any, ...] = (0.0, "LEAF", 0, 0)
            for target in range(levels.shape[1]):
                into["target_treeids"].append(feature)
                into["target_nodeids"].append(here)
                into["target_ids"].append(target)
                into["target_weights"].append(float(levels[low, target]))
        else:
            middle = (low + high) // 2
            held = (float(cuts[middle]), "BRANCH_LEQ", number, number + 1)
            waiting += [(low, middle, number), (middle + 1, high, number + 1)]
            number += 2
        for key, each in zip(("values", "modes", "truenodeids", "falsenodeids"), held, strict=True):
            into[f"nodes_{key}"].append(each)


class Autoencoder(Graphed):
    """A small network that squeezes a row through a few numbers and back: what it cannot give back is strange.

    scikit-learn's perceptron with three hidden layers, epoch by epoch, until select rows come back no better.
    """

    def _learn(self, data: Prepared, told: Told) -> None:
        from sklearn.neural_network import MLPRegressor

        self.deviations = Deviations.of(data.fit)
        at, self.note_ = sampled(data, 50_000, self.seed)
        fit, select = self.deviations.apply(data.fit[at]), self.deviations.apply(data.select[:5000])
        wide, narrow = int(self.given.get("wide", 64)), int(self.given.get("narrow", 16))
        network = MLPRegressor(
            hidden_layer_sizes=(wide, narrow, wide), batch_size=min(256, len(fit)), random_state=self.seed
        )
        best, waited = float("inf"), 0
        for epoch in range(1, int(self.given.get("epochs", 40)) + 1):
            network.partial_fit(fit, fit)
            loss = float(((network.predict(select) - select) ** 2).mean()) if len(select) else float(network.loss_)
            told.epoch({"epoch": epoch, "loss": float(network.loss_) * 2, "val_loss": loss})
            waited = 0 if loss < best * 0.999 else waited + 1
            if loss < best:
                best = loss
                self.layers = [
                    (each.astype(np.float32), shift.astype(np.float32))
                    for each, shift in zip(network.coefs_, network.intercepts_, strict=True)
                ]
            if waited >= 4 or told.stop() or told.seconds_left() <= 0:
                break

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        given = here = self.deviations.draw(drawing, rows)
        for at, (weights, shift) in enumerate(self.layers):
            here = drawing.op("Add", drawing.op("MatMul", here, drawing.constant(weights)), drawing.constant(shift))
            if at < len(self.layers) - 1:
                here = drawing.op("Relu", here)
        bound = np.float32(2 * CLIP)
        apart = drawing.op("Clip", drawing.op("Sub", given, here), drawing.constant(-bound), drawing.constant(bound))
        return drawing.op("Sqrt", drawing.op("ReduceMean", drawing.op("Mul", apart, apart), axes=[1], keepdims=0))


def _described(name: str, title: str, make: Any, space: dict[str, tuple[Any, ...]], note: str) -> Described:
    return Described(name=name, title=title, judges="strangeness", kind="ml", make=make, space=space, note=note)


DESCRIBED: Final = (
    _described(
        "std-count",
        "Standard-deviation count",
        StdCount,
        {},
        "Counts the columns that are more than three deviations from usual; the yardstick of all detectors.",
    ),
    _described(
        "mahalanobis",
        "Mahalanobis distance",
        Mahalanobis,
        {},
        "Distance from the middle of ordinary rows, where a step counts by how usual its direction is.",
    ),
    _described(
        "tails",
        "Tail count (ECOD)",
        Tails,
        {},
        "Adds up how far out each value lies among the ordinary ones of its column; fast, nothing to set.",
    ),
    _described(
        "isolation-forest",
        "Isolation forest",
        IsolationForest,
        {"n_estimators": (100, 200), "max_samples": (128, 256, 1024), "max_features": (0.5, 1.0)},
        "Random cuts part strange rows from the rest sooner than ordinary ones.",
    ),
    _described(
        "knn-distance",
        "Distance to nearest neighbours",
        Distance,
        {"neighbours": (1, 3, 5, 15), "deviations": (False, True)},
        "How far the most similar ordinary rows are.",
    ),
    _described(
        "lof",
        "Local outlier factor",
        LocalOutlierFactor,
        {"neighbours": (10, 20, 40, 80)},
        "Compares how close rows lie here with how close they lie around the nearest ordinary rows.",
    ),
    _described(
        "autoencoder",
        "Autoencoder",
        Autoencoder,
        {"wide": (32, 64, 128), "narrow": (4, 8, 16)},
        "A network that learns to give ordinary rows back; what it cannot give back is strange.",
    ),
)
