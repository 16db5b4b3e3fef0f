"""kill -9 of a sensor in the middle of its work: the spool stays whole, and the next sensor goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from agent import models
from agent.spool_file import Kind
from agent.spool_reader import SpoolReader
from agent.state import StateDir
from protos import contract
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def test_a_killed_sensor_leaves_whole_batches(tmp_path: Path, tiny_pcap: ModuleType, onnx_models: ModuleType) -> None:
    """However often it is killed, every record on disk is a whole batch, in order, and a last run completes."""
    state = StateDir(tmp_path / "state")
    state.prepare()
    onnx_models.write_model(tmp_path / "m.onnx")
    models.install(state, tmp_path / "m.onnx")
    capture = tiny_pcap.write_scan(tmp_path / "scan.pcap", ports=2000, connections=200)
    command = [sys.executable, "-Im", "agent.sensor", "--state-dir", str(state.root), "--replay", str(capture)]
    for milliseconds in (330, 420, 500, 560):
        sensor = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(milliseconds / 1000)
        sensor.kill()
        sensor.wait()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reader = SpoolReader(state)
    records = reader.lease(1_000_000, max_bytes=1 << 40)
    reader.close()
    assert [record.sequence for record in records] == list(range(1, len(records) + 1))
    assert {record.kind for record in records} == {Kind.BATCH}
    for record in records:
        batch = batch_pb2.Batch.FromString(record.payload)
        contract.unpack_columns(batch.flows)
        contract.unpack_matrix(batch.features, batch.flows.rows)
        assert len(batch.alerts) == record.alerts
    assert not list(state.root.glob("*.broken"))
    assert sum(record.alerts for record in records) >= 120
