"""An autoencoder: rows through a narrow middle and back. What it cannot rebuild is strange.

Strangeness is the mean over features of (error / typical error) squared, the typical error of a feature being its root
mean square over the select rows, with a floor: a feature that is always rebuilt badly says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.networks.rebuilding import Rebuilt, middle, widths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.workbench.networks.hyper import Hyper

_FLOOR: Final = 0.1


class _Autoencoder:
    def __init__(self, tf: Any, features: int, hyper: Hyper) -> None:
        self._tf = tf
        layers = tf.keras.layers
        first, second = widths(features, hyper)
        value = entered = tf.keras.Input((features,))
        for size in (first, second, middle(features, hyper), second, first):
            value = layers.Dense(size, activation="relu")(value)
        self._model = tf.keras.Model(entered, layers.Dense(features)(value))
        self._typical = np.ones(features, dtype=np.float32)

    def variables(self) -> tuple[list[Any], list[Any]]:
        return list(self._model.variables), list(self._model.trainable_variables)

    def loss(self, scores: Any, noise: Any) -> Any:
        del noise  # an autoencoder has none
        return self._tf.reduce_mean(self._tf.square(scores - self._model(scores)), axis=1)

    def settle(self, scores: NDArray[np.float32]) -> None:
        squared = np.zeros(scores.shape[1])
        for start in range(0, len(scores), 2048):
            part = scores[start : start + 2048]
            squared += ((part - self._model(part).numpy()).astype(np.float64) ** 2).sum(axis=0)
        self._typical = np.maximum(np.sqrt(squared / len(scores)), _FLOOR).astype(np.float32)

    def strangeness(self, scores: Any) -> Any:
        return self._tf.reduce_mean(self._tf.square((scores - self._model(scores)) / self._typical), axis=1)


KIND: Final = Rebuilt("deep-autoencoder", "Deep autoencoder", _Autoencoder)
