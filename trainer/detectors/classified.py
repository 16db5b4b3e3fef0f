"""A detector with a classifier head: strangeness stays the score, and what looks like a labelled attack may raise it.

The head's odds become `-log10 p` against benign rows that neither was fitted on. What exceeds `MARGIN` of it (one in a
hundred benign rows looks so much like an attack) is added to the detector's raw score; nothing is ever taken away. The
final calibration comes after, on rows of its own, so a false-positive promise holds as without a head.

Contributions and expected values stay the detector's: they say what is strange, the class says what it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.detectors.head import Head
    from trainer.detectors.portfolio import Portfolio
    from trainer.making.calibrate import Calibration

MARGIN: Final = 2.0


class Classified:
    """A fitted `detector`, a fitted `head`, and `levels`, the head's odds as p-values. `raises` False only names."""

    def __init__(self, detector: Portfolio, head: Head, levels: Calibration, *, raises: bool = True) -> None:
        self.detector = detector
        self.head = head
        self.levels = levels
        self.raises = raises

    @property
    def kind(self) -> str:
        """The detector's."""
        return self.detector.kind

    @property
    def classes(self) -> tuple[str, ...]:
        """Families the head knows."""
        return self.head.classes

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The detector's raw score, raised where the head is surer than `MARGIN`. `[n]`, above zero."""
        score = self.detector.raw_score(rows)
        if not self.raises:
            return score
        return score + np.maximum(self.levels.score(self.head.odds(rows)) - np.float32(MARGIN), 0)

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The detector's contributions and expected values, `[n, F]` each."""
        return self.detector.explain(rows)

    def class_scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The head's, `[n, K]`."""
        return self.head.class_scores(rows)

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """Raw score `[n]`, contributions and expected `[n, F]` in TensorFlow operations."""
        tf = tensorflow()
        raw, contributions, expected = self.detector.graph(features)
        if self.raises:
            level = self.levels.graph(self.head.graph(features)[0], tf)
            raw = raw + tf.nn.relu(level - np.float32(MARGIN))
        return raw, contributions, expected

    def class_graph(self, features: Any) -> Any:
        """`class_scores` in TensorFlow operations."""
        return self.head.graph(features)[1]
