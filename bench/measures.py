"""The single measurements behind `bench/run.py`: each runs in a process of its own and prints one JSON object."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path


def nfstreamer(capture: str) -> tuple[int, float]:
    """The public `NFStreamer`, statistics on, dissection off, one meter."""
    from nfstream import NFStreamer

    streamer = NFStreamer(source=capture, statistical_analysis=True, n_dissections=0, n_meters=1)
    started = time.perf_counter()
    return sum(1 for _ in streamer), time.perf_counter() - started


def meter(capture: str) -> tuple[int, float]:
    """The sensor's meter, with the agent's own timeouts."""
    from agent.meter import FileSource, Meter

    started = time.perf_counter()
    return sum(map(len, Meter(FileSource(Path(capture))).batches())), time.perf_counter() - started


def meter_features(capture: str) -> tuple[int, float]:
    """Meter and feature matrix, context included."""
    from agent.context import Context
    from agent.features import compute
    from agent.meter import FileSource, Meter

    context = Context()
    started = time.perf_counter()
    flows = sum(len(compute(batch, context)) for batch in Meter(FileSource(Path(capture))).batches())
    return flows, time.perf_counter() - started


def features_on_off(capture: str) -> tuple[float, float]:
    """Rate with features over the rate without them, by processor time: metered in turn, the best of four of each.

    A busy machine slows one run more than the next, so two rates of different minutes say little about each other.
    """
    from agent.context import Context
    from agent.features import compute
    from agent.meter import FileSource, Meter

    def spent(features: bool) -> float:
        context, started = Context(), time.process_time()
        for batch in Meter(FileSource(Path(capture))).batches():
            if features:
                compute(batch, context)
        return time.process_time() - started

    spent(features=True)  # imports and first touches
    runs = [(spent(features=False), spent(features=True)) for _ in range(4)]
    return min(off for off, _ in runs), min(on for _, on in runs)


def meter_features_scoring(capture: str, model: str) -> tuple[int, float]:
    """Meter, features and scores, as the sensor does them."""
    from agent.context import Context
    from agent.features import compute
    from agent.meter import FileSource, Meter
    from agent.scorer import Scorer

    context, scorer = Context(), Scorer(Path(model))
    started = time.perf_counter()
    flows = sum(len(scorer.score(compute(b, context))) for b in Meter(FileSource(Path(capture))).batches())
    return flows, time.perf_counter() - started


def _rows(count: int):
    import numpy as np

    from protos import contract

    return np.random.default_rng(1).lognormal(3, 2, size=(count, len(contract.FEATURES))).astype(np.float32)


def scoring(model: str) -> tuple[int, float]:
    """Scores alone, in batches of 4,096 rows, one core."""
    from agent.scorer import Scorer

    scorer, rows = Scorer(Path(model)), _rows(4096)
    scorer.score(rows)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 3:
        count += len(scorer.score(rows))
    return count, time.perf_counter() - started


def explaining(model: str) -> tuple[int, float]:
    """Contributions and expectations, in batches of 1,024 rows: what an alert costs on top."""
    from agent.scorer import Scorer

    scorer, rows = Scorer(Path(model)), _rows(1024)
    scorer.tell(rows)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 2:
        count += len(scorer.tell(rows)[0])
    return count, time.perf_counter() - started


def spool() -> tuple[int, float]:
    """Rows made durable in the spool, in records of 1,000 rows with their features (fsync each)."""
    from agent.clock import SystemClock
    from agent.spool import Spool
    from agent.state import StateDir
    from protos import contract

    payload, rows = os.urandom(1000 * len(contract.FEATURES) * 4), 1000
    with tempfile.TemporaryDirectory() as folder:
        state = StateDir(Path(folder))
        state.prepare()
        kept = Spool.open(state, max_bytes=512 << 20, clock=SystemClock())
        started, count = time.perf_counter(), 0
        while time.perf_counter() - started < 2:
            kept.enqueue(payload, alerts=0, flows=rows)
            count += rows
        return count, time.perf_counter() - started


def resident(capture: str, model: str) -> dict[str, float]:
    """Resident memory of a running agent's processes after it metered, scored and shipped a capture."""
    import residence

    return residence.measure(Path(capture), Path(model))


def main() -> None:
    """Take one measurement: `measures.py NAME ARGUMENT...`, see bench/run.py."""
    name, *arguments = sys.argv[1:]
    if name != "nfstreamer" and hasattr(os, "sched_setaffinity") and name != "resident":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answer = globals()[name](*arguments)
    if isinstance(answer, dict):
        print(json.dumps(answer))
        return
    count, seconds = answer
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps({"rate": count / seconds, "count": count, "rss_mib": max(own, children) / 1024}))


if __name__ == "__main__":
    main()
