"""The portfolio: several detectors fused, each by how rare its score is among ordinary rows it was not fitted on.

A member's score becomes `-log10 p`, p being the conformal p-value against the select rows; the fused score is the mean
(trainer/tables/portfolio.py, docs/detection.md). Between those rows' scores the level is drawn as a line; beyond the
largest it goes on rising by one for each distance between median and largest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.autoencoder import Autoencoder
from trainer.workbench.candidates.detectors.deviations import Mahalanobis, StdCount
from trainer.workbench.candidates.detectors.graphed import Graphed
from trainer.workbench.candidates.detectors.neighbours import Distance
from trainer.workbench.candidates.detectors.tails import Tails

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing

MEMBERS: Final[tuple[tuple[str, type[Graphed]], ...]] = (
    ("std-count", StdCount),
    ("mahalanobis", Mahalanobis),
    ("tails", Tails),
    ("knn-distance", Distance),
    ("autoencoder", Autoencoder),
)
_KNOTS: Final = 64


class Portfolio(Graphed):
    """See the top of this module."""

    block = 1024

    def _learn(self, data: Prepared, told: Told) -> None:
        wanted = self.given.get("members") or [name for name, _ in MEMBERS]
        own = {"knn-distance": {"neighbours": 1}}
        self.members = [(name, make(own.get(name, {}), self.seed)) for name, make in MEMBERS if name in wanted]
        ordinary = data.select if len(data.select) >= 20 else data.fit
        self.levels: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
        for _, member in self.members:
            member.fit(data, told)
            self.levels.append(_levels(member.strangeness(ordinary)))

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        each = [
            _drawn(drawing, member.draw(drawing, rows), *levels)
            for (_, member), levels in zip(self.members, self.levels, strict=True)
        ]
        together = drawing.op("Concat", *each, axis=1)
        return drawing.single(drawing.op("ReduceMean", together, axes=[1], keepdims=0))


def _levels(scores: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores that rise, and `-log10 p` at each; the last one lies beyond every score."""
    ordered = np.sort(scores.astype(np.float64))
    count = len(ordered)
    # Evenly in -log p: what is rare is drawn as finely as what is common.
    ranks = np.unique(np.rint(count * (1 - np.logspace(0, -np.log10(count + 1), _KNOTS))).astype(np.intp))
    ranks = ranks[ranks < count]
    at = np.unique(np.append(ordered[ranks], ordered[-1]))
    level = -np.log10((1 + count - np.searchsorted(ordered, at, side="left")) / (count + 1))
    wide = max(float(at[-1] - np.median(ordered)), 1e-6 + 1e-3 * abs(float(at[-1])))
    return np.append(at, at[-1] + wide), np.append(level, level[-1] + 1.0)


def _drawn(drawing: Drawing, score: str, at: NDArray[np.float64], level: NDArray[np.float64]) -> str:
    """The line through the points [n, 1], going on beyond the last: a sum of bends, in float64."""
    slopes = np.diff(level) / np.diff(at)
    bends = np.diff(slopes, prepend=0.0)
    wide = drawing.op("Unsqueeze", drawing.double(score), drawing.constant(np.array([1])))
    beyond = drawing.op("Max", drawing.op("Sub", wide, drawing.constant(at[None, :-1])), drawing.constant(np.zeros(1)))
    return drawing.op("MatMul", beyond, drawing.constant(bends[:, None]))


DESCRIBED: Final = (
    Described(
        name="portfolio",
        title="Portfolio",
        judges="strangeness",
        kind="ml",
        make=Portfolio,
        note="Five detectors fused by how rare each finds a row; the most even choice where nothing is known.",
    ),
)
