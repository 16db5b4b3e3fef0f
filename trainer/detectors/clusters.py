"""Clusters: a few points that stand for many rows, the same ones for the same rows and seed.

k-means++ chooses the first centres (Arthur and Vassilvitskii, 2007), a few rounds of Lloyd's algorithm move them to the
mean of the rows nearest to them. Rows count by their weight. scikit-learn's own k-means adds up across threads in an
order that differs from run to run, which would change the last bits of a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS: Final = 12
MOST_ROWS: Final = 20_000
"""With more rows a seeded sample of as many is clustered: centres of a few hundred clusters do not need more."""
_BLOCK: Final = 4096


def kmeans(rows: NDArray[np.float32], weights: NDArray[np.float32], count: int, seed: int) -> NDArray[np.float32]:
    """Centres `[k, F]` of `rows` `[n, F]`, k at most `count`; fewer where rows are few or alike."""
    chance = np.random.default_rng([seed, 11])
    share = weights.astype(np.float64) / float(weights.sum())
    if len(rows) > MOST_ROWS:
        kept = np.sort(chance.choice(len(rows), MOST_ROWS, replace=False, p=None))
        rows, share = rows[kept], share[kept]
    centres = _first(rows, share, count, chance)
    for _ in range(ROUNDS):
        nearest = assign(rows, centres)
        mass = np.bincount(nearest, weights=share, minlength=len(centres))
        order = np.argsort(nearest, kind="stable")
        starts = np.searchsorted(nearest[order], np.arange(len(centres)))
        held = mass > 0
        sums = np.add.reduceat((rows[order] * share[order, None]).astype(np.float64), starts[held], axis=0)
        moved = centres.copy()
        moved[held] = (sums / mass[held, None]).astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def assign(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """The position of the nearest of `centres` `[k, F]` for every row `[n]`."""
    found = np.empty(len(rows), dtype=np.intp)
    half = half_norms(centres)
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        found[start : start + _BLOCK] = np.argmax(part @ centres.T - half, axis=1)
    return found


def half_norms(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half the squared length of each of `centres` `[k, F]`, `[k]`: what a product with them lacks to a distance."""
    half: NDArray[np.float32] = (0.5 * np.sum(centres.astype(np.float64) ** 2, axis=1)).astype(np.float32)
    return half


def _first(
    rows: NDArray[np.float32], share: NDArray[np.float64], count: int, chance: np.random.Generator
) -> NDArray[np.float32]:
    """k-means++: each next centre is a row drawn by its weight times its squared distance from those chosen."""
    chosen = [int(np.searchsorted(np.cumsum(share), chance.random() * share.sum()).clip(max=len(rows) - 1))]
    norms = np.einsum("ij,ij->i", rows, rows)
    nearest = np.full(len(rows), np.inf, dtype=np.float32)
    while len(chosen) < min(count, len(rows)):
        last = rows[chosen[-1]]
        nearest = np.minimum(nearest, np.maximum(norms - 2 * (rows @ last) + last @ last, 0))
        nearest[chosen[-1]] = 0
        reach = np.cumsum(nearest * share)
        if reach[-1] <= 0:
            break
        chosen.append(int(np.searchsorted(reach, chance.random() * reach[-1], side="right").clip(max=len(rows) - 1)))
    return rows[chosen].copy()


def nearest_graph(scaled: Any, centres: NDArray[np.float32], tf: Any) -> Any:
    """`assign` in TensorFlow operations `tf`."""
    return tf.argmax(tf.matmul(scaled, centres.T.copy()) + -half_norms(centres), axis=1)
