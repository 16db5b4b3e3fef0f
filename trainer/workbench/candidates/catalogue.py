"""All candidates there are, by name: models that learn in one go from here, networks from `trainer.workbench.networks`.

A part brings its candidates as a tuple `DESCRIBED` of `Described`, made without importing anything heavy; what a
candidate needs is imported when it is fitted. The order is that of a run: cheap before dear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trainer.workbench.candidates import baselines, boosting, classifiers, portfolio
from trainer.workbench.candidates.detectors import autoencoder, deviations, isolation, neighbours, tails
from trainer.workbench.networks import networks

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described

_PARTS: Final = (
    baselines.DESCRIBED,
    boosting.DESCRIBED,
    classifiers.DESCRIBED,
    deviations.DESCRIBED,
    tails.DESCRIBED,
    isolation.DESCRIBED,
    neighbours.DESCRIBED,
    autoencoder.DESCRIBED,
    portfolio.DESCRIBED,
    networks(),
)


def catalogue() -> dict[str, Described]:
    """Every candidate by its name, in the order of a run."""
    return {one.name: one for part in _PARTS for one in part}
