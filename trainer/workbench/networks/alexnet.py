"""AlexNet (Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep CNNs, 2012) on tables.

Kept: five convolutions, the first two with wide windows, overlapping pools after the first, second and fifth, two wide
dense layers with half of their outputs dropped, ReLU. Adapted: images of 8 to 32 pixels a side instead of 224, so the
first window is 5 by 5 and steps by 1 (by 2 above 16 pixels) instead of 11 by 11 by 4; maps an eighth of 96, 256, 384,
384 and 256 and dense layers of 256 instead of 4096, so that an epoch of twenty thousand rows takes seconds on two
cores; batch normalisation instead of the local response normalisation it made obsolete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.classifier import Plan

if TYPE_CHECKING:
    from trainer.workbench.networks.hyper import Hyper

_LAYERS: Final = ((12, 5, True), (32, 5, True), (48, 3, False), (48, 3, False), (32, 3, True))
"""Maps, window, and whether a pool follows."""
_SMALL: Final = 16
_DENSE: Final = 256


def _build(keras: Any, shape: tuple[int, ...], classes: int, hyper: Hyper) -> Any:
    layers = keras.layers
    value = entered = keras.Input(shape)
    for number, (maps, window, pooled) in enumerate(_LAYERS):
        stride = 2 if number == 0 and shape[0] > _SMALL else 1
        size = max(round(maps * hyper.width), 2)
        value = layers.Conv2D(size, window, strides=stride, padding="same", use_bias=False)(value)
        value = layers.BatchNormalization(momentum=0.9)(value)
        value = layers.ReLU()(value)
        if pooled:
            value = layers.MaxPooling2D(3, strides=2, padding="same")(value)
    value = layers.Flatten()(value)
    for _ in range(2):
        value = layers.Dense(max(round(_DENSE * hyper.width), 4), activation="relu")(value)
        value = layers.Dropout(hyper.dropout)(value)
    return keras.Model(entered, layers.Dense(classes)(value))


PLAN: Final = Plan("alexnet", "AlexNet", "image", _build, {"dropout": 0.5})
