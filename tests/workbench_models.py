"""Small model files as an experiment of the workbench leaves them, without one: a linear score over columns.

`write_file` makes a folder with `model.onnx` and `model.json`. The score of a row is `bias` plus, for each number,
`weight * (value - median)`, a missing value counting as the median, and for each word its weight, or that of "another".
With `classes` the graph answers chances (the logistic function of the score is that of the last class), else the score
itself is the strangeness.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Number:
    name: str
    weight: float
    median: float = 0.0
    low: float = -10.0
    high: float = 10.0
    square: bool = False


@dataclass(frozen=True)
class Word:
    name: str
    weights: dict[str, float] = field(default_factory=dict)
    another: float = 0.0


def write_file(
    folder: Path,
    columns: Sequence[Number | Word],
    *,
    classes: Sequence[str] = ("normal", "attack"),
    benign: Sequence[str] = ("normal",),
    bias: float = 0.0,
    threshold: float | None = 3.0,
    label: str | None = None,
) -> Path:
    """A model folder; without `classes` that of a detector with `threshold`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = _graph(columns, bool(classes), bias).SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    told: dict[str, Any] = {
        "format": "anomaflow-file-1",
        "candidate": "linear",
        "title": "Linear",
        "judges": "classes" if classes else "strangeness",
        "classes": list(classes),
        "benign": list(benign),
        "task": "binary" if classes else "benign-only",
        "threshold": None if classes else threshold,
        "columns": [_described(place, column) for place, column in enumerate(columns)],
        "data_digest": "0" * 64,
        "settings_digest": "0" * 64,
        "versions": {},
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if label:
        told["label"] = label
    (folder / "model.json").write_text(json.dumps(told))
    return folder


def _described(place: int, column: Number | Word) -> dict[str, Any]:
    about = {"input": f"c{place}", "name": column.name}
    if isinstance(column, Word):
        words = list(column.weights)
        return about | {"type": "categorical", "kind": "word", "fill": words[0], "words": words}
    fill = {"fill": column.median, "median": column.median, "low": column.low, "high": column.high}
    return about | {"type": "number", "kind": "number", **fill}


def _graph(columns: Sequence[Number | Word], classes: bool, bias: float) -> onnx.ModelProto:
    nodes, constants, inputs, parts = [], [], [], []

    def constant(name: str, value: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.float32), name))
        return name

    for place, column in enumerate(columns):
        given = f"c{place}"
        if isinstance(column, Word):
            inputs.append(helper.make_tensor_value_info(given, TensorProto.STRING, [None, 1]))
            keys = list(column.weights)
            nodes.append(
                helper.make_node(
                    "LabelEncoder",
                    [given],
                    [f"p{place}"],
                    domain="ai.onnx.ml",
                    keys_strings=keys,
                    values_floats=[column.weights[key] for key in keys],
                    default_float=column.another,
                )
            )
        else:
            inputs.append(helper.make_tensor_value_info(given, TensorProto.FLOAT, [None, 1]))
            median, weight = constant(f"m{place}", column.median), constant(f"w{place}", column.weight)
            nodes += [
                helper.make_node("IsNaN", [given], [f"n{place}"]),
                helper.make_node("Where", [f"n{place}", median, given], [f"f{place}"]),
                helper.make_node("Sub", [f"f{place}", median], [f"d{place}"]),
                helper.make_node("Mul", [f"d{place}", f"d{place}"], [f"s{place}"]),
                helper.make_node("Mul", [f"s{place}" if column.square else f"d{place}", weight], [f"p{place}"]),
            ]
        parts.append(f"p{place}")
    nodes += [
        helper.make_node("Sum", [*parts, constant("bias", [[bias]])], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["odds"]),
        helper.make_node("Sub", [constant("one", 1.0), "odds"], ["rest"]),
        helper.make_node("Concat", ["rest", "odds"], ["chances"], axis=1),
        helper.make_node("Flatten", ["z"], ["strangeness"], axis=1),
    ]
    shape = [None, 2] if classes else [None, 1]
    output = helper.make_tensor_value_info("chances" if classes else "strangeness", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "linear", inputs, [output], constants)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
