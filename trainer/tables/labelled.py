"""A labelled table: features, and beside them what is true of every row.

The truth travels apart from the features, so that nothing that learns from benign rows can look at it by mistake. A row
has a *family* (the attack's own name), a *class* (a coarser kind, where the data set has one) and, in some files, a
moment and a set it officially belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.errors import TableUnreadable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.tables.table import Table

BENIGN: Final = "benign"
ATTACK: Final = "attack"
"""Family and class of an attack whose name the file does not tell."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Arrays are `[n]`. `family` and `class_` are `BENIGN` exactly where `benign` is true.

    `moment` rises with time and is None where the file has no time; `day` groups rows by day. `official_test` marks the
    rows of the official test, `parts` its named parts; without parts it is one, the test. `new_families` are those no
    training row has, by the documentation of a data set whose training table names no family.
    """

    name: str
    table: Table
    family: NDArray[np.str_]
    class_: NDArray[np.str_]
    left_out: dict[str, str]
    moment: NDArray[np.float64] | None = None
    day: NDArray[np.str_] | None = None
    official_test: NDArray[np.bool_] | None = None
    parts: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    new_families: frozenset[str] | None = None
    notes: tuple[str, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def benign(self) -> NDArray[np.bool_]:
        """Which rows are benign."""
        return self.family == BENIGN

    @property
    def test_file(self) -> NDArray[np.bool_]:
        """Which rows came from the official test file."""
        return np.zeros(len(self.family), dtype=np.bool_) if self.official_test is None else self.official_test

    def never_seen(self, families: NDArray[np.str_], known: NDArray[np.str_]) -> NDArray[np.bool_]:
        """Which of `families` `[m]` are attacks of no family in `known`, which was learned from."""
        if self.new_families is not None:
            return np.isin(families, sorted(self.new_families))
        return ~np.isin(families, known) & (families != BENIGN)

    def take(self, rows: NDArray[np.intp]) -> Labelled:
        """Those rows, in the order given."""
        return replace(
            self,
            table=self.table.take(rows),
            family=self.family[rows],
            class_=self.class_[rows],
            moment=None if self.moment is None else self.moment[rows],
            day=None if self.day is None else self.day[rows],
            official_test=None if self.official_test is None else self.official_test[rows],
            parts={name: mask[rows] for name, mask in self.parts.items()},
        )


def check(data: Labelled) -> Labelled:
    """`data`, if it has benign and attack rows where they are needed. Raises `TableUnreadable`."""
    if data.official_test is not None and not data.official_test.any():
        raise TableUnreadable(f"{data.name}: the test table has no rows")
    if not (data.benign & ~data.test_file).any():
        raise TableUnreadable(
            f"{data.name}: no row is benign, so there is nothing ordinary to learn; check the benign label"
        )
    judged = data.test_file if data.official_test is not None else np.ones(len(data.family), dtype=np.bool_)
    if not (~data.benign & judged).any():
        raise TableUnreadable(
            f"{data.name}: no row to test on is an attack, so there is nothing to find; check the labels"
        )
    if not (data.benign & judged).any():
        raise TableUnreadable(
            f"{data.name}: no row to test on is benign, so no false positive can be measured; check the labels"
        )
    return data
