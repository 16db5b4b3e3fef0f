"""Reproducible and bounded: the same arguments give the same bytes in any process, and memory does not grow."""

from __future__ import annotations

import hashlib
import subprocess
import sys

from trainer.traffic.scenario import SCENARIOS, build

EVERYTHING = """
import sys
from pathlib import Path
from trainer.traffic.scenario import SCENARIOS, build
for scenario in SCENARIOS:
    build(scenario, Path(sys.argv[1]) / f"{scenario}.pcap", 9, 0.3, flows=300)
"""

PEAK = """
import resource, sys
from pathlib import Path
from trainer.traffic.scenario import build
build("bench", Path(sys.argv[1]), 1, int(sys.argv[2]) / 400, flows=int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def run(program: str, *arguments: object, environment: dict[str, str] | None = None) -> str:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=120)
    return done.stdout


def test_the_same_arguments_give_the_same_bytes_in_any_process(tmp_path):
    """Captures and labels, whatever Python hashes by; and another seed gives others."""
    for name, hash_seed in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        run(EVERYTHING, tmp_path / name, environment={"PYTHONHASHSEED": hash_seed})

    def digests(name: str) -> dict[str, str]:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / name).iterdir()}

    assert digests("one") == digests("two")
    assert len(digests("one")) == 2 * len(SCENARIOS)
    build("office", tmp_path / "three" / "office.pcap", 10, 0.3)
    assert digests("three")["office.pcap"] != digests("one")["office.pcap"]


def test_memory_does_not_grow_with_the_capture(tmp_path):
    """Ten times the flows need hardly more: packets are made while they are written."""
    small, large = (int(run(PEAK, tmp_path / "b.pcap", flows)) for flows in (1_500, 15_000))
    assert large < small + 20_000
    # All packets of the large one are 8 MB; modules compiled on the way may take one or two.
    assert large < 4_000_000
