"""Tiny ONNX models for tests: valid ones whose score follows the features, and ones that must be refused.

`write_model` writes a file that keeps every promise of `protos.manifest`: signature, manifest, self-test rows. Its
score is `bias + sum(weight[f] * log1p(max(x[f], 0)))`, so that a test can say which flow is strange by choosing the
weights; contributions are each feature's part of that sum, expectations are zero. No training library is involved.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from protos import contract, manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

WEIGHTS: dict[str, float] = {
    "src_ports_10s": 1.0,
    "src_peers_10s": 0.5,
    "src_unanswered_10s": 0.5,
    "bidirectional_packets": 0.1,
}
"""Many ports, peers or unanswered flows from one host make a flow strange."""

THRESHOLDS = (
    manifest.Threshold(alpha=0.1, score=1.0, certified=True),
    manifest.Threshold(alpha=0.01, score=2.0, certified=True),
    manifest.Threshold(alpha=0.001, score=3.0, certified=False),
)


def expected_scores(
    rows: NDArray[np.float32],
    *,
    bias: float = 0.0,
    weights: Mapping[str, float] | None = None,
    features: Sequence[str] = contract.FEATURES,
) -> NDArray[np.float32]:
    """What a model of `write_model` answers for `rows` [n, F], computed without ONNX."""
    vector = _vector(weights, features)
    return (np.log1p(np.maximum(rows, 0)) @ vector + np.float32(bias)).astype(np.float32)


def write_model(
    path: Path,
    *,
    name: str = "tiny",
    bias: float = 0.0,
    features: Sequence[str] = contract.FEATURES,
    thresholds: Sequence[manifest.Threshold] = THRESHOLDS,
    weights: Mapping[str, float] | None = None,
    profile: manifest.CaptureProfile | None = None,
    self_test_error: float = 0.0,
    created_ms: int = 1_700_000_000_000,
    together: float | None = None,
) -> str:
    """Write a model and return its digest. `self_test_error` shifts the promised scores: the self-test then fails."""
    return _save(
        _graph(len(features), _vector(weights, features), bias),
        path,
        _manifest(
            name=name,
            bias=bias,
            features=tuple(features),
            thresholds=tuple(thresholds),
            weights=weights,
            profile=profile or manifest.CaptureProfile(),
            self_test_error=self_test_error,
            created_ms=created_ms,
            together=together,
        ),
    )


def write_classifier(path: Path, *, columns: Mapping[str, str], named: Sequence[str] | None = None) -> str:
    """A model whose classes are near 1 where a feature of their own is large: `columns` maps classes to features.

    `named` are the classes its manifest names, if not those.
    """
    graph = _graph(contract_size(), _vector(None, contract.FEATURES), 0.0)
    picks = np.zeros((contract_size(), len(columns)), dtype=np.float32)
    for place, feature in enumerate(columns.values()):
        picks[contract.index(feature), place] = 1
    graph.initializer.extend(
        [numpy_helper.from_array(picks, "picks"), numpy_helper.from_array(np.array([20], dtype=np.float32), "usual")]
    )
    graph.node.extend(
        [
            helper.make_node("MatMul", [manifest.INPUT, "picks"], ["picked"]),
            helper.make_node("Sub", ["picked", "usual"], ["beyond"]),
            helper.make_node("Sigmoid", ["beyond"], [manifest.CLASS_SCORES]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info(manifest.CLASS_SCORES, TensorProto.FLOAT, ["n", len(columns)]))
    return _save(graph, path, _manifest() | {"classes": list(columns if named is None else named)})


def write_foreign(path: Path) -> str:
    """A sound model for another feature contract: three features this installation does not have."""
    features = ("altitude", "temperature", "pressure")
    return write_model(path, name="foreign", features=features, weights=dict.fromkeys(features, 1.0))


def write_without_manifest(path: Path) -> str:
    """A sound graph that nothing vouches for."""
    return _save(_graph(contract_size(), _vector(None, contract.FEATURES), 0.0), path, None)


def write_failing_self_test(path: Path, *, name: str = "liar") -> str:
    """A model whose manifest promises other scores than its graph gives."""
    return write_model(path, name=name, self_test_error=1.0)


def write_corrupt(path: Path) -> str:
    """The first half of a model file."""
    write_model(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return file_digest(path)


def write_not_a_model(path: Path) -> str:
    """Text under a model's name."""
    path.write_bytes(b"this is not a model\n" * 100)
    return file_digest(path)


def write_memory_bomb(path: Path) -> str:
    """A small file with a good manifest that wants 16 GiB when it runs."""
    count = contract_size()
    size = numpy_helper.from_array(np.array([4 << 30], dtype=np.int64), "size")
    graph = _graph(count, _vector(None, contract.FEATURES), 0.0)
    graph.initializer.append(size)
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["huge"], value=zero))
    graph.node.insert(1, helper.make_node("ReduceSum", ["huge"], ["nothing"], keepdims=0))
    graph.node.insert(2, helper.make_node("Add", [manifest.INPUT, "nothing"], ["input_plus"]))
    for node in graph.node[3:]:
        node.input[:] = ["input_plus" if entry == manifest.INPUT else entry for entry in node.input]
    return _save(graph, path, _manifest())


def write_endless(path: Path) -> str:
    """A small file with a good manifest whose graph never ends."""
    graph = _graph(contract_size(), _vector(None, contract.FEATURES), 0.0)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_in"], ["go_out"]),
            helper.make_node("Mul", ["value_in", "value_in"], ["value_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_in", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, None),
        ],
    )
    graph.initializer.append(numpy_helper.from_array(np.array(True), "go"))
    graph.initializer.append(numpy_helper.from_array(np.array(np.iinfo(np.int64).max), "trips"))
    graph.node.insert(0, helper.make_node("Loop", ["trips", "go", manifest.INPUT], ["looped"], body=body))
    for node in graph.node[1:]:
        node.input[:] = ["looped" if entry == manifest.INPUT else entry for entry in node.input]
    return _save(graph, path, _manifest())


def contract_size() -> int:
    """Features in this installation's contract."""
    return len(contract.FEATURES)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as models are named."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _vector(weights: Mapping[str, float] | None, features: Sequence[str]) -> NDArray[np.float32]:
    chosen = WEIGHTS if weights is None else weights
    return np.array([chosen.get(feature, 0.0) for feature in features], dtype=np.float32)


def _manifest(
    *,
    name: str = "tiny",
    bias: float = 0.0,
    features: tuple[str, ...] = contract.FEATURES,
    thresholds: tuple[manifest.Threshold, ...] = THRESHOLDS,
    weights: Mapping[str, float] | None = None,
    profile: manifest.CaptureProfile | None = None,
    self_test_error: float = 0.0,
    created_ms: int = 1_700_000_000_000,
    together: float | None = None,
) -> dict[str, Any]:
    import base64
    from dataclasses import asdict

    rows = np.random.default_rng(7).uniform(0, 50, size=(4, len(features))).astype(np.float32)
    scores = expected_scores(rows, bias=bias, weights=weights, features=features) + self_test_error
    ours = features == contract.FEATURES
    return asdict(
        manifest.Manifest(
            name=name,
            kind="test",
            features=features,
            feature_digest=contract.DIGEST if ours else hashlib.sha256("\n".join(features).encode()).hexdigest(),
            created_ms=created_ms,
            profile=profile or manifest.CaptureProfile(),
            calibration_rows=1000,
            thresholds=thresholds,
            together=together,
            provenance={"made_by": "tests"},
            self_test_features=base64.b64encode(rows.astype("<f4").tobytes()).decode("ascii"),
            self_test_scores=tuple(float(score) for score in scores),
        )
    )


def _graph(count: int, vector: NDArray[np.float32], bias: float) -> onnx.GraphProto:
    constants = {
        "weights": vector.reshape(1, count),
        "bias": np.array([bias], dtype=np.float32),
        "none": np.zeros((1, count), dtype=np.float32),
        "little": np.array([1e-9], dtype=np.float32),
        "one": np.array([1.0], dtype=np.float32),
        "axis": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Max", [manifest.INPUT, "none"], ["positive"]),
        helper.make_node("Add", ["positive", "one"], ["shifted"]),
        helper.make_node("Log", ["shifted"], ["logs"]),
        helper.make_node("Mul", ["logs", "weights"], ["parts"]),
        helper.make_node("ReduceSum", ["parts", "axis"], ["sums"], keepdims=0),
        helper.make_node("Add", ["sums", "bias"], ["score"]),
        helper.make_node("ReduceSum", ["parts", "axis"], ["wholes"], keepdims=1),
        helper.make_node("Add", ["wholes", "little"], ["divisor"]),
        helper.make_node("Div", ["parts", "divisor"], ["contributions"]),
        helper.make_node("Mul", [manifest.INPUT, "none"], ["expected"]),
    ]
    return helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(manifest.INPUT, TensorProto.FLOAT, ["n", count])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("contributions", TensorProto.FLOAT, ["n", count]),
            helper.make_tensor_value_info("expected", TensorProto.FLOAT, ["n", count]),
        ],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )


def _save(graph: onnx.GraphProto, path: Path, described: dict[str, Any] | None) -> str:
    import json

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if described is not None:
        entry = model.metadata_props.add()
        entry.key = manifest.METADATA_KEY
        entry.value = json.dumps(described, sort_keys=True, separators=(",", ":"))
    path.write_bytes(model.SerializeToString())
    return file_digest(path)
