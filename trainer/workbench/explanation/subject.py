"""What is explained: how strange a row is, or the chance of one class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.errors import SettingsUnusable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.explanation.sheet import Sheet
    from trainer.workbench.prediction.opened import Opened


@dataclass(frozen=True, slots=True)
class Subject:
    """A model asked one question about rows of a sheet; `place` is a class, None for how strange they are."""

    opened: Opened
    sheet: Sheet
    place: int | None = None

    def says(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """The answer `[n]` for rows `[n, C]`."""
        raw = self.opened.raw(self.sheet.decode(np.asarray(matrix, dtype=np.float64)))
        told = self.opened.score_of(raw) if self.place is None else raw[:, self.place]
        return told.astype(np.float64)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.sheet.wanted)

    @property
    def meaning(self) -> str:
        """What the answer is, in plain words."""
        return self.opened.meaning if self.place is None else f"chance of {self.opened.classes[self.place]}"


def subject(opened: Opened, sheet: Sheet, wanted: str | None, row: NDArray[np.float64] | None) -> Subject:
    """What to explain: the class `wanted`; else how strange rows are, or the class predicted for `row` `[C]`.

    Raises `SettingsUnusable` for a class that the model does not know.
    """
    if wanted is not None:
        if wanted not in opened.classes:
            known = ", ".join(opened.classes) or "none, it tells strange rows from ordinary ones"
            raise SettingsUnusable(f"explaining: the model has no class {wanted!r}; its classes are {known}")
        return Subject(opened, sheet, opened.classes.index(wanted))
    if not opened.judges_classes or set(opened.benign) & set(opened.classes) or row is None:
        return Subject(opened, sheet)
    return Subject(opened, sheet, int(opened.raw(sheet.decode(row[None, :]))[0].argmax()))
