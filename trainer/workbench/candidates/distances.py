"""Distances to known rows as operations of a graph, for classifiers and detectors that look up the rows most alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trainer.detectors.clusters import half_norms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.graph import Drawing


def nearest(drawing: Drawing, rows: str, known: NDArray[np.float32], near: int) -> tuple[str, str]:
    """Squared distances [n, near] to the nearest of `known`, nearest first, and their places.

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, about the middle of `known`, where rounding costs least.
    """
    middle = known.mean(axis=0, dtype=np.float64).astype(np.float32)
    placed = known - middle
    here = drawing.op("Sub", rows, drawing.constant(middle))
    product = drawing.op("MatMul", here, drawing.constant(np.ascontiguousarray(placed.T)))
    close = drawing.op("Sub", product, drawing.constant(half_norms(placed)))
    best, places = drawing.ops(
        "TopK", (close, drawing.constant(np.array([near]))), [f"top{len(drawing.nodes)}", f"at{len(drawing.nodes)}"]
    )
    length = drawing.op("ReduceSum", drawing.op("Mul", here, here), drawing.constant(np.array([1])), keepdims=1)
    doubled = drawing.op("Mul", best, drawing.constant(np.float32(2)))
    return drawing.op("Relu", drawing.op("Sub", length, doubled)), places
