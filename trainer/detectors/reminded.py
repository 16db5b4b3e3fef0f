"""A detector reminded of verdicts: its score, calmed where something was called benign, raised where it is an attack.

With strangeness s (the part of the raw score above 1, on which a portfolio's scores begin) and the answers of
places.py, the raw score is

    1 + s * (1 - calm) + RAISE * alike

so the detector itself is the one that would have been fitted without any verdict, and a row far from all labelled ones
scores exactly as it did. The final calibration comes after, on rows of its own, so a false-positive promise holds as
without verdicts. Contributions and expected values stay the detector's: they say what is strange.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.detectors.places import Places
    from trainer.detectors.portfolio import Portfolio

RAISE: Final = 1.5
"""What being all like a labelled attack adds: in `-log10 p` as members tell it, one in thirty benign rows. It lifts
what a detector already finds a little strange above the threshold. Twice as much put single benign rows that look like
a labelled attack above every attack nobody had labelled (docs/learning.md)."""


class Reminded:
    """A fitted `detector` and the `places` that people judged."""

    def __init__(self, detector: Portfolio, places: Places) -> None:
        self.detector = detector
        self.places = places

    @property
    def kind(self) -> str:
        """The detector's."""
        return self.detector.kind

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See the module's text. `[n]`, at least one."""
        strange = self.detector.raw_score(rows) - np.float32(1)
        calm, alike = self.places.answers(rows)
        score: NDArray[np.float32] = 1 + strange * (1 - calm) + np.float32(RAISE) * alike
        return score

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The detector's contributions and expected values, `[n, F]` each."""
        return self.detector.explain(rows)

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """Raw score `[n]`, contributions and expected `[n, F]` in TensorFlow operations."""
        tf = tensorflow()
        raw, contributions, expected = self.detector.graph(features)
        calm, alike = self.places.graph(features, tf)
        score = 1 + (raw - np.float32(1)) * (1 - calm) + np.float32(RAISE) * alike
        return score, contributions, expected
