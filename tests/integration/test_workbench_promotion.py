"""From captures to an agent by way of the workbench: imported, tried, promoted, accepted, and put to work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BIN = Path(sys.executable).parent


def command(name: str, *arguments: Any) -> str:
    """What the command printed; it must end well."""
    done = subprocess.run([str(BIN / name), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.training
def test_captures_become_a_model_that_an_agent_runs(tmp_path: Path):
    """An office day goes through import, run and promotion; the registry's check takes the file, and an agent that scores
    a day with a port scan finds the scan's flows stranger than the office's."""
    for name, more in (
        ("day", ["--scenario", "office"]),
        ("attack", ["--scenario", "mixed", "--attacks", "vertical_scan"]),
    ):
        command("anomaflow-trainer", "traffic", "--out", tmp_path / f"{name}.pcap", "--minutes", 8, "--seed", 3, *more)
    command("anomaflow-trainer", "workbench", "import", tmp_path / "day.pcap", "--out", tmp_path / "data")
    run = tmp_path / "run"
    run.mkdir()
    settings = {"name": "office", "task": "benign-only", "models": ["mahalanobis"], "time_budget_s": 120}
    (run / "settings.json").write_text(json.dumps(settings))
    (run / "data.json").write_text(json.dumps({"table": "../data/table.parquet", "about": "../data/about.json"}))
    command("anomaflow-trainer", "workbench", "run", run)
    model = tmp_path / "office.onnx"
    promoted = command("anomaflow-trainer", "workbench", "promote", run, "mahalanobis", "--out", model, "--json")
    check = [sys.executable, "-m", "aggregator.models.modelcheck", str(model), "2048", "60"]
    verdict = json.loads(subprocess.run(check, capture_output=True, text=True, check=False).stdout)
    assert verdict["manifest"]["name"] == "office"
    attack = tmp_path / "attack.pcap"
    flows = [json.loads(line) for line in command("anomaflow-agent", "score", attack, "--model", model).splitlines()]
    assert {flow["model"] for flow in flows} == {json.loads(promoted)["digest"]}
    told = json.loads((tmp_path / "attack.pcap.labels.json").read_text())
    label, parts = told["columns"].index("label"), slice(0, told["columns"].index("protocol") + 1)
    attacks = {tuple(flow[parts]) for flow in told["flows"] if flow[label] != "benign"}
    named = ("src_ip", "src_port", "dst_ip", "dst_port", "protocol")
    strange = [flow["score"] for flow in flows if tuple(flow[name] for name in named) in attacks]
    usual = [flow["score"] for flow in flows if tuple(flow[name] for name in named) not in attacks]
    assert np.median(strange) > np.quantile(usual, 0.95)
