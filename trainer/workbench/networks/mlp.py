"""The complex MLP: four wide layers with batch normalisation and dropout, on normal scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.classifier import Plan

if TYPE_CHECKING:
    from trainer.workbench.networks.hyper import Hyper

_LAYERS: Final = (256, 128, 64, 32)


def _build(keras: Any, shape: tuple[int, ...], classes: int, hyper: Hyper) -> Any:
    layers = keras.layers
    value = entered = keras.Input(shape)
    for size in _LAYERS:
        value = layers.Dense(max(round(size * hyper.width), 4), use_bias=False)(value)
        value = layers.BatchNormalization(momentum=0.9)(value)
        value = layers.ReLU()(value)
        value = layers.Dropout(hyper.dropout)(value)
    return keras.Model(entered, layers.Dense(classes)(value))


PLAN: Final = Plan("complex-mlp", "Complex MLP", "scores", _build)
