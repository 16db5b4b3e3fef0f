"""The tabular network: an MLP on piecewise-linear shares (knots.py; Gorishniy, Rubachev, Babenko, 2022).

A plain network sees one number a feature and has to bend it itself; here each piece of a feature's range is an entry of
its own, so that the first layer can give "between 40 and 60" a weight, as a tree's question does. Two layers of 256 and
one of 128 with dropout follow. It was chosen by measurement over a residual and a gated residual network, an ensemble
that shares weights (TabM), and the same networks without pieces; docs/networks.md has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.networks.classifier import Plan

if TYPE_CHECKING:
    from trainer.workbench.networks.hyper import Hyper

_LAYERS: Final = (256, 256, 128)


def _build(keras: Any, shape: tuple[int, ...], classes: int, hyper: Hyper) -> Any:
    layers = keras.layers
    value = entered = keras.Input(shape)
    for size in _LAYERS:
        value = layers.Dense(max(round(size * hyper.width), 4), activation="relu")(value)
        value = layers.Dropout(hyper.dropout)(value)
    return keras.Model(entered, layers.Dense(classes)(value))


PLAN: Final = Plan("tabular-mlp", "Tabular MLP", "shares", _build)
