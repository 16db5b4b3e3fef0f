"""From record to decision: what an alert carries beside its score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.batch import build
from agent.config import AgentConfig
from agent.flow import FLOW
from agent.pipeline import Pipeline
from agent.policy import initial_policy
from agent.scorer import Scorer
from protos import contract
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

CLASSES = {"guessing": "pair_flows_300s", "scan": "src_ports_10s"}


@pytest.fixture
def judged(tmp_path: Path, onnx_models: ModuleType):
    """Judges three flows: a scan, something strange of no family, a quiet one that a classifier would call guessing."""

    def judge(*, classifier: bool):
        path = tmp_path / "model.onnx"
        onnx_models.write_classifier(path, columns=CLASSES) if classifier else onnx_models.write_model(path)
        matrix = np.zeros((3, len(contract.FEATURES)), dtype=np.float32)
        matrix[0, contract.index("src_ports_10s")] = 60
        matrix[1, contract.index("src_peers_10s")] = 1e4
        matrix[2, contract.index("pair_flows_300s")] = 60
        pipeline = Pipeline(initial_policy(AgentConfig()), chance=np.zeros, threshold=3.0)
        pipeline.use_model(Scorer(path))
        rows = pipeline.judge(np.zeros(3, dtype=FLOW), matrix)
        return build(rows, pipeline.origin, batch_pb2.SensorHealth(), created_ms=1)

    return judge


def test_an_alert_names_what_it_looks_like(judged):
    """Of the alerts alone, and only where the classifier is more than half sure."""
    batch = judged(classifier=True)
    assert [(alert.row, alert.family) for alert in batch.alerts] == [(0, "scan"), (1, "")]
    assert batch.alerts[0].family_share == pytest.approx(1.0)
    assert batch.alerts[0].family_share <= 1


def test_a_model_without_a_classifier_names_nothing(judged):
    """Nor does it cost anything: the fields are empty."""
    batch = judged(classifier=False)
    assert [(alert.row, alert.family, alert.family_share) for alert in batch.alerts] == [(0, "", 0), (1, "", 0)]
