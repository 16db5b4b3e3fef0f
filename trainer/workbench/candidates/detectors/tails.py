"""How rare each value is in its own column, added up: ECOD as one tree a feature, fast and with nothing to set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.graphed import Graphed
from trainer.workbench.candidates.trees import add_stairs, none_yet, summed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing

_STEPS: Final = 255
"""Values of a feature at which its shares are kept, at most: the size of the file, not of the table, bounds a tree."""


class Tails(Graphed):
    """How far out in the tails of each column a row lies, added up (ECOD: Li et al., TKDE 2022).

    Of each feature the share of fit rows at most, and at least, as large; the sum of minus logarithms over the lower
    tails, the upper ones, and those on the side to which each feature leans; the largest of the three. The shares are
    steps at 255 values a feature at most, so that the detector is one tree a feature.
    """

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        self.trees = none_yet()
        for feature in range(data.fit.shape[1]):
            ordered = np.sort(data.fit[:, feature])
            known = np.unique(ordered)
            if len(known) > _STEPS:
                known = np.unique(ordered[np.linspace(0, len(ordered) - 1, _STEPS).astype(np.intp)])
            add_stairs(self.trees, feature, _cuts(known), _levels(ordered, known))

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        return drawing.op("ReduceMax", summed(drawing, rows, self.trees, 3), axes=[1], keepdims=0)


def _cuts(known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Halfway between the values known [k], and one below and one at the ends: [k + 1], rising."""
    middle = ((known[:-1].astype(np.float64) + known[1:]) / 2).astype(np.float32)
    # Halfway between neighbours in float32 rounds onto one of them; a cut onto the upper one would merge the two.
    middle = np.minimum(np.maximum(middle, known[:-1]), np.nextafter(known[1:], np.float32(-np.inf)))
    below = np.nextafter(known[:1], np.float32(-np.inf))
    cuts: NDArray[np.float32] = np.concatenate([below, middle, known[-1:]])
    return cuts


def _levels(ordered: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each step of `known` [k], and of those beyond the ends: lower tail, upper tail, leaning side, [k + 2, 3]."""
    count = len(ordered)
    low = np.searchsorted(ordered, known, side="right") / count
    high = 1 - np.searchsorted(ordered, known, side="left") / count
    rare = 1 / (count + 1)  # a value no fit row reaches is rarer than any of them
    lower = -np.log(np.concatenate([[rare], low, [1.0]]))
    upper = -np.log(np.concatenate([[1.0], high, [rare]]))
    spread = ordered.std(dtype=np.float64)
    lean = float((((ordered - ordered.mean(dtype=np.float64)) / (spread or 1.0)) ** 3).mean())
    side = lower if lean < 0 else upper if lean > 0 else np.maximum(lower, upper)
    return np.stack([lower, upper, side], axis=1)


DESCRIBED: Final = (
    Described(
        name="tails",
        title="Tail count (ECOD)",
        judges="strangeness",
        kind="ml",
        make=Tails,
        note="Adds up how far out each value lies among the ordinary ones of its column; fast, nothing to set.",
    ),
)
