"""What a detector is. Every detector keeps this contract, and one test suite (tests/contract) judges them all.

- The constructor only remembers what it is given; `fit` does the work, returns the detector, and does it again from the
  start when called again.
- What was fitted has a name that ends in an underscore. Asking for scores before `fit` raises `NotFitted`.
- `raw_score` is finite for every finite row, rises with strangeness, and gives a row the same score in any batch.
- Fitting twice on the same rows with the same seed gives the same scores.
- A feature that never varied on the fitted rows can still raise the score when it changes, and only so far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

from trainer.errors import NotFitted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_Value = TypeVar("_Value")

CLIP: Final = 8.0
"""A scaled value is held within this many deviations, so that no single feature can be infinitely strange."""
FLOOR: Final = 0.1
"""Least deviation of a log-scaled feature: one that never varied on benign rows still signals, within bounds."""
TINY: Final = 1e-12
"""Added where a sum is divided by or put into a logarithm."""


class Detector(Protocol):
    """Benign rows in, a score of strangeness out. `kind` names the algorithm in reports and manifests."""

    kind: str

    def fit(self, rows: NDArray[np.float32], weights: NDArray[np.float32] | None = None) -> Self:
        """Learn what is ordinary from benign rows `[n, F]` in original units; a row counts by its weight `[n]`."""
        ...

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Strangeness `[n]` of rows `[n, F]`, above zero, higher is stranger, in a unit of the detector's own."""
        ...

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, at least zero and 1 in all, and what was expected `[n, F]` in original units."""
        ...

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """Raw score, contributions and expected values of the TensorFlow tensor `features`, in plain operations."""
        ...


def fitted(detector: object, value: _Value | None) -> _Value:
    """`value`, something that `fit` made. Raises `NotFitted` while it is None."""
    if value is None:
        raise NotFitted(f"{type(detector).__name__} was asked for scores before it was fitted; call fit first")
    return value
