"""The doctor: every line has a level, and every line that is not ok a remedy."""

from __future__ import annotations

import dataclasses
import json
import socket
from typing import TYPE_CHECKING

import pytest

from agent import doctor, health
from agent.clock import SystemClock
from agent.config import AgentConfig
from agent.doctor import Finding, Level, examine, readable, verdict
from agent.health import Report
from agent.spool import Spool
from agent.state import StateDir
from protos.exits import ExitCode
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


@pytest.fixture
def config(tmp_path: Path) -> AgentConfig:
    return AgentConfig(iface="lo", state_dir=tmp_path / "state", aggregator="127.0.0.1:1")


def of(findings: list[Finding], check: str) -> Finding:
    [finding] = [finding for finding in findings if finding.check == check][:1]
    return finding


def test_every_problem_has_a_remedy(config: AgentConfig) -> None:
    """What is not ok says what to do; both outputs can be read back."""
    findings = examine(config)
    assert {finding.check for finding in findings} >= {
        "interface",
        "permission",
        "offload",
        "buffer",
        "clock",
        "state directory",
        "spool",
        "model",
        "aggregator",
        "agent",
    }
    for finding in findings:
        assert finding.level is Level.OK or finding.remedy, finding
        assert finding.text in readable(finding)
        assert json.loads(json.dumps(doctor.as_dict(finding)))["level"] == finding.level.value


def test_a_missing_interface_fails(config: AgentConfig) -> None:
    """The name of every interface that is there helps with the one that is not."""
    findings = examine(dataclasses.replace(config, iface="nosuch0"))
    finding = of(findings, "interface")
    assert (finding.level, verdict(findings)) == (Level.FAIL, ExitCode.SOURCE)
    assert "lo" in finding.remedy


def test_no_interface_is_only_a_warning(config: AgentConfig) -> None:
    """A host that only replays captures needs none."""
    assert of(examine(dataclasses.replace(config, iface="")), "interface").level is Level.WARN


def test_a_state_directory_that_cannot_be(config: AgentConfig, tmp_path: Path) -> None:
    """Unusable state fails with its own exit code."""
    (tmp_path / "file").touch()
    findings = examine(dataclasses.replace(config, state_dir=tmp_path / "file"))
    assert of(findings, "state directory").level is Level.FAIL
    assert verdict(findings) in (ExitCode.STATE, ExitCode.PERMISSION)


def test_an_aggregator_that_answers(config: AgentConfig) -> None:
    """A listening port is ok, a closed one a warning: the agent keeps everything meanwhile."""
    assert of(examine(config), "aggregator").level is Level.WARN
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert of(examine(dataclasses.replace(config, aggregator=address)), "aggregator").level is Level.OK


def test_models(config: AgentConfig, tmp_path: Path, onnx_models: ModuleType) -> None:
    """A good model is ok, a bad one fails with the reason, none is a warning."""
    assert of(examine(config), "model").level is Level.WARN
    onnx_models.write_model(tmp_path / "m.onnx")
    assert of(examine(dataclasses.replace(config, model=tmp_path / "m.onnx")), "model").level is Level.OK
    onnx_models.write_corrupt(tmp_path / "m.onnx")
    findings = examine(dataclasses.replace(config, model=tmp_path / "m.onnx"))
    assert "damaged" in of(findings, "model").text
    assert verdict(findings) in (ExitCode.MODEL, ExitCode.PERMISSION)
    assert of(examine(dataclasses.replace(config, model=tmp_path / "no.onnx")), "model").level is Level.FAIL


def test_spool_and_agent(config: AgentConfig) -> None:
    """What waits, what was set aside, and what the sensor last said."""
    state = StateDir(config.state_dir)
    state.prepare()
    Spool.open(state, max_bytes=1 << 20, clock=SystemClock()).close()
    assert "0 records" in of(examine(config), "spool").text
    (state.root / "spool.db.1.broken").touch()
    assert of(examine(config), "spool").level is Level.WARN
    figures = batch_pb2.SensorHealth(packets=90, packets_dropped=10, state="running")
    health.write(state.health, Report(figures, "", 0, SystemClock().wall_ms()))
    finding = of(examine(config), "agent")
    assert (finding.level, finding.remedy) == (Level.WARN, "raise buffer_mib")
    assert "10 of 100 packets dropped" in finding.text


@pytest.mark.parametrize(("now_ms", "level"), [(0, Level.FAIL), (1_800_000_000_000, None), (1 << 60, Level.FAIL)])
def test_the_clock(now_ms: int, level: Level | None) -> None:
    """A clock that is decades off would date every alert wrongly."""
    finding = doctor._clock(now_ms)
    assert finding.level is level or level is None


@pytest.mark.parametrize(("mib", "level"), [(8, Level.OK), (1, Level.WARN), (1_000_000, Level.WARN)])
def test_the_buffer(config: AgentConfig, mib: int, level: Level) -> None:
    """Too little drops bursts, too much is memory the host does not have."""
    assert of(examine(dataclasses.replace(config, buffer_mib=mib)), "buffer").level is level
