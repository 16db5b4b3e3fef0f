"""What a candidate is: one contract for trees, neighbours, networks and detectors; tests/contract judges them all.

- The constructor only remembers; `fit` does the work and returns the candidate; what was fitted ends in an underscore.
- A `Classifier` answers `chances` [n, K] that sum to one, in the order of `Prepared.classes`. A `Detector` answers
  `strangeness` [n], finite, higher is stranger. `Described.judges` says which of the two `make` gives.
- Inputs are encoded rows: float32, finite, `[n, F]`, in the order of `Prepared.names`.
- `to_onnx` is the fitted candidate as a graph: input `features` [n, F] float32; output `chances` [n, K] float32, or
  `strangeness` [n] float32. What a run keeps, predicts with and explains is always that graph, never a Python object.
- What else a fit has to say, a candidate may have as `note_` (a sentence for people), `unfinished_` (cut off in its
  epochs) and `rounds_` (of boosting); whoever fits looks for them.
- A candidate that goes through epochs tells each one, looks at `Told.stop` after it, and puts checkpoints into
  `Told.folder`, from which another `fit` with the same data goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Judges = Literal["classes", "strangeness"]
History = list[dict[str, float]]
"""A row an epoch: epoch, loss, val_loss, and accuracy (acc, val_acc) where there is one."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Encoded rows in their roles. `select` chooses among settings and says when to stop; nobody here sees test rows.

    Of a benign-only or unsupervised task `fit_class` and `select_class` are None, and `fit` holds what is taken for
    ordinary.
    """

    names: tuple[str, ...]
    """`F` encoded features."""
    sources: tuple[str, ...]
    """The column each encoded feature came from, `F` of them."""
    fit: NDArray[np.float32]
    select: NDArray[np.float32]
    fit_class: NDArray[np.int64] | None = None
    select_class: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    """`K` class names; the numbers of `fit_class` are places in it."""
    weights: NDArray[np.float32] | None = None
    """What each fit row counts, where classes are balanced by weights."""

    @property
    def known(self) -> NDArray[np.int64]:
        """`fit_class` of a task that has classes. Raises `ValueError` of one that has none."""
        if self.fit_class is None:
            raise ValueError("a classifier needs classes; this task has none")
        return self.fit_class


@dataclass(frozen=True, slots=True)
class Told:
    """How a fit speaks and is spoken to."""

    epoch: Callable[[dict[str, float]], None] = lambda _row: None
    """Told each row of the history."""
    stop: Callable[[], bool] = lambda: False
    """True when the fit should end with what it has: out of time, or a person said stop."""
    seconds_left: Callable[[], float] = lambda: float("inf")
    folder: Path | None = None
    """Where checkpoints may lie; None without."""


@dataclass(frozen=True, slots=True)
class Described:
    """A candidate before it exists: what the settings page and the run know it by."""

    name: str
    """Kebab-case, such as `random-forest`."""
    title: str
    """As people call it, such as `Random forest`."""
    judges: Judges
    kind: Literal["ml", "dl"]
    make: Callable[[dict[str, Any], int], Classifier | Detector]
    """From hyper-parameters (defaults for those not named) and a seed."""
    space: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    """Values worth trying in a search, by hyper-parameter."""
    note: str = ""
    """One plain sentence for a person who has never heard of it."""


class Candidate(Protocol):
    """What both kinds do. See the top of this module."""

    def fit(self, data: Prepared, told: Told) -> Self:
        """Learn from `data.fit`; `data.select` only says when to stop."""
        ...

    def to_onnx(self) -> Any:
        """An `onnx.ModelProto`, as described at the top."""
        ...


@runtime_checkable
class Classifier(Candidate, Protocol):
    """Tells classes apart."""

    def chances(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n, K]`."""
        ...


@runtime_checkable
class Detector(Candidate, Protocol):
    """Finds what is strange."""

    def strangeness(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[n]`."""
        ...
