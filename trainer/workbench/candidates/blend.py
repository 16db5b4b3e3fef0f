"""A blend: the mean of several classifiers' chances, where on the select rows it does better than each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.workbench.candidates.graph import Drawing, finished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Classifier, Prepared, Told

NAME: Final = "blend"
TITLE: Final = "Blend of the best"


class Blend:
    """Of `members`, which are fitted with it or were before. See `base.Classifier`."""

    def __init__(self, members: Sequence[Classifier], features: int, classes: int) -> None:
        self.members = list(members)
        self.features_ = features
        self.classes_ = classes

    def fit(self, data: Prepared, told: Told) -> Self:
        """Fit every member."""
        self.members = [member.fit(data, told) for member in self.members]
        return self

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean `[n, K]`."""
        mean: NDArray[np.float32] = np.mean([member.chances(rows) for member in self.members], axis=0)
        return mean.astype(np.float32)

    def to_onnx(self) -> Any:
        """The members' graphs side by side on the same input."""
        from onnx import compose

        drawing = Drawing()
        answers = []
        for at, member in enumerate(self.members):
            graph = compose.add_prefix(member.to_onnx(), f"b{at}_").graph
            for node in graph.node:
                for place, name in enumerate(node.input):
                    if name == f"b{at}_features":
                        node.input[place] = "features"
                drawing.nodes.append(node)
            drawing.constants.extend(graph.initializer)
            answers.append(f"b{at}_chances")
        total = drawing.op("Sum", *answers, out="blend_total")
        share = drawing.constant(np.float32(1 / len(self.members)))
        drawing.op("Mul", total, share, out="chances")
        return finished(drawing, self.features_, "chances", self.classes_)
