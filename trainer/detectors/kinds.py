"""Kinds: ordinary traffic that people named beside the bulk of it, each with a centre of its own.

A detector that measures how far a row lies from the mean cannot learn that some far place is ordinary: the mean of
traffic and a nightly backup is a place where neither is. So labelled false positives become clusters beside the bulk,
and a row is measured from the centre it lies nearest to. Where nothing was labelled there is one kind, the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.clusters import assign, kmeans

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST: Final = 12
"""Kinds beside the bulk, at most. Verdicts come in kinds: a job, a scanner of one's own, a printer."""
_FEWEST: Final = 5


def find(
    scaled: NDArray[np.float32], weights: NDArray[np.float32], bulk: NDArray[np.bool_], seed: int
) -> NDArray[np.float32]:
    """Centres `[k, F]` of scaled rows `[n, F]`: first the bulk's, which is zero, then those of rows not in `bulk`."""
    nothing = np.zeros((1, scaled.shape[1]), dtype=np.float32)
    if int((~bulk).sum()) < _FEWEST:
        return nothing
    return np.concatenate([nothing, kmeans(scaled[~bulk], weights[~bulk], MOST, seed)])


def deviate(scaled: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scaled rows `[n, F]` as deviations from the centre that each lies nearest to."""
    if len(centres) == 1:
        return scaled
    deviations: NDArray[np.float32] = scaled - centres[assign(scaled, centres)]
    return deviations


def graph(scaled: Any, centres: NDArray[np.float32], tf: Any) -> Any:
    """`deviate` in TensorFlow operations."""
    if len(centres) == 1:
        return scaled
    return scaled - tf.gather(centres, nearest_graph(scaled, centres, tf))


def nearest_graph(scaled: Any, centres: NDArray[np.float32], tf: Any) -> Any:
    """`clusters.assign` in TensorFlow operations."""
    half = (0.5 * np.sum(centres.astype(np.float64) ** 2, axis=1)).astype(np.float32)
    return tf.argmax(tf.matmul(scaled, centres.T.copy()) + -half, axis=1)
