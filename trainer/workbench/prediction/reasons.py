"""Why a row scores as it does: which of its columns, put back to what is typical, would take the score away.

The effect of a column is the mean of two differences: the score of the row less that of the row with the column made
typical, and the score of the typical row with the row's value in that column less that of the typical row. They are the
last and the first step of a Shapley value (Shapley, 1953), which takes the mean over all orders; the first alone says
nothing of a row that two columns make strange, each of them enough. It asks the graph twice a column and needs nothing
of the model but its answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.prediction.cells import filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.workbench.prediction.opened import Opened, Values

CHUNK_ROWS: Final = 2_048
_LEAST: Final = 0.01
"""Least effect worth a word: a hundredth of a chance, or of a detector's threshold."""
_PART: Final = 0.05
"""Least effect beside the strongest of the row."""
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Reason:
    """One column's part: what was there, what is typical, and how much of the score it makes."""

    column: str
    observed: float | str | None
    typical: float | str
    effect: float

    def __str__(self) -> str:
        return f"{self.column} is {shown(self.observed)} (typical: {shown(self.typical)})"


def effects(opened: Opened, values: Sequence[Values]) -> NDArray[np.float32]:
    """The effect `[n, C]` of each column on what `target` says of rows `[n]`, column by column."""
    rows = len(values[0])
    answered = opened.raw(values)
    place = answered.argmax(axis=1) if opened.judges_classes else None
    ordinary = [filled(column, 1) for column in opened.columns]
    start = np.broadcast_to(target(opened, np.repeat(opened.raw(ordinary), rows, axis=0), place), rows)
    whole = target(opened, answered, place)
    found = np.zeros((rows, len(opened.columns)), dtype=np.float32)
    for at, column in enumerate(opened.columns):
        changed = np.flatnonzero(_differs(values[at], column.typical))
        if len(changed) == 0:
            continue
        mine = None if place is None else place[changed]
        without = [part[changed] for part in values]
        without[at] = filled(column, len(changed))
        alone = [filled(other, len(changed)) for other in opened.columns]
        alone[at] = values[at][changed]
        taken = whole[changed] - target(opened, opened.raw(without), mine)
        brought = target(opened, opened.raw(alone), mine) - start[changed]
        found[changed, at] = (taken + brought) / 2
    return found


def target(opened: Opened, raw: NDArray[np.float32], place: NDArray[Any] | None) -> NDArray[np.float32]:
    """What is explained, `[n]`: how strange a row is, or the chance of class `place` `[n]` where none is benign."""
    if place is not None and not set(opened.benign) & set(opened.classes):
        chosen: NDArray[np.float32] = raw[np.arange(len(raw)), place]
        return chosen
    return opened.score_of(raw)


def reasons(opened: Opened, values: Sequence[Values], most: int) -> list[tuple[Reason, ...]]:
    """For each of the rows `[n]` the `most` columns that raise its score most, strongest first."""
    told: list[tuple[Reason, ...]] = []
    least = _LEAST * (1.0 if opened.judges_classes else abs(opened.threshold or 0.0))
    for start in range(0, len(values[0]), CHUNK_ROWS):
        part = [column[start : start + CHUNK_ROWS] for column in values]
        found = effects(opened, part)
        order = np.argsort(-found, axis=1, kind="stable")[:, :most]
        told.extend(
            tuple(
                Reason(
                    opened.columns[at].name, observed(part[at][row]), opened.columns[at].typical, float(found[row, at])
                )
                for at in order[row].tolist()
                if found[row, at] > max(least, _PART * float(found[row].max()))
            )
            for row in range(len(found))
        )
    return told


def observed(value: Any) -> float | str | None:
    """A value as the graph was fed it, None where it was missing."""
    if isinstance(value, str):
        return value or None
    return None if np.isnan(value) else float(value)


def shown(value: float | str | None) -> str:
    """A value in a sentence."""
    if value is None or value == "":
        return "missing"
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
    return f"{value:.10g}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def _differs(values: Values, typical: float | str) -> NDArray[np.bool_]:
    if isinstance(typical, str):
        return np.asarray(values != typical, dtype=np.bool_)
    return np.asarray(values != np.float32(typical), dtype=np.bool_)
