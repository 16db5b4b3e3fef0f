"""The ONNX session: rows in contract order to scores. The only module that imports onnxruntime.

A `Scorer` exists only for a model that was verified: a plain ONNX file of bounded size, with our manifest, for exactly
the features of this installation, whose graph has the standard outputs and gives the scores that the trainer got for
its self-test rows. Everything else raises `ModelRefused`, which says what is wrong and what to do.

Scores are `-log10 p`: higher is stranger. They leave here finite. A graph that gives no number for a row is counted
(`unusable`) and the row scores 0, because a batch with a NaN in it could neither be decided nor sent.

Run as `python -m agent.scorer FILE` it verifies one file under hard limits on memory and time and prints a line of
JSON: that is how `agent.models` lets a stranger's file run for the first time in a process that may die.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from agent.errors import ModelRefused
from agent.onnx_file import MOST_BYTES, only, require_plain
from protos import contract
from protos.manifest import CLASS_SCORES, INPUT, METADATA_KEY, OUTPUTS, ManifestError, parse, require_contract

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from protos.manifest import Manifest

TOLERANCE: Final = 1e-3
MOST_SCORE: Final = 1e6
_CHUNK: Final = 256
"""Rows a run of the graph: enough for full speed, few enough that its intermediate tensors stay small."""
_FATAL_ONLY: Final = 4

SCORE: Final = OUTPUTS[0]

LIKELY: Final = 0.5
"""Share from which a class is named."""

CHILD_MEMORY_BYTES: Final = 1 << 30
CHILD_CPU_S: Final = 20


class Scorer:
    """A verified model, ready to score. With `expected_digest` the file must hold exactly those bytes."""

    def __init__(self, path: Path, *, expected_digest: str = "") -> None:
        data = _read(path)
        self.digest = hashlib.sha256(data).hexdigest()
        if expected_digest and self.digest != expected_digest:
            raise ModelRefused(
                f"loading model {path}: the file holds {self.digest[:12]} instead of {expected_digest[:12]}: it was "
                "changed after it was installed; fetch it again"
            )
        require_plain(data)
        try:
            self._session = _session(data)
            metadata = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # the runtime has a dozen kinds and promises none
            raise _unloadable(path, error) from error
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = _FATAL_ONLY
        try:
            self.manifest: Manifest = parse(metadata.get(METADATA_KEY))
            require_contract(self.manifest)
        except ManifestError as error:
            raise ModelRefused(f"loading model {path}: {error}") from error
        self.unusable = 0
        self._require_signature(path)
        try:
            # A session of its own: a run computes every output its graph has, and most rows need their score alone.
            self._scoring = _session(only(data, [SCORE]))
        except Exception as error:  # as above, and a graph cut to one output is checked anew
            raise _unloadable(path, error) from error
        self._self_test(path)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores `[n]` of rows `[n, F]`, finite. Raises `ModelRefused` when the graph fails on them."""
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            scores[start : start + _CHUNK] = self._run([SCORE], part, self._failing)[0]
        if not np.isfinite(scores).all():
            self.unusable += int(np.isnan(scores).sum())
            scores = np.nan_to_num(scores, nan=0.0, posinf=MOST_SCORE, neginf=0.0)
        return scores

    def tell(
        self, rows: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], list[tuple[str, float] | None]]:
        """All an alert says beside its score: contributions and expectations `[n, F]`, and what `likely` says.

        One run of the graph gives the three: the runtime computes every output, whichever is asked for. Dearer than
        `score`: for rows that raised an alert.
        """
        contributions, expected = np.empty_like(rows), np.empty_like(rows)
        shares = np.zeros((len(rows), len(self.classes)), dtype=np.float32)
        outputs = ["contributions", "expected", *([CLASS_SCORES] if self.classes else [])]
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            contributions[part], expected[part], *named = self._run(outputs, rows[part], self._failing)
            if named:
                [shares[part]] = named
        return contributions, expected, self._likeliest(shares)

    @property
    def classes(self) -> tuple[str, ...]:
        """Families of attacks this model can name; none without a classifier."""
        return self.manifest.classes

    def classify(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A share for each of `classes`, `[n, K]`; what is missing to 1 is that of ordinary traffic."""
        shares = np.zeros((len(rows), len(self.classes)), dtype=np.float32)
        for start in range(0, len(rows) if self.classes else 0, _CHUNK):
            part = slice(start, start + _CHUNK)
            [shares[part]] = self._run([CLASS_SCORES], rows[part], self._failing)
        return shares

    def likely(self, rows: NDArray[np.float32]) -> list[tuple[str, float] | None]:
        """The family each row most looks like and its share, where that is likelier than not."""
        return self._likeliest(self.classify(rows))

    def _likeliest(self, shares: NDArray[np.float32]) -> list[tuple[str, float] | None]:
        if not self.classes:
            return [None] * len(shares)
        best = shares.argmax(axis=1)
        return [
            (self.classes[at], float(row[at])) if row[at] >= LIKELY else None
            for at, row in zip(best.tolist(), shares, strict=True)
        ]

    @property
    def _failing(self) -> str:
        return f"scoring with model {self.digest[:12]}"

    def _run(self, outputs: list[str], rows: NDArray[np.float32], doing: str) -> list[NDArray[np.float32]]:
        try:
            session = self._scoring if outputs == [SCORE] else self._session
            result: list[NDArray[np.float32]] = session.run(
                outputs, {INPUT: np.ascontiguousarray(rows, dtype=np.float32)}, self._run_options
            )
        except Exception as error:  # as when it was loaded: the runtime promises no kinds
            raise ModelRefused(
                f"{doing}: the graph failed ({_first_line(error)}); train it again, or roll back to the model before it"
            ) from error
        return result

    def _require_signature(self, path: Path) -> None:
        inputs = {entry.name: (entry.type, entry.shape) for entry in self._session.get_inputs()}
        outputs = {entry.name for entry in self._session.get_outputs()}
        wanted = (*OUTPUTS, CLASS_SCORES) if self.manifest.classes else OUTPUTS
        missing = [name for name in wanted if name not in outputs]
        if missing:
            raise ModelRefused(
                f"loading model {path}: it lacks the output{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
                "models come from anomaflow-trainer"
            )
        kind, shape = inputs.get(INPUT, ("missing", []))
        if set(inputs) != {INPUT} or kind != "tensor(float)" or len(shape) != 2 or shape[1] != contract_size():
            raise ModelRefused(
                f"loading model {path}: its input is not one float matrix {INPUT!r} of {contract_size()} columns; "
                "models come from anomaflow-trainer"
            )

    def _self_test(self, path: Path) -> None:
        try:
            rows, promised = self.manifest.self_test()
        except ValueError as error:
            raise ModelRefused(f"loading model {path}: its self-test rows cannot be read ({error})") from error
        if not len(rows):
            raise ModelRefused(f"loading model {path}: it carries no self-test rows; train it with this version")
        doing = f"loading model {path}: its self-test"
        [scores] = self._run([SCORE], rows, doing)
        contributions, expected = self._run(["contributions", "expected"], rows, doing)
        shapes = (scores.shape, contributions.shape, expected.shape)
        if shapes != ((len(rows),), rows.shape, rows.shape):
            raise ModelRefused(f"loading model {path}: outputs have the shapes {shapes} for {len(rows)} rows")
        shares = self._run([CLASS_SCORES], rows, doing) if self.classes else []
        if any(part.shape != (len(rows), len(self.classes)) for part in shares):
            raise ModelRefused(f"loading model {path}: it scores other classes than its manifest names; train it again")
        if not all(np.isfinite(output).all() for output in (scores, contributions, expected, *shares)):
            raise ModelRefused(f"loading model {path}: the self-test gives values that are not numbers; train it again")
        if not np.allclose(scores, promised, rtol=TOLERANCE, atol=TOLERANCE):
            worst = float(np.abs(scores - promised).max())
            raise ModelRefused(
                f"loading model {path}: the self-test is off by {worst:.3g} where {TOLERANCE} is allowed: this host "
                "computes something else than the trainer did; compare the versions of onnxruntime, or train it again"
            )


def contract_size() -> int:
    """Columns of a row."""
    return len(contract.FEATURES)


def _session(data: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(data, _options(), providers=["CPUExecutionProvider"])


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps the peak of the largest batch for good; on an edge host the memory is worth more.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL_ONLY
    return options


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ModelRefused(f"reading model {path}: {error.strerror}; check the path and its rights") from error
    if len(data) > MOST_BYTES:
        raise ModelRefused(f"reading model {path}: larger than {MOST_BYTES >> 20} MiB; no model of ours is")
    return data


def _unloadable(path: Path, error: Exception) -> ModelRefused:
    return ModelRefused(
        f"loading model {path}: the runtime refuses it ({_first_line(error)}); it is damaged or needs a newer "
        "onnxruntime"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def verify_here(path: Path) -> dict[str, Any]:
    """Verify `path` in this process and say what it is."""
    scorer = Scorer(path)
    return {"ok": True, "digest": scorer.digest, "name": scorer.manifest.name, "kind": scorer.manifest.kind}


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify one file under limits; a line of JSON on stdout, 0 when it may be run."""
    [name] = sys.argv[1:] if arguments is None else arguments
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (CHILD_CPU_S, CHILD_CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_MEMORY_BYTES, CHILD_MEMORY_BYTES))
    try:
        verdict = verify_here(Path(name))
    except ModelRefused as error:
        verdict = {"ok": False, "detail": str(error)}
    except MemoryError:
        verdict = {"ok": False, "detail": f"it wants more than {CHILD_MEMORY_BYTES >> 20} MiB of memory"}
    print(json.dumps(verdict))
    return 0 if verdict["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
