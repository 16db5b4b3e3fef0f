"""Where the workbench's files lie, and how they are read: JSON that another process wrote is data, not trusted.

Paths handed to the trainer are relative to `workbench_dir`, which is its working directory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from typing import TYPE_CHECKING, Any, Final

from aggregator.appearing import appearing
from aggregator.errors import NotFound, StateError
from aggregator.work import endings

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_JSON: Final = 64 << 20
CANDIDATE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
"""What a candidate may be called."""

INCOMING: Final = "incoming"


def dataset_folder(dataset_id: int, version: int) -> str:
    """Of one version of a data set."""
    return f"datasets/{dataset_id}/v{version}"


def run_folder(experiment_id: int) -> str:
    """Of a run."""
    return f"runs/{experiment_id}"


def model_folder(experiment_id: int, model: str) -> str:
    """Of a model of a run. Raises `NotFound` for what cannot be a model's name."""
    if not CANDIDATE.fullmatch(model):
        raise NotFound(f"experiment {experiment_id} has no model {model[:40]!r}")
    return f"{run_folder(experiment_id)}/models/{model}"


def prediction_folder(prediction_id: int) -> str:
    """Of a prediction."""
    return f"predictions/{prediction_id}"


def new_incoming(ending: str) -> str:
    """A new name for a file that is coming in; `ending` begins with a dot."""
    return f"{INCOMING}/{uuid.uuid4().hex}{ending}"


def read_json(path: Path, form: str | None = None) -> dict[str, Any] | None:
    """The object in a file, None when there is no file. Raises `StateError` for another format, or what is no JSON."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise StateError(f"reading {path.name}: it has more than {LARGEST_JSON >> 20} MiB")
        told = json.loads(path.read_bytes(), parse_constant=lambda _: None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise StateError(f"reading {path.name}: {error}; run it again") from error
    if not isinstance(told, dict) or (form is not None and told.get("format") != form):
        raise StateError(f"reading {path.name}: it is not a file of format {form}; is the trainer of this version?")
    return told


def write_json(path: Path, told: dict[str, Any]) -> None:
    """Write an object by rename."""
    with appearing(path) as beside:
        beside.write_text(json.dumps(told, allow_nan=False), encoding="utf-8")


def write_secret(path: Path, text: str) -> None:
    """Write what nobody else may read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


def bytes_in(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        except FileNotFoundError:  # removed meanwhile
            continue
    return total


def remove(root: Path, folder: str) -> None:
    """Remove a folder below `root`: out of sight at once, then for good."""
    gone = root / INCOMING / f"gone-{uuid.uuid4().hex}"
    gone.parent.mkdir(parents=True, exist_ok=True)
    try:
        (root / folder).rename(gone)
    except FileNotFoundError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def link_all(folder: Path, files: list[Path]) -> None:
    """Give files a second name in a new folder, so that they stay while they are read, whoever removes the first."""
    folder.mkdir(parents=True, mode=0o700)
    for path in files:
        target = folder / path.parent.name / path.name
        target.parent.mkdir(exist_ok=True)
        try:
            target.hardlink_to(path)
        except FileNotFoundError:  # merged away meanwhile: its rows are in a later file
            continue


def sweep(root: Path, keep: set[str]) -> None:
    """Remove what came in and belongs to nothing, after a crash."""
    for path in (root / INCOMING).glob("*"):
        if f"{INCOMING}/{path.name}" in keep:
            continue
        endings.discard(path)
