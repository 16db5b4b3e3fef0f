"""What a model says of itself: the manifest inside the ONNX file.

A model is one ONNX file. Its metadata holds one entry, `anomaflow.manifest`, whose value is the JSON of a `Manifest`.
Everything an agent needs to decide whether it may run the model is in there; everything an operator needs to know where
it came from as well. Unknown keys are ignored, so that an older agent reads a newer manifest; a missing one is refused.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract

if TYPE_CHECKING:
    from numpy.typing import NDArray

METADATA_KEY: Final = "anomaflow.manifest"
FORMAT: Final = 1
INPUT: Final = "features"
OUTPUTS: Final = ("score", "contributions", "expected")
"""Every model has these outputs: `[n]`, `[n, F]` and `[n, F]`."""
CLASS_SCORES: Final = "class_scores"
"""A model with a classifier has this output as well, `[n, K]`: a share for each of the manifest's K `classes`."""


class ManifestError(ValueError):
    """A file that is not a model of ours, or one this contract cannot feed."""


@dataclass(frozen=True, slots=True)
class CaptureProfile:
    """How the flows were metered. Timeouts are part of what a feature means."""

    idle_timeout_ms: int = 15_000
    active_timeout_ms: int = 60_000
    half_open_timeout_ms: int = 5_000
    tcp_linger_ms: int = 1_000
    accounting_mode: int = 0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score and the share of benign flows promised to reach it."""

    alpha: float
    score: float
    certified: bool
    """True when a Beta certificate on the calibration rows covers it, False when a tail estimate stands in."""

    windows: float | None = None
    """Share of host-windows (a host and ten minutes) promised to hold a flow that reaches it; None where unknown."""

    windows_certified: bool = False
    """True when a Beta certificate on the calibration rows' host-windows covers `windows`."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """See the module's text. `self_test` rows travel as base64 float32."""

    name: str
    kind: str
    features: tuple[str, ...]
    feature_digest: str
    created_ms: int
    profile: CaptureProfile = field(default_factory=CaptureProfile)
    calibration_rows: int = 0
    thresholds: tuple[Threshold, ...] = ()
    together: float | None = None
    """How much stranger than one flow the flows of two hosts must be together to alert; None: they never do."""

    classes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    report_digest: str = ""
    self_test_features: str = ""
    self_test_scores: tuple[float, ...] = ()
    format: int = FORMAT

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def threshold_for(self, alpha: float) -> Threshold:
        """The threshold of the largest promised rate that does not exceed `alpha`; the strictest one if none does."""
        if not self.thresholds:
            raise ManifestError(f"model {self.name!r} carries no calibrated thresholds; fit it again")
        fitting = [entry for entry in self.thresholds if entry.alpha <= alpha * (1 + 1e-9)]
        return max(fitting, key=lambda entry: entry.alpha) if fitting else min(self.thresholds, key=lambda e: e.alpha)

    def self_test(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows `[m, F]` and the scores `[m]` the trainer got for them."""
        data = base64.b64decode(self.self_test_features)
        rows = contract.unpack_matrix(data, len(self.self_test_scores))
        return rows, np.asarray(self.self_test_scores, dtype=np.float32)


def read_thresholds(raw: list[dict[str, Any]]) -> list[Threshold]:
    """Thresholds as JSON keeps them; fields of a newer version are ignored, those an older one lacked have defaults.

    Raises `KeyError`, `TypeError` or `ValueError` for what is none.
    """
    return [
        Threshold(
            alpha=float(entry["alpha"]),
            score=float(entry["score"]),
            certified=bool(entry["certified"]),
            windows=None if entry.get("windows") is None else float(entry["windows"]),
            windows_certified=bool(entry.get("windows_certified", False)),
        )
        for entry in raw
    ]


def _at_least_nothing(value: Any) -> float:
    if not isinstance(value, int | float) or not 0 <= value < inf:
        raise ManifestError(f"the manifest asks {value!r} of flows together, which is no score from 0 on; fit it again")
    return float(value)


def encode_rows(matrix: NDArray[np.float32]) -> str:
    """Self-test rows as the manifest keeps them."""
    return base64.b64encode(contract.pack_matrix(matrix)).decode("ascii")


def parse(text: str | None) -> Manifest:
    """The manifest in a model's metadata. Raises `ManifestError` with what is wrong and what to do."""
    if not text:
        raise ManifestError(f"the file has no {METADATA_KEY!r} entry: it is not a model made by anomaflow-trainer")
    try:
        raw = json.loads(text)
        if raw["format"] != FORMAT:
            raise ManifestError(f"manifest format {raw['format']} is not {FORMAT}; upgrade this side")
        return Manifest(
            name=str(raw["name"]),
            kind=str(raw["kind"]),
            features=tuple(raw["features"]),
            feature_digest=str(raw["feature_digest"]),
            created_ms=int(raw["created_ms"]),
            profile=CaptureProfile(**{key: int(raw["profile"][key]) for key in CaptureProfile.__dataclass_fields__}),
            calibration_rows=int(raw["calibration_rows"]),
            thresholds=tuple(read_thresholds(raw["thresholds"])),
            together=None if raw.get("together") is None else _at_least_nothing(raw["together"]),
            classes=tuple(raw.get("classes", ())),
            provenance=dict(raw.get("provenance", {})),
            report_digest=str(raw.get("report_digest", "")),
            self_test_features=str(raw["self_test_features"]),
            self_test_scores=tuple(float(score) for score in raw["self_test_scores"]),
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ManifestError(f"the manifest cannot be read ({type(error).__name__}: {error})") from error


def require_contract(manifest: Manifest) -> None:
    """Raise `ManifestError` unless the model wants exactly the features of this installation."""
    if manifest.feature_digest == contract.DIGEST and manifest.features == contract.FEATURES:
        return
    missing = [name for name in manifest.features if name not in contract.FEATURES]
    raise ManifestError(
        f"model {manifest.name!r} was trained on another feature contract "
        f"({manifest.feature_digest[:12]}, here {contract.DIGEST[:12]})"
        + (f"; unknown here: {', '.join(missing[:5])}" if missing else "")
        + "; train it with this version, or upgrade the agent"
    )
