"""A detector is its graph: a few operations over what it learnt, and Python asks that same graph.

A fitted detector holds constants; `draw` writes them into a graph with what is done with them. There is one
implementation of a score, so the file that a run keeps cannot disagree with what was judged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from trainer.detectors.base import fitted
from trainer.workbench.candidates.graph import Drawing, Runner, finished

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told


class Graphed(ABC):
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
        return fitted(self, self.runner_)(rows)

    def to_onnx(self) -> Any:
        """The graph."""
        return fitted(self, self.model_)

    @abstractmethod
    def _learn(self, data: Prepared, told: Told) -> None:
        """Learn the constants that `draw` writes."""

    @abstractmethod
    def draw(self, drawing: Drawing, rows: str) -> str:
        """Write the fitted detector into `drawing`: from `rows` [n, F] to strangeness [n], float32."""
