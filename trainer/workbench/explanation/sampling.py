"""Rows drawn from a table, as a model is fed them: a seeded sample, or one row by its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.errors import SettingsUnusable, TableUnreadable
from trainer.workbench.prediction import schema
from trainer.workbench.prediction.cells import Cells, texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.workbench.prediction.incoming import Incoming
    from trainer.workbench.prediction.opened import Opened, Values


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows `[n]` of a table that has `of`: `values` as the graph is fed, and their labels, if asked for and there."""

    values: list[Values]
    of: int
    labels: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.values[0])


def draw(opened: Opened, incoming: Incoming, most: int, seed: int, *, label: str | None = None) -> Drawn:
    """A seeded sample of at most `most` rows, in the table's order. Raises `TableUnreadable` for an empty table."""
    if incoming.rows == 0:
        raise TableUnreadable(f"explaining: {incoming.name} has no rows; give a table with some")
    chance = np.random.default_rng([seed, 91])
    chosen = np.arange(incoming.rows)
    if incoming.rows > most:
        chosen = np.sort(chance.choice(incoming.rows, most, replace=False))
    return _rows(opened, incoming, chosen, label)


def single(opened: Opened, incoming: Incoming, row: int) -> Drawn:
    """The row with number `row`, from 0. Raises `SettingsUnusable`."""
    if not 0 <= row < incoming.rows:
        raise SettingsUnusable(f"explaining: there is no row {row}; {incoming.name} has rows 0 to {incoming.rows - 1}")
    return _rows(opened, incoming, np.array([row]), None)


def _rows(opened: Opened, incoming: Incoming, chosen: NDArray[Any], label: str | None) -> Drawn:
    # Rows that were predicted are explained, however much of them was missing then.
    matched = schema.match(opened.columns, incoming.names, label=label, fill=True)
    cells = Cells(opened.columns, matched.taken)
    parts: list[list[Values]] = []
    labels: list[NDArray[np.object_]] = []
    start = 0
    for batch in incoming.batches():
        low, high = np.searchsorted(chosen, [start, start + batch.num_rows])
        if high > low:
            mine = batch.take(chosen[low:high] - start)
            parts.append(cells.values(mine))
            if label in incoming.names:
                labels.append(np.array(texts(mine.column(label)).to_pylist(), dtype=object))
        start += batch.num_rows
        if start > chosen[-1]:
            break
    return Drawn(_joined(parts), incoming.rows, np.concatenate(labels) if labels else None)


def _joined(parts: Sequence[list[Values]]) -> list[Values]:
    return [np.concatenate(columns) for columns in zip(*parts, strict=True)]
