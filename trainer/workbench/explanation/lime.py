"""LIME: a plain model that says what the whole model says in the neighbourhood of one row.

As in Ribeiro, Singh and Guestrin, "Why Should I Trust You?", KDD 2016, section 3: neighbours of the row keep some of
its columns, how many and which by chance, and take the others from rows of the table; the whole model is asked about
them; they count by how much they kept, exp(-d^2 / width^2) with d^2 the number of columns given up and width 0.75
sqrt(C); and a ridge regression on which columns were kept is fitted. The weight of a column is what keeping it adds.
Unlike SHAP's shares the weights do not sum to the score; `fidelity` says how well the plain model follows the whole
one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.explanation.subject import Subject

NEIGHBOURS: Final = 4_000
_WIDTH: Final = 0.75
_RIDGE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Local:
    """The plain model: `weights` `[C]`, what it says with no column kept, and its weighted R squared."""

    weights: NDArray[np.float64]
    base: float
    answer: float
    fidelity: float


def local(
    subject: Subject,
    row: NDArray[np.float64],
    background: NDArray[np.float64],
    *,
    seed: int,
) -> Local:
    """A plain model around `row` `[C]`, from `NEIGHBOURS` made of it and of `background` `[m, C]`."""
    from sklearn.linear_model import Ridge

    chance = np.random.default_rng([seed, 92])
    width = len(row)
    kept = chance.random((NEIGHBOURS, width)).argsort(axis=1) < chance.integers(0, width + 1, NEIGHBOURS)[:, None]
    kept[0] = True
    others = background[chance.integers(0, len(background), (NEIGHBOURS, width)), np.arange(width)]
    answers = subject.says(np.where(kept, row, others))
    counts = np.exp(-(~kept).sum(axis=1) / (_WIDTH**2 * width))
    plain = Ridge(alpha=_RIDGE).fit(kept.astype(np.float64), answers, sample_weight=counts)
    fidelity = (
        float(plain.score(kept.astype(np.float64), answers, sample_weight=counts)) if np.ptp(answers) > 0 else 1.0
    )
    return Local(plain.coef_, float(plain.intercept_), float(answers[0]), fidelity)
