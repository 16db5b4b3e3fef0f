"""From records to decisions: what two hosts score together decides as a flow's own score does, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.detector import Decision
from agent.flow import FLOW
from agent.pipeline import Pipeline
from agent.policy import Policy
from agent.scorer import Scorer
from protos import contract

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

START_MS = 1_700_000_000_000
POLICY = Policy(keep_fraction=0.0, max_alerts_per_minute=1_000)


def beat(count: int, *, hosts: int = 1, start: int = 0) -> np.ndarray:
    """Flows five seconds apart, in turn to so many hosts, each of ten packets."""
    flows = np.zeros(count, dtype=FLOW)
    flows["ended_ms"] = START_MS + 5_000 * (start + np.arange(count))
    flows["bidirectional_first_seen_ms"] = flows["ended_ms"]
    flows["src_ip"][:, -1], flows["dst_ip"][:, -1] = 1, 2 + np.arange(count) % hosts
    flows["bidirectional_packets"], flows["protocol"] = 10, 17
    return flows


@pytest.fixture
def load(tmp_path: Path, onnx_models: ModuleType):
    def load(together: float | None, threshold: float = 2.5) -> Pipeline:
        path = tmp_path / f"{together}.onnx"
        # Two for every flow of ten packets, whatever its context.
        onnx_models.write_model(path, weights={}, bias=2.0, together=together)
        pipeline = Pipeline(POLICY, chance=np.ones, threshold=threshold)
        pipeline.use_model(Scorer(path))
        return pipeline

    return load


def judge(pipeline: Pipeline, flows: np.ndarray):
    return pipeline.judge(flows, pipeline.measure(flows))


def test_flows_of_two_hosts_alert_together(load):
    """Each scores below the threshold; the first is quiet, later ones alert, and the first reason says how many."""
    pipeline = load(0.4)
    rows = judge(pipeline, beat(20))
    raised = np.flatnonzero(rows.codes == Decision.RAISE)
    assert rows.scores[0] == pytest.approx(2.0, abs=1e-3)
    assert raised.tolist() == list(range(raised[0], 20))
    assert 0 < raised[0] < 10
    first = rows.reasons[19][0]
    assert first.feature == "pair_flows_300s"
    assert first.observed == pytest.approx(rows.matrix[19, contract.index("pair_flows_300s")])
    assert first.share == pytest.approx(1 - 2.0 / rows.scores[19], abs=1e-3)
    assert f"score {rows.scores[19]:.1f} together, this one alone 2.0" in first.text
    assert sum(reason.share for reason in rows.reasons[19]) <= 1 + 1e-6


def test_the_handicap_and_its_absence(load):
    """What is asked of flows together is the model's to say; a model that says nothing judges flow by flow."""
    assert not (judge(load(5.0), beat(20)).codes == Decision.RAISE).any()
    plain = judge(load(None), beat(20))
    assert plain.scores == pytest.approx(2.0, abs=1e-3)


def test_other_hosts_captures_and_models_begin_anew(load, tmp_path, onnx_models):
    """Flows to ever other hosts do not add up, nor do those of another capture or those another model scored."""
    assert not (judge(load(0.4), beat(20, hosts=20)).codes == Decision.RAISE).any()
    pipeline = load(0.4)
    judge(pipeline, beat(20))
    pipeline.restart()
    assert judge(pipeline, beat(1, start=20)).scores == pytest.approx(2.0, abs=1e-3)
    judge(pipeline, beat(20, start=21))
    onnx_models.write_model(tmp_path / "other.onnx", weights={}, bias=2.0, together=0.4)
    pipeline.use_model(Scorer(tmp_path / "other.onnx"))
    assert judge(pipeline, beat(1, start=41)).scores == pytest.approx(2.0, abs=1e-3)
