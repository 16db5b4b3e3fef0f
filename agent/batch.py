"""Finished batches: decided flows gathered, and written in the language of the wire.

Flows that raised an alert and quiet ones that are kept travel in separate batches: the spool never drops the first and
may drop the second, so an alert must not carry quiet ballast, nor quiet flows an alert's protection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.detector import Decision
from agent.spool_file import Entry
from protos import contract
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from agent.reasons import Reason

_FLOW_COLUMNS: Final = {
    "src_ip": "src_ip",
    "dst_ip": "dst_ip",
    "src_port": "src_port",
    "dst_port": "dst_port",
    "protocol": "protocol",
    "ip_version": "ip_version",
    "vlan_id": "vlan_id",
    "end": "end",
    "first_seen_ms": "bidirectional_first_seen_ms",
    "last_seen_ms": "bidirectional_last_seen_ms",
    "packets": "bidirectional_packets",
    "bytes": "bidirectional_bytes",
}
"""Columns of the wire and the fields of `FLOW` they come from."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some flows that leave the host: `flows` [n] of `FLOW`, `matrix` [n, F], and what was decided about them.

    `reasons` has an entry for each alert, by its row, `families` for those that look like a family of labelled attacks,
    with its share, 0 to 1. `hours` [n] are those in whose histograms the scores were counted, `weighed` [n] whether
    with weight (agent/counting.py); None where nobody counts.
    """

    flows: NDArray
    matrix: NDArray[np.float32]
    scores: NDArray[np.float32]
    codes: NDArray[np.uint8]
    weights: NDArray[np.float32]
    reasons: dict[int, tuple[Reason, ...]]
    hours: NDArray[np.uint64] | None = None
    weighed: NDArray[np.bool_] | None = None
    families: dict[int, tuple[str, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.flows)

    def only(self, rows: NDArray[np.intp]) -> Rows:
        """The rows at these positions."""
        place = {int(row): position for position, row in enumerate(rows.tolist())}
        return Rows(
            flows=self.flows[rows],
            matrix=self.matrix[rows],
            scores=self.scores[rows],
            codes=self.codes[rows],
            weights=self.weights[rows],
            reasons={place[row]: reasons for row, reasons in self.reasons.items() if row in place},
            hours=None if self.hours is None else self.hours[rows],
            weighed=None if self.weighed is None else self.weighed[rows],
            families={place[row]: likely for row, likely in self.families.items() if row in place},
        )


@dataclass(frozen=True, slots=True)
class Origin:
    """What holds for every row of a batch: one model, one policy, one threshold."""

    model_digest: str
    policy_version: int
    threshold: float


def build(rows: Rows, origin: Origin, health: batch_pb2.SensorHealth, *, created_ms: int) -> batch_pb2.Batch:
    """The batch of `rows`. Nothing else of a flow ever leaves the host."""
    columns: dict[str, NDArray] = {name: rows.flows[field] for name, field in _FLOW_COLUMNS.items()}
    columns |= {"score": rows.scores, "decision": rows.codes, "weight": rows.weights}
    batch = batch_pb2.Batch(
        feature_digest=contract.DIGEST,
        model_digest=origin.model_digest,
        policy_version=origin.policy_version,
        created_ms=created_ms,
        flows=contract.pack_columns(columns),
        features=contract.pack_matrix(rows.matrix),
        health=health,
    )
    for row in np.flatnonzero(rows.codes == Decision.RAISE).tolist():
        alert = batch.alerts.add(row=row, score=float(rows.scores[row]), threshold=origin.threshold)
        if rows.hours is not None and rows.weighed is not None:
            alert.hour_ms, alert.weighed = int(rows.hours[row]), bool(rows.weighed[row])
        if row in rows.families:
            alert.family, alert.family_share = rows.families[row]
        for reason in rows.reasons.get(row, ()):
            alert.reasons.add(
                feature=reason.feature,
                observed=reason.observed,
                expected=reason.expected,
                share=reason.share,
                text=reason.text,
            )
    return batch


class Gathering:
    """Rows on their way to a batch. One `Origin` at a time: take what is there before it changes."""

    def __init__(self, most_rows: int) -> None:
        self._most = most_rows
        self._parts: list[Rows] = []
        self.count = 0

    def add(self, rows: Rows) -> None:
        """Remember some rows; none may be ignored ones."""
        if len(rows):
            self._parts.append(rows)
            self.count += len(rows)

    def take(self, origin: Origin, health: batch_pb2.SensorHealth, *, created_ms: int) -> list[Entry]:
        """Everything gathered, as entries for the spool: alerts first, each at most `most_rows` flows."""
        if not self._parts:
            return []
        rows = _joined(self._parts)
        self._parts, self.count = [], 0
        entries = []
        raised = rows.codes == Decision.RAISE
        for positions in (np.flatnonzero(raised), np.flatnonzero(~raised)):
            for start in range(0, len(positions), self._most):
                part = rows.only(positions[start : start + self._most])
                batch = build(part, origin, health, created_ms=created_ms)
                entries.append(Entry(batch.SerializeToString(), len(batch.alerts), len(part)))
        return entries


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    reasons: dict[int, tuple[Reason, ...]] = {}
    families: dict[int, tuple[str, float]] = {}
    start = 0
    for part in parts:
        families |= {start + row: likely for row, likely in part.families.items()}
        reasons |= {start + row: entry for row, entry in part.reasons.items()}
        start += len(part)
    return Rows(
        flows=np.concatenate([part.flows for part in parts]),
        matrix=np.concatenate([part.matrix for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        codes=np.concatenate([part.codes for part in parts]),
        weights=np.concatenate([part.weights for part in parts]),
        reasons=reasons,
        hours=_all_of([part.hours for part in parts]),
        weighed=_all_of([part.weighed for part in parts]),
        families=families,
    )


def _all_of(columns: Sequence[NDArray | None]) -> NDArray | None:
    """One column of several; None when one of them is."""
    known = [column for column in columns if column is not None]
    return np.concatenate(known) if len(known) == len(columns) else None
