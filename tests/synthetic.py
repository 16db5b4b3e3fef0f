"""Believable rows without a network: correlated benign flows, an attack, and a benign kind nobody has seen before.

Benign rows follow a few hidden quantities (how long, how much, how busy the host), so that there is something to learn.
The backup kind is harmless but far outside of it, as a nightly job would be; the scan differs in its context features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from protos import contract

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

F = len(contract.FEATURES)
HIDDEN = 5
BACKUP_PORT = 873


def benign(count: int, seed: int) -> NDArray[np.float32]:
    """`[count, F]` ordinary rows."""
    chance = np.random.default_rng(seed)
    hidden = chance.normal(size=(count, HIDDEN))
    return _rows(hidden, chance)


def scan(count: int, seed: int) -> NDArray[np.float32]:
    """`[count, F]` rows whose host suddenly talks to many ports that do not answer."""
    rows = benign(count, seed)
    chance = np.random.default_rng(seed + 1)
    for name in ("src_ports_10s", "src_unanswered_10s", "pair_ports_10s", "src_ports_300s", "pair_unanswered_300s"):
        rows[:, contract.index(name)] += chance.uniform(200, 900, size=count).astype(np.float32)
    rows[:, contract.index("unanswered")] = 1
    return rows


def backup(count: int, seed: int) -> NDArray[np.float32]:
    """`[count, F]` rows of a harmless job that moves more than anything else does."""
    rows = benign(count, seed)
    chance = np.random.default_rng(seed + 2)
    for name in (
        "bidirectional_bytes",
        "src2dst_bytes",
        "src2dst_packets",
        "bidirectional_packets",
        "bytes_per_second",
    ):
        rows[:, contract.index(name)] = np.expm1(chance.normal(18, 0.3, size=count)).astype(np.float32)
    rows[:, contract.index("src2dst_duration_ms")] = 60_000
    rows[:, contract.index("bidirectional_mean_ps")] = chance.normal(9000, 20, size=count).astype(np.float32)
    return rows


def _rows(hidden: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float32]:
    shape = np.random.default_rng(1234)
    mixing = shape.normal(scale=0.5, size=(HIDDEN, F))
    level = shape.uniform(1, 7, size=F)
    logs = np.maximum(level + hidden @ mixing + chance.normal(scale=0.15, size=(len(hidden), F)), 0)
    rows = np.expm1(logs).astype(np.float32)
    for name in ("is_icmp", "is_ipv6", "bidirectional_cwr_packets", "src2dst_urg_packets", "unanswered"):
        rows[:, contract.index(name)] = 0
    return rows


def write_lake(path: Path, rows: NDArray[np.float32], **columns: Any) -> Path:
    """A lake file of `rows`. A column may be given as a value or as a list; `digest=` replaces the contract's."""
    count = len(rows)
    digest = columns.pop("digest", contract.DIGEST)
    start_ms = columns.pop("start_ms", 1_700_000_000_000)
    defaults: dict[str, tuple[Any, pa.DataType]] = {
        "flow_id": ([f"a.e.1.{number}" for number in range(count)], pa.string()),
        "agent_id": ("office", pa.string()),
        "src_ip": ("10.0.0.1", pa.string()),
        "dst_ip": ("10.0.0.2", pa.string()),
        "protocol": (6, pa.int16()),
        "dst_port": (443, pa.int32()),
        "last_seen_ms": ([start_ms + number * 250 for number in range(count)], pa.int64()),
        "score": (0.5, pa.float32()),
        "model_digest": ("0" * 64, pa.string()),
        "decision": (0, pa.int8()),
        "weight": (1.0, pa.float32()),
        "verdict": (None, pa.string()),
        "family": (None, pa.string()),
    }
    unknown = set(columns) - set(defaults)
    assert not unknown, unknown
    arrays, fields = [], []
    for name, (default, kind) in defaults.items():
        value = columns.get(name, default)
        arrays.append(pa.array(value if isinstance(value, list) else [value] * count, type=kind))
        fields.append(pa.field(name, kind))
    for position, name in enumerate(contract.FEATURES):
        arrays.append(pa.array(rows[:, position]))
        fields.append(pa.field(name, pa.float32()))
    schema = pa.schema(fields, metadata={b"anomaflow.feature_digest": digest.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)
    return path
