"""LeNet-5 (LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998) on tables.

Kept: two 5 by 5 convolutions of 6 and 16 maps, each followed by halving, then dense layers of 120 and 84. Adapted: the
image is as small as the table (8 by 8 to 32 by 32 pixels, 12 by 12 for 122 features), so convolutions keep its size and
the third one is the dense layer of 120 that it is on a 32 by 32 image; ReLU and largest-of-four stand for the scaled
tanh and the trained averages, softmax for the Gaussian output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.classifier import Plan

if TYPE_CHECKING:
    from trainer.workbench.networks.hyper import Hyper


def _build(keras: Any, shape: tuple[int, ...], classes: int, hyper: Hyper) -> Any:
    layers = keras.layers
    value = entered = keras.Input(shape)
    for maps in (6, 16):
        value = layers.Conv2D(max(round(maps * hyper.width), 2), 5, padding="same", activation="relu")(value)
        value = layers.MaxPooling2D(2)(value)
    value = layers.Flatten()(value)
    for size in (120, 84):
        value = layers.Dense(max(round(size * hyper.width), 4), activation="relu")(value)
        value = layers.Dropout(hyper.dropout)(value)
    return keras.Model(entered, layers.Dense(classes)(value))


PLAN: Final = Plan("lenet-5", "LeNet-5", "image", _build)
