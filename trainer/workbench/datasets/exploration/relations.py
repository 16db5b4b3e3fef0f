"""How columns go together, on a sample: Pearson and Spearman for numbers, Cramer's V and correlation ratio for words.

- Pearson's r is what the heat map shows; Spearman's rank correlation stands beside it, since figures of traffic are
  skewed and r sees only straight lines.
- Cramer's V with the bias correction of Bergsma (2013, doi:10.1016/j.jkss.2012.10.002) says how much two columns of
  categories tell of each other, from 0 to 1; the correlation ratio (eta) the same of a category and a number.
- A missing value counts as the column's median in the matrices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.datasets.exploration.columns import NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.datasets.exploration.sampling import Sample

HIGH: Final = 0.95
_MOST: Final = 100
"""Most columns of a matrix: more is no picture any more."""
_MOST_WORDS: Final = 30
_MOST_CATEGORIES: Final = 200


@dataclass(frozen=True, slots=True)
class Related:
    """Correlations of a sample."""

    names: list[str]
    pearson: list[list[float | None]]
    spearman: list[list[float | None]]
    high: list[dict[str, Any]]
    words: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """As in profile.json."""
        return {
            "names": self.names,
            "matrix": self.pearson,
            "method": "pearson",
            "spearman": self.spearman,
            "high": self.high,
            "words": self.words,
        }


def relate(sample: Sample, kinds: dict[str, str]) -> Related:
    """Correlations of all columns of numbers that vary, and of the columns of few words."""
    varying = [name for name, kind in kinds.items() if kind in NUMBERS and _varies(sample.numbers[name])]
    names = varying[:_MOST]
    filled = np.column_stack([_filled(sample.numbers[name]) for name in names]) if names else np.zeros((sample.rows, 0))
    pearson = _correlation(filled)
    spearman = _correlation(np.column_stack([_ranks(filled[:, at]) for at in range(len(names))])) if names else filled
    high: list[dict[str, Any]] = [
        {"a": names[i], "b": names[j], "r": _round(pearson[i, j])}
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if abs(pearson[i, j]) >= HIGH
    ]
    high.sort(key=lambda one: -abs(one["r"]))
    return Related(
        names,
        _rounded(pearson),
        _rounded(spearman),
        high[:100],
        _words(sample, kinds, names),
        len(varying) - len(names),
    )


def cramers_v(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Cramer's V of two columns of codes (0, 1, ...), bias corrected; 0 where one of them never changes."""
    table = np.zeros((int(a.max()) + 1, int(b.max()) + 1))
    np.add.at(table, (a, b), 1.0)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    n, (r, k) = table.sum(), table.shape
    if min(r, k) < 2 or n < 2:
        return 0.0
    expected = np.outer(table.sum(1), table.sum(0)) / n
    phi = ((table - expected) ** 2 / expected).sum() / n
    corrected = max(phi - (k - 1) * (r - 1) / (n - 1), 0.0)
    least = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    return float(min(np.sqrt(corrected / least), 1.0)) if least > 0 else 0.0


def correlation_ratio(codes: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """Eta: the share of the deviation of `values` that lies between the groups of `codes`, from 0 to 1."""
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=values)
    there = counts > 0
    means = sums[there] / counts[there]
    between = (counts[there] * (means - values.mean()) ** 2).sum()
    total = ((values - values.mean()) ** 2).sum()
    return float(np.sqrt(min(between / total, 1.0))) if total > 0 else 0.0


def _words(sample: Sample, kinds: dict[str, str], numbers: list[str]) -> list[dict[str, Any]]:
    few = [
        name
        for name, kind in kinds.items()
        if kind in {"categorical", "boolean"} and 2 <= len(sample.words[name]) <= _MOST_CATEGORIES
    ][:_MOST_WORDS]
    found: list[dict[str, Any]] = []
    for at, name in enumerate(few):
        codes = sample.codes[name] + 1
        found += [
            {
                "a": name,
                "b": other,
                "measure": "cramers-v",
                "strength": _round(cramers_v(codes, sample.codes[other] + 1)),
            }
            for other in few[at + 1 :]
        ]
        found += [
            {
                "a": name,
                "b": other,
                "measure": "correlation-ratio",
                "strength": _round(correlation_ratio(codes, _filled(sample.numbers[other]))),
            }
            for other in numbers
        ]
    found.sort(key=lambda one: -float(one["strength"]))
    return found[:200]


def _varies(values: NDArray[np.float64]) -> bool:
    there = values[~np.isnan(values)]
    return len(there) > 1 and bool(there.min() < there.max())


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    gaps = np.isnan(values)
    if not gaps.any():
        return values
    return np.where(gaps, np.median(values[~gaps]) if (~gaps).any() else 0.0, values)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return ((last - counts + 1 + last) / 2)[place]


def _correlation(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    if columns.shape[1] == 0:
        return np.zeros((0, 0))
    centred = columns - columns.mean(0)
    # Scaled first: figures of traffic squared leave the range in which sums are exact.
    scale = np.abs(centred).max(0)
    centred /= np.where(scale > 0, scale, 1.0)
    norms = np.sqrt((centred**2).sum(0))
    together = centred.T @ centred / np.outer(norms, norms)
    return np.clip(together, -1.0, 1.0)


def _rounded(matrix: NDArray[np.float64]) -> list[list[float | None]]:
    return [[_round(value) if np.isfinite(value) else None for value in row] for row in matrix]


def _round(value: float) -> float:
    return round(float(value), 4)
