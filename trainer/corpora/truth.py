"""Ground truth of captures: a manifest that says which are benign, which are attacks, and which are both.

A manifest is CSV with a header and at least the columns `file` and `label` (`benign`, `attack` or `mixed`); `attack`
names the kind, `attack_rule` says which flows of a mixed capture belong to the attack (see `rule.py`). `file` is
relative to the manifest's folder, or to the folder above it.

A capture was taken on some network. The column `network` names it, or `source_repo`, where the captures were published;
without either it is what stands before `__` in the file's name, else the folder. Figures are given by network, because
one laboratory with many captures must not stand for the world.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.corpora import rule
from trainer.errors import SourceMissing, TruthUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

LABELS: Final = ("benign", "attack", "mixed")


@dataclass(frozen=True, slots=True)
class Entry:
    """One capture of a manifest."""

    name: str
    path: Path
    label: str
    attack: str
    network: str
    matches: Callable[[NDArray], NDArray[np.bool_]] | None

    @property
    def family(self) -> str:
        """The kind of attack in one word: what stands before the colon of `attack`."""
        return self.attack.partition(":")[0].strip().lower()

    def is_attack(self, flows: NDArray) -> NDArray[np.bool_]:
        """Which of `flows` (`FLOW`, `[n]`) belong to an attack."""
        if self.label == "benign":
            return np.zeros(len(flows), dtype=np.bool_)
        if self.matches is None:
            return np.ones(len(flows), dtype=np.bool_)
        return self.matches(flows)


def read(path: Path) -> list[Entry]:
    """The captures a manifest names. Raises `SourceMissing` or `TruthUnreadable` with the line that is wrong."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"file", "label"} - set(reader.fieldnames or ())
            if missing:
                raise TruthUnreadable(f"reading manifest {path}: no column {min(missing)!r} in its header")
            entries = [_entry(path, number, row) for number, row in enumerate(reader, start=2)]
    except OSError as error:
        raise SourceMissing(f"reading manifest {path}: {error.strerror}; check the path") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TruthUnreadable(f"reading manifest {path}: not CSV text ({error})") from error
    if not entries:
        raise TruthUnreadable(f"reading manifest {path}: it names no capture")
    return entries


def _entry(manifest: Path, number: int, row: dict[str, str | None]) -> Entry:
    name, label, text = row["file"] or "", row["label"] or "", row.get("attack_rule") or ""
    if label not in LABELS:
        raise TruthUnreadable(
            f"reading manifest {manifest}, line {number}: label {label!r} is none of {', '.join(LABELS)}"
        )
    if label == "mixed" and not text:
        raise TruthUnreadable(
            f"reading manifest {manifest}, line {number}: a mixed capture needs an attack_rule "
            "that says which flows count"
        )
    return Entry(
        name=name,
        path=_locate(manifest, name),
        label=label,
        attack=row.get("attack") or "",
        network=_network(row, name),
        matches=rule.parse(text) if text else None,
    )


def _locate(manifest: Path, name: str) -> Path:
    beside = manifest.parent / name
    return beside if beside.exists() else manifest.resolve().parent.parent / name


def _network(row: dict[str, str | None], name: str) -> str:
    for column in ("source_repo", "network"):
        if row.get(column):
            return str(row[column])
    folder, _, file = name.replace("\\", "/").rpartition("/")
    prefix, mark, _ = file.partition("__")
    return prefix if mark else folder
