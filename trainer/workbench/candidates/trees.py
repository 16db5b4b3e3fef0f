"""Trees as one operation of a graph, ai.onnx.ml's `TreeEnsembleRegressor`: each row's leaves summed over all trees.

The operator compares in float32, `value <= cut`. A cut that float32 cannot hold, as scikit-learn's and LightGBM's are
float64, is rounded down, never up, so that no float32 value changes sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.candidates.graph import Drawing

Trees = dict[str, Any]
"""The operator's attributes, lists all: a value for each node in `nodes_*`, for each leaf and target in `target_*`."""
_NODES: Final = ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
_LEAVES: Final = ("treeids", "nodeids", "ids", "weights")


def none_yet() -> Trees:
    """No tree."""
    return {f"nodes_{key}": [] for key in _NODES} | {f"target_{key}": [] for key in _LEAVES}


def grown(
    trees: list[Any], worth: Callable[[Any], NDArray[np.float64]], seen: list[NDArray[np.intp]] | None = None
) -> Trees:
    """scikit-learn's trees with one sum; `worth(tree)` gives what each node adds to it if it is a leaf.

    `seen` are the columns each tree was shown, where that is a part of them: a tree counts only those.
    """
    made = none_yet()
    for at, tree in enumerate(trees):
        leaf = tree.children_left < 0
        made["nodes_treeids"] += [at] * tree.node_count
        made["nodes_nodeids"] += range(tree.node_count)
        asked = np.where(leaf, 0, tree.feature)
        made["nodes_featureids"] += (asked if seen is None else seen[at][asked]).tolist()
        made["nodes_values"] += np.where(leaf, 0, _down(tree.threshold)).tolist()
        made["nodes_modes"] += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
        made["nodes_truenodeids"] += np.where(leaf, 0, tree.children_left).tolist()
        made["nodes_falsenodeids"] += np.where(leaf, 0, tree.children_right).tolist()
        at_leaf = np.flatnonzero(leaf)
        made["target_treeids"] += [at] * len(at_leaf)
        made["target_nodeids"] += at_leaf.tolist()
        made["target_ids"] += [0] * len(at_leaf)
        made["target_weights"] += worth(tree)[at_leaf].tolist()
    return made


def boosted(trees: list[dict[str, Any]], sums: int) -> Trees:
    """LightGBM's trees, each as its `tree_structure` tells it; tree `t` counts for sum `t % sums`."""
    made = none_yet()
    for at, root in enumerate(trees):
        waiting, number = [(root, 0)], 1
        while waiting:
            node, here = waiting.pop()
            if "split_feature" in node:
                cut = float(node["threshold"])
                _add_cut(made, at, here, feature=int(node["split_feature"]), cut=cut, below=number)
                waiting += [(node["left_child"], number), (node["right_child"], number + 1)]
                number += 2
            else:
                _add_leaf(made, at, here, {at % sums: float(node["leaf_value"])})
    made["nodes_values"] = _down(np.array(made["nodes_values"])).tolist()
    return made


def add_stairs(into: Trees, feature: int, cuts: NDArray[np.float32], levels: NDArray[np.float64]) -> None:
    """A balanced tree, numbered as its feature, that finds the step of a value among rising `cuts` [s].

    Step `i` is at most `cuts[i]` and above the cut before, the last step above them all; `levels` [s + 1, targets] is
    what each step adds.
    """
    waiting, number = [(0, len(cuts), 0)], 1
    while waiting:
        low, high, here = waiting.pop()
        if low == high:
            _add_leaf(into, feature, here, dict(enumerate(levels[low].tolist())))
        else:
            middle = (low + high) // 2
            _add_cut(into, feature, here, feature=feature, cut=float(cuts[middle]), below=number)
            waiting += [(low, middle, number), (middle + 1, high, number + 1)]
            number += 2


def summed(drawing: Drawing, rows: str, trees: Trees, targets: int) -> str:
    """From `rows` [n, F] to the sums [n, targets]."""
    return drawing.op(
        "TreeEnsembleRegressor", rows, domain="ai.onnx.ml", n_targets=targets, aggregate_function="SUM", **trees
    )


def _add_cut(into: Trees, tree: int, node: int, *, feature: int, cut: float, below: int) -> None:
    """A node that sends a row with `feature` at most `cut` to node `below`, any other to the one after that."""
    for key, each in zip(_NODES, (tree, node, feature, cut, "BRANCH_LEQ", below, below + 1), strict=True):
        into[f"nodes_{key}"].append(each)


def _add_leaf(into: Trees, tree: int, node: int, adds: dict[int, float]) -> None:
    """A node at which a row ends, and what it adds to each target."""
    for key, each in zip(_NODES, (tree, node, 0, 0.0, "LEAF", 0, 0), strict=True):
        into[f"nodes_{key}"].append(each)
    for target, weight in adds.items():
        for key, each in zip(_LEAVES, (tree, node, target, weight), strict=True):
            into[f"target_{key}"].append(each)


def _down(cuts: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 values that are not above the cuts."""
    near = cuts.astype(np.float32)
    down: NDArray[np.float32] = np.where(near > cuts, np.nextafter(near, np.float32(-np.inf)), near)
    return down
