"""Encoding: a table's columns to a float32 matrix, by rules learned from fitted benign rows alone.

Numbers stay as they are; a missing one becomes the fitted median, an infinite one the largest fitted value, and where
the fitted rows had gaps, or a column has none there but gaps elsewhere, the gap itself is a feature. Words become one
feature a word that at least `FLOOR` fitted rows hold, and one for all others: a word never seen is as rare as a rare
one. Numeric columns that are codes (`codes`) are taken as words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.tables.table import as_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from trainer.tables.table import Column, Table

FLOOR: Final = 1
MOST_WORDS: Final = 200
"""Features a column of words makes, at most: the most frequent ones."""
_LARGEST: Final = 1e15
CODES: Final = frozenset({"protocol", "proto", "ip_proto", "l4_proto"})
"""Numeric columns of these names are codes: 17 is not more than 6."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Fitted encoding; `names` say what each of the `F` features is, `sources` which column it came from."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    numbers: dict[str, tuple[float, float, float]]

    @classmethod
    def fit(cls, table: Table, codes: Iterable[str] = ()) -> Encoding:
        """Learn from the fitted rows `table`, which holds the features and nothing else."""
        as_codes = {name for name in table.columns if name.lower() in CODES} | {*codes}
        words: dict[str, tuple[str, ...]] = {}
        numbers: dict[str, tuple[float, float, float]] = {}
        names: list[str] = []
        sources: list[str] = []
        for name, column in table.columns.items():
            if column.dtype.kind == "f" and name not in as_codes:
                numbers[name] = _range(column)
                made = [name, f"{name} is missing"]
            else:
                words[name] = _frequent(as_words(column))
                made = [f"{name}={word}" for word in words[name]] + [f"{name} is another"]
            names += made
            sources += [name] * len(made)
        return cls(tuple(names), tuple(sources), words, numbers)

    def apply(self, table: Table) -> NDArray[np.float32]:
        """Rows as `[n, F]`, finite."""
        parts: list[NDArray[np.float32]] = []
        for name in dict.fromkeys(self.sources):
            column = table.columns[name]
            if name in self.numbers:
                parts.append(_numbers(column, *self.numbers[name]))
            else:
                parts.append(_one_hot(as_words(column), self.words[name]))
        return np.concatenate(parts, axis=1) if parts else np.zeros((table.rows, 0), dtype=np.float32)


def _range(column: Column) -> tuple[float, float, float]:
    """Median, least and largest of the finite values."""
    finite = column[np.isfinite(column.astype(np.float64))].astype(np.float64)
    if len(finite) == 0:
        return 0.0, 0.0, 0.0
    return float(np.median(finite)), float(finite.min()), float(finite.max())


def _numbers(column: Column, median: float, least: float, largest: float) -> NDArray[np.float32]:
    if column.dtype.kind != "f":
        # Words where the fitted rows had numbers: none of them is a number that was seen, so all count as missing.
        column = np.full(len(column), np.nan)
    values = column.astype(np.float64)
    missing = np.isnan(values)
    values = np.where(missing, median, values)
    values = np.where(values == np.inf, largest, np.where(values == -np.inf, least, values))
    return np.stack([np.clip(values, -_LARGEST, _LARGEST), missing], axis=1).astype(np.float32)


def _frequent(column: NDArray[np.str_]) -> tuple[str, ...]:
    found, counts = np.unique(column, return_counts=True)
    order = np.lexsort((found, -counts))[:MOST_WORDS]
    return tuple(sorted(str(found[at]) for at in order if counts[at] >= FLOOR))


def _one_hot(column: NDArray[np.str_], words: tuple[str, ...]) -> NDArray[np.float32]:
    found = {word: at for at, word in enumerate(words)}
    distinct, inverse = np.unique(column, return_inverse=True)
    places = np.array([found.get(str(word), len(words)) for word in distinct], dtype=np.intp)
    matrix = np.zeros((len(column), len(words) + 1), dtype=np.float32)
    matrix[np.arange(len(column)), places[inverse]] = 1.0
    return matrix
