"""VGG-16 (Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014) on tables.

Kept: thirteen 3 by 3 convolutions in blocks of 2, 2, 3, 3 and 3, a halving after each block, three dense layers.
Adapted: images of 8 to 32 pixels a side instead of 224, halved only while there is something to halve (the last block
sees one pixel, and is then a dense layer by another name); maps an eighth of 64, 128, 256, 512 and 512, half of that
above 16 pixels a side; dense layers of 256 instead of 4096; batch normalisation, without which sixteen layers do not
learn from a fresh start (the authors began with the weights of a shallower network).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.classifier import Plan

if TYPE_CHECKING:
    from trainer.workbench.networks.hyper import Hyper

_BLOCKS: Final = ((8, 2), (16, 2), (32, 3), (64, 3), (64, 3))
"""Maps, and convolutions."""
_SMALL: Final = 16
_DENSE: Final = 256


def _build(keras: Any, shape: tuple[int, ...], classes: int, hyper: Hyper) -> Any:
    layers = keras.layers
    value = entered = keras.Input(shape)
    side, width = shape[0], hyper.width * (1.0 if shape[0] <= _SMALL else 0.5)
    for maps, count in _BLOCKS:
        for _ in range(count):
            value = layers.Conv2D(max(round(maps * width), 2), 3, padding="same", use_bias=False)(value)
            value = layers.BatchNormalization(momentum=0.9)(value)
            value = layers.ReLU()(value)
        if side > 1:
            value, side = layers.MaxPooling2D(2, padding="same")(value), (side + 1) // 2
    value = layers.Flatten()(value)
    for _ in range(2):
        value = layers.Dense(max(round(_DENSE * hyper.width), 4), activation="relu")(value)
        value = layers.Dropout(hyper.dropout)(value)
    return keras.Model(entered, layers.Dense(classes)(value))


PLAN: Final = Plan("vgg-16", "VGG-16", "image", _build, {"dropout": 0.5})
