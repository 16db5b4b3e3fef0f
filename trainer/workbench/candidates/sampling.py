"""A bounded number of fit rows, drawn by the seed, for candidates that cannot learn from or remember all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import Prepared


def sampled(data: Prepared, most: int | None, seed: int) -> tuple[NDArray[np.intp], str]:
    """Places of the fit rows to learn from, and a sentence if they are not all. Every class keeps a row at least."""
    count = len(data.fit)
    if most is None or count <= most:
        return np.arange(count), ""
    chance = np.random.default_rng([seed, 84])
    chosen = chance.choice(count, most, replace=False)
    if data.fit_class is not None:
        _, firsts = np.unique(data.fit_class, return_index=True)
        chosen = np.union1d(chosen, firsts)
    return np.sort(chosen), f"It learnt from {most:,} of {count:,} rows, drawn by the seed."


def fewer(data: Prepared, most: int, seed: int) -> tuple[Prepared, str]:
    """`data` with `most` fit rows at most, and a sentence if that is not all of them."""
    at, note = sampled(data, most, seed)
    return (
        replace(
            data,
            fit=data.fit[at],
            fit_class=None if data.fit_class is None else data.fit_class[at],
            weights=None if data.weights is None else data.weights[at],
        ),
        note,
    )
