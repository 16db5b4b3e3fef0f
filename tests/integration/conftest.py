"""Real networks for tests: two namespaces joined by a veth pair, made here and removed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Network:
    """Two hosts. `left` (10.77.0.1, interface `veth-l`) and `right` (10.77.0.2, interface `veth-r`)."""

    left: str
    right: str

    def command(self, side: str, *argv: str) -> list[str]:
        """The command line that runs `argv` on one side."""
        return ["ip", "netns", "exec", getattr(self, side), *argv]

    def run(self, side: str, *argv: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run to the end, failing the test if it fails."""
        return subprocess.run(self.command(side, *argv), capture_output=True, text=True, timeout=timeout, check=True)

    def link(self, side: str, *words: str) -> None:
        """`ip link` on one side."""
        subprocess.run(["ip", "-n", getattr(self, side), "link", *words], check=True, capture_output=True)


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [tool for tool in ("ip", "tcpreplay", "nmap") if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)} (apt-get install iproute2 tcpreplay nmap)" if absent else None


@pytest.fixture
def network() -> Iterator[Network]:
    """A fresh pair of hosts. Skips, saying what is missing, where it cannot be made."""
    if reason := _missing():
        pytest.skip(reason)
    tag = uuid.uuid4().hex[:8]
    pair = Network(f"anomaflow-l-{tag}", f"anomaflow-r-{tag}")
    try:
        for name in (pair.left, pair.right):
            subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
            # Router solicitations would be packets nobody in the test sent.
            disable = "for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", disable], check=False, capture_output=True)
            subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        subprocess.run(
            ["ip", "link", "add", "veth-l", "netns", pair.left, "type", "veth", "peer", "veth-r", "netns", pair.right],
            check=True,
        )
        for name, interface, address in ((pair.left, "veth-l", "10.77.0.1/16"), (pair.right, "veth-r", "10.77.0.2/16")):
            subprocess.run(["ip", "-n", name, "address", "add", address, "dev", interface], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", interface, "up"], check=True)
        yield pair
    finally:
        for name in (pair.left, pair.right):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


CAPTURES = Path(os.environ.get("ANOMAFLOW_CAPTURES", Path(__file__).resolve().parents[3] / "shared" / "data" / "pcap"))


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of real captures with its MANIFEST.csv. Skips, saying so, where there is none."""
    if not (CAPTURES / "MANIFEST.csv").is_file():
        pytest.skip(f"no real captures at {CAPTURES}; set ANOMAFLOW_CAPTURES to a folder with a MANIFEST.csv")
    return CAPTURES
