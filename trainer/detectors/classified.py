"""A detector with a classifier head: strangeness stays the score, and a class says which labelled attack it looks like.

The head only names. What labels do to the score is local and bounded (reminded.py); odds of a classifier are neither,
and raised by them, benign traffic of places nobody had labelled came to stand above attacks nobody had labelled.

Contributions and expected values stay the detector's: they say what is strange, the class says what it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.detectors.head import Head
    from trainer.detectors.portfolio import Portfolio
    from trainer.detectors.reminded import Reminded


class Classified:
    """A fitted `detector` and a fitted `head`."""

    def __init__(self, detector: Portfolio | Reminded, head: Head) -> None:
        self.detector = detector
        self.head = head

    @property
    def kind(self) -> str:
        """The detector's."""
        return self.detector.kind

    @property
    def classes(self) -> tuple[str, ...]:
        """Families the head knows."""
        return self.head.classes

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The detector's, `[n]`, above zero."""
        return self.detector.raw_score(rows)

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The detector's contributions and expected values, `[n, F]` each."""
        return self.detector.explain(rows)

    def class_scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The head's, `[n, K]`."""
        return self.head.class_scores(rows)

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """Raw score `[n]`, contributions and expected `[n, F]` in TensorFlow operations."""
        return self.detector.graph(features)

    def class_graph(self, features: Any) -> Any:
        """`class_scores` in TensorFlow operations."""
        return self.head.graph(features)
