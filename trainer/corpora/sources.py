"""Rows from where they lie: captures, lake Parquet, and capture manifests that say which captures are attacks.

Promises:

- A capture is metered by the agent's own meter and features, with one `Context` a capture, so training rows are what an
  agent would have computed.
- Of the lake nothing becomes "benign" without a reason (lake.py).
- Every file read is named with its SHA-256, its rows and what was left out of it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from trainer.corpora import lake, truth
from trainer.corpora.lake import find_suspects
from trainer.corpora.rows import UNNAMED, Found, Rows, SourceFile, Verdict, family_of, file_digest, hosts_of, kind_of
from trainer.errors import SourceMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from protos.manifest import CaptureProfile
    from trainer.corpora.held import Held
    from trainer.corpora.suspects import Suspects

__all__ = [
    "UNNAMED",
    "Found",
    "Rows",
    "SourceFile",
    "Verdict",
    "family_of",
    "file_digest",
    "find",
    "find_suspects",
    "hosts_of",
    "kind_of",
    "read_benign",
    "read_capture",
    "read_labelled",
]

log = logging.getLogger(__name__)

CAPTURE_SUFFIXES: Final = (".pcap", ".pcapng", ".cap")
TRUTH_SUFFIX: Final = ".csv"


def find(paths: Sequence[Path]) -> list[Found]:
    """Captures, Parquet files and manifests below `paths`, each once, in a stable order. Raises `SourceMissing`."""
    found: dict[Path, Found] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(entry for entry in path.rglob("*") if _is_source(entry))
            if not inside:
                raise SourceMissing(f"looking for data in {path}: no capture and no Parquet file in it")
            for entry in inside:
                found.setdefault(entry.resolve(), Found(entry, str(entry.relative_to(path)), named=False))
        elif path.exists():
            found.setdefault(path.resolve(), Found(path, path.name))
        else:
            raise SourceMissing(f"looking for data: {path} does not exist; check the path")
    return list(found.values())


def _is_source(path: Path) -> bool:
    # A name that begins with a dot is a file that is still being written.
    return path.suffix in {*CAPTURE_SUFFIXES, lake.SUFFIX} and not path.name.startswith(".") and path.is_file()


def read_benign(
    found: Found,
    profile: CaptureProfile,
    sink: Callable[[Rows], None],
    suspects: Suspects | None = None,
    held: Held | None = None,
) -> SourceFile:
    """Hand the rows of one file that may be taken for benign to `sink`.

    Raises `DataError`, or the agent's `SourceError` for a capture that cannot be read.
    """
    if found.path.suffix == lake.SUFFIX:
        return lake.read(found, sink, labelled_only=False, suspects=suspects, held=held)
    return read_capture(found, profile, sink)


def read_labelled(found: Found, profile: CaptureProfile, sink: Callable[[Rows], None]) -> list[SourceFile]:
    """Hand the rows of one file that carry a verdict to `sink`.

    That is lake Parquet, or a manifest of captures, of which the attack flows are taken: what a manifest calls benign
    was never a false positive and belongs among the benign sources.
    """
    if found.path.suffix == lake.SUFFIX:
        return [lake.read(found, sink, labelled_only=True)]
    if found.path.suffix != TRUTH_SUFFIX:
        raise SourceMissing(
            f"reading labelled rows: {found.path} is a capture, and captures carry no verdicts; "
            "give lake Parquet, or a manifest .csv with the columns file, label and attack_rule"
        )
    attacks = [entry for entry in truth.read(found.path) if entry.label != "benign"]
    return [read_capture(Found(entry.path, entry.name), profile, sink, entry) for entry in attacks]


def read_capture(
    found: Found,
    profile: CaptureProfile,
    sink: Callable[[Rows], None],
    attack: truth.Entry | None = None,
) -> SourceFile:
    """Meter one capture and hand its rows to `sink`: all of them, or the malicious ones that `attack` points out.

    A capture that ends inside a packet gives what was whole. Raises `SourceMissing` or the agent's `SourceError`.
    """
    from agent import errors as agent_errors
    from agent import meter
    from agent.context import Context
    from agent.features import compute

    digest = file_digest(found.path)
    context = Context()
    rows, left_out = 0, {}
    try:
        for flows in meter.read_capture(found.path, profile):
            if len(flows) == 0:
                continue
            whole = Rows(
                origin=digest,
                features=compute(flows, context),
                weights=np.ones(len(flows), dtype=np.float32),
                time_ms=flows["bidirectional_last_seen_ms"].astype(np.int64),
                kind=kind_of(flows["protocol"], flows["dst_port"]),
                verdict=np.full(len(flows), Verdict.NONE if attack is None else Verdict.MALICIOUS, dtype=np.int8),
                host=hosts_of(flows["src_ip"]),
                peer=hosts_of(flows["dst_ip"]),
                family=np.full(len(flows), 0 if attack is None else 1, dtype=np.int32),
                families=("",) if attack is None else ("", family_of(attack.attack)),
            )
            used = whole if attack is None else whole.take(attack.is_attack(flows))
            rows += len(used.features)
            sink(used)
    except agent_errors.CaptureTruncated as error:
        log.warning("capture_truncated name=%s reason=%s", found.name, error)
        left_out["truncated"] = 1
    return SourceFile(found.name, "capture", digest, rows, left_out)
