"""Rows in standard deviations from usual, and the two detectors that look at nothing else.

Both are yardsticks: a detector that does not beat them has learnt nothing that a mean and a spread do not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.detectors.whitening import Whitening
from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.graphed import Graphed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing

CLIP: Final = 8.0
"""Deviations at most: one wild column must not drown all others."""
_FLOOR: Final = 0.1
"""The smallest spread, in encoded units: a column that hardly varies would make any other value infinitely strange."""
_STRANGE: Final = 3.0
"""Deviations from which a feature is off."""


@dataclass(frozen=True, slots=True)
class Deviations:
    """Rows in deviations from the fit rows' mean, none beyond `CLIP`."""

    centre: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, rows: NDArray[np.float32]) -> Deviations:
        """From fit rows."""
        spread = rows.std(axis=0, dtype=np.float64)
        return cls(
            rows.mean(axis=0, dtype=np.float64).astype(np.float32), np.maximum(spread, _FLOOR).astype(np.float32)
        )

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


DESCRIBED: Final = (
    Described(
        name="std-count",
        title="Standard-deviation count",
        judges="strangeness",
        kind="ml",
        make=StdCount,
        note="Counts the columns that are more than three deviations from usual; the yardstick of all detectors.",
    ),
    Described(
        name="mahalanobis",
        title="Mahalanobis distance",
        judges="strangeness",
        kind="ml",
        make=Mahalanobis,
        note="Distance from the middle of ordinary rows, where a step counts by how usual its direction is.",
    ),
)
