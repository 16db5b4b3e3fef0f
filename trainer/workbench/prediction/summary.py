"""What is said of all rows of a prediction together: one JSON object, in which nothing is NaN.

What is kept of a row while the table goes by is its prediction, score and chance (eleven bytes), and its label where
the table has one: a million rows are a few tens of megabytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trainer.workbench.prediction.opened import Answer

FORMAT: Final = "anomaflow-prediction-1"
PREVIEW_ROWS: Final = 200
MOST_CHANCES: Final = 20_000_000
"""Chances that are kept to judge by, rows times classes."""


@dataclass(slots=True)
class Kept:
    """What is kept of the rows that went by, in their order."""

    names: tuple[str, ...] = ()
    prediction: list[NDArray[np.int16]] = field(default_factory=list)
    score: list[NDArray[np.float32]] = field(default_factory=list)
    flagged: list[NDArray[np.bool_]] = field(default_factory=list)
    chance: list[NDArray[np.float32]] = field(default_factory=list)
    chances: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[NDArray[np.int32]] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)

    def add(self, answer: Answer) -> None:
        """Keep the answers for the next rows."""
        self.names = answer.names
        self.prediction.append(answer.prediction)
        self.score.append(answer.score)
        self.flagged.append(answer.flagged)
        if answer.chance is not None:
            self.chance.append(answer.chance.astype(np.float32))

    def add_labels(self, words: Sequence[str | None], places: NDArray[Any], answer: Answer) -> None:
        """Keep the labels of the rows just added: `places` in `words`, of which None and an empty one are missing."""
        numbers = [self.words.setdefault(word, len(self.words)) if word else -1 for word in words]
        self.labels.append(np.array(numbers, dtype=np.int32)[places])
        if answer.chances is not None and sum(part.size for part in self.chances) < MOST_CHANCES:
            self.chances.append(answer.chances)

    def whole(self) -> Whole:
        """All of it as arrays `[n]`."""
        return Whole(
            self.names,
            _joined(self.prediction, np.int16),
            _joined(self.score, np.float32),
            _joined(self.flagged, np.bool_),
            _joined(self.chance, np.float32) if self.chance else None,
            np.concatenate(self.chances) if self.chances else None,
            _joined(self.labels, np.int32) if self.labels else None,
            tuple(self.words),
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """Answers for all rows `[n]`; `labels` are places in `words`, -1 where missing, None without a label column."""

    names: tuple[str, ...]
    prediction: NDArray[np.int16]
    score: NDArray[np.float32]
    flagged: NDArray[np.bool_]
    chance: NDArray[np.float32] | None
    chances: NDArray[np.float32] | None
    labels: NDArray[np.int32] | None
    words: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Rows by prediction, of every name there is."""
        found = np.bincount(self.prediction, minlength=len(self.names))
        return {name: int(found[place]) for place, name in enumerate(self.names)}

    @property
    def spread(self) -> dict[str, float | None]:
        """Median, 99th percentile and largest score."""
        if len(self.score) == 0:
            return {"median": None, "p99": None, "max": None}
        median, high = np.quantile(self.score, [0.5, 0.99])
        return {"median": tidy(median), "p99": tidy(high), "max": tidy(self.score.max())}


def told(whole: Whole, schema: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of a prediction; `more` is added as it is."""
    return {
        "format": FORMAT,
        "rows": len(whole.score),
        "counts": whole.counts,
        "anomalies": int(whole.flagged.sum()),
        "score": whole.spread,
        "schema": dict(schema),
        **more,
    }


def tidy(value: Any, digits: int = 6) -> float | None:
    """A number as JSON shows it: six digits that mean something, None where it is not finite."""
    number = float(value)
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None


def clean(value: Any) -> Any:
    """A cell as JSON shows it: what JSON has no word for becomes None or text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _joined(parts: Sequence[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
