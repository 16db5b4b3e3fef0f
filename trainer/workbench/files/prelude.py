"""The encoding as a graph: one input per column, `c0..cN` [n, 1] float32 or string, to `encoded` [n, F] float32.

It does what rows/encoding.py does, step by step; tests hold the two together for gaps, unseen words and infinities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.workbench.candidates.graph import Drawing, value
from trainer.workbench.rows.encoding import Number, Word, constants

if TYPE_CHECKING:
    from trainer.workbench.rows.encoding import Encoder

_ML: Final = "ai.onnx.ml"


def prelude(encoder: Encoder) -> Any:
    """The graph, an `onnx.ModelProto`."""
    drawing = Drawing()
    inputs = [
        value(f"c{at}", ["n", 1], "FLOAT" if isinstance(column, Number) else "STRING")
        for at, column in enumerate(encoder.columns)
    ]
    named = {column.name: f"c{at}" for at, column in enumerate(encoder.columns)}
    parts: list[str] = []
    if encoder.numbers:
        parts += _numbers(drawing, encoder, named)
    parts += [_word(drawing, column, named[column.name]) for column in encoder.words]
    drawing.op("Concat", *parts, out="encoded", axis=1)
    return drawing.model(inputs, [value("encoded", ["n", len(encoder.features())])])


def _numbers(drawing: Drawing, encoder: Encoder, named: dict[str, str]) -> list[str]:
    numbers = encoder.numbers
    by = {name: drawing.constant(row[None, :]) for name, row in constants(numbers).items() if name != "log"}
    given = drawing.double(drawing.op("Concat", *(named[one.name] for one in numbers), axis=1))
    missing = drawing.op("IsNaN", given)
    part = drawing.op("Where", missing, by["fill"], given)
    part = drawing.op("Where", drawing.op("Equal", part, drawing.constant(np.array(np.inf))), by["high"], part)
    part = drawing.op("Where", drawing.op("Equal", part, drawing.constant(np.array(-np.inf))), by["low"], part)
    part = drawing.op("Min", drawing.op("Max", part, by["least"]), by["most"])
    size = drawing.op("Div", drawing.op("Abs", part), by["unit"])
    bent = drawing.op("Log", drawing.op("Add", size, drawing.constant(np.array(1.0))))
    bent = drawing.op("Mul", drawing.op("Sign", part), bent)
    log = drawing.constant(np.array([[one.unit != 0.0 for one in numbers]]))
    part = drawing.op("Where", log, bent, part)
    part = drawing.op("Div", drawing.op("Sub", part, by["centre"]), by["spread"])
    part = drawing.op("Min", drawing.op("Max", part, drawing.op("Neg", by["bound"])), by["bound"])
    parts = [drawing.single(part)]
    gaps = [at for at, one in enumerate(numbers) if one.gaps]
    if gaps:
        held = drawing.op("Gather", drawing.single(missing), drawing.constant(np.array(gaps, dtype=np.int64)), axis=1)
        parts.append(held)
    return parts


def _word(drawing: Drawing, column: Word, given: str) -> str:
    known = {word: at for at, word in enumerate(column.words)}
    if column.fill and "" not in known:
        known[""] = known.get(column.fill, len(column.words))
    elif column.fill:
        known[""] = known[column.fill]
    if not known:  # the encoder needs a key; this one gives what any other word gives
        known = {"": 0}
    place = drawing.op(
        "LabelEncoder",
        given,
        domain=_ML,
        keys_strings=list(known),
        values_int64s=list(known.values()),
        default_int64=len(column.words),
    )
    if column.one_hot:
        places = drawing.constant(np.arange(len(column.words) + 1, dtype=np.int64)[None, :])
        return drawing.single(drawing.op("Equal", place, places))
    share = drawing.op("Div", drawing.double(place), drawing.constant(np.array(float(max(len(column.words), 1)))))
    return drawing.single(share)
