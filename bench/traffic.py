"""How fast traffic is made: flows and packets a second, and the memory it takes, on one core.

Usage: python bench/traffic.py [--flows 100000] [--minutes 10] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from trainer.traffic.scenario import build


def measure(scenario: str, minutes: float, flows: int) -> dict[str, object]:
    """One scenario, written to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bench.pcap"
        began, used = time.perf_counter(), time.process_time()
        made = build(scenario, out, 1, minutes, flows=flows)
        wall, cpu = time.perf_counter() - began, time.process_time() - used
        return {
            "scenario": scenario,
            "flows": made.flows,
            "packets": made.packets,
            "bytes": out.stat().st_size,
            "wall_s": round(wall, 2),
            "cpu_s": round(cpu, 2),
            "flows_per_s": round(made.flows / wall),
            "packets_per_s": round(made.packets / wall),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def main() -> None:
    """Measure the bench scenario and a mixed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    args = parser.parse_args()
    for scenario in ("bench", "mixed"):
        figures = measure(scenario, args.minutes, args.flows)
        if args.json:
            print(json.dumps(figures))
        else:
            print("  ".join(f"{name}={value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
