"""Reading an ONNX file without running it: what a scoring model never needs is refused by name."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from agent.errors import ModelRefused
from agent.onnx_file import only, require_plain
from protos import contract

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def model(*nodes: object, initializers: tuple = (), **more: object) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        list(initializers),
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], **more)
    return made.SerializeToString()


IDENTITY = helper.make_node("Identity", ["x"], ["y"])


def test_what_an_output_does_not_need_is_left_out(tmp_path: Path, onnx_models: ModuleType) -> None:
    """The cut model has the one output, the operators and constants that lead to it, and the same scores."""
    onnx_models.write_classifier(tmp_path / "m.onnx", columns={"scan": "src_ports_10s"})
    data = (tmp_path / "m.onnx").read_bytes()
    whole, part = onnx.load_from_string(data), onnx.load_from_string(only(data, ["score"]))
    onnx.checker.check_model(part)
    assert [output.name for output in part.graph.output] == ["score"]
    assert part.graph.input == whole.graph.input
    needed, stays = {"score"}, []
    for node in reversed(whole.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            stays.insert(0, node)
    assert list(part.graph.node) == stays
    assert 0 < len(stays) < len(whole.graph.node)
    assert {tensor.name for tensor in part.graph.initializer} == {t.name for t in whole.graph.initializer} & needed
    rows = np.random.default_rng(1).lognormal(2, 1, (50, len(contract.FEATURES))).astype(np.float32)
    scores = [
        onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            ["score"], {"features": rows}
        )[0]
        for one in (whole, part)
    ]
    assert np.array_equal(*scores)


def test_a_cut_that_leaves_nothing_out_changes_nothing() -> None:
    """Every field of the file is written as it was read."""
    data = model(IDENTITY, initializers=(numpy_helper.from_array(np.ones(3, np.float32), "x"),), ir_version=300)
    assert onnx.load_from_string(only(data, ["y"])) == onnx.load_from_string(data)


def test_a_plain_model_passes(tmp_path: Path, onnx_models: ModuleType) -> None:
    """Standard operators with their constants inside are what every model of ours is."""
    require_plain(model(IDENTITY, initializers=(numpy_helper.from_array(np.ones(3, np.float32), "w"),)))
    require_plain(model(helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml")))
    onnx_models.write_model(tmp_path / "m.onnx")
    require_plain((tmp_path / "m.onnx").read_bytes())


def external() -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(3, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/shadow"
    return tensor


def looping() -> bytes:
    body = helper.make_graph([IDENTITY], "body", [], [])
    return model(helper.make_node("Loop", ["x"], ["y"], body=body))


FUNCTION = helper.make_function("local", "F", ["x"], ["y"], [IDENTITY], [helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (looping(), "operator Loop runs a subgraph"),
        (model(IDENTITY, initializers=(external(),)), "tensors in other files"),
        (model(helper.make_node("Constant", [], ["y"], value=external())), "tensors in other files"),
        (model(helper.make_node("Evil", ["x"], ["y"], domain="com.example")), "com.example"),
        (model(IDENTITY, functions=[FUNCTION]), "functions"),
        (b"", "0 graphs"),
        (model(), "0 operators"),
        (b"PK\x03\x04 a zip", "not ONNX"),
        (b"\x3a\xff\xff\xff\xff\x7f", "not ONNX"),
        (model(IDENTITY) + model(IDENTITY), "2 graphs"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    """Every refusal says what the file does and where a good one comes from."""
    with pytest.raises(ModelRefused, match=words):
        require_plain(data)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes, the answer is yes or ModelRefused, at once."""
    with contextlib.suppress(ModelRefused):
        require_plain(data)


@given(st.data())
def test_damaged_models(data: st.DataObject) -> None:
    """A model with flipped bytes never raises anything else either."""
    good = bytearray(looping())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelRefused):
        require_plain(bytes(good))
