"""Places: what people judged, remembered where it lies, each with a reach of its own.

A verdict speaks of a flow and of flows like it, and of nothing else. So labelled rows are not mixed into what a
detector is fitted on, where they would move the score of everything; they are kept as centres in the whitened space of
the neighbours, beside the centres of ordinary traffic, and answer two questions about a row:

- `calm`: does it lie within the reach of something that was called benign? 1 inside the reach, falling to 0 at `FADE`
  times that, 0 beyond.
- `alike`: is it nearer to a labelled attack than to anything ordinary, be it fitted or called benign? The share of the
  two distances counts: 0 from the attack's limit on, 1 from half of it down.

Both are bounded and local. Where no labelled row is near they are 0, so what nobody spoke of keeps its score.

Distances are root mean squares over whitened features, held up by a floor as those of neighbours.py are, and come from
one matrix product for all centres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.detectors.base import fitted
from trainer.detectors.clusters import half_norms
from trainer.detectors.neighbours import NEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.detectors.neighbours import Neighbours
    from trainer.detectors.scaling import Scaling

FADE: Final = 1.5
_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Space:
    """Where rows lie: a scaling, the root of a whitening `[F, F]`, and centres `[o, F]` of ordinary traffic.

    `heard` `[F]` is 0 for features that the members do not see (portfolio.py): here they count as little.
    """

    scaling: Scaling
    root: NDArray[np.float32]
    ordinary: NDArray[np.float32]
    heard: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, member: Neighbours, heard: NDArray[np.float32] | None = None) -> Space:
        """The space of a fitted member, which was shown what is `heard` and no more. Raises `NotFitted`."""
        scaling, whitening = fitted(member, member.scaling_), fitted(member, member.whitening_)
        return cls(scaling, whitening.root, fitted(member, member.coreset_), heard)

    def place(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows `[n, F]` in original units as places `[n, F]`."""
        seen = rows if self.heard is None else rows * self.heard
        placed: NDArray[np.float32] = self.scaling.apply(seen) @ self.root
        return placed

    def graph(self, features: Any, tf: Any) -> Any:
        """`place` in TensorFlow operations."""
        seen = features if self.heard is None else features * self.heard
        return tf.matmul(self.scaling.graph(seen, tf), self.root)


@dataclass(frozen=True, slots=True)
class Places:
    """Centres in `space`: of what was called benign `[b, F]` with its reach `[b]`, and of attacks `[a, F]`.

    `limit` `[a]` is the share of the distance to what is ordinary up to which an attack's centre counts at all.
    """

    space: Space
    benign: NDArray[np.float32]
    reach: NDArray[np.float32]
    attack: NDArray[np.float32]
    limit: NDArray[np.float32]

    def graph(self, features: Any, tf: Any) -> tuple[Any, Any]:
        """`answers` in TensorFlow operations."""
        placed = self.space.graph(features, tf)
        own = tf.reduce_sum(tf.square(placed), axis=1, keepdims=True)

        def far(centres: NDArray[np.float32]) -> Any:
            # Plus a negative constant, not minus: the runtime makes one operation of a product and a sum.
            near = tf.matmul(placed, centres.T.copy()) + -half_norms(centres)
            return tf.sqrt(tf.nn.relu(own - 2 * near) * np.float32(1 / centres.shape[1]) + np.float32(NEAR))

        ordinary = tf.reduce_min(far(self.space.ordinary), axis=1, keepdims=True)
        calm = alike = tf.zeros_like(tf.squeeze(own, axis=1))
        if len(self.benign):
            beside = far(self.benign)
            calm = tf.reduce_max(tf.minimum(tf.nn.relu(self._fading(beside)), np.float32(1)), axis=1)
            ordinary = tf.minimum(ordinary, tf.reduce_min(beside, axis=1, keepdims=True))
        if len(self.attack):
            share = far(self.attack) * (np.float32(1) / self.limit)
            alike = tf.reduce_max(tf.minimum(tf.nn.relu(2 - 2 * share / ordinary), np.float32(1)), axis=1)
        return calm, alike

    def answers(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`calm` and `alike` of rows in original units, `[n]` each, 0 to 1."""
        calm, alike = np.zeros((2, len(rows)), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, start + _BLOCK)
            placed = self.space.place(rows[part])
            ordinary = distances(placed, self.space.ordinary).min(axis=1, keepdims=True)
            if len(self.benign):
                beside = distances(placed, self.benign)
                calm[part] = np.clip(self._fading(beside), 0, 1).max(axis=1)
                ordinary = np.minimum(ordinary, beside.min(axis=1, keepdims=True))
            if len(self.attack):
                share = distances(placed, self.attack) * (np.float32(1) / self.limit)
                alike[part] = np.clip(2 - 2 * share / ordinary, 0, 1).max(axis=1)
        return calm, alike

    def _fading(self, beside: Any) -> Any:
        """1 and more within the reach, 0 and less beyond `FADE` times that."""
        return np.float32(FADE / (FADE - 1)) - beside * (np.float32(1 / (FADE - 1)) / self.reach)


def distances(placed: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far places `[n, F]` lie from `centres` `[k, F]`: `[n, k]`, above zero."""
    own = np.einsum("ij,ij->i", placed, placed)[:, None]
    squared = np.maximum(own - 2 * (placed @ centres.T - half_norms(centres)), 0) / np.float32(centres.shape[1])
    found: NDArray[np.float32] = np.sqrt(squared + np.float32(NEAR))
    return found
