"""An autoencoder: a network that rebuilds benign flows through a narrow middle, and fails on what it never saw.

Raw score: the mean over features of (error / typical error) squared, where the typical error of a feature is its root
mean square over the select rows, with a floor. A feature's part in that sum is its contribution, and what the network
rebuilt, back in original units, is what it expected. Squared errors name the guilty feature about as well as Shapley
values at a hundredth of the price.

Training stops when the select rows stop improving, and the best weights are kept. Everything is seeded, and TensorFlow
is asked for deterministic operations: the same rows give the same weights on the same machine and versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from trainer.detectors.base import TINY, fitted
from trainer.detectors.scaling import Scaling
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trainer.making.recipe import Network

_BATCH_ROWS: Final = 4096
_HELD_BACK: Final = 0.1


class Autoencoder:
    """See `base.Detector`. `on_epoch(done, of, select_loss)` is called after every epoch."""

    kind = "autoencoder"

    def __init__(
        self,
        network: Network,
        *,
        seed: int,
        knots: int = 1,
        on_epoch: Callable[[int, int, float], None] | None = None,
    ) -> None:
        self.network = network
        self.knots = knots
        self.seed = seed
        self.on_epoch = on_epoch
        self.scaling_: Scaling | None = None
        self.typical_error_: NDArray[np.float32] | None = None
        self.model_: Any = None
        self.layers_: list[tuple[NDArray[np.float32], NDArray[np.float32]]] | None = None
        self.epochs_: int = 0

    def fit(
        self,
        rows: NDArray[np.float32],
        weights: NDArray[np.float32] | None = None,
        *,
        select: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
    ) -> Self:
        """Learn benign rows `[n, F]`.

        `select` are rows and weights that say when to stop; without them the last tenth of `rows` is held back for it.
        """
        everyone = np.ones(len(rows), dtype=np.float32) if weights is None else weights.astype(np.float32)
        if select is None:
            held = max(int(len(rows) * _HELD_BACK), 1)
            select = rows[-held:], everyone[-held:]
            rows, everyone = rows[:-held], everyone[:-held]
        self.scaling_ = Scaling.fit(
            rows,
            everyone,
            clip=self.network.clip,
            floor=self.network.deviation_floor,
            knots=self.knots,
        )
        select_rows, select_weights = self.scaling_.apply(select[0]), select[1].astype(np.float32)
        self._train(self.scaling_.apply(rows), everyone, select_rows, select_weights)
        squared = (select_rows - self._rebuild(select_rows)) ** 2
        typical = np.sqrt(np.average(squared.astype(np.float64), axis=0, weights=select_weights))
        self.typical_error_ = np.maximum(typical, self.network.residual_floor).astype(np.float32)
        return self

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean squared error in units of the typical error. `[n]`, above zero."""
        errors, _ = self._errors(rows)
        score: NDArray[np.float32] = errors.mean(axis=1, dtype=np.float32) + np.float32(TINY)
        return score

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions `[n, F]`, which sum to 1 over a row, and expected values `[n, F]` in original units."""
        errors, rebuilt = self._errors(rows)
        expected = fitted(self, self.scaling_).invert(rebuilt)
        return errors / (errors.sum(axis=1, keepdims=True) + np.float32(TINY)), expected

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """The same in TensorFlow operations, for export: raw score `[n]`, contributions and expected `[n, F]`."""
        tf = tensorflow()
        scaling, typical = fitted(self, self.scaling_), fitted(self, self.typical_error_)
        layers = fitted(self, self.layers_)
        scaled = scaling.graph(features, tf)
        rebuilt = scaled
        for number, (weights, bias) in enumerate(layers):
            rebuilt = tf.matmul(rebuilt, weights) + bias
            rebuilt = tf.nn.relu(rebuilt) if number < len(layers) - 1 else rebuilt
        errors = tf.square((scaled - rebuilt) * (np.float32(1) / typical))
        total = tf.reduce_sum(errors, axis=1, keepdims=True) + np.float32(TINY)
        raw = tf.squeeze(total, axis=1) * np.float32(1.0 / len(typical)) + np.float32(TINY)
        return raw, errors * tf.math.reciprocal(total), scaling.invert_graph(rebuilt, tf)

    def _errors(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        scaling, typical = fitted(self, self.scaling_), fitted(self, self.typical_error_)
        scaled = scaling.apply(rows)
        rebuilt = self._rebuild(scaled)
        return ((scaled - rebuilt) / typical) ** 2, rebuilt

    def _rebuild(self, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [
            self.model_(scaled[start : start + _BATCH_ROWS], training=False).numpy()
            for start in range(0, len(scaled), _BATCH_ROWS)
        ]
        rebuilt: NDArray[np.float32] = np.concatenate(parts) if parts else scaled
        return rebuilt

    def _train(
        self,
        rows: NDArray[np.float32],
        weights: NDArray[np.float32],
        select_rows: NDArray[np.float32],
        select_weights: NDArray[np.float32],
    ) -> None:
        keras = tensorflow().keras
        keras.utils.set_random_seed(self.seed)
        width, network = rows.shape[1], self.network
        layers = [keras.Input((width,), name="scaled")]
        # Names are given because Keras would otherwise number them by what the process built before.
        layers += [
            keras.layers.Dense(size, activation="relu", name=f"dense_{number}")
            for number, size in enumerate((*network.layers, *network.layers[-2::-1]))
        ]
        self.model_ = keras.Sequential([*layers, keras.layers.Dense(width, name="rebuilt")], name="autoencoder")
        self.model_.compile(optimizer=keras.optimizers.Adam(network.learning_rate), loss="mse")
        stop = keras.callbacks.EarlyStopping(patience=network.patience, restore_best_weights=True)
        history = self.model_.fit(
            rows,
            rows,
            sample_weight=weights,
            validation_data=(select_rows, select_rows, select_weights),
            epochs=network.epochs,
            batch_size=max(network.batch_rows, -(-len(rows) // network.most_steps)),
            callbacks=[stop, *self._followers(keras)],
            verbose=0,
        )
        self.layers_ = [tuple(layer.get_weights()) for layer in self.model_.layers]
        self.epochs_ = len(history.history["loss"])

    def _followers(self, keras: Any) -> list[Any]:
        if self.on_epoch is None:
            return []
        tell, of = self.on_epoch, self.network.epochs

        def after(epoch: int, logs: dict[str, float]) -> None:
            tell(epoch + 1, of, float(logs["val_loss"]))

        return [keras.callbacks.LambdaCallback(on_epoch_end=after)]
