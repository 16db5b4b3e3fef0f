"""A variational autoencoder (Kingma, Welling: Auto-Encoding Variational Bayes, 2014): how improbable a row is.

Encoder to the mean and log-variance of a few hidden numbers, decoder back to a mean for every feature; each feature's
spread about that mean is learnt, one number a feature (Rybkin, Daniilidis, Levine: sigma-VAE, 2021), so that no weight
between the two halves of the loss has to be guessed. Training draws the hidden numbers at random, from a seed that the
step's number makes; strangeness is the negative evidence lower bound with the hidden mean in place of a draw: the same
row, the same answer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.rebuilding import Rebuilt, middle, widths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trainer.workbench.networks.hyper import Hyper

_LEAST: Final = -6.0
_MOST: Final = 4.0
"""Log-variances are held within these: a feature that never varied would otherwise be worth everything."""
_SMALLEST_SPREAD: Final = -4.0


class _Variational:
    def __init__(self, tf: Any, features: int, hyper: Hyper) -> None:
        self._tf = tf
        layers = tf.keras.layers
        first, second = widths(features, hyper)
        self._hidden = middle(features, hyper)
        value = entered = tf.keras.Input((features,))
        for size in (first, second):
            value = layers.Dense(size, activation="relu")(value)
        self._encoder = tf.keras.Model(entered, layers.Dense(2 * self._hidden)(value))
        value = drawn = tf.keras.Input((self._hidden,))
        for size in (second, first):
            value = layers.Dense(size, activation="relu")(value)
        self._decoder = tf.keras.Model(drawn, layers.Dense(features)(value))
        self._spread = tf.keras.Variable(tf.zeros([features]), name="spread")

    def variables(self) -> tuple[list[Any], list[Any]]:
        models = (self._encoder, self._decoder)
        return (
            [*(variable for model in models for variable in model.variables), self._spread],
            [*(variable for model in models for variable in model.trainable_variables), self._spread],
        )

    def loss(self, scores: Any, noise: Any) -> Any:
        tf = self._tf
        mean, log_variance = self._encoded(scores)
        hidden = mean
        if noise is not None:
            drawn = tf.random.stateless_normal(tf.shape(mean), seed=noise)
            hidden = mean + tf.exp(log_variance / 2.0) * drawn
        spread = tf.clip_by_value(tf.convert_to_tensor(self._spread), _SMALLEST_SPREAD, _MOST)
        squared = tf.square(scores - self._decoder(hidden)) * tf.exp(-spread)
        rebuilt = 0.5 * tf.reduce_sum(squared + spread + math.log(2 * math.pi), axis=1)
        apart = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_variance) - 1.0 - log_variance, axis=1)
        return (rebuilt + apart) / float(scores.shape[1])

    def settle(self, scores: NDArray[np.float32]) -> None:
        """Nothing: the spread was learnt."""

    def strangeness(self, scores: Any) -> Any:
        return self.loss(scores, None)

    def _encoded(self, scores: Any) -> tuple[Any, Any]:
        both = self._encoder(scores)
        return both[:, : self._hidden], self._tf.clip_by_value(both[:, self._hidden :], _LEAST, _MOST)


KIND: Final = Rebuilt("variational-autoencoder", "Variational autoencoder", _Variational)
