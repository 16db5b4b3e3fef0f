"""Batches: what leaves the host, split so that alerts travel alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agent.batch import Gathering, Origin, Rows, build
from agent.detector import Decision
from agent.flow import FLOW
from agent.reasons import Reason
from protos import contract
from protos.v1 import batch_pb2

ORIGIN = Origin("d" * 64, 7, 2.5)
HEALTH = batch_pb2.SensorHealth(packets=9)


def rows(codes: list[int], first: int = 0) -> Rows:
    count = len(codes)
    flows = np.zeros(count, dtype=FLOW)
    flows["src_port"] = np.arange(first, first + count)
    flows["bidirectional_packets"] = 3
    flows["bidirectional_first_seen_ms"] = 1_700_000_000_000
    flows["src_ip"][:, 10:12] = 255
    return Rows(
        flows=flows,
        matrix=np.full((count, len(contract.FEATURES)), first, dtype=np.float32),
        scores=np.arange(count, dtype=np.float32),
        codes=np.array(codes, dtype=np.uint8),
        weights=np.ones(count, dtype=np.float32),
        reasons={
            place: (Reason("src_ports_10s", 9, 1, 0.75, f"reason {first + place}"),)
            for place, code in enumerate(codes)
            if code == Decision.RAISE
        },
    )


def test_a_batch_says_everything_and_is_read_back() -> None:
    """Columns, matrix, alerts and health arrive as they were."""
    batch = batch_pb2.Batch.FromString(build(rows([0, 1]), ORIGIN, HEALTH, created_ms=5).SerializeToString())
    columns = contract.unpack_columns(batch.flows)
    assert columns["src_port"].tolist() == [0, 1]
    assert columns["decision"].tolist() == [0, 1]
    assert columns["packets"].tolist() == [3, 3]
    assert contract.unpack_matrix(batch.features, 2).shape == (2, len(contract.FEATURES))
    assert (batch.feature_digest, batch.model_digest, batch.policy_version) == (contract.DIGEST, "d" * 64, 7)
    [alert] = batch.alerts
    assert (alert.row, alert.score, alert.threshold) == (1, 1.0, 2.5)
    assert (alert.reasons[0].text, alert.reasons[0].share) == ("reason 1", 0.75)
    assert (batch.health.packets, batch.created_ms) == (9, 5)


def test_alerts_travel_alone_and_first() -> None:
    """A record the spool may drop holds no alert, and one it may not drop holds nothing else."""
    gathering = Gathering(100)
    gathering.add(rows([0, 1, 0]))
    gathering.add(rows([1], first=50))
    assert gathering.count == 4
    alerts, quiet = gathering.take(ORIGIN, HEALTH, created_ms=1)
    assert (alerts.alerts, alerts.flows) == (2, 2)
    assert (quiet.alerts, quiet.flows) == (0, 2)
    batch = batch_pb2.Batch.FromString(alerts.payload)
    assert contract.unpack_columns(batch.flows)["src_port"].tolist() == [1, 50]
    assert [alert.reasons[0].text for alert in batch.alerts] == ["reason 1", "reason 50"]
    assert gathering.take(ORIGIN, HEALTH, created_ms=1) == []


def test_an_alert_says_what_it_looks_like() -> None:
    """The family and share named for a row stay with its alert, however rows are gathered; others name none."""
    gathering = Gathering(100)
    gathering.add(replace(rows([0, 1, 0, 1]), families={3: ("scan", 0.75)}))
    gathering.add(replace(rows([0, 1], first=50), families={1: ("guessing", 1.0)}))
    entry = gathering.take(ORIGIN, HEALTH, created_ms=1)[0]
    batch = batch_pb2.Batch.FromString(entry.payload)
    assert contract.unpack_columns(batch.flows)["src_port"].tolist() == [1, 3, 51]
    assert [(alert.family, alert.family_share) for alert in batch.alerts] == [("", 0), ("scan", 0.75), ("guessing", 1)]


def test_a_batch_has_a_size() -> None:
    """No batch holds more rows than it may, and none is lost at the cut."""
    gathering = Gathering(10)
    gathering.add(rows([0] * 24))
    gathering.add(rows([]))
    entries = gathering.take(ORIGIN, HEALTH, created_ms=1)
    assert [entry.flows for entry in entries] == [10, 10, 4]


def test_a_row_that_is_not_a_number_never_leaves() -> None:
    """The wire refuses what is not finite, on the sending side too."""
    bad = rows([0])
    bad.matrix[0, 0] = np.nan
    payload = build(bad, ORIGIN, HEALTH, created_ms=0).features
    with pytest.raises(contract.ContractError):
        contract.unpack_matrix(payload, 1)
