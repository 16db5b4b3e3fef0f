"""SHAP: a score shared out among the columns, so that the shares and the base add up to it.

The shares are Shapley values (Lundberg and Lee, NeurIPS 2017) estimated by going through the columns in random orders
and back (`shap.PermutationExplainer`), which needs nothing of a model but its answers and keeps the sum exactly. What
is not told of a row is taken from background rows, one after the other; the base is the mean answer on those.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.workbench.explanation.subject import Subject

_AT_ONCE: Final = 4
"""Rows between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Shares:
    """`shares` `[n, C]` of the answers `[n]`, which are `base` plus the sum of a row's shares."""

    shares: NDArray[np.float64]
    base: float
    answers: NDArray[np.float64]


def share(
    subject: Subject,
    rows: NDArray[np.float64],
    background: NDArray[np.float64],
    *,
    orders: int,
    seed: int,
    seconds_left: Callable[[], float] = lambda: float("inf"),
    tell: Callable[[float], None] = lambda _done: None,
) -> Shares:
    """Shares of the answers for `rows` `[n, C]`, each from `orders` random orders; fewer rows when time runs out.

    One row is always done. Costs about `2 * C * orders` answers for each background row and row.
    """
    base = float(subject.says(background).mean())
    if rows.shape[1] == 1:
        answers = subject.says(rows)
        return Shares((answers - base)[:, None], base, answers)
    # numba would compile shap's loops for twelve seconds; Python does them in a fifth of one.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    import shap

    explainer: Any = shap.PermutationExplainer(
        subject.says, shap.maskers.Independent(background, len(background)), seed=seed
    )
    evaluations = orders * (2 * rows.shape[1] + 1)
    found: list[NDArray[np.float64]] = []
    done = 0
    while done < len(rows) and (done == 0 or seconds_left() > 0):
        size = 1 if done == 0 else _AT_ONCE
        told = explainer(rows[done : done + size], max_evals=evaluations, silent=True)
        found.append(np.asarray(told.values, dtype=np.float64))
        done += len(found[-1])
        tell(done / len(rows))
    return Shares(np.concatenate(found), base, subject.says(rows[:done]))
