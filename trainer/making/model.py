"""A model file seen from the workshop: opened, checked, and asked for scores.

What is judged is always the exported graph through onnxruntime, never the network it came from, so a report speaks of
the very bytes that agents will run. A file is refused, with the reason, when it is not a model of ours, follows another
feature contract, or does not answer its own self-test rows as its manifest says.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import manifest as manifests
from trainer.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SELF_TEST_TOLERANCE: Final = 1e-3
"""Largest difference between a promised and an answered self-test score, in `-log10 p`: rounding between processors."""
_BATCH_ROWS: Final = 1024


class Session:
    """onnxruntime on the bytes of a model, one thread. Raises `ModelError` when it will not load them."""

    def __init__(self, data: bytes, name: str) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._open: Callable[[bytes], Any] = partial(
            ort.InferenceSession, sess_options=options, providers=["CPUExecutionProvider"]
        )
        try:
            self._session: Any = self._open(data)
        except Exception as error:
            # onnxruntime raises a dozen types of its own for a file it does not like.
            raise ModelError(f"loading model {name}: onnxruntime refuses it ({error}); fit it again") from error
        self._data = data
        self._scoring: Any = None
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._name = name

    def run(self, rows: NDArray[np.float32], outputs: tuple[str, ...]) -> list[NDArray[np.float32]]:
        """The `outputs` for rows `[n, F]`, in batches."""
        parts = []
        try:
            session = self._session_for(outputs)
            for start in range(0, max(len(rows), 1), _BATCH_ROWS):
                batch = np.ascontiguousarray(rows[start : start + _BATCH_ROWS], dtype=np.float32)
                parts.append(session.run(list(outputs), {manifests.INPUT: batch}))
        except Exception as error:  # the runtime raises classes of its own for whatever a foreign graph does
            raise ModelError(
                f"scoring with model {self._name}: {error}; is it a model of anomaflow-trainer?"
            ) from error
        return list(parts[0]) if len(parts) == 1 else [np.concatenate(column) for column in zip(*parts, strict=True)]

    def _session_for(self, outputs: tuple[str, ...]) -> Any:
        """For scores alone a session of what they need: a run computes every output that its graph has."""
        if outputs != manifests.OUTPUTS[:1]:
            return self._session
        if self._scoring is None:
            import onnx
            from onnx.utils import Extractor

            whole = onnx.ModelProto.FromString(self._data)
            part = Extractor(whole).extract_model([manifests.INPUT], list(outputs))
            self._scoring = self._open(part.SerializeToString())
        return self._scoring


@dataclass(frozen=True, slots=True)
class Model:
    """A model file that passed its checks. `digest` is the SHA-256 of its bytes."""

    digest: str
    manifest: manifests.Manifest
    session: Session

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """`-log10 p` `[n]` of rows `[n, F]`."""
        return self.session.run(rows, ("score",))[0]


def load(path: Path) -> Model:
    """Open and check a model file. Raises `ModelError`."""
    return check(read(path), str(path))


def check(data: bytes, name: str) -> Model:
    """The model in `data`, if its manifest, contract and self-test hold. Raises `ModelError`."""
    model = inspect(data, name)
    fault = find_fault(model)
    if fault:
        raise ModelError(f"checking model {name}: {fault}")
    return model


def read(path: Path) -> bytes:
    """The bytes of a model file. Raises `ModelError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"opening model {path}: {error.strerror}; check the path") from error


def inspect(data: bytes, name: str) -> Model:
    """The model in `data` with a manifest that can be read, whatever it says. Raises `ModelError`."""
    session = Session(data, name)
    try:
        manifest = manifests.parse(session.metadata.get(manifests.METADATA_KEY))
    except manifests.ManifestError as error:
        raise ModelError(f"checking model {name}: {error}") from error
    return Model(hashlib.sha256(data).hexdigest(), manifest, session)


def find_fault(model: Model) -> str:
    """Why the model must not be used here, or an empty text: another contract, or a self-test that fails."""
    try:
        manifests.require_contract(model.manifest)
        rows, promised = model.manifest.self_test()
    except ValueError as error:
        return str(error)
    if len(rows) == 0:
        return "it carries no self-test rows; fit it again"
    try:
        answered = model.score(rows)
    except ModelError as error:
        return str(error)
    if answered.shape != promised.shape:
        return f"its score has the shape {answered.shape}, not one number a row; it is not a model of anomaflow-trainer"
    difference = float(np.max(np.abs(answered - promised)))
    if difference <= SELF_TEST_TOLERANCE:
        return ""
    return (
        f"a self-test row scores {difference:.4g} off its promise (at most {SELF_TEST_TOLERANCE} is rounding); "
        "the file is damaged or this machine computes differently"
    )
