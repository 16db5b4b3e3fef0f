"""Permutation importance of columns: how much worse the metric gets when a column's values change places between rows.

All features of a column move together (Breiman, Machine Learning 45, 2001). Rows are sampled, and when time is up the
columns not reached are not there: a page says so rather than wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

ROWS: Final = 2000


def importance(
    sources: Sequence[str],
    train: tuple[NDArray[np.float32], NDArray[np.int64] | None],
    test: tuple[NDArray[np.float32], NDArray[np.int64] | None],
    metric: Callable[[NDArray[np.float32], NDArray[np.int64]], float | None],
    *,
    seed: int,
    late: Callable[[], bool],
) -> list[dict[str, Any]]:
    """Per column the fall of `metric(rows, truth)` on train and test rows; the largest on test rows first."""
    chance = np.random.default_rng([seed, 85])
    parts: list[tuple[NDArray[np.float32], NDArray[np.int64], float] | None] = []
    for rows, truth in (train, test):
        if truth is None or len(rows) == 0:
            parts.append(None)
            continue
        at = np.sort(chance.choice(len(rows), ROWS, replace=False)) if len(rows) > ROWS else np.arange(len(rows))
        before = metric(rows[at], truth[at])
        parts.append(None if before is None else (rows[at], truth[at], before))
    told: list[dict[str, Any]] = []
    columns = np.array(sources)
    for name in dict.fromkeys(sources):
        if late():
            break
        features = np.flatnonzero(columns == name)
        each: dict[str, Any] = {"feature": name}
        for key, part in zip(("train", "test"), parts, strict=True):
            each[key] = None if part is None else _fall(part, features, metric, chance)
        told.append(each)
    return sorted(told, key=lambda one: -(one["test"] if one["test"] is not None else one["train"] or 0.0))


def _fall(
    part: tuple[NDArray[np.float32], NDArray[np.int64], float],
    features: NDArray[np.intp],
    metric: Callable[[NDArray[np.float32], NDArray[np.int64]], float | None],
    chance: np.random.Generator,
) -> float | None:
    rows, truth, before = part
    moved = rows.copy()
    moved[:, features] = rows[chance.permutation(len(rows))][:, features]
    after = metric(moved, truth)
    return None if after is None else before - after
