"""What networks there are. TensorFlow is loaded when one is fitted, not before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.candidates.base import Described

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Classifier, Detector

_SPACE: Final[dict[str, tuple[Any, ...]]] = {
    "learning_rate": (3e-4, 1e-3, 3e-3),
    "width": (0.5, 1.0, 2.0),
    "dropout": (0.0, 0.1, 0.3),
}


def _classifier(
    name: str, title: str, module: str, note: str, space: dict[str, tuple[Any, ...]] | None = None
) -> Described:
    def make(params: dict[str, Any], seed: int) -> Classifier:
        from trainer.workbench.networks.classifier import Network

        return Network(importlib.import_module(f"trainer.workbench.networks.{module}").PLAN, params, seed)

    return Described(name, title, "classes", "dl", make, _SPACE if space is None else space, note)


def _detector(name: str, title: str, module: str, note: str) -> Described:
    def make(params: dict[str, Any], seed: int) -> Detector:
        from trainer.workbench.networks.rebuilding import Rebuilder

        return Rebuilder(importlib.import_module(f"trainer.workbench.networks.{module}").KIND, params, seed)

    space = {"learning_rate": (3e-4, 1e-3, 3e-3), "width": (0.5, 1.0, 2.0), "middle": (0, 4, 16)}
    return Described(name, title, "strangeness", "dl", make, space, note)


DESCRIBED: Final = (
    _classifier(
        "complex-mlp",
        "Complex MLP",
        "mlp",
        "Layers of weighted sums, each followed by a bend; the plain network for tables.",
    ),
    _classifier(
        "tabular-mlp",
        "Tabular MLP (piecewise linear)",
        "tabular",
        "Sees in which part of its range each value lies, as a tree's questions do; the network to try first.",
        {
            "learning_rate": (3e-4, 1e-3, 3e-3),
            "dropout": (0.0, 0.1, 0.3),
            "bins": (8, 16, 32),
            "width": (0.5, 1.0, 2.0),
        },
    ),
    _classifier(
        "lenet-5",
        "LeNet-5",
        "lenet",
        "An early image network; a row is laid out as a small image in which columns that go together are neighbours.",
    ),
    _classifier(
        "alexnet",
        "AlexNet",
        "alexnet",
        "A deeper image network, made small enough for a table; seldom better than LeNet-5 and slower.",
    ),
    _classifier(
        "vgg-16",
        "VGG-16",
        "vgg",
        "Sixteen layers of small windows, made narrow enough for a table; the slowest, for comparison.",
    ),
    _detector(
        "deep-autoencoder",
        "Deep autoencoder",
        "autoencoder",
        "Learns to give ordinary rows back through a narrow middle; what it cannot give back is strange.",
    ),
    _detector(
        "variational-autoencoder",
        "Variational autoencoder",
        "variational",
        "Learns how probable ordinary rows are; what it finds improbable is strange.",
    ),
)
