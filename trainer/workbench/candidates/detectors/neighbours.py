"""Detectors that look up the ordinary rows most alike: how far those are, or how much denser they lie.

Asking costs a distance to every row they know, so they know a bounded number of them, drawn by the seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.deviations import Deviations
from trainer.workbench.candidates.detectors.graphed import Graphed
from trainer.workbench.candidates.distances import nearest
from trainer.workbench.candidates.sampling import sampled

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing

_MOST: Final = 10_000
"""Ordinary rows known, at most."""
_THIN: Final = 1e-3
"""Added to a mean reachability: ordinary rows that are alike to the last digit are not infinitely dense."""


class Distance(Graphed):
    """Mean distance to the `neighbours` nearest of at most 10,000 ordinary rows."""

    block = 1024

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        at, self.note_ = sampled(data, _MOST, self.seed)
        self.deviations = Deviations.of(data.fit) if self.given.get("deviations", False) else None
        self.known = data.fit[at] if self.deviations is None else self.deviations.apply(data.fit[at])
        self.near = min(int(self.given.get("neighbours", 3)), len(at))

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        if self.deviations is not None:
            rows = self.deviations.draw(drawing, rows)
        squared, _ = nearest(drawing, rows, self.known, self.near)
        return drawing.op("ReduceMean", drawing.op("Sqrt", squared), axes=[1], keepdims=0)


class LocalOutlierFactor(Graphed):
    """How much thinner rows lie here than around the nearest ordinary rows (Breunig et al., SIGMOD 2000), as novelty.

    Reachability of a neighbour is the larger of its own k-distance and the distance to it; density is one over the mean
    reachability; the factor is the neighbours' mean density over one's own.
    """

    block = 1024

    def _learn(self, data: Prepared, told: Told) -> None:
        del told
        from sklearn.neighbors import NearestNeighbors

        at, self.note_ = sampled(data, _MOST, self.seed)
        self.known = data.fit[at]
        self.near = min(int(self.given.get("neighbours", 20)), len(at) - 1)
        found = NearestNeighbors(n_neighbors=self.near, n_jobs=2).fit(self.known)
        apart, places = found.kneighbors()
        self.reach = apart[:, -1].astype(np.float32)
        mean = np.maximum(self.reach[places], apart).mean(axis=1)
        self.density = (1.0 / (mean + _THIN)).astype(np.float32)

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        squared, places = nearest(drawing, rows, self.known, self.near)
        theirs = drawing.op("Gather", drawing.constant(self.reach), places, axis=0)
        mean = drawing.op("ReduceMean", drawing.op("Max", theirs, drawing.op("Sqrt", squared)), axes=[1], keepdims=0)
        around = drawing.op("Gather", drawing.constant(self.density), places, axis=0)
        dense = drawing.op("ReduceMean", around, axes=[1], keepdims=0)
        return drawing.op("Mul", dense, drawing.op("Add", mean, drawing.constant(np.float32(_THIN))))


DESCRIBED: Final = (
    Described(
        name="knn-distance",
        title="Distance to nearest neighbours",
        judges="strangeness",
        kind="ml",
        make=Distance,
        space={"neighbours": (1, 3, 5, 15), "deviations": (False, True)},
        note="How far the most similar ordinary rows are.",
    ),
    Described(
        name="lof",
        title="Local outlier factor",
        judges="strangeness",
        kind="ml",
        make=LocalOutlierFactor,
        space={"neighbours": (10, 20, 40, 80)},
        note="Compares how close rows lie here with how close they lie around the nearest ordinary rows.",
    ),
)
