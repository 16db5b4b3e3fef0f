"""Partial dependence: what the model says on average as one column goes through its values, all else as it is.

Friedman, Annals of Statistics 29, 2001; the lines of single rows are the individual conditional expectations of
Goldstein et al., 2015. A number goes through quantiles of the rows, so that the curve stays where rows are; a column of
words goes through its most frequent ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.explanation.sheet import GAP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.explanation.subject import Subject

POINTS: Final = 30
LINES: Final = 20
_TAILS: Final = (0.01, 0.99)


@dataclass(frozen=True, slots=True)
class Curve:
    """`places` `[p]` (numbers or words), the mean answer there `mean` `[p]`, and `lines` `[l, p]` of single rows."""

    places: tuple[Any, ...]
    mean: NDArray[np.float64]
    lines: NDArray[np.float64]


def partial(subject: Subject, rows: NDArray[np.float64], at: int) -> Curve:
    """The curve of column `at` over `rows` `[n, C]`; `n` times at most `POINTS` answers."""
    words = subject.sheet.words[at]
    column = rows[:, at]
    if words is None:
        known = column[column != GAP]
        spread = np.quantile(known, np.linspace(*_TAILS, POINTS)) if len(known) else np.zeros(1)
        coded = np.unique(spread.astype(np.float32)).astype(np.float64)
    else:
        found, counts = np.unique(column, return_counts=True)
        coded = found[np.argsort(-counts, kind="stable")[:POINTS]]
    answers = np.empty((len(coded), len(rows)))
    for place, value in enumerate(coded):
        changed = rows.copy()
        changed[:, at] = value
        answers[place] = subject.says(changed)
    shown = np.linspace(0, len(rows) - 1, min(LINES, len(rows))).astype(int)
    places = tuple(subject.sheet.value(at, value) for value in coded)
    return Curve(places, answers.mean(axis=1), answers[:, shown].T)
