"""Rows from where they lie: captures, lake Parquet, and capture manifests that say which captures are attacks.

Promises:

- A capture is metered by the agent's own meter and features, with one `Context` a capture, so training rows are what an
  agent would have computed.
- A Parquet file is read only if it says that it follows this installation's feature contract.
- Nothing becomes "benign" without a reason: an unlabelled row counts as benign only if it raised no alert and none of
  its hosts was raising them (suspects.py). What was left out is counted.
- Every file read is named with its SHA-256, its rows and what was left out of it.

A row's origin is what the split keeps together: the capture it came from (by digest), or the agent that saw it.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from protos import contract
from trainer import truth
from trainer.errors import ForeignRows, SourceMissing
from trainer.suspects import Suspects

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from protos.manifest import CaptureProfile

log = logging.getLogger(__name__)

CAPTURE_SUFFIXES: Final = (".pcap", ".pcapng", ".cap")
LAKE_SUFFIX: Final = ".parquet"
TRUTH_SUFFIX: Final = ".csv"
DIGEST_KEY: Final = b"anomaflow.feature_digest"
_IDENTITY: Final = ("agent_id", "src_ip", "dst_ip", "protocol", "dst_port", "last_seen_ms", "decision", "weight")
_ALERT_COLUMNS: Final = ("src_ip", "dst_ip", "last_seen_ms", "decision")
_BATCH_ROWS: Final = 16_384
_RAISE: Final = 1


class Verdict(IntEnum):
    """What a person said of a row."""

    NONE = 0
    BENIGN = 1
    MALICIOUS = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one origin: features `[n, F]`, and per row weight, time, kind of flow and verdict."""

    origin: str
    features: NDArray[np.float32]
    weights: NDArray[np.float32]
    time_ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    verdict: NDArray[np.int8]

    def take(self, chosen: NDArray) -> Rows:
        """The rows at `chosen`, a mask or positions."""
        return Rows(
            self.origin,
            self.features[chosen],
            self.weights[chosen],
            self.time_ms[chosen],
            self.kind[chosen],
            self.verdict[chosen],
        )


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that was read. `left_out` counts rows that were there and not used, by reason."""

    name: str
    kind: str
    sha256: str
    rows: int
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, and the name it is reported under (relative to the folder it was found in)."""

    path: Path
    name: str


def find(paths: Sequence[Path]) -> list[Found]:
    """Captures, Parquet files and manifests below `paths`, each once, in a stable order. Raises `SourceMissing`."""
    found: dict[Path, Found] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(entry for entry in path.rglob("*") if _is_source(entry))
            if not inside:
                raise SourceMissing(f"looking for data in {path}: no capture and no Parquet file in it")
            for entry in inside:
                found.setdefault(entry.resolve(), Found(entry, str(entry.relative_to(path))))
        elif path.exists():
            found.setdefault(path.resolve(), Found(path, path.name))
        else:
            raise SourceMissing(f"looking for data: {path} does not exist; check the path")
    return list(found.values())


def _is_source(path: Path) -> bool:
    # A name that begins with a dot is a file that is still being written.
    return path.suffix in {*CAPTURE_SUFFIXES, LAKE_SUFFIX} and not path.name.startswith(".") and path.is_file()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, lower-case hexadecimal. Raises `SourceMissing`."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SourceMissing(f"reading {path}: {error.strerror}; check the path and its rights") from error


def find_suspects(files: Sequence[Found]) -> Suspects:
    """Hosts that raised alerts nobody called benign, over all lake files. Raises `ForeignRows`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    alerts = []
    for found in files:
        if found.path.suffix != LAKE_SUFFIX:
            continue
        try:
            file = pq.ParquetFile(found.path)
            names = set(file.schema_arrow.names)
            if not names.issuperset(_ALERT_COLUMNS):
                continue  # read_benign says what is missing
            table = file.read(columns=[*_ALERT_COLUMNS, *({"verdict"} & names)])
        except (pa.ArrowException, OSError) as error:
            raise ForeignRows(f"reading {found.path}: not a Parquet file that can be read ({error})") from error
        text = np.array(table["verdict"].to_pylist() if "verdict" in names else [None] * len(table), dtype=object)
        rows = np.flatnonzero((table["decision"].to_numpy() == _RAISE) & (text != "benign"))
        alerts.append(
            (
                np.array(table["src_ip"].to_pylist(), dtype=object)[rows].astype(str),
                np.array(table["dst_ip"].to_pylist(), dtype=object)[rows].astype(str),
                table["last_seen_ms"].to_numpy()[rows],
            )
        )
    return Suspects(alerts)


def read_benign(
    found: Found, profile: CaptureProfile, sink: Callable[[Rows], None], suspects: Suspects | None = None
) -> SourceFile:
    """Hand the rows of one file that may be taken for benign to `sink`.

    Raises `DataError`, or the agent's `SourceError` for a capture that cannot be read.
    """
    if found.path.suffix == LAKE_SUFFIX:
        return _read_lake(found, sink, labelled_only=False, suspects=suspects)
    return read_capture(found, profile, sink)


def read_labelled(found: Found, profile: CaptureProfile, sink: Callable[[Rows], None]) -> list[SourceFile]:
    """Hand the rows of one file that carry a verdict to `sink`.

    That is lake Parquet, or a manifest of captures, of which the attack flows are taken: what a manifest calls benign
    was never a false positive and belongs among the benign sources.
    """
    if found.path.suffix == LAKE_SUFFIX:
        return [_read_lake(found, sink, labelled_only=True)]
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
            )
            used = whole if attack is None else whole.take(attack.is_attack(flows))
            rows += len(used.features)
            sink(used)
    except agent_errors.CaptureTruncated as error:
        log.warning("capture_truncated name=%s reason=%s", found.name, error)
        left_out["truncated"] = 1
    return SourceFile(found.name, "capture", digest, rows, left_out)


def kind_of(protocol: NDArray, dst_port: NDArray) -> NDArray[np.int64]:
    """One number for protocol and responder port: what an analyst would call the same kind of flow."""
    return protocol.astype(np.int64) << 16 | dst_port.astype(np.int64)


def _read_lake(
    found: Found, sink: Callable[[Rows], None], *, labelled_only: bool, suspects: Suspects | None = None
) -> SourceFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(found.path)
        names = set(file.schema_arrow.names)
        digest = (file.schema_arrow.metadata or {}).get(DIGEST_KEY, b"").decode("ascii", "replace")
        _require_ours(found.path, names, digest)
        columns = [*_IDENTITY, *contract.FEATURES, *({"verdict"} & names)]
        rows, left_out = 0, {"unlabelled alerts": 0, "unsure": 0, "malicious": 0, "unlabelled": 0, "near alerts": 0}
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
            table = {name: batch.column(name) for name in batch.schema.names}
            chosen, verdict = _choose(table, left_out, labelled_only=labelled_only)
            if suspects is not None:
                chosen, verdict = _spare(table, chosen, verdict, suspects, left_out)
            rows += len(chosen)
            _hand_over(table, chosen, verdict, sink)
    except (pa.ArrowException, OSError) as error:
        raise ForeignRows(f"reading {found.path}: not a Parquet file that can be read ({error})") from error
    return SourceFile(found.name, "lake", file_digest(found.path), rows, {k: v for k, v in left_out.items() if v})


def _require_ours(path: Path, names: set[str], digest: str) -> None:
    if digest != contract.DIGEST:
        raise ForeignRows(
            f"reading {path}: its feature digest is {digest[:12] or 'missing'}, this installation's is "
            f"{contract.DIGEST[:12]}; train with rows of the same version"
        )
    missing = [name for name in (*_IDENTITY, *contract.FEATURES) if name not in names]
    if missing:
        raise ForeignRows(f"reading {path}: no column {missing[0]!r}; give a file of the aggregator's lake or staging")


def _choose(
    table: dict[str, Any], left_out: dict[str, int], *, labelled_only: bool
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Positions of the rows to use and the verdict of each; the others are counted by reason."""
    size = len(table["decision"])
    text = np.array(table["verdict"].to_pylist() if "verdict" in table else [None] * size, dtype=object)
    benign, malicious, unsure = text == "benign", text == "malicious", text == "unsure"
    unlabelled = ~(benign | malicious | unsure)
    raised = np.asarray(table["decision"].to_numpy(zero_copy_only=False)) == _RAISE
    left_out["unsure"] += int(unsure.sum())
    if labelled_only:
        used = benign | malicious
        left_out["unlabelled"] += int(unlabelled.sum())
    else:
        used = benign | (unlabelled & ~raised)
        left_out["malicious"] += int(malicious.sum())
        left_out["unlabelled alerts"] += int((unlabelled & raised).sum())
    verdict = np.select([benign, malicious], [Verdict.BENIGN, Verdict.MALICIOUS], Verdict.NONE).astype(np.int8)
    chosen = np.flatnonzero(used)
    return chosen, verdict[chosen]


def _spare(
    table: dict[str, Any],
    chosen: NDArray[np.intp],
    verdict: NDArray[np.int8],
    suspects: Suspects,
    left_out: dict[str, int],
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Leave out unlabelled rows of hosts that were raising alerts at the time."""
    sources, targets = (
        np.array(table[name].to_pylist(), dtype=object)[chosen].astype(str) for name in ("src_ip", "dst_ip")
    )
    times = np.asarray(table["last_seen_ms"].to_numpy(zero_copy_only=False))[chosen]
    near = suspects.cover(sources, targets, times) & (verdict == Verdict.NONE)
    left_out["near alerts"] += int(near.sum())
    return chosen[~near], verdict[~near]


def _hand_over(
    table: dict[str, Any], chosen: NDArray[np.intp], verdict: NDArray[np.int8], sink: Callable[[Rows], None]
) -> None:
    if len(chosen) == 0:
        return

    def column(name: str, dtype: Any) -> NDArray:
        return np.asarray(table[name].to_numpy(zero_copy_only=False))[chosen].astype(dtype)

    features = np.column_stack([column(name, np.float32) for name in contract.FEATURES])
    weights = column("weight", np.float32)
    if not (np.isfinite(features).all() and np.isfinite(weights).all() and (weights > 0).all()):
        raise ForeignRows(
            "reading lake rows: a feature is not finite or a weight is not above zero; "
            "the file is damaged: set it aside and let the aggregator write it again"
        )
    agents = column("agent_id", object)
    whole = Rows(
        origin="",
        features=features,
        weights=weights,
        time_ms=column("last_seen_ms", np.int64),
        kind=kind_of(column("protocol", np.int64), column("dst_port", np.int64)),
        verdict=verdict,
    )
    for agent in sorted({str(agent) for agent in agents}):
        part = whole.take(agents == agent)
        sink(Rows(f"agent:{agent}", part.features, part.weights, part.time_ms, part.kind, part.verdict))
