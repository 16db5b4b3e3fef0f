"""A large table in and looked at: seconds and memory of `workbench import` and `workbench profile`, as their user waits.

The table is made up by seed: as many rows and columns as asked for, a quarter of the columns words, the rest numbers of
the skewed kinds that traffic has, a label last. Each command runs in a process of its own; wall clock and the largest
resident size are what the kernel says. Best, median and worst of the rounds are printed, and the least processor time,
which a busy machine does not lengthen as it does the wall clock.

    python bench/datasets.py --rows 1000000 --columns 30 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

BLOCK = 100_000


def write_table(path: Path, rows: int, columns: int, seed: int) -> None:
    """A CSV file of `rows` rows and `columns` columns, the last one the label."""
    rng = np.random.default_rng(seed)
    words = max(columns // 4, 1)
    numbers = columns - words - 1
    with path.open("wb") as file:
        for start in range(0, rows, BLOCK):
            count = min(BLOCK, rows - start)
            table: dict[str, pa.Array] = {}
            for at in range(numbers):
                kind = at % 4
                if kind == 0:
                    values = np.floor(rng.lognormal(4, 3, count)).astype(np.int64)
                elif kind == 1:
                    values = np.round(rng.random(count), 2)
                elif kind == 2:
                    values = rng.normal(0, 1, count)
                else:
                    values = rng.poisson(0.3, count)
                table[f"number_{at}"] = pa.array(values)
            for at in range(words):
                table[f"word_{at}"] = pa.array([f"w{one}" for one in rng.zipf(1.8, count) % (3 + 20 * at)])
            table["class"] = pa.array(np.where(rng.random(count) < 0.05, "attack", "normal"))
            header = start == 0
            csv.write_csv(pa.table(table), file, csv.WriteOptions(include_header=header, quoting_style="none"))


def run(command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and the largest resident size in MiB, of a command."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"bench: {' '.join(command)} failed: {errors.decode(errors='replace')[-500:]}")
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> int:
    """Measure and print, as text or JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--columns", type=int, default=30)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    trainer = str(Path(sys.executable).with_name("anomaflow-trainer"))
    with tempfile.TemporaryDirectory(prefix="anomaflow-bench-") as folder:
        table, out = Path(folder, "table.csv"), Path(folder, "set")
        write_table(table, options.rows, options.columns, options.seed)
        commands = {
            "import": [trainer, "workbench", "import", str(table), "--out", str(out)],
            "profile": [trainer, "workbench", "profile", str(out), "--label", "class"],
        }
        figures: dict[str, object] = {"rows": options.rows, "columns": options.columns, "bytes": table.stat().st_size}
        for name, command in commands.items():
            runs = [run(command) for _ in range(options.rounds)]
            seconds = sorted(one for one, _, _ in runs)
            figures[name] = {
                "best_s": round(seconds[0], 2),
                "median_s": round(statistics.median(seconds), 2),
                "worst_s": round(seconds[-1], 2),
                "processor_s": round(min(used for _, used, _ in runs), 2),
                "peak_rss_mib": round(max(size for _, _, size in runs)),
            }
    figures["load"] = round(os.getloadavg()[0], 1)
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"{options.rows:,} rows, {options.columns} columns, {figures['bytes']:,} bytes; load {figures['load']}")
        for name in commands:
            print(f"{name:<8} {figures[name]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
