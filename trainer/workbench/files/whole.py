"""The file of a model: encoding and candidate as one ONNX graph, and beside it what it was made from.

A file is tried on rows before it counts: it must answer as the fitted candidate does.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer import appearing
from trainer.errors import ParityError
from trainer.workbench.candidates.graph import session
from trainer.workbench.contest.folder import write
from trainer.workbench.files.prelude import prelude
from trainer.workbench.rows import encoding
from trainer.workbench.rows.table import Numbers, Words

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.rows.encoding import Encoder
    from trainer.workbench.rows.table import Rows

FORMAT: Final = "anomaflow-file-1"
_APART: Final = 1e-3
_TRIED: Final = 2048
"""Rows a file is tried on, at most."""
_MAY_DIFFER: Final = 0.002
"""Share of rows that may: two neighbours equally near are parted by the last digit of a sum."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a file weighs and does."""

    size: int
    rows_per_s: float
    sha256: str


def joined(encoder: Encoder, candidate: Any) -> Any:
    """One graph from columns to the candidate's answer."""
    from onnx import compose

    from trainer.workbench.candidates.graph import ML_OPSET, OPSET, opsets

    first = prelude(encoder)
    held = {one.domain: one.version for one in candidate.opset_import}
    if held.get("", OPSET) != OPSET or held.get("ai.onnx.ml", ML_OPSET) != ML_OPSET:
        raise ParityError(
            f"joining a model with its encoding: its graph has operations of version {held}; export it with {OPSET}"
        )
    del candidate.opset_import[:]
    candidate.opset_import.extend(opsets())
    candidate.ir_version = first.ir_version
    output = candidate.graph.output[0].name
    whole = compose.merge_models(first, compose.add_prefix(candidate, "m_"), [("encoded", "m_features")])
    for node in whole.graph.node:
        for at, name in enumerate(node.output):
            if name == f"m_{output}":
                node.output[at] = output
        for at, name in enumerate(node.input):
            if name == f"m_{output}":
                node.input[at] = output
    whole.graph.output[0].name = output
    return whole


def inputs(encoder: Encoder, rows: Rows, at: slice) -> dict[str, NDArray[Any]]:
    """Raw columns as a file takes them."""
    fed: dict[str, NDArray[Any]] = {}
    for place, column in enumerate(encoder.columns):
        held = rows.columns[column.name]
        if isinstance(held, Words):
            fed[f"c{place}"] = np.array(held.words, dtype=object)[held.codes[at]][:, None]
        elif isinstance(held, Numbers):
            fed[f"c{place}"] = held.values[at].astype(np.float32)[:, None]
    return fed


def keep(
    folder: Path,
    whole: Any,
    told: dict[str, Any],
    encoder: Encoder,
    raw: Rows,
    *,
    expected: NDArray[np.float32],
) -> Tried:
    """Try the graph `whole` on some `raw` rows and write it with its description. Raises `ParityError`.

    `expected` are the candidate's own answers for those rows.
    """
    held = whole.SerializeToString()
    run = session(held)
    count = min(len(raw), len(expected), _TRIED)
    fed = inputs(encoder, raw, slice(0, count))
    run.run(None, {name: column[:1] for name, column in fed.items()})
    start = time.perf_counter()
    found = run.run(None, fed)[0]
    took = time.perf_counter() - start
    apart = np.abs(found.astype(np.float64) - expected[:count])
    allowed = _APART * np.maximum(1.0, np.abs(expected[:count]))
    wrong = (apart > allowed) if apart.ndim == 1 else (apart > allowed).any(axis=1)
    if not np.isfinite(found).all() or wrong.mean() > _MAY_DIFFER:
        raise ParityError(
            f"trying the file of {told['candidate']}: {int(wrong.sum())} of {count} rows get another answer than the "
            "fitted model gave; choose other settings for it, and report this"
        )
    digest = hashlib.sha256(held).hexdigest()
    appearing.write(folder / "model.onnx", held)
    write(folder / "model.json", {"format": FORMAT, **told, "columns": encoding.told(encoder), "sha256": digest})
    return Tried(len(held), count / max(took, 1e-9), digest)
