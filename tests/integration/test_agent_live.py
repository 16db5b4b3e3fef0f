"""The sensor on a real interface that goes down and comes back: never blind in silence, never ended by it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from agent.state import StateDir, read_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

SEND = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(20):
    sender.sendto(b"x" * 100, ("10.77.0.2", 9000 + number))
    time.sleep(0.01)
"""


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def test_an_interface_that_goes_down_and_comes_back(network: Any, tmp_path: Path) -> None:
    """The state says interface-lost with the reason while it is down; flows go on when it is up, and none is lost."""
    state = StateDir(tmp_path / "state")
    command = network.command(
        "right", sys.executable, "-Im", "agent.sensor", "--iface", "veth-r", "--state-dir", str(state.root)
    )
    sensor = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def figures() -> dict[str, Any]:
        health = read_json(state.health).get("health", {})
        return health if isinstance(health, dict) else {}

    try:
        wait_for(lambda: figures().get("state") == "degraded")  # no model; otherwise as it should be
        network.run("left", sys.executable, "-c", SEND)
        wait_for(lambda: figures()["active_flows"] >= 20)
        network.link("right", "set", "veth-r", "down")
        wait_for(lambda: figures()["state"] == "interface-lost")
        assert "veth-r" in figures()["detail"]
        assert figures()["flows"] >= 20, "what was held when it went down is kept"
        network.link("right", "set", "veth-r", "up")
        wait_for(lambda: figures()["state"] == "degraded")
        before = figures()["packets"]
        network.run("left", sys.executable, "-c", SEND)
        wait_for(lambda: figures()["packets"] >= before + 20)
    finally:
        sensor.terminate()
        _, error = sensor.communicate(timeout=20)
    assert sensor.returncode == 0, error
    assert "interface_lost" in error
    assert "interface_back" in error
    assert figures()["flows"] >= 40
