"""The classifier head: which labelled family of attacks a row looks like, and how much rather than ordinary traffic.

A softmax over the ordinary and one class a family, on the scaled features: a linear map, or one with a hidden layer
between, whichever does better on held-back labelled rows (trainer/making/teaching.py). Classes count equally, whatever
their rows, so a flood does not drown a handful of guesses. A Keras head and not boosted trees: an agent runs plain
operators of the default domain alone, where hundreds of trees become matrices of tens of thousands of splits, which
cost more than all detectors together; and a head of a few thousand weights cannot learn twenty labelled rows by heart
as trees do.

It raises no score. Its odds of all families together against ordinary traffic say how well it tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import CLIP, FLOOR, fitted
from trainer.detectors.scaling import Scaling
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HIDDEN: Final = 24
_BATCH_ROWS: Final = 256
_STEPS: Final = 800
_LEARNING_RATE: Final = 3e-3
_DECAY: Final = 1e-3
_CERTAIN: Final = 15.0
"""Log odds beyond this are taken for this: float32 cannot tell them apart in a softmax."""
_CHUNK: Final = 100
"""Batches that are drawn and blurred at a time."""
_BLUR: Final = 0.2
"""Deviations of noise added to rows while fitting: few labels must not become a few exact places."""


class Head:
    """Softmax over ordinary traffic and the families `classes`. `hidden` 0 is linear."""

    def __init__(
        self,
        classes: Sequence[str],
        *,
        hidden: int = HIDDEN,
        seed: int = 0,
        clip: float = CLIP,
        floor: float = FLOOR,
        knots: int = 1,
    ) -> None:
        self.classes = tuple(classes)
        self.hidden = hidden
        self.seed = seed
        self.clip = clip
        self.floor = floor
        self.knots = knots
        self.scaling_: Scaling | None = None
        self.layers_: list[tuple[NDArray[np.float32], NDArray[np.float32]]] | None = None

    def fit(
        self,
        rows: NDArray[np.float32],
        weights: NDArray[np.float32],
        attacks: NDArray[np.float32],
        family: NDArray[np.intp],
    ) -> Self:
        """Learn to tell benign rows `[n, F]` from labelled `attacks` `[m, F]`, whose `family` `[m]` indexes `classes`.

        Benign rows count by their weights `[n]`; they alone say what a deviation is.
        """
        keras = tensorflow().keras
        keras.utils.set_random_seed(self.seed)
        self.scaling_ = Scaling.fit(rows, weights, clip=self.clip, floor=self.floor, knots=self.knots)
        scaled = np.concatenate([self.scaling_.apply(rows), self.scaling_.apply(attacks)])
        target = np.concatenate([np.zeros(len(rows), dtype=np.intp), family + 1])
        share = np.concatenate([weights.astype(np.float64), np.ones(len(attacks))])
        mass = np.bincount(target, weights=share, minlength=len(self.classes) + 1)
        chance = share / mass[target]
        # Ordinary traffic counts as much as all families together: there is more of it to know.
        chance[target == 0] *= len(self.classes)
        self.layers_ = self._train(keras, scaled, target, chance / chance.sum())
        return self

    def class_scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability `[n, K]` of each family; what is missing to 1 is that of ordinary traffic."""
        logits = self._logits(rows)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores: NDArray[np.float32] = powers[:, 1:] / powers.sum(axis=1, keepdims=True)
        return scores

    def odds(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Odds `[n]` of all families together against ordinary traffic, above zero and bounded."""
        logits = self._logits(rows).astype(np.float64)
        strongest = logits[:, 1:].max(axis=1)
        together = strongest + np.log(np.exp(logits[:, 1:] - strongest[:, None]).sum(axis=1))
        odds: NDArray[np.float32] = np.exp(np.clip(together - logits[:, 0], -_CERTAIN, _CERTAIN)).astype(np.float32)
        return odds

    def graph(self, features: Any) -> Any:
        """`class_scores` `[n, K]` in TensorFlow operations."""
        tf = tensorflow()
        logits = fitted(self, self.scaling_).graph(features, tf)
        layers = fitted(self, self.layers_)
        for number, (weights, bias) in enumerate(layers):
            logits = tf.matmul(logits, weights) + bias
            logits = tf.nn.relu(logits) if number < len(layers) - 1 else logits
        powers = tf.exp(logits - tf.reduce_max(logits, axis=1, keepdims=True))
        return powers[:, 1:] / tf.reduce_sum(powers, axis=1, keepdims=True)

    def _logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = fitted(self, self.scaling_).apply(rows)
        layers = fitted(self, self.layers_)
        for number, (weights, bias) in enumerate(layers):
            logits = logits @ weights + bias
            logits = np.maximum(logits, 0) if number < len(layers) - 1 else logits
        return logits

    def _train(
        self, keras: Any, scaled: NDArray[np.float32], target: NDArray[np.intp], share: NDArray[np.float64]
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        decay = keras.regularizers.L2(_DECAY)
        layers = [keras.Input((scaled.shape[1],), name="scaled")]
        if self.hidden:
            layers.append(keras.layers.Dense(self.hidden, activation="relu", kernel_regularizer=decay, name="hidden"))
        layers.append(keras.layers.Dense(len(self.classes) + 1, kernel_regularizer=decay, name="families"))
        network = keras.Sequential(layers, name="head")
        network.compile(
            optimizer=keras.optimizers.Adam(_LEARNING_RATE),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        # Rows drawn by their share stand for weights: every batch has all classes in it.
        chance = np.random.default_rng([self.seed, 31])
        drawn = chance.choice(len(scaled), size=_STEPS * _BATCH_ROWS, p=share)
        for start in range(0, len(drawn), _BATCH_ROWS * _CHUNK):
            part = drawn[start : start + _BATCH_ROWS * _CHUNK]
            noise = chance.standard_normal((len(part), scaled.shape[1]), dtype=np.float32)
            blurred = scaled[part] + noise * np.float32(_BLUR)
            network.fit(blurred, target[part], batch_size=_BATCH_ROWS, epochs=1, shuffle=False, verbose=0)
        return [tuple(layer.get_weights()) for layer in network.layers]
