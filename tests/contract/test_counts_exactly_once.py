"""Counted scores reach the store exactly once, whatever is sent twice, late, or by a sensor that started again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.counting import HOUR_MS, TallyFile
from agent.flow import FLOW
from aggregator.calibration import counts
from aggregator.storage.store import Store
from protos.v1 import batch_pb2

MODEL = "a" * 64
NOW = 1_790_000_000_000 // HOUR_MS * HOUR_MS

_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("count"), st.integers(1, 40)),
        st.tuples(st.just("hour"), st.integers(1, 3)),
        st.tuples(st.just("send"), st.just(0)),
        st.tuples(st.just("late"), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("lose file"), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=_STEPS)
def test_what_was_saved_is_stored_once(steps: list[tuple[str, int]]) -> None:
    """The store holds what the sensor's file said when it was last sent: no flow twice, none invented, none lost.

    Counts are sent again, old messages come late, sensor and aggregator start again, and a file is lost.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, database = Path(folder) / "scores.pb", Path(folder) / "a.db"
        runs = (f"{number:04x}" for number in range(1_000))
        store = Store(database).open()
        store.write_now(
            lambda db: db.execute("INSERT INTO agents (agent_id, first_seen_ms, last_seen_ms) VALUES ('edge', 1, 1)")
        )
        sensor = TallyFile(path, new_run=lambda: next(runs), seed=1)
        told: list[bytes] = []
        expected: dict[str, int] = {}
        now_ms = NOW

        def deliver(message: bytes) -> None:
            sent = batch_pb2.ScoreCounts.FromString(message)
            assert store.write_now(lambda db: counts.store(db, "edge", sent, now_ms=now_ms))

        for verb, number in [*steps, ("send", 0)]:
            if verb == "count":
                flows = np.zeros(number, dtype=FLOW)
                flows["bidirectional_last_seen_ms"] = now_ms
                sensor.tally.add(flows, np.linspace(0, 9, number, dtype=np.float32), MODEL, now_ms=now_ms)
            elif verb == "hour":
                now_ms += number * HOUR_MS
            elif verb == "send":
                sensor.save()
                for hour in batch_pb2.ScoreLog.FromString(path.read_bytes()).hours:
                    told.append(hour.SerializeToString())
                    deliver(told[-1])
                expected[sensor.tally.run] = sum(int(hour.flows.sum()) for hour in sensor.tally.hours.values())
            elif verb == "late" and told:
                deliver(told[number % len(told)])
            elif verb in {"restart", "lose file"}:
                sensor.save()
                if verb == "lose file":
                    path.unlink(missing_ok=True)
                sensor = TallyFile(path, new_run=lambda: next(runs), seed=2)
            elif verb == "reopen":
                store.close()
                store = Store(database).open()
        found = store.read(lambda db: counts.quiet_hours(db, group="default", model_digest=MODEL, since_ms=0))
        assert sum(int(hour.flows.sum()) for hour in found) == sum(expected.values())
        store.close()
