"""The small autoencoder: learnt with scikit-learn in seconds, for runs without TensorFlow's networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.workbench.candidates.base import Described
from trainer.workbench.candidates.detectors.deviations import CLIP, Deviations
from trainer.workbench.candidates.detectors.graphed import Graphed
from trainer.workbench.candidates.sampling import sampled

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Prepared, Told
    from trainer.workbench.candidates.graph import Drawing

_MOST: Final = 50_000
"""Fit rows learnt from, at most."""
_LOOKED: Final = 5_000
"""Select rows that say after each epoch whether it got better, at most."""
_PATIENCE: Final = 4
"""Epochs without a better one before it ends."""
_BETTER: Final = 0.999
"""Of the best loss: a smaller gain than a thousandth is not waited for."""


class Autoencoder(Graphed):
    """A small network that squeezes a row through a few numbers and back: what it cannot give back is strange.

    scikit-learn's perceptron with three hidden layers, epoch by epoch, until select rows come back no better.
    """

    def _learn(self, data: Prepared, told: Told) -> None:
        from sklearn.neural_network import MLPRegressor

        self.deviations = Deviations.of(data.fit)
        at, self.note_ = sampled(data, _MOST, self.seed)
        fit, select = self.deviations.apply(data.fit[at]), self.deviations.apply(data.select[:_LOOKED])
        wide, narrow = int(self.given.get("wide", 64)), int(self.given.get("narrow", 16))
        network = MLPRegressor(
            hidden_layer_sizes=(wide, narrow, wide), batch_size=min(256, len(fit)), random_state=self.seed
        )
        best, waited = float("inf"), 0
        for epoch in range(1, int(self.given.get("epochs", 40)) + 1):
            network.partial_fit(fit, fit)
            loss = float(((network.predict(select) - select) ** 2).mean()) if len(select) else float(network.loss_)
            # scikit-learn's loss is half the mean square.
            told.epoch({"epoch": epoch, "loss": float(network.loss_) * 2, "val_loss": loss})
            waited = 0 if loss < best * _BETTER else waited + 1
            if loss < best:
                best = loss
                self.layers = [
                    (each.astype(np.float32), shift.astype(np.float32))
                    for each, shift in zip(network.coefs_, network.intercepts_, strict=True)
                ]
            if waited >= _PATIENCE or told.stop() or told.seconds_left() <= 0:
                break

    def draw(self, drawing: Drawing, rows: str) -> str:
        """See `Graphed`."""
        given = here = self.deviations.draw(drawing, rows)
        for at, (weights, shift) in enumerate(self.layers):
            here = drawing.op("Add", drawing.op("MatMul", here, drawing.constant(weights)), drawing.constant(shift))
            if at < len(self.layers) - 1:
                here = drawing.op("Relu", here)
        bound = np.float32(2 * CLIP)  # as far apart as two clipped values can be; a row unlike any may come back wild
        apart = drawing.op("Clip", drawing.op("Sub", given, here), drawing.constant(-bound), drawing.constant(bound))
        return drawing.op("Sqrt", drawing.op("ReduceMean", drawing.op("Mul", apart, apart), axes=[1], keepdims=0))


DESCRIBED: Final = (
    Described(
        name="autoencoder",
        title="Autoencoder",
        judges="strangeness",
        kind="ml",
        make=Autoencoder,
        space={"wide": (32, 64, 128), "narrow": (4, 8, 16)},
        note="A network that learns to give ordinary rows back; what it cannot give back is strange.",
    ),
)
