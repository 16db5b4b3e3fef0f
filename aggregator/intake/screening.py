"""What an agent sent, judged before any of it is stored. Nothing of an agent is trusted, and nothing is stored here.

`examine` checks sizes, row counts, text lengths, finite values and the feature contract, and gives a record one of
three types: a `Sound` batch, a `Declared` gap, or something `Broken`, which is set aside and never becomes a flow.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from aggregator.config import AGENT_ID, DIGEST, EPOCH
from aggregator.errors import RecordRefused
from aggregator.rows import Health
from aggregator.triage import points
from protos import contract, likeness
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aggregator.config import AggregatorConfig
    from protos.v1 import fleet_pb2

MAX_REASONS: Final = 16
TEXT: Final = 256
"""Longest text of an agent that is kept; longer ones are cut."""

BIGGEST: Final = 2**62
"""Unsigned values of the wire above this have no place in a signed column."""

LATEST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones are no time."""

_FEATURES: Final = frozenset(contract.FEATURES)
_TRAITS: Final = {trait: contract.index(trait) for trait in points.TRAITS}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is on a stream."""

    agent_id: str
    epoch: str


@dataclass(frozen=True, slots=True)
class Sound:
    """A batch that may be stored: the bytes as they came, and rows ready for the alerts table."""

    sequence: int
    data: bytes
    rows: int
    alerts: tuple[dict[str, Any], ...]
    health: Health
    model_digest: str
    policy_version: int


@dataclass(frozen=True, slots=True)
class Declared:
    """A gap the agent declares."""

    sequence: int
    first: int
    last: int
    flows: int
    alerts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that cannot be stored as what it claims to be."""

    sequence: int
    data: bytes
    problem: str


Examined = Sound | Declared | Broken


def check_hello(hello: fleet_pb2.Hello) -> Sender:
    """Who says hello. Raises `RecordRefused` for an unusable name or epoch, or another feature contract."""
    if not AGENT_ID.fullmatch(hello.agent_id):
        raise RecordRefused(
            f"agent id {clean(hello.agent_id)!r}: use 1 to 64 letters, digits, dots, dashes and underscores"
        )
    if not EPOCH.fullmatch(hello.epoch):
        raise RecordRefused(f"epoch {clean(hello.epoch)!r} is not 4 to 64 lower-case hexadecimal digits")
    if hello.feature_digest != contract.DIGEST:
        raise RecordRefused(
            f"agent {hello.agent_id} speaks feature contract {clean(hello.feature_digest)[:12]!r}, this aggregator "
            f"{contract.DIGEST[:12]!r}: install the same version on both sides; its records wait in its spool meanwhile"
        )
    return Sender(hello.agent_id, hello.epoch)


def examine(sender: Sender, record: fleet_pb2.Record, config: AggregatorConfig) -> Examined:
    """What `record` is. Raises `RecordRefused` only for a sequence that cannot be one: it has no place to be noted."""
    sequence = int(record.sequence)
    kind = record.WhichOneof("body")
    data: bytes = getattr(record, kind) if kind else b""
    if not 1 <= sequence < BIGGEST:
        raise RecordRefused(f"sequence {sequence} is out of range; numbering starts at 1")
    if kind is None:
        return Broken(sequence, data, "the record has neither a batch nor a gap")
    if len(data) > config.max_record_mib << 20:
        return Broken(sequence, data, f"{len(data)} bytes are more than max_record_mib = {config.max_record_mib}")
    try:
        return _examine_batch(sender, sequence, data, config) if kind == "batch" else _examine_gap(sequence, data)
    except (contract.ContractError, DecodeError) as error:
        return Broken(sequence, data, f"{error}"[:TEXT] or type(error).__name__)


def _examine_gap(sequence: int, data: bytes) -> Declared:
    gap = batch_pb2.Gap.FromString(data)
    figures = (gap.first_sequence, gap.last_sequence, gap.flows, gap.alerts)
    if max(figures) >= BIGGEST or gap.first_sequence > gap.last_sequence:
        raise contract.ContractError("gap: its figures are out of range")
    return Declared(sequence, *figures, clean(gap.reason))


def _examine_batch(sender: Sender, sequence: int, data: bytes, config: AggregatorConfig) -> Sound:
    batch = batch_pb2.Batch.FromString(data)
    rows = batch.flows.rows
    if rows > config.max_rows:
        raise contract.ContractError(f"{rows} rows are more than max_rows = {config.max_rows}")
    if batch.feature_digest != contract.DIGEST:
        raise contract.ContractError(f"the batch follows another feature contract, {batch.feature_digest[:12]!r}")
    if batch.model_digest and not DIGEST.fullmatch(batch.model_digest):
        raise contract.ContractError("model_digest is not a SHA-256 in hexadecimal")
    columns = contract.unpack_columns(batch.flows)
    matrix = contract.unpack_matrix(batch.features, rows)
    limits = {"first_seen_ms": LATEST_MS, "last_seen_ms": LATEST_MS, "packets": BIGGEST, "bytes": BIGGEST}
    for name, limit in limits.items():
        if rows and int(columns[name].max()) > limit:
            raise contract.ContractError(f"column {name}: a value is out of range")
    if len(batch.alerts) > rows:
        raise contract.ContractError(f"{len(batch.alerts)} alerts for {rows} rows")
    if batch.policy_version >= BIGGEST:
        raise contract.ContractError("policy_version is out of range")
    health = read_health(batch.health)
    kept_health = health_text(health)
    alerts = tuple(_alert_row(sender, sequence, alert, columns, matrix, batch, kept_health) for alert in batch.alerts)
    if len({row["row"] for row in alerts}) != len(alerts):
        raise contract.ContractError("two alerts name the same row")
    return Sound(sequence, data, rows, alerts, health, batch.model_digest, int(batch.policy_version))


def _alert_row(  # noqa: PLR0917 - the parts of one batch
    sender: Sender,
    sequence: int,
    alert: batch_pb2.Alert,
    columns: dict[str, NDArray],
    matrix: NDArray[np.float32],
    batch: batch_pb2.Batch,
    health: str,
) -> dict[str, Any]:
    row = alert.row
    if row >= len(matrix):
        raise contract.ContractError(f"an alert names row {row} of {len(matrix)}")
    reasons = []
    for reason in alert.reasons[:MAX_REASONS]:
        if reason.feature not in _FEATURES:
            raise contract.ContractError(f"a reason names the unknown feature {clean(reason.feature)!r}")
        figures = (reason.observed, reason.expected, reason.share)
        if not all(map(math.isfinite, figures)):
            raise contract.ContractError("a reason has a value that is not finite")
        kept = dict(zip(("observed", "expected", "share"), figures, strict=True))
        reasons.append({"feature": reason.feature, **kept, "text": clean(reason.text)})
    if not (math.isfinite(alert.score) and math.isfinite(alert.threshold)):
        raise contract.ContractError("an alert's score or threshold is not finite")
    if not 0 <= alert.family_share <= 1:
        raise contract.ContractError("an alert's share of a family is not between 0 and 1")
    family = clean(alert.family)[: likeness.LONGEST].strip()
    numbers = {
        name: int(columns[name][row])
        for name in ("src_port", "dst_port", "protocol", "ip_version", "vlan_id", "end", "packets", "bytes")
    }
    times = {name: int(columns[name][row]) for name in ("first_seen_ms", "last_seen_ms")}
    return {
        "row": row,
        "flow_id": flow_id(sender.agent_id, sender.epoch, sequence, row),
        "src_ip": contract.format_address(columns["src_ip"][row].tobytes()),
        "dst_ip": contract.format_address(columns["dst_ip"][row].tobytes()),
        **numbers,
        **times,
        "score": float(alert.score),
        "threshold": float(alert.threshold),
        "model_digest": batch.model_digest,
        "policy_version": int(batch.policy_version),
        "reasons": json.dumps(reasons),
        "health": health,
        "features": matrix[row].tobytes(),
        "counted_ms": min(alert.hour_ms, LATEST_MS),
        "weighed": int(alert.weighed),
        "family": family,
        "family_share": float(alert.family_share) if family else 0.0,
        **points.columns_of(
            {trait: float(matrix[row, place]) for trait, place in _TRAITS.items()},
            numbers["protocol"],
            numbers["packets"],
        ),
    }


def read_health(health: batch_pb2.SensorHealth) -> Health:
    """Health figures of an agent, with texts cut and numbers held to what a column takes."""
    values: dict[str, Any] = {}
    for name in Health.__dataclass_fields__:
        value = getattr(health, name)
        if isinstance(value, str):
            values[name] = clean(value)
        elif isinstance(value, float):
            values[name] = value if math.isfinite(value) else 0.0
        else:
            values[name] = min(value, BIGGEST)
    return Health(**values)


def health_text(health: Health) -> str:
    """Health as the store keeps it."""
    return json.dumps(asdict(health))


def clean(text: str) -> str:
    """Text of an agent, without control characters and not longer than `TEXT`."""
    return _CONTROL.sub(" ", text[:TEXT])


def flow_id(agent_id: str, epoch: str, sequence: int, row: int) -> str:
    """The name of a flow, everywhere: in the lake, on alerts, in labels."""
    return f"{agent_id}.{epoch}.{sequence}.{row}"
