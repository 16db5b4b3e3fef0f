"""Checkpoints: after every epoch the whole of a training, so that a cut-off fit goes on as if nothing had happened.

One `.npz` file holds the weights, the optimizer's state, the best weights so far and the history; it appears by rename,
so it is whole or not there. The form was chosen over Keras's own `.keras` and `.weights.h5`: those do not hold all of
this in one file, and reading `.keras` has run what an attacker put there (CVE-2025-1550, CVE-2025-8747); an `.npz`
read with `allow_pickle=False` is numbers and nothing else. A checkpoint is read only from the folder of the run that
wrote it, and only if its fingerprint (rows, hyper-parameters, seed, versions) is that of the fit that asks; a foreign
one is left out of account and written over, a damaged one is set aside as `.broken`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer import appearing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from trainer.workbench.candidates.base import History

FORMAT: Final = "anomaflow-checkpoint-1"
NAME: Final = "checkpoint.npz"


@dataclass(frozen=True, slots=True)
class State:
    """A training between two epochs. Arrays stand in the order of the network's and the optimizer's variables."""

    weights: list[NDArray]
    optimizer: list[NDArray]
    best: list[NDArray]
    history: History


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The checkpoint of one fit in `folder`; without a folder nothing is kept."""

    folder: Path | None
    fingerprint: str

    def save(self, state: State) -> None:
        """Put `state` in place of the one before. Raises `OutputError`."""
        if self.folder is None:
            return
        told = {"format": FORMAT, "fingerprint": self.fingerprint, "history": state.history}
        arrays = {"about": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)}
        for part, listed in _parts(state).items():
            arrays |= {f"{part}_{place}": array for place, array in enumerate(listed)}
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        appearing.write(self.folder / NAME, stream.getvalue())

    def load(self, like: State) -> State | None:
        """The state kept, if it is of this fit and its arrays have the shapes of `like`; else None."""
        if self.folder is None:
            return None
        path = self.folder / NAME
        try:
            with np.load(path, allow_pickle=False) as kept:
                told = json.loads(kept["about"].tobytes())
                if told["format"] != FORMAT or told["fingerprint"] != self.fingerprint:
                    return None
                found = {
                    part: [_alike(kept[f"{part}_{place}"], wanted) for place, wanted in enumerate(listed)]
                    for part, listed in _parts(like).items()
                }
                return State(**found, history=[dict(row) for row in told["history"]])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
            path.replace(path.with_name(f"{NAME}.broken"))
            return None


def fingerprint(about: dict[str, Any], arrays: Sequence[NDArray | None]) -> str:
    """SHA-256 of everything a fit depends on."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for array in arrays:
        if array is None:
            digest.update(b"none")
        else:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _parts(state: State) -> dict[str, list[NDArray]]:
    return {"weights": state.weights, "optimizer": state.optimizer, "best": state.best}


def _alike(array: NDArray, wanted: NDArray) -> NDArray:
    if array.shape != wanted.shape or array.dtype != wanted.dtype:
        raise ValueError("an array of another shape")
    return array
