"""Export: a fitted detector and its calibration become one ONNX file that needs nothing else.

Promises:

- Scaling, network, score, contributions, expectation and calibration are all inside the graph: original units in,
  `-log10 p` out. Opset 17, plain operations of the default domain, no external data, no subgraphs; what is not so is
  refused before it is written.
- The graph answers as the detector does, within the tolerances below, on real rows and on hard ones (all zero, huge).
- The same weights give the same bytes (canonical.py).
- The file carries its manifest with self-test rows, and appears under its name only when it is whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np

from protos import contract, manifest
from trainer.errors import ParityError
from trainer.making import canonical
from trainer.runtime import tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trainer.making.calibrate import Calibration
    from trainer.making.model import Session

OPSET: Final = 17
SCORE_TOLERANCE: Final = 1e-3
"""Largest difference of a score between detector and graph, in `-log10 p`, relative above 1 as agents take it."""
SHARE_TOLERANCE: Final = 1e-3
"""Largest difference of a contribution, of 1 in all."""
EXPECTED_TOLERANCE: Final = 1e-3
"""Largest difference of an expected value, relative to 1 plus its size."""
SELF_TEST_ROWS: Final = 16


class Exportable(Protocol):
    """A detector whose answers can be drawn as a graph."""

    def raw_score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `detectors.base.Detector`."""
        ...

    def explain(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Contributions and expected values, `[n, F]` each."""
        ...

    def graph(self, features: Any) -> tuple[Any, Any, Any]:
        """Raw score, contributions and expected values of the TensorFlow tensor `features`."""
        ...


@runtime_checkable
class Classifying(Protocol):
    """A detector with a classifier head."""

    def class_scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A share for each class, `[n, K]`."""
        ...

    def class_graph(self, features: Any) -> Any:
        """The same in TensorFlow operations."""
        ...


def outputs_of(detector: Exportable) -> tuple[str, ...]:
    """Names of the outputs its file has, in their order."""
    return (*manifest.OUTPUTS, manifest.CLASS_SCORES) if isinstance(detector, Classifying) else manifest.OUTPUTS


def build(detector: Exportable, calibration: Calibration) -> bytes:
    """The graph as an ONNX file without a manifest."""
    tf = tensorflow()
    import onnx
    import tf2onnx

    def answer(features: Any) -> dict[str, Any]:
        raw, contributions, expected = detector.graph(features)
        drawn = {"score": calibration.graph(raw, tf), "contributions": contributions, "expected": expected}
        if isinstance(detector, Classifying):
            drawn[manifest.CLASS_SCORES] = detector.class_graph(features)
        return drawn

    width = len(contract.FEATURES)
    signature = [tf.TensorSpec([None, width], tf.float32, name=manifest.INPUT)]
    proto, _ = tf2onnx.convert.from_function(
        tf.function(answer, input_signature=signature, autograph=False), input_signature=signature, opset=OPSET
    )
    canonical.rewrite(proto, outputs_of(detector))
    _require_plain(proto)
    onnx.checker.check_model(proto, full_check=True)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def require_parity(
    detector: Exportable, calibration: Calibration, session: Session, rows: NDArray[np.float32]
) -> dict[str, float]:
    """Largest differences between detector and graph over `rows` and hard cases. Raises `ParityError`."""
    rows = np.concatenate([rows, hard_rows()])
    score, contributions, expected = session.run(rows, manifest.OUTPUTS)
    wanted = calibration.score(detector.raw_score(rows))
    wanted_contributions, wanted_expected = detector.explain(rows)
    found = {
        "score": _largest((score - wanted) / np.maximum(np.abs(wanted), 1)),
        "contributions": _largest(contributions - wanted_contributions),
        "expected": _largest((expected - wanted_expected) / (1 + np.abs(wanted_expected))),
    }
    allowed = {"score": SCORE_TOLERANCE, "contributions": SHARE_TOLERANCE, "expected": EXPECTED_TOLERANCE}
    if isinstance(detector, Classifying):
        [shares] = session.run(rows, (manifest.CLASS_SCORES,))
        found[manifest.CLASS_SCORES] = _largest(shares - detector.class_scores(rows))
        allowed[manifest.CLASS_SCORES] = SHARE_TOLERANCE
    for output, difference in found.items():
        if not difference <= allowed[output]:
            raise ParityError(
                f"exporting: the graph's {output} is {difference:.3g} off the detector's, {allowed[output]} allowed; "
                "this is a fault of the conversion, do not use the model: report it with the versions in the recipe"
            )
    return found


def hard_rows() -> NDArray[np.float32]:
    """Rows no capture holds: all zero, all one, all huge, and one feature at a time huge for a few."""
    width = len(contract.FEATURES)
    single = np.zeros((4, width), dtype=np.float32)
    single[np.arange(4), np.linspace(0, width - 1, 4).astype(int)] = 1e30
    flat = [np.full((1, width), value, dtype=np.float32) for value in (0, 1, 1e12)]
    return np.concatenate([*flat, single])


def self_test_rows(rows: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows for the manifest, `[m, F]`: spread over the scores seen from the quietest to the strangest, and zeros."""
    places = np.linspace(0, len(rows) - 1, min(SELF_TEST_ROWS - 1, len(rows))).astype(int)
    chosen = np.argsort(scores, kind="stable")[places]
    return np.concatenate([rows[chosen], np.zeros((1, rows.shape[1]), dtype=np.float32)])


def with_manifest(data: bytes, described: manifest.Manifest) -> bytes:
    """The file with its manifest in the metadata."""
    import onnx

    proto = onnx.ModelProto.FromString(data)
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = manifest.METADATA_KEY, described.to_json()
    finished: bytes = proto.SerializeToString(deterministic=True)
    return finished


def _largest(differences: NDArray) -> float:
    return float(np.max(np.abs(differences)))


def _require_plain(proto: Any) -> None:
    foreign = sorted({entry.domain for entry in proto.opset_import if entry.domain not in ("", "ai.onnx")})
    used = {node.domain for node in proto.graph.node} - {"", "ai.onnx"}
    nested = [node.op_type for node in proto.graph.node for attribute in node.attribute if attribute.HasField("g")]
    external = [tensor.name for tensor in proto.graph.initializer if tensor.external_data]
    if used or nested or external:
        raise ParityError(
            f"exporting: the graph is not plain (domains {used}, subgraphs {nested}, external {external})"
        )
    kept = [entry for entry in proto.opset_import if entry.domain not in foreign]
    raw = [entry.SerializeToString() for entry in kept]
    del proto.opset_import[:]
    for data in raw:
        proto.opset_import.add().ParseFromString(data)
