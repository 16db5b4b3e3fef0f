"""How a row becomes an image: one pixel a feature, features that go together side by side.

A convolution only means something if neighbours do. So the features are put in the order of a hierarchical clustering
by correlation (average linkage on `1 - |r|` of their scores over the fit rows, leaves ordered so that neighbours are
alike), and laid into a square by halves: the list is cut in two and the square is cut across its longer side, until a
part is one pixel. What is close in the order is then close in both directions, as a plain row-by-row filling would not
have it. Pixels left over at the end of the list are zero, the score of an ordinary value. More features than
`MOST_SIDE` squared do not fit: those whose means differ most between classes stay (one-way F); the rest are not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_SIDE: Final = 8
MOST_SIDE: Final = 32
_MOST_ROWS: Final = 20_000
_ORDERED: Final = 512
"""Beyond so many features the leaves keep the order the clustering gives: the best one would take minutes."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A square of `side` by `side` pixels; `pixels` `[side * side]` names each one's feature, `F` for none."""

    side: int
    pixels: NDArray[np.int32]

    @classmethod
    def fit(cls, scores: NDArray[np.float32], class_: NDArray[np.int64] | None = None) -> Self:
        """Learn from scores `[n, F]` of the fit rows and their classes `[n]`."""
        seen = np.linspace(0, len(scores) - 1, min(len(scores), _MOST_ROWS)).astype(np.int64)
        scores, class_ = scores[seen], None if class_ is None else class_[seen]
        width = scores.shape[1]
        kept = np.arange(width)
        if width > MOST_SIDE**2:
            kept = np.sort(np.argsort(-_differences(scores, class_), kind="stable")[: MOST_SIDE**2])
        side = max(LEAST_SIDE, math.ceil(math.sqrt(len(kept))))
        order = kept[ordered(scores[:, kept])]
        listed = np.full(side * side, width, dtype=np.int32)
        listed[: len(order)] = order
        pixels = np.empty((side, side), dtype=np.int32)
        _lay(listed, pixels)
        return cls(side, pixels.ravel())

    def image(self, scores: Any, tf: Any) -> Any:
        """The tensor `scores` `[n, F]` as images `[n, side, side, 1]`."""
        padded = tf.pad(scores, [[0, 0], [0, 1]])
        return tf.reshape(tf.gather(padded, self.pixels, axis=1), [-1, self.side, self.side, 1])


def ordered(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """The features of `[n, F]` in an order in which those that go together are neighbours."""
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    width = scores.shape[1]
    if width < 3:
        return np.arange(width)
    centred = scores.astype(np.float64) - scores.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt((centred**2).mean(axis=0))
    centred /= np.where(deviation > 0, deviation, 1.0)  # a constant goes with nothing
    distance = 1.0 - np.abs(centred.T @ centred) / len(centred)
    # Rounded, so that the last bit of a sum does not decide the order.
    distance = np.round(np.clip((distance + distance.T) / 2, 0.0, 1.0), 6)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), method="average", optimal_ordering=width <= _ORDERED)
    order: NDArray[np.int64] = leaves_list(tree).astype(np.int64)
    return order


def _lay(listed: NDArray[np.int32], square: NDArray[np.int32]) -> None:
    """Fill `square` (a view) with `listed`, halving both."""
    height, width = square.shape
    if len(listed) == 1:
        square[0, 0] = listed[0]
    elif width >= height:
        cut = (width // 2) * height
        _lay(listed[:cut], square[:, : width // 2])
        _lay(listed[cut:], square[:, width // 2 :])
    else:
        cut = (height // 2) * width
        _lay(listed[:cut], square[: height // 2])
        _lay(listed[cut:], square[height // 2 :])


def _differences(scores: NDArray[np.float32], class_: NDArray[np.int64] | None) -> NDArray[np.float64]:
    """How much each feature's mean differs between classes, in units of its spread within; spread alone without."""
    spread: NDArray[np.float64] = scores.var(axis=0, dtype=np.float64)
    if class_ is None:
        return spread
    mean = scores.mean(axis=0, dtype=np.float64)
    between = np.zeros(scores.shape[1])
    for one in np.unique(class_):
        rows = scores[class_ == one]
        between += len(rows) * (rows.mean(axis=0, dtype=np.float64) - mean) ** 2
    between /= len(scores)
    told: NDArray[np.float64] = between / np.maximum(spread - between, 1e-9)
    return told
