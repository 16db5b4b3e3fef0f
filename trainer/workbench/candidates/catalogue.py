"""All candidates there are, by name: models that learn in one go from here, networks from `trainer.workbench.networks`.

A part brings its candidates as a tuple `DESCRIBED` of `Described`, made without importing anything heavy; what a
candidate needs is imported when it is fitted. The order is that of a run: cheap before dear.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described

_PARTS: Final = (
    "trainer.workbench.candidates.baselines",
    "trainer.workbench.candidates.boosting",
    "trainer.workbench.candidates.classifiers",
    "trainer.workbench.candidates.detectors.deviations",
    "trainer.workbench.candidates.detectors.tails",
    "trainer.workbench.candidates.detectors.isolation",
    "trainer.workbench.candidates.detectors.neighbours",
    "trainer.workbench.candidates.detectors.autoencoder",
    "trainer.workbench.candidates.portfolio",
    "trainer.workbench.networks.catalogue",
)


def catalogue() -> dict[str, Described]:
    """Every candidate by its name, in the order of a run."""
    found: dict[str, Described] = {}
    for part in _PARTS:
        package = part.rpartition(".")[0]
        if importlib.util.find_spec(package) is None or importlib.util.find_spec(part) is None:
            continue
        for described in importlib.import_module(part).DESCRIBED:
            found[described.name] = described
    return found
