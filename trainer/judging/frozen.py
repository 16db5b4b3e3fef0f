"""Frozen sets: rows that nothing is ever fitted on, by which a challenger is compared with its champion.

- The *attack-replay* set holds attacks by family: a challenger must not become blind to what the champion sees.
- The *golden* set holds benign flows that somebody vouches for.

A source of a set is a Parquet file that `write` made, a capture (all of it: for attacks its name is the family), a
manifest of captures, a folder of these, or the word `generated`: attacks that this module has the traffic generator
play, always the same ones, so that the very first retraining is already judged by something.

A set file carries its feature contract, its purpose and what it was made of. Its rows are numbers in the order of that
contract, so one of another contract cannot be used. It is never dropped in silence: `Frozen.faults` says so, the gate
fails on it, and the text names the captures to make it from again (`anomaflow-trainer sets`). Captures and `generated`
are metered at every fit, so they never go stale.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer.appearing import appearing
from trainer.corpora import sources, truth
from trainer.corpora.lake import DIGEST_KEY
from trainer.corpora.rows import Found, SourceFile, file_digest
from trainer.errors import ForeignRows, SourceMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from protos.manifest import CaptureProfile
    from trainer.corpora.rows import Rows

GENERATED: Final = "generated"
"""The name of the built-in attack-replay set."""
ABOUT_KEY: Final = b"anomaflow.set"
FORMAT: Final = "anomaflow-set-1"
ATTACKS: Final = "attacks"
GOLDEN: Final = "golden"
PURPOSES: Final = (ATTACKS, GOLDEN)
MOST_OF_FAMILY: Final = 500
"""Rows of one family that a generated set keeps: a flood must not be all there is."""
_SEED: Final = 20_260_105
_MINUTES: Final = 12.0
_HOSTS: Final = 16


@dataclass(frozen=True, slots=True)
class Frozen:
    """A set: features `[n, F]`, the family of each row `[n]` (empty for benign ones), where from, what is unusable."""

    features: NDArray[np.float32]
    family: NDArray[np.str_]
    files: tuple[SourceFile, ...] = ()
    faults: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    @property
    def digest(self) -> str:
        """SHA-256 of rows and families, lower-case hexadecimal: equal sets have equal digests."""
        names = "\n".join(self.family.tolist()).encode()
        rows = np.ascontiguousarray(self.features, dtype="<f4").tobytes()
        return hashlib.sha256(contract.DIGEST.encode() + names + rows).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What a report says of it."""
        names, counts = np.unique(self.family, return_counts=True)
        return {
            "digest": self.digest,
            "rows": len(self),
            "families": {name: int(count) for name, count in zip(names.tolist(), counts, strict=True) if name},
            "sources": [{"name": file.name, "sha256": file.sha256, "rows": file.rows} for file in self.files],
            "faults": list(self.faults),
        }


def empty() -> Frozen:
    """A set without rows."""
    return Frozen(np.empty((0, len(contract.FEATURES)), np.float32), np.empty(0, dtype="U1"))


def read(paths: Sequence[str], purpose: str, profile: CaptureProfile) -> Frozen:
    """The set that `paths` make up. Raises `DataError`, or the agent's `SourceError` for an unreadable capture."""
    parts = [empty()]
    for path in paths:
        if path == GENERATED and purpose == ATTACKS:
            parts.append(generate(profile))
        elif path.endswith(sources.TRUTH_SUFFIX):
            parts += [_manifest(Path(path), purpose, profile)]
        else:
            parts += [_one(found, purpose, profile) for found in sources.find([Path(path)])]
    return Frozen(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.family for part in parts]),
        tuple(file for part in parts for file in part.files),
        tuple(fault for part in parts for fault in part.faults),
    )


def generate(profile: CaptureProfile) -> Frozen:
    """The built-in attacks, played in an office of their own. The same rows for the same version, always."""
    from agent import meter
    from agent.context import Context
    from agent.features import compute
    from trainer.traffic.scenario import build

    rows, families = [], []
    with tempfile.TemporaryDirectory(prefix="anomaflow-replay-") as folder:
        made = build("mixed", Path(folder) / "replay.pcap", _SEED, _MINUTES, hosts=_HOSTS)
        labels, context = made.read_labels(), Context()
        for flows in meter.read_capture(made.capture, profile):
            if len(flows):
                said = [label.kind if label is not None and label.malicious else "" for label in labels.of(flows)]
                names = np.array([kind.replace("_", " ") for kind in said], dtype="U64")
                rows.append(compute(flows, context)[names != ""])
                families.append(names[names != ""])
        digest = file_digest(made.capture)
    features, family = np.concatenate(rows), np.concatenate(families)
    chance = np.random.default_rng(_SEED)
    kept: list[int] = []
    for name in np.unique(family):
        mine = np.flatnonzero(family == name)
        kept += chance.permutation(mine)[:MOST_OF_FAMILY].tolist()
    kept.sort()
    return Frozen(features[kept], family[kept], (SourceFile(GENERATED, "generated", digest, len(kept), {}),))


def write(made: Frozen, purpose: str, path: Path) -> None:
    """Write a set file, whole or not at all. Raises `OutputError`, and `ForeignRows` for a set with faults or no rows.

    The clock is left out of it: the same sources give the same bytes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if made.faults:
        raise ForeignRows(f"writing {path}: {made.faults[0]}")
    if not len(made):
        raise SourceMissing(f"writing {path}: its sources hold no such row")
    about = {
        "format": FORMAT,
        "purpose": purpose,
        "rows_digest": made.digest,
        "made_of": [{"name": file.name, "sha256": file.sha256, "rows": file.rows} for file in made.files],
    }
    columns = {"family": pa.array(made.family.tolist(), pa.string())}
    columns |= {name: pa.array(made.features[:, place]) for place, name in enumerate(contract.FEATURES)}
    described = pa.table(columns).replace_schema_metadata(
        {DIGEST_KEY: contract.DIGEST.encode(), ABOUT_KEY: json.dumps(about, sort_keys=True).encode()}
    )
    with appearing(path) as beside:
        pq.write_table(described, beside, compression="zstd")


def _one(found: Found, purpose: str, profile: CaptureProfile) -> Frozen:
    if found.path.suffix == ".parquet":
        return _set_file(found, purpose)
    family = found.path.name.split(".", 1)[0] if purpose == ATTACKS else ""
    return _capture(found, None, family, profile)


def _manifest(path: Path, purpose: str, profile: CaptureProfile) -> Frozen:
    parts = [empty()]
    for entry in truth.read(path):
        if (entry.label == "benign") == (purpose == GOLDEN):
            attack = None if purpose == GOLDEN else entry
            family = "" if attack is None else sources.family_of(entry.attack)
            parts.append(_capture(Found(entry.path, entry.name), attack, family, profile))
    if len(parts) == 1:
        raise SourceMissing(f"reading manifest {path}: it names no capture for the {purpose} set")
    return Frozen(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.family for part in parts]),
        tuple(file for part in parts for file in part.files),
    )


def _capture(found: Found, attack: truth.Entry | None, family: str, profile: CaptureProfile) -> Frozen:
    taken: list[Rows] = []
    file = sources.read_capture(found, profile, taken.append, attack)
    features = np.concatenate([empty().features, *(rows.features for rows in taken)])
    return Frozen(features, np.full(len(features), family, dtype=f"U{max(len(family), 1)}"), (file,))


def _set_file(found: Found, purpose: str) -> Frozen:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(found.path)
        metadata = table.schema.metadata or {}
        about = json.loads(metadata.get(ABOUT_KEY, b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ForeignRows(f"reading set {found.path}: not a Parquet file that can be read ({error})") from error
    if about.get("format") != FORMAT or about.get("purpose") != purpose:
        raise ForeignRows(
            f"reading set {found.path}: it is not a set for {purpose}; make one with `anomaflow-trainer sets`"
        )
    file = SourceFile(found.name, "set", file_digest(found.path), len(table), {})
    digest = metadata.get(DIGEST_KEY, b"").decode("ascii", "replace")
    if digest != contract.DIGEST or any(name not in table.schema.names for name in contract.FEATURES):
        made_of = ", ".join(f"{entry['name']} ({str(entry['sha256'])[:12]})" for entry in about.get("made_of", ())[:20])
        fault = (
            f"set {found.name} holds features of the contract {digest[:12] or 'unknown'}, this installation's is "
            f"{contract.DIGEST[:12]}: make it again from its sources with `anomaflow-trainer sets` and retire the "
            f"old one; it was made of {made_of or 'rows that were not recorded'}"
        )
        return replace(empty(), files=(replace(file, rows=0),), faults=(fault,))
    features = np.column_stack([table[name].to_numpy() for name in contract.FEATURES]).astype(np.float32)
    if not np.isfinite(features).all():
        raise ForeignRows(f"reading set {found.path}: a feature is not finite; the file is damaged")
    family = np.array([name or "" for name in table["family"].to_pylist()], dtype=str)
    return Frozen(features, family, (file,))
