"""Speed and size, in one run on one machine: `make bench`.

Every figure names its data. Rates that are compared come from the same file, one after the other in turn, and the best
of the rounds counts for each, because a busy machine only ever makes a run slower. The spread is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import measures

FLOWS = 100_000


def alone(name: str, *arguments: str) -> dict[str, float]:
    """One measurement in a fresh process on one core, so that none inherits another's memory or warmth."""
    command = [sys.executable, str(Path(measures.__file__)), name, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if result.returncode:
        sys.exit(f"bench: measuring {name} failed:\n{result.stderr[-2000:]}")
    answer: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return answer


def rounds(name: str, count: int, *arguments: str) -> dict[str, object]:
    """Best, median and worst rate of `count` runs, and the largest memory."""
    runs = [alone(name, *arguments) for _ in range(count)]
    rates = sorted(run["rate"] for run in runs)
    return {
        "best": rates[-1],
        "median": statistics.median(rates),
        "worst": rates[0],
        "peak_rss_mib": max(run["rss_mib"] for run in runs),
        "count": runs[0].get("count", 0),
    }


def main() -> int:
    """Measure, print a table, and with `--json` the raw figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", type=Path, help="also write the figures here")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--model", type=Path, help="model to score with; by default one is fitted first")
    arguments.add_argument("--capture", type=Path, help="capture to meter; by default 100,000 flows are generated")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="anomaflow-bench-") as folder:
        capture, model = options.capture or Path(folder, "flows.pcap"), options.model or Path(folder, "model.onnx")
        trainer = str(Path(sys.executable).with_name("anomaflow-trainer"))
        if not options.capture:
            print(f"generating {FLOWS:,} flows ...", file=sys.stderr)
            make = [trainer, "traffic", "--scenario", "bench", "--flows", str(FLOWS), "--out", str(capture)]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        if not options.model:
            print("fitting a model ...", file=sys.stderr)
            day = str(Path(folder, "office.pcap"))
            make = [trainer, "traffic", "--scenario", "office", "--minutes", "20", "--out", day]
            subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
            fit = [trainer, "fit", "--benign", day, "--out", str(model), "--progress", "none"]
            subprocess.run(fit, check=True, stdout=subprocess.DEVNULL)
        figures: dict[str, dict[str, object]] = {}
        for name, extra in (
            ("nfstreamer", [str(capture)]),
            ("meter", [str(capture)]),
            ("meter_features", [str(capture)]),
            ("features_on_off", [str(capture)]),
            ("meter_features_scoring", [str(capture), str(model)]),
            ("scoring", [str(model)]),
            ("explaining", [str(model)]),
            ("spool", []),
        ):
            print(f"measuring {name} ...", file=sys.stderr)
            figures[name] = rounds(name, options.rounds, *extra)
        print("measuring the running agent ...", file=sys.stderr)
        resident = alone("resident", str(capture), str(model))
    report(figures, resident)
    if options.json:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count(), "machine": platform.machine()}
        content = {"machine": machine, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "figures": figures}
        options.json.write_text(json.dumps(content | {"resident_mib": resident}, indent=1) + "\n", encoding="utf-8")
    return 0


def report(figures: dict[str, dict[str, object]], resident: dict[str, float]) -> None:
    """The table, and each promise beside what was measured."""
    print(f"\n{'':26}{'best/s':>12}{'median/s':>12}{'worst/s':>12}{'peak MiB':>10}")
    for name, figure in figures.items():
        digits = ".3f" if float(figure["best"]) < 100 else ",.0f"  # type: ignore[arg-type]
        cells = [f"{figure[key]:>12{digits}}" for key in ("best", "median", "worst")]
        print(f"{name:26}{''.join(cells)}{figure['peak_rss_mib']:>10.0f}")
    base = float(figures["nfstreamer"]["best"])  # type: ignore[arg-type]
    rows = [
        ("meter against NFStreamer", float(figures["meter"]["best"]) / base, 4.0, "x"),  # type: ignore[arg-type]
        ("with features and scoring", float(figures["meter_features_scoring"]["best"]) / base, 3.0, "x"),  # type: ignore[arg-type]
        ("features on against off", float(figures["features_on_off"]["median"]), 0.75, "x"),  # type: ignore[arg-type]
        ("rows scored a second", float(figures["scoring"]["best"]) / 1e6, 1.0, "million"),  # type: ignore[arg-type]
    ]
    print()
    for what, measured, wanted, unit in rows:
        print(
            f"{what:34}{measured:8.2f} {unit}  (at least {wanted:g}: {'reached' if measured >= wanted else 'MISSED'})"
        )
    total = resident["sensor_mib"] + resident["shipper_mib"]
    verdict = "reached" if total <= 130 else "MISSED"
    parts = ", ".join(f"{part} {resident[f'{part}_mib']:.1f}" for part in ("sensor", "shipper", "supervisor"))
    print(f"{'sensor + shipper resident':34}{total:8.1f} MiB  (at most 130: {verdict}; {parts})")


if __name__ == "__main__":
    sys.exit(main())
