"""Hyper-parameters of a network: what a run or a search may turn, each with a default and the numbers allowed.

A name that is not one of them, or a value outside its bounds, is refused in words that say what is allowed: a search
that silently turns nothing would report figures of the defaults.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from trainer.errors import SettingsUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

ClassWeights = Literal["none", "balanced"]


@dataclass(frozen=True, slots=True)
class Hyper:
    """How a network is built and trained."""

    epochs: int = 30
    """Most passes over the fit rows."""
    batch_size: int = 256
    patience: int = 6
    """Epochs without a better loss on the select rows before training ends."""
    learning_rate: float = 1e-3
    """Of AdamW at the start; it is halved whenever half the patience has gone by without a better loss."""
    weight_decay: float = 1e-4
    dropout: float = 0.1
    """Share of a layer's outputs that is left out at random in training."""
    width: float = 1.0
    """Layers are this many times as wide as the network's own default."""
    bins: int = 16
    """Most pieces into which the values of one feature are cut (knots.py)."""
    middle: int = 0
    """Numbers in the narrow middle of an autoencoder; 0 for an eighth of the features, from 2 to 32."""
    class_weights: ClassWeights = "none"
    """`balanced`: every class counts alike however rare. Weights that come with the rows go first."""

    def to_json(self) -> dict[str, Any]:
        """One flat object."""
        return asdict(self)

    @classmethod
    def of(cls, params: Mapping[str, Any], **defaults: Any) -> Hyper:
        """The hyper-parameters `params`, over `defaults` of the network. Raises `SettingsUnusable`."""
        known = [field.name for field in fields(cls)]
        strange = sorted(set(params) - set(known))
        if strange:
            raise SettingsUnusable(
                f"building a network: there is no hyper-parameter {strange[0]!r}; there are {', '.join(sorted(known))}"
            )
        return cls(**{name: _checked(name, value) for name, value in {**defaults, **params}.items()})


_BOUNDS: Final[dict[str, tuple[type, float, float]]] = {
    "epochs": (int, 1, 10_000),
    "batch_size": (int, 1, 65_536),
    "patience": (int, 1, 10_000),
    "learning_rate": (float, 1e-6, 1.0),
    "weight_decay": (float, 0.0, 1.0),
    "dropout": (float, 0.0, 0.9),
    "width": (float, 0.05, 8.0),
    "bins": (int, 1, 128),
    "middle": (int, 0, 512),
}


def _checked(name: str, value: Any) -> Any:
    if name == "class_weights":
        if value not in get_args(ClassWeights):
            raise SettingsUnusable(
                f"building a network: class_weights is {value!r}; give one of {', '.join(get_args(ClassWeights))}"
            )
        return value
    kind, low, high = _BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise SettingsUnusable(f"building a network: {name} is {value!r}; give a number from {low:g} to {high:g}")
    return kind(value)
