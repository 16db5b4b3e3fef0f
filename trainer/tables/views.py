"""Views: two ways to look at the same columns, because what is invisible in one stands out in the other.

*Magnitudes* are the values as they are; detectors take their logarithm and standardise. A volume ten times larger than
any seen is strange here. *Ranks* are the values' quantiles among fitted benign rows, as normal scores: a rare value is
strange here although it lies between common ones, and no heavy tail, unit or spike at zero decides what a deviation is.
A value beyond every fitted one lies `BEYOND` further out. The Gaussian copula is the idea (Liu, Lafferty and Wasserman,
JMLR 10, 2009).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

import numpy as np

from trainer.detectors.base import FLOOR
from trainer.errors import NotFitted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_Value = TypeVar("_Value")

BEYOND: Final = 2.0
"""Deviations that a value outside the fitted range lies beyond the outermost quantile."""


class View(Protocol):
    """A way to look at rows: `[n, F]` in, `[n, F]` out, learned from fitted benign rows alone.

    `floor` is the least deviation, after the logarithm, that a detector should divide by: normal scores are deviations
    already, and dividing a column that hardly ever varied by what little it did would make its every change the
    loudest.
    """

    floor: float

    def fit(self, rows: NDArray[np.float32]) -> Self:
        """Learn from benign rows."""
        ...

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows, seen so."""
        ...


class Magnitudes:
    """Values as they are."""

    floor = FLOOR

    def fit(self, rows: NDArray[np.float32]) -> Self:  # noqa: ARG002 - the interface hands them over
        """Nothing to learn."""
        return self

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows themselves."""
        return rows


class Ranks:
    """Normal scores q of the values' quantiles, handed on as sign(q)(exp|q| - 1), whose signed logarithm is q."""

    floor = 1.0

    def __init__(self) -> None:
        self.sorted_: NDArray[np.float32] | None = None

    def fit(self, rows: NDArray[np.float32]) -> Self:
        """Remember every fitted value, sorted by column."""
        self.sorted_ = np.sort(rows, axis=0)
        return self

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mid-ranks, so that ties and values between two fitted ones fall in the middle of the step they share."""
        from scipy.special import ndtri

        known = learned(self.sorted_, "ranks")
        count, width = known.shape
        scores = np.empty(rows.shape, dtype=np.float64)
        for at in range(width):
            fitted, values = known[:, at], rows[:, at]
            middle = (np.searchsorted(fitted, values, "left") + np.searchsorted(fitted, values, "right")) / (2 * count)
            outside = (values > fitted[-1]).astype(np.float64) - (values < fitted[0])
            scores[:, at] = ndtri(np.clip(middle, 0.5 / count, 1 - 0.5 / count)) + BEYOND * outside
        seen: NDArray[np.float32] = (np.sign(scores) * np.expm1(np.abs(scores))).astype(np.float32)
        return seen


VIEWS: Final[dict[str, Callable[[], View]]] = {"magnitudes": Magnitudes, "ranks": Ranks}


def learned(value: _Value | None, who: str) -> _Value:
    """`value`, something that `fit` made. Raises `NotFitted` while it is None."""
    if value is None:
        raise NotFitted(f"{who} was asked before it was fitted; call fit first")
    return value
