"""What an ONNX file contains, read without running or loading any of it.

An ONNX file is a program. Before the runtime sees it this module walks its protobuf and refuses what a scoring model of
ours never needs and a hostile one would: subgraphs (`Loop`, `Scan`, `If`: a loop may never end), tensors kept in other
files (they read any file of the host), functions, foreign operator domains. The walk only follows lengths; it allocates
nothing that the file asks for.

`only` leaves out what some outputs do not need. onnxruntime 1.32 runs every operator of a graph whichever outputs are
asked for, also when it is told to execute only the path to them: an agent that wants scores would pay for reasons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agent.errors import ModelRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
MOST_BYTES: Final = 64 << 20
"""Size of a model file at most."""
MOST_NODES: Final = 20_000

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_SHAPES, _GRAPH_SPARSE = 1, 5, 12, 13, 15
_NODE_INPUT, _NODE_OUTPUT, _TENSOR_NAME, _OUTPUT_NAME = 1, 2, 8, 1
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14

_REMEDY: Final = "models come from anomaflow-trainer; ask for this one to be made again"


def require_plain(data: bytes) -> None:
    """Raise `ModelRefused` unless `data` is one graph of standard operators with everything it needs inside."""
    graphs = 0
    for number, value in _fields(memoryview(data)):
        if number == _MODEL_GRAPH:
            graphs += 1
            _require_plain_graph(_message(value))
        elif number == _MODEL_OPSET:
            for part, text in _fields(_message(value)):
                if part == _OPSET_DOMAIN:
                    _require_domain(_text(text))
        elif number in {_MODEL_TRAINING, _MODEL_FUNCTIONS}:
            raise ModelRefused(
                f"checking a model: it carries functions or training graphs, which are not run; {_REMEDY}"
            )
    if graphs != 1:
        raise ModelRefused(f"checking a model: the file holds {graphs} graphs instead of one; {_REMEDY}")


def only(data: bytes, outputs: Iterable[str]) -> bytes:
    """The model in `data`, which passed `require_plain`, with what its `outputs` need and nothing else.

    Values and order of the operators that stay are untouched. Outputs it does not have are left out.
    """
    parts = [
        (number, _only_graph(_message(value), {name.encode() for name in outputs}) if number == _MODEL_GRAPH else value)
        for number, value in _fields(memoryview(data))
    ]
    return b"".join(_written(number, value) for number, value in parts)


def _only_graph(graph: memoryview, outputs: set[bytes]) -> bytes:
    parts = list(_fields(graph))
    wanted, kept = set(outputs), set()
    # Operators stand in the order they run in: whoever makes something stands before whoever wants it.
    for place in range(len(parts) - 1, -1, -1):
        number, value = parts[place]
        if number == _GRAPH_NODE and wanted & set(_names(_message(value), _NODE_OUTPUT)):
            kept.add(place)
            wanted.update(_names(_message(value), _NODE_INPUT))
    known = {_GRAPH_INITIALIZER: (_TENSOR_NAME, wanted), _GRAPH_OUTPUT: (_OUTPUT_NAME, outputs)}
    for place, (number, value) in enumerate(parts):
        if number in known:
            field, names = known[number]
            if names & set(_names(_message(value), field)):
                kept.add(place)
        elif number not in {_GRAPH_NODE, _GRAPH_SHAPES}:
            kept.add(place)
    return b"".join(_written(*parts[place]) for place in sorted(kept))


def _names(message: memoryview, field: int) -> list[bytes]:
    return [bytes(_message(value)) for number, value in _fields(message) if number == field]


def _written(number: int, value: int | bytes | memoryview) -> bytes:
    if isinstance(value, int):
        return _as_varint(number << 3 | _VARINT) + _as_varint(value)
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(value)) + bytes(value)


def _as_varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _require_plain_graph(graph: memoryview) -> None:
    nodes = 0
    for number, value in _fields(graph):
        if number == _GRAPH_NODE:
            nodes += 1
            _require_plain_node(_message(value))
        elif number == _GRAPH_INITIALIZER:
            _require_inside(_message(value))
        elif number == _GRAPH_SPARSE:
            raise ModelRefused(f"checking a model: it carries sparse tensors, which are not read; {_REMEDY}")
    if not 0 < nodes <= MOST_NODES:
        raise ModelRefused(f"checking a model: {nodes} operators, expected 1 to {MOST_NODES}; {_REMEDY}")


def _require_plain_node(node: memoryview) -> None:
    operator, domain, attributes = "", "", []
    for number, value in _fields(node):
        if number == _NODE_OPERATOR:
            operator = _text(value)
        elif number == _NODE_DOMAIN:
            domain = _text(value)
        elif number == _NODE_ATTRIBUTE:
            attributes.append(_message(value))
    _require_domain(domain)
    for attribute in attributes:
        for number, value in _fields(attribute):
            if number in {_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS}:
                raise ModelRefused(
                    f"checking a model: operator {operator} runs a subgraph, which may never end; {_REMEDY}"
                )
            if number in {_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS}:
                _require_inside(_message(value))


def _require_domain(domain: str) -> None:
    if domain not in DOMAINS:
        raise ModelRefused(f"checking a model: it needs operators of {domain!r}, which are not standard; {_REMEDY}")


def _require_inside(tensor: memoryview) -> None:
    for number, value in _fields(tensor):
        if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
            raise ModelRefused(f"checking a model: it keeps tensors in other files, which are not read; {_REMEDY}")


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one protobuf message: bytes as a view, everything else as an integer."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        length, place = (8, place) if kind == _FIXED64 else (4, place) if kind == _FIXED32 else _varint(data, place)
        if kind not in {_FIXED64, _BYTES, _FIXED32} or not number or place + length > end:
            raise _not_a_model()
        part = data[place : place + length]
        place += length
        yield number, part if kind == _BYTES else int.from_bytes(part, "little")


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise _not_a_model()


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _not_a_model()
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)[:200]).decode("utf-8", "replace")


def _not_a_model() -> ModelRefused:
    return ModelRefused(
        "checking a model: the file is not ONNX, or it is damaged; fetch it again, or give the file that "
        "anomaflow-trainer wrote"
    )
