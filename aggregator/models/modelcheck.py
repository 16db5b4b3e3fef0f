"""Does this file do what a model must? Run as `python -m aggregator.models.modelcheck FILE`, in a process of its own.

An ONNX file is a program: a small one can ask for gigabytes or never end. So the registry never loads one itself. This
module is the only one of the aggregator that imports onnxruntime; it limits its own memory and processor time *before*
it opens the file, runs the self-test rows the file carries, and prints one line of JSON: `{"manifest": …}` or
`{"refused": "why"}`. Whatever else happens to it (killed, out of memory, no answer) is a refusal too.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract, manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

TOLERANCE: Final = 1e-3
"""How far a self-test score may be from the trainer's, relative above 1 and absolute below."""

MIN_ROWS: Final = 1
MAX_ROWS: Final = 4096


class Unfit(Exception):  # noqa: N818 - named after what was found
    """The file is no model for this installation. The text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one file within limits; the verdict is the line printed."""
    path, memory_mib, seconds = (sys.argv[1:] if arguments is None else list(arguments))[:3]
    import onnxruntime  # before the limits: the runtime's own needs are not the model's

    _limit(int(memory_mib) << 20, int(seconds))
    try:
        described = check(onnxruntime, Path(path))
    except Unfit as problem:
        print(json.dumps({"refused": str(problem)}))
        return 1
    except Exception as problem:  # noqa: BLE001 - whatever the runtime raises on a hostile file is a refusal
        print(json.dumps({"refused": f"the runtime cannot load or run it: {str(problem).splitlines()[0][:300]}"}))
        return 1
    print(json.dumps({"manifest": json.loads(described.to_json())}))
    return 0


def check(onnxruntime: Any, path: Path) -> manifest.Manifest:
    """The manifest of a sound model. Raises `Unfit`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    try:
        described = manifest.parse(session.get_modelmeta().custom_metadata_map.get(manifest.METADATA_KEY))
        manifest.require_contract(described)
        rows, promised = described.self_test()
    except (manifest.ManifestError, contract.ContractError, ValueError) as problem:
        raise Unfit(str(problem)) from problem
    if not described.thresholds:
        raise Unfit("it carries no calibrated thresholds; fit it again")
    if not MIN_ROWS <= len(rows) <= MAX_ROWS:
        raise Unfit(f"it carries {len(rows)} self-test rows; {MIN_ROWS} to {MAX_ROWS} are wanted")
    _check_signature(session, described)
    score, contributions, expected = session.run(list(manifest.OUTPUTS), {manifest.INPUT: rows})
    shapes = (score.shape, contributions.shape, expected.shape)
    if shapes != ((len(rows),), rows.shape, rows.shape):
        raise Unfit(f"its outputs have shapes {shapes} for {len(rows)} rows")
    shares = session.run([manifest.CLASS_SCORES], {manifest.INPUT: rows}) if described.classes else []
    if any(part.shape != (len(rows), len(described.classes)) for part in shares):
        raise Unfit("it scores other classes than its manifest names")
    if not all(np.isfinite(output).all() for output in (score, contributions, expected, *shares)):
        raise Unfit("it gives values that are not finite")
    wrong = np.abs(score - promised) > TOLERANCE * np.maximum(1.0, np.abs(promised))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise Unfit(f"its self-test fails: row {at} scores {score[at]:.4f}, the manifest promises {promised[at]:.4f}")
    return described


def _check_signature(session: Any, described: manifest.Manifest) -> None:
    inputs = [entry.name for entry in session.get_inputs()]
    outputs = {entry.name for entry in session.get_outputs()}
    if inputs != [manifest.INPUT]:
        raise Unfit(f"its inputs are {inputs}, wanted is {manifest.INPUT!r} alone")
    wanted = (*manifest.OUTPUTS, manifest.CLASS_SCORES) if described.classes else manifest.OUTPUTS
    if missing := [name for name in wanted if name not in outputs]:
        raise Unfit(f"it has no output {', '.join(missing)}")


def _limit(memory_bytes: int, seconds: int) -> None:
    """Let this process take `memory_bytes` more than it holds, and `seconds` of processor time from now."""
    held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory_bytes, held + memory_bytes))
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until, until))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
