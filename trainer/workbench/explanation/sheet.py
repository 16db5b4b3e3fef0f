"""Rows as a matrix `[n, C]` float64 that methods may mix column by column, and back to what the graph is fed.

A number stands for itself and a missing one for `GAP`, since methods multiply cells by zero, which would keep NaN; a
word is its place in a list of the column's words, so that a method that puts one row's value into another never makes a
word that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.prediction.cells import MISSING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trainer.workbench.prediction.opened import Values, Wanted


GAP: Final = -1e300
"""A missing number: less than any float32."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """How the columns `wanted` are coded; `words` is the list of each column of words, None of a number."""

    wanted: tuple[Wanted, ...]
    words: tuple[NDArray[np.object_] | None, ...]

    @classmethod
    def of(cls, wanted: Sequence[Wanted], *tables: Sequence[Values]) -> Sheet:
        """A sheet that can hold all rows of `tables`, whose columns are in the order of `wanted`."""
        words: list[NDArray[np.object_] | None] = []
        for at, column in enumerate(wanted):
            if column.kind == "word":
                there = {word for table in tables for word in set(table[at].tolist())}
                words.append(np.array(sorted(there | {*column.words, column.typical, MISSING}), dtype=object))
            else:
                words.append(None)
        return cls(tuple(wanted), tuple(words))

    def encode(self, values: Sequence[Values]) -> NDArray[np.float64]:
        """`[n, C]` of columns as the graph is fed them."""
        columns = []
        for words, column in zip(self.words, values, strict=True):
            if words is None:
                columns.append(np.where(np.isnan(column), GAP, column.astype(np.float64)))
            else:
                places = {word: place for place, word in enumerate(words.tolist())}
                columns.append(np.array([places[word] for word in column.tolist()], dtype=np.float64))
        return np.stack(columns, axis=1)

    def decode(self, matrix: NDArray[np.float64]) -> list[Values]:
        """The inverse of `encode`."""
        return [
            np.where(matrix[:, at] == GAP, np.nan, matrix[:, at]).astype(np.float32)
            if words is None
            else words[np.rint(matrix[:, at]).astype(np.intp)]
            for at, words in enumerate(self.words)
        ]

    def value(self, at: int, coded: float) -> Any:
        """A cell of column `at` as people know it; None where it is missing."""
        words = self.words[at]
        if words is not None:
            return words[round(coded)] or None
        return None if coded == GAP else float(np.float32(coded))
