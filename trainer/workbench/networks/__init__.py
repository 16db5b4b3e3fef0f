"""Networks: Keras candidates of a deep-learning experiment, one file a network. Light until one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.workbench.candidates.base import Described


def networks() -> tuple[Described, ...]:
    """Every network, cheap before dear."""
    from trainer.workbench.networks.catalogue import DESCRIBED

    return DESCRIBED
