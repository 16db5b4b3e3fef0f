"""`score` and `features`: what the sensor would make of a capture, without a spool and without a network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from agent import features
from agent.context import Context
from agent.detector import Decision
from agent.errors import CaptureTruncated
from agent.meter import FileSource, Meter
from agent.pipeline import Pipeline
from agent.policy import Policy
from protos import contract
from protos.settings import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

    from numpy.typing import NDArray

    from agent.batch import Rows
    from agent.scorer import Scorer
    from protos.manifest import CaptureProfile

_NO_CAP = 1 << 62


def score(
    files: Sequence[Path],
    scorer: Scorer,
    out: TextIO,
    *,
    bpf: str = "",
    threshold: float | None = None,
    promised_fpr: float = 0.001,
) -> None:
    """One JSON object a flow. Flows are metered with the profile the model was fitted with."""
    policy = Policy(keep_fraction=0.0, max_alerts_per_minute=_NO_CAP)
    pipeline = Pipeline(policy, chance=np.ones, threshold=threshold, promised_fpr=promised_fpr)
    pipeline.use_model(scorer)
    for flows in _flows(files, scorer.manifest.profile, bpf, pipeline.restart):
        rows = pipeline.judge(flows, pipeline.measure(flows))
        out.writelines(json.dumps(line) + "\n" for line in _scored(rows, scorer))
    out.flush()


def _flows(files: Sequence[Path], profile: CaptureProfile, bpf: str, between: Callable[[], None]) -> Iterator[NDArray]:
    """Batches of every capture; a truncated one is read as far as it goes, and raises when all were read."""
    truncated: CaptureTruncated | None = None
    for file in files:
        between()
        try:
            for flows in Meter(FileSource(file, bpf), profile).batches():
                if len(flows):
                    yield flows
        except CaptureTruncated as error:
            truncated = truncated or error
    if truncated is not None:
        raise truncated


def _scored(rows: Rows, scorer: Scorer) -> Iterator[dict[str, Any]]:
    classes = scorer.likely(rows.matrix)
    for position, identity in enumerate(identities(rows.flows)):
        likely = classes[position]
        yield {
            **identity,
            "score": round(float(rows.scores[position]), 6),
            "decision": Decision(int(rows.codes[position])).name.lower(),
            "reasons": [
                {
                    "feature": reason.feature,
                    "observed": reason.observed,
                    "expected": reason.expected,
                    "share": round(reason.share, 4),
                    "text": reason.text,
                }
                for reason in rows.reasons.get(position, ())
            ],
            **_named(likely, scorer),
            "model": scorer.digest,
        }


def _named(likely: tuple[str, float] | None, scorer: Scorer) -> dict[str, Any]:
    """What labelled attacks the flow looks like, if the model has a classifier: null where it is likelier none."""
    if not scorer.classes:
        return {}
    return {"class": likely[0] if likely else None, "class_share": round(likely[1], 4) if likely else None}


def identities(flows: NDArray) -> Iterator[dict[str, Any]]:
    """Who talked to whom, when and how much, a flow at a time."""
    columns = {
        "src_port": flows["src_port"].tolist(),
        "dst_port": flows["dst_port"].tolist(),
        "protocol": flows["protocol"].tolist(),
        "first_seen_ms": flows["bidirectional_first_seen_ms"].tolist(),
        "last_seen_ms": flows["bidirectional_last_seen_ms"].tolist(),
        "packets": flows["bidirectional_packets"].tolist(),
        "bytes": flows["bidirectional_bytes"].tolist(),
    }
    for position in range(len(flows)):
        yield {
            "src_ip": contract.format_address(flows["src_ip"][position].tobytes()),
            "src_port": columns["src_port"][position],
            "dst_ip": contract.format_address(flows["dst_ip"][position].tobytes()),
            "dst_port": columns["dst_port"][position],
            **{name: values[position] for name, values in columns.items() if not name.endswith("_port")},
        }


def vectors(files: Sequence[Path], profile: CaptureProfile, bpf: str = "") -> Iterator[tuple[NDArray, NDArray]]:
    """Flows and their matrices, capture by capture, each with a context of its own."""
    context = Context()

    def forget() -> None:
        nonlocal context
        context = Context()

    for flows in _flows(files, profile, bpf, forget):
        yield flows, features.compute(flows, context)


def write_features(files: Sequence[Path], profile: CaptureProfile, out: TextIO, bpf: str = "") -> None:
    """One JSON object a flow: its identity, then its vector by name."""
    for flows, matrix in vectors(files, profile, bpf):
        out.writelines(
            json.dumps(identity | dict(zip(contract.FEATURES, row, strict=True))) + "\n"
            for identity, row in zip(identities(flows), matrix.tolist(), strict=True)
        )
    out.flush()


def write_parquet(files: Sequence[Path], profile: CaptureProfile, target: Path, bpf: str = "") -> int:
    """The same as a Parquet file; the rows written. Raises `ConfigError` without pyarrow, which agents do not need."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError(
            "writing Parquet needs pyarrow, which is not part of anomaflow[agent]; install it, or leave out --parquet "
            "to get JSON Lines"
        ) from None
    text, port, number = pa.string(), pa.int32(), pa.int64()
    kinds = {"src_ip": text, "src_port": port, "dst_ip": text, "dst_port": port, "protocol": pa.int16()}
    kinds |= dict.fromkeys(("first_seen_ms", "last_seen_ms", "packets", "bytes"), number)
    schema = pa.schema(
        [*kinds.items(), *((name, pa.float32()) for name in contract.FEATURES)],
        metadata={"anomaflow.feature_digest": contract.DIGEST},
    )
    rows = 0
    with pq.ParquetWriter(target, schema) as writer:
        for flows, matrix in vectors(files, profile, bpf):
            table = list(identities(flows))
            columns: dict[str, Any] = {name: [row[name] for row in table] for name in kinds}
            columns |= {name: matrix[:, position] for position, name in enumerate(contract.FEATURES)}
            writer.write_table(pa.table(columns, schema=schema))
            rows += len(flows)
    return rows
