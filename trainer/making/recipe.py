"""The recipe of a model: everything a run depends on, frozen and hashable.

Two runs with the same recipe fit the same model: the data (by digest of every file read), the seed, the shape of the
network, the split, the scaling and the versions of what computes. Whatever is not in here, the clock above all, must
not change a weight. The recipe travels in the model's manifest, so a model can always say how it was made.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from protos import contract
from protos.manifest import CaptureProfile

ALPHAS: Final = (1e-1, 5e-2, 1e-2, 5e-3, 1e-3, 5e-4, 1e-4)
"""False-positive rates for which every model carries a threshold."""

COMPONENTS: Final = ("anomaflow", "numpy", "scipy", "scikit-learn", "tensorflow", "keras", "tf2onnx", "onnx")
"""Distributions whose version can change a weight or a byte of the model."""


def installed_versions() -> tuple[tuple[str, str], ...]:
    """`(distribution, version)` of `COMPONENTS`, without importing any of them."""
    found = []
    for name in COMPONENTS:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "absent"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Network:
    """The autoencoder: its shape, its scaling and how it learns."""

    layers: tuple[int, ...] = (48, 32)
    """Widths of the encoder; the decoder mirrors them."""
    clip: float = 8.0
    """A scaled value is held within this many deviations, so that no single feature can be infinitely strange."""
    deviation_floor: float = 0.1
    """Least deviation of a log-scaled feature: one that never varied on benign rows still signals, within bounds."""
    residual_floor: float = 0.2
    """Least typical error of a feature: one that is always rebuilt exactly does not shout over a rounding."""
    epochs: int = 60
    patience: int = 8
    batch_rows: int = 128
    most_steps: int = 200
    """Steps of an epoch: with more rows than `batch_rows` times this, batches grow instead."""
    learning_rate: float = 2e-3


@dataclass(frozen=True, slots=True)
class Members:
    """What a portfolio is made of before evidence chooses among it, and the sizes its members have."""

    names: tuple[str, ...] = ("std_count", "mahalanobis", "neighbours", "autoencoder", "groups")
    coreset: int = 256
    """Centres the nearest-neighbour member keeps: 128 lost a little, 512 gained nothing and halved the speed."""
    knots: int = 6
    """Knots of a feature's map to normal scores (detectors/curve.py); 1 leaves the plain logarithm."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How the rows of a source are dealt to the four roles, in order of time. The rest is the test role."""

    fit: float = 0.5
    select: float = 0.14
    """Half of it makes members' scores into p-values and says when to stop, half chooses among candidates."""
    calibrate: float = 0.21


@dataclass(frozen=True, slots=True)
class Recipe:
    """See the module's text. `sources` are the sorted digests of every file read, `labelled` those with verdicts."""

    sources: tuple[str, ...]
    labelled: tuple[str, ...] = ()
    seed: int = 7
    alpha: float = 5e-3
    alphas: tuple[float, ...] = ALPHAS
    max_rows: int = 200_000
    network: Network = field(default_factory=Network)
    members: Members = field(default_factory=Members)
    shares: Shares = field(default_factory=Shares)
    profile: CaptureProfile = field(default_factory=CaptureProfile)
    feature_digest: str = contract.DIGEST
    versions: tuple[tuple[str, str], ...] = field(default_factory=installed_versions)

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe's canonical JSON, lower-case hexadecimal."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The recipe and its digest, as the report and the manifest show it."""
        return {**asdict(self), "versions": dict(self.versions), "digest": self.digest}
