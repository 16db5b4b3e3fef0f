"""A table: columns of numbers or words, in the order of its file.

A column is numeric when every value in it is a number, an infinity or missing; otherwise it is words. Nothing is
changed on reading: what a column means, whether it may be a feature and how it is encoded is decided later, on fitted
rows only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from trainer.errors import TableUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Column: TypeAlias = "NDArray[np.float64] | NDArray[np.str_]"


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` are `[n]` each: float64 with NaN where a value is missing, or strings, empty where missing."""

    name: str
    columns: dict[str, Column]
    sha256: str = ""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Table:
        """Those rows, in the order given."""
        return replace(self, columns={name: column[rows] for name, column in self.columns.items()})

    def only(self, names: Iterable[str]) -> Table:
        """Those columns."""
        return replace(self, columns={name: self.columns[name] for name in names})

    def column(self, name: str, meaning: str) -> Column:
        """The column `name`. Raises `TableUnreadable`, which says what it was wanted for and what there is."""
        if name in self.columns:
            return self.columns[name]
        there = ", ".join(list(self.columns)[:12]) + (", ..." if len(self.columns) > 12 else "")
        raise TableUnreadable(f"{self.name} has no column {name!r}, which holds {meaning}; its columns are {there}")

    def words(self, name: str, meaning: str) -> NDArray[np.str_]:
        """The column `name` as words: numbers as they would be written, `1` and not `1.0`."""
        return as_words(self.column(name, meaning))


def as_words(column: Column) -> NDArray[np.str_]:
    """A column as words, without spaces around them."""
    if column.dtype.kind == "f":
        return np.array([f"{value:g}" for value in column], dtype=np.str_)
    return np.char.strip(column.astype(np.str_))


def together(first: Table, second: Table) -> Table:
    """The rows of `second` after those of `first`, in the columns of `first`.

    Raises `TableUnreadable` for a missing one.
    """
    missing = [name for name in first.columns if name not in second.columns]
    if missing:
        raise TableUnreadable(
            f"{second.name} lacks columns that {first.name} has: {', '.join(missing[:8])}; give files of one layout"
        )
    columns: dict[str, Column] = {}
    for name, column in first.columns.items():
        both = [column, second.columns[name]]
        alike = both[0].dtype.kind == both[1].dtype.kind
        columns[name] = np.concatenate(both if alike else [as_words(part) for part in both])
    return Table(first.name, columns)
