"""Small tables of the workbench's tests: two or three kinds of rows in numbers and words, as Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("normal", "scan", "flood")


def columns(count: int, *, seed: int = 1, kinds: int = 2) -> dict[str, Any]:
    """Columns with gaps and words, `kind` among them; kinds can be told apart, but not without mistakes."""
    chance = np.random.default_rng(seed)
    kind = chance.choice(3, count, p=[0.6, 0.3, 0.1]) if kinds == 3 else chance.choice(2, count, p=[0.7, 0.3])
    packets = np.exp(chance.normal(2 + 1.2 * kind, 1.0))
    rate = chance.normal(0, 1, count) - 1.5 * (kind == 2)
    service = np.where(chance.random(count) < 0.2, "dns", np.where(kind == 1, "ssh", "http"))
    gaps = chance.random(count) < 0.05
    return {
        "packets": packets,
        "rate": [None if gap else float(value) for gap, value in zip(gaps, rate, strict=True)],
        "service": service.tolist(),
        "noise": chance.normal(0, 1, count),
        "kind": [KINDS[one] for one in kind],
    }


def write(path: Path, held: dict[str, Any]) -> Path:
    """A table of those columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(held), path)
    return path
