"""The canonical form of a graph: one computation, one text, whatever a converter called its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trainer.making import canonical


def _model(names: list[str], *, doubled: bool = False, swapped: bool = False) -> Any:
    """Score = relu(x * 2) + 3, share = relu(x * 2); `doubled` computes the product twice under other names."""
    times, product, again, kept, three, total = names
    nodes = [
        helper.make_node("Mul", ["features", times], [product], name=f"n_{product}"),
        helper.make_node("Mul", ["features", times], [again], name=f"n_{again}", doc_string="again"),
        helper.make_node("Relu", [product], [kept]),
        helper.make_node("Relu", [again if doubled else product], [f"{kept}_2"]),
        helper.make_node("Add", [kept, three], [total]),
    ]
    if swapped:
        nodes[0], nodes[1] = nodes[1], nodes[0]
    shape = ["unk__1", 2]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (total, f"{kept}_2")]
    for entry, wanted in zip(outputs, ("score:0", "share:0"), strict=True):
        node = next(node for node in nodes if node.output[0] == entry.name)
        node.output[0] = entry.name = wanted
    constants = [
        numpy_helper.from_array(np.full(2, value, dtype=np.float32), name)
        for name, value in ((times, 2), (three, 3), ("unused", 9))
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        outputs[::-1] if swapped else outputs,
        constants[::-1] if swapped else constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="converter 7")


@pytest.mark.parametrize("variant", [{}, {"doubled": True}, {"swapped": True}, {"doubled": True, "swapped": True}])
def test_the_same_computation_has_the_same_bytes(variant: dict[str, bool]) -> None:
    """Names, their order, repeated parts and the producer's name do not matter; what nothing needs is gone."""
    first = _model(["a", "b", "c", "d", "e", "f"], doubled=True)
    other = _model(["z9", "y", "x_1", "w", "v", "u"], **variant)
    for proto in (first, other):
        canonical.rewrite(proto, ("score", "share"))
        onnx.checker.check_model(proto, full_check=True)
    if "doubled" in variant:
        assert first.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    assert [entry.name for entry in other.graph.output] == ["score", "share"]
    assert "unused" not in {tensor.name for tensor in other.graph.initializer}
    assert len(other.graph.initializer) == 2


def test_an_output_that_computes_nothing_is_a_mistake() -> None:
    """It could not be given a name of its own."""
    proto = _model(["a", "b", "c", "d", "e", "f"])
    proto.graph.output[1].name = "features"
    with pytest.raises((ValueError, KeyError)):
        canonical.rewrite(proto, ("score", "features"))
