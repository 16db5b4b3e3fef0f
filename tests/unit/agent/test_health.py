"""Health: states in order of gravity, a file that is read back, and silence that is noticed."""

from __future__ import annotations

import pytest

from agent import health
from agent.health import Report, Trouble, judge
from protos.v1 import batch_pb2


@pytest.mark.parametrize(
    ("trouble", "state", "detail"),
    [
        (Trouble(), "running", ""),
        (Trouble(model="no model"), "degraded", "no model"),
        (Trouble(spool="disk full", model="no model"), "degraded", "disk full; no model"),
        (Trouble(interface="eth0 is gone", spool="disk full"), "interface-lost", "eth0 is gone; disk full"),
        (Trouble(stopped="stopped", interface="eth0 is gone"), "stopped", "stopped; eth0 is gone"),
    ],
)
def test_the_gravest_state_wins_and_nothing_is_left_unsaid(trouble: Trouble, state: str, detail: str) -> None:
    """One state, every detail."""
    assert judge(trouble) == (state, detail)


def report(state: str = "running") -> Report:
    figures = batch_pb2.SensorHealth(packets=7, flows=3, state=state, score_latency_ms=1.5, source="eth0")
    return Report(figures, "d" * 64, 4, 1_000_000)


def test_round_trip(tmp_path) -> None:
    """What the sensor wrote is what the shipper reads."""
    health.write(tmp_path / "health.json", report())
    assert health.read(tmp_path / "health.json", now_ms=1_005_000) == report()


def test_silence_is_a_state(tmp_path) -> None:
    """An old file says that the sensor is silent, and for how long; a stopped sensor may be."""
    health.write(tmp_path / "health.json", report())
    read = health.read(tmp_path / "health.json", now_ms=1_060_000)
    assert read.health.state == "degraded"
    assert "silent for 60 s; its last state: running" in read.health.detail
    health.write(tmp_path / "health.json", report("stopped"))
    assert health.read(tmp_path / "health.json", now_ms=9_000_000).health.state == "stopped"


@pytest.mark.parametrize("content", ["", "[]", '{"health": 3, "updated_ms": "x"}', '{"updated_ms": 0}'])
def test_no_file_or_nonsense(tmp_path, content: str) -> None:
    """Without a readable file the sensor has not started."""
    (tmp_path / "health.json").write_text(content)
    read = health.read(tmp_path / "health.json", now_ms=5)
    assert (read.health.state, read.model_digest, read.policy_version) == ("stopped", "", 0)


def test_another_versions_figures_are_skipped(tmp_path) -> None:
    """A figure of the wrong kind spoils no other."""
    (tmp_path / "health.json").write_text('{"health": {"packets": "many", "flows": 2, "x": 1}, "updated_ms": 5}')
    read = health.read(tmp_path / "health.json", now_ms=5)
    assert (read.health.packets, read.health.flows) == (0, 2)
