"""The canonical form of an ONNX graph: the same computation gives the same bytes, however a converter wrote it.

Converters name tensors by counters that run over the life of a process, order nodes by those names, and share equal
parts or not as it happens. So the graph is written anew, from its outputs back to its inputs: every node after what it
needs, inputs in the order of the operator, names by place, and equal constants and equal nodes once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

IR_VERSION: Final = 8
PRODUCER: Final = "anomaflow-trainer"


class _Writer:
    """Names by place for everything that the outputs need, collected in order."""

    def __init__(self, graph: Any) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._made = {name: (node, place) for node in graph.node for place, name in enumerate(node.output) if name}
        self._given = {tensor.name: tensor for tensor in graph.initializer}
        self._names = {entry.name: entry.name for entry in graph.input} | {"": ""}
        self._known: dict[Any, Any] = {}

    def name(self, tensor: str) -> str:
        """The canonical name of a tensor; what it needs is written first."""
        if tensor not in self._names:
            if tensor in self._given:
                self._names[tensor] = self._constant(self._given[tensor])
            else:
                node, place = self._made[tensor]
                self._names[tensor] = self._node(node)[place]
        return self._names[tensor]

    def _constant(self, tensor: Any) -> str:
        anonymous = type(tensor)()
        anonymous.CopyFrom(tensor)
        anonymous.name = anonymous.doc_string = ""
        key = anonymous.SerializeToString(deterministic=True)
        if key not in self._known:
            anonymous.name = self._known[key] = f"constant_{len(self.constants)}"
            self.constants.append(anonymous)
        found: str = self._known[key]
        return found

    def _node(self, node: Any) -> list[str]:
        inputs = [self.name(tensor) for tensor in node.input]
        anonymous = type(node)(op_type=node.op_type, domain=node.domain, input=inputs)
        for attribute in sorted(node.attribute, key=lambda entry: entry.name):
            kept = anonymous.attribute.add()
            kept.CopyFrom(attribute)
            kept.doc_string = ""
            if kept.HasField("t"):
                kept.t.name = kept.t.doc_string = ""
        key = (anonymous.SerializeToString(deterministic=True), len(node.output))
        if key not in self._known:
            number = len(self.nodes)
            anonymous.name = f"{node.op_type}_{number}"
            anonymous.output.extend(f"value_{number}_{place}" if name else "" for place, name in enumerate(node.output))
            self._known[key] = list(anonymous.output)
            self.nodes.append(anonymous)
        found: list[str] = self._known[key]
        return found


def rewrite(proto: Any, outputs: Sequence[str]) -> None:
    """Put the model `proto` into canonical form in place. Its outputs are called `outputs`, in the same order.

    An output that the converter called `score:0` or the like belongs to the name before the colon.
    """
    graph = proto.graph
    entries = {entry.name.split(":")[0]: entry for entry in graph.output}
    writer = _Writer(graph)
    final = {wanted: writer.name(entries[wanted].name) for wanted in outputs}
    own = {node_output for node in writer.nodes for node_output in node.output}
    if len(set(final.values())) < len(outputs) or not own.issuperset(final.values()):
        raise ValueError("two outputs are one tensor, or one is an input or a constant: give each an operation")
    renamed = {name: wanted for wanted, name in final.items()}
    for node in writer.nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    kept = []
    for wanted in outputs:
        entry = type(entries[wanted])()
        entry.CopyFrom(entries[wanted])
        entry.name = wanted
        kept.append(entry)
    for field, parts in (("node", writer.nodes), ("initializer", writer.constants), ("output", kept)):
        graph.ClearField(field)
        getattr(graph, field).extend(parts)
    graph.ClearField("value_info")
    for entry in (*graph.input, *graph.output):
        entry.type.tensor_type.shape.dim[0].dim_param = "n"
    graph.name, graph.doc_string = "anomaflow", ""
    proto.producer_name, proto.producer_version, proto.doc_string = PRODUCER, "", ""
    proto.ir_version = IR_VERSION
    proto.ClearField("functions")
