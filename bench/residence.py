"""Resident memory of a running agent: supervisor, sensor and shipper, read from the kernel while they work."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "deploy"))

from house import House


def measure(capture: Path, model: Path) -> dict[str, float]:
    """Largest resident size of each process while a capture is metered, scored and shipped, in MiB.

    The aggregator is real. `unique` sizes count memory that no other process shares: the price a host pays.
    """
    with tempfile.TemporaryDirectory(prefix="anomaflow-residence-") as folder:
        house = House(Path(folder), settings={"promised_fpr": 0.001})
        largest: dict[str, float] = {}
        try:
            house.open(os.urandom(12).hex())
            agent = house.agent("edge", "--replay", str(capture), "--model", str(model), "--wait-model", "20")
            while agent.poll() is None:
                for name, process in parts(agent.pid):
                    note(largest, name, process)
                time.sleep(0.05)
            if agent.returncode:
                sys.exit(
                    f"bench: the agent ended with {agent.returncode}: {(house.home / 'edge.log').read_text()[-800:]}"
                )
        finally:
            house.close()
    return largest


def parts(pid: int) -> list[tuple[str, psutil.Process]]:
    """The agent's processes by name."""
    try:
        supervisor = psutil.Process(pid)
        children = supervisor.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = [("supervisor", supervisor)]
    for child in children:
        try:
            line = " ".join(child.cmdline())
        except psutil.Error:
            continue
        found += [(name, child) for name in ("sensor", "shipper") if f"agent.{name}" in line]
    return found


def note(largest: dict[str, float], name: str, process: psutil.Process) -> None:
    """Keep the largest figures seen."""
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return
    for key, value in ((f"{name}_mib", memory.rss), (f"{name}_unique_mib", memory.uss)):
        largest[key] = max(largest.get(key, 0.0), value / 2**20)
