"""Histograms of scores: what a sensor counts and an aggregator adds up, so that a threshold can be chosen anew.

A score is `-log10 p`. Bins are `STEP` wide from 0 to `TOP`, and one more holds everything at or above `TOP`. `STEP` is
a power of two, so every edge is exact in float32 as in float64: a flow lies in a bin at or above the one of an edge
exactly when its score is at least that edge, on every machine. A threshold that is an edge therefore means the same to
the detector and to a histogram. One step is 3.7 % of a false-positive rate.

A histogram is an int64 array `[BINS]` of counts. Merging is addition. On the wire and in the store it is sparse: the
bins that hold something, and their counts.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

STEP: Final = 1 / 64
TOP: Final = 20.0
BINS: Final = int(TOP / STEP) + 1
EDGES: Final[NDArray[np.float64]] = np.arange(BINS, dtype=np.float64) * STEP
"""Lower edge of every bin `[BINS]`. The last bin has no upper one."""
EDGES.setflags(write=False)


class HistogramError(ValueError):
    """Counts that are no histogram. The message says what is wrong with them."""


def places(scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """The bin of each of `scores` [n]; below zero counts as zero. Raises `HistogramError` for a score that is NaN."""
    values = np.asarray(scores)
    if np.isnan(values).any():
        raise HistogramError("counting scores: one of them is not a number; look at the model that gave it")
    found: NDArray[np.intp] = (np.clip(values, 0.0, TOP) * (1 / STEP)).astype(np.intp)
    return found


def empty() -> NDArray[np.int64]:
    """Nothing counted yet."""
    return np.zeros(BINS, dtype=np.int64)


def count(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    """The histogram `[BINS]` of `scores` [n]. Raises `HistogramError` for a score that is NaN."""
    return np.bincount(places(scores), minlength=BINS).astype(np.int64)


def merge(parts: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The sum of `parts`; empty without any."""
    total = empty()
    for part in parts:
        total += part
    return total


def subtract(total: NDArray[np.int64], part: NDArray[np.int64]) -> NDArray[np.int64]:
    """`total` without `part`. What `part` holds beyond `total` is ignored: no bin falls below zero."""
    return np.maximum(total - part, 0)


def at_least(histogram: NDArray[np.int64], threshold: float) -> int:
    """How many scores reach `threshold`. Exact on an edge; between two edges, those that surely do."""
    return int(histogram[_first_whole_bin(threshold) :].sum())


def edge_above(threshold: float) -> float:
    """The smallest edge that is not below `threshold`; `TOP` when there is none."""
    return float(EDGES[min(_first_whole_bin(threshold), BINS - 1)])


def quantile(histogram: NDArray[np.int64], share: float) -> float:
    """The smallest edge that a share of at most 1 - `share` of the scores reaches; `TOP` when more than that overflow.

    Raises `HistogramError` for an empty histogram.
    """
    rows = int(histogram.sum())
    if not rows:
        raise HistogramError("asking an empty histogram for a quantile: count some scores first")
    return above_rank(histogram, int(rows * (1 - share) + 1e-9) + 1)


def above_rank(histogram: NDArray[np.int64], rank: int) -> float:
    """The smallest edge that fewer than `rank` scores reach: just above the `rank`-th largest score's bin.

    `rank` 1 is above every score. Infinite when the `rank`-th largest score lies in the overflow.
    """
    reaching = np.append(np.cumsum(histogram[::-1])[::-1], 0)
    first = int(np.argmax(reaching < rank))
    return float(EDGES[first]) if first < BINS else float("inf")


def pack(histogram: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The bins that hold something, rising, and their counts."""
    filled = np.flatnonzero(histogram)
    return filled.tolist(), histogram[filled].tolist()


def unpack(filled: Sequence[int], counts: Sequence[int], *, most: int = 1 << 53) -> NDArray[np.int64]:
    """The inverse of `pack`, for what an untrusted peer sent.

    Raises `HistogramError` when bins do not rise or do not exist, lengths differ, or the counts exceed `most` together.
    """
    if len(filled) != len(counts):
        raise HistogramError(f"a histogram of {len(filled)} bins has {len(counts)} counts")
    if len(filled) > BINS or any(not 0 <= place < BINS for place in filled):
        raise HistogramError(f"a histogram names bins outside 0 to {BINS - 1}")
    if any(later <= earlier for earlier, later in pairwise(filled)):
        raise HistogramError("a histogram's bins do not rise")
    if any(number < 0 for number in counts) or sum(counts) > most:
        raise HistogramError(f"a histogram counts below zero or more than {most}")
    result = empty()
    result[np.asarray(filled, dtype=np.intp)] = np.asarray(counts, dtype=np.int64)
    return result


def _first_whole_bin(threshold: float) -> int:
    """The first bin all of which reaches `threshold`; `BINS` when none does."""
    return int(np.searchsorted(EDGES, threshold, side="left"))
