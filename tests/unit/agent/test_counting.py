"""Counting: every flow once, no host beyond its share, and the same counts after a restart."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.batch import Gathering, Origin, Rows
from agent.counting import (
    HOUR_MS,
    MOST_HOURS,
    MOST_OF_SOURCE,
    MOST_TO_TARGET,
    SLOTS,
    WINDOW_MS,
    Tally,
    TallyFile,
)
from agent.flow import FLOW
from protos import contract, histogram
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "a" * 64
NOW = 1_700_000_000_000 // HOUR_MS * HOUR_MS


def flows(sources: list[int], targets: list[int] | None = None, at_ms: int = NOW) -> np.ndarray:
    """Flows between numbered hosts."""
    made = np.zeros(len(sources), dtype=FLOW)
    for name, numbers in (
        ("src_ip", sources),
        ("dst_ip", targets or [10_000 + place for place in range(len(sources))]),
    ):
        made[name] = np.frombuffer(b"".join(number.to_bytes(16, "big") for number in numbers), "u1").reshape(-1, 16)
    made["bidirectional_last_seen_ms"] = at_ms
    return made


def tally() -> Tally:
    return Tally(run="run1", seed=3)


def scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@settings(max_examples=60, deadline=None)
@given(
    data=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, 4), st.floats(0, 25, width=32)), min_size=1, max_size=300
    ),
    cuts=st.lists(st.integers(1, 299), max_size=5),
)
def test_counts_equal_a_naive_count_however_flows_are_cut_into_batches(
    data: list[tuple[int, int, float]], cuts: list[int]
) -> None:
    """Flows, weighed flows and host-windows, against a dictionary that remembers hosts."""
    counted = tally()
    weighed: list[bool] = []
    for start, end in itertools.pairwise(sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})):
        part = data[start:end]
        weighed += counted.add(
            flows([row[0] for row in part], [row[1] for row in part]),
            scores(*(row[2] for row in part)),
            MODEL,
            now_ms=NOW,
        ).tolist()
    [hour] = counted.hours.values()
    of_source: dict[int, list[float]] = {}
    of_target: dict[int, list[float]] = {}
    expected = []
    for source, target, score in data:
        expected.append(
            len(of_source.setdefault(source, [])) < MOST_OF_SOURCE
            and len(of_target.setdefault(target, [])) < MOST_TO_TARGET
        )
        of_source[source].append(score)
        of_target[target].append(score)
    assert weighed == expected
    every = scores(*(row[2] for row in data))
    assert (hour.flows == histogram.count(every)).all()
    assert (hour.weighed == histogram.count(every[np.array(expected)])).all()
    assert (hour.sources == histogram.count(scores(*map(max, of_source.values())))).all()
    assert (hour.targets == histogram.count(scores(*map(max, of_target.values())))).all()


def test_a_scanner_weighs_no_more_than_its_share() -> None:
    """Ten thousand flows in a window are sixty; the next window allows sixty more."""
    counted = tally()
    for window in range(2):
        for _ in range(20):
            counted.add(flows([7] * 500, at_ms=NOW + window * WINDOW_MS), np.full(500, 6, "f4"), MODEL, now_ms=NOW)
    [hour] = counted.hours.values()
    assert hour.flows.sum() == 20_000
    assert hour.weighed.sum() == 2 * MOST_OF_SOURCE
    assert hour.sources.sum() == 2


def test_a_flooded_host_weighs_no_more_than_its_share() -> None:
    """Spoofed sources are many; what they hit is one."""
    counted = tally()
    for part in range(10):
        counted.add(
            flows(list(range(part * 500, part * 500 + 500)), [1] * 500), np.full(500, 5, "f4"), MODEL, now_ms=NOW
        )
    [hour] = counted.hours.values()
    assert hour.weighed.sum() == MOST_TO_TARGET
    assert hour.targets.sum() == 1
    assert hour.sources.sum() > 4_500  # a few of 5,000 share a place in the table of 65,536


def test_memory_is_bounded_whoever_comes() -> None:
    """More hosts than places share places; hours beyond the bound go, the oldest first."""
    counted = tally()
    for hour in range(MOST_HOURS + 5):
        counted.add(flows([1]), scores(1.0), MODEL, now_ms=NOW + hour * HOUR_MS)
    assert len(counted.hours) == MOST_HOURS
    assert min(counted.hours)[0] == NOW + 5 * HOUR_MS
    counted.add(flows(list(range(100_000))), np.ones(100_000, "f4"), MODEL, now_ms=NOW + 60 * HOUR_MS)
    assert counted.hours[NOW + 60 * HOUR_MS, MODEL].sources.sum() <= SLOTS


def test_hours_and_models_are_apart() -> None:
    """Another hour or model has a histogram of its own, in the order of time."""
    counted = tally()
    for model, hour in ((MODEL, 0), ("b" * 64, 0), (MODEL, 1)):
        counted.add(flows([1]), scores(1.0), model, now_ms=NOW + hour * HOUR_MS)
    log = counted.to_log()
    assert [(entry.hour_ms - NOW, entry.model_digest[0]) for entry in log.hours] == [(0, "a"), (0, "b"), (HOUR_MS, "a")]
    assert {entry.run for entry in log.hours} == {"run1"}


def test_the_traffic_that_was_counted_is_measured_in_its_own_time() -> None:
    """An hour of a capture is an hour however fast it is replayed; a pause between two captures is none."""
    counted = tally()
    for minute in range(0, 61, 5):
        counted.add(flows([1], at_ms=NOW + minute * 60_000), scores(1.0), MODEL, now_ms=NOW)
    [hour] = counted.hours.values()
    assert hour.covered_ms == HOUR_MS
    counted.add(flows([1], at_ms=NOW + 400 * 24 * HOUR_MS), scores(1.0), MODEL, now_ms=NOW)
    counted.add(flows([1], at_ms=NOW), scores(1.0), MODEL, now_ms=NOW)
    assert hour.covered_ms == HOUR_MS + WINDOW_MS
    assert counted.to_log().hours[0].covered_ms == hour.covered_ms


def test_a_clock_that_is_set_back_does_not_stop_the_counting() -> None:
    """The tables begin anew, so a host's share is not used up by the future."""
    counted = tally()
    for at_ms in (NOW + 10 * WINDOW_MS, NOW):
        assert counted.add(flows([1] * 60, at_ms=at_ms), np.ones(60, "f4"), MODEL, now_ms=NOW).all()


def test_a_restart_goes_on_counting(tmp_path: Path) -> None:
    """The same run, the same hour, nothing lost that was saved."""
    path = tmp_path / "scores.pb"
    runs = iter(("run1", "run2"))
    first = TallyFile(path, new_run=lambda: next(runs), seed=1)
    first.tally.add(flows([1, 2, 3]), scores(1, 2, 3), MODEL, now_ms=NOW)
    first.save()
    second = TallyFile(path, new_run=lambda: next(runs), seed=2)
    second.tally.add(flows([1]), scores(4), MODEL, now_ms=NOW)
    second.save()
    log = batch_pb2.ScoreLog.FromString(path.read_bytes())
    assert log.run == "run1"
    [hour] = log.hours
    assert sum(hour.flows.counts) == 4


@pytest.mark.parametrize("damage", [b"\xff\xff\xff", b"\x12\x0a\x22\x08\x0a\x01\x01\x12\x03\x01\x02\x03"])
def test_a_damaged_file_begins_a_new_run(tmp_path: Path, damage: bytes) -> None:
    """Counts that cannot be trusted are not continued."""
    path = tmp_path / "scores.pb"
    path.write_bytes(damage)
    assert TallyFile(path, new_run=lambda: "fresh", seed=1).tally.run == "fresh"


def test_a_full_disk_costs_counts_and_nothing_else(tmp_path: Path) -> None:
    """Saving into a folder that is not there is logged, and tried again."""
    file = TallyFile(tmp_path / "gone" / "scores.pb", new_run=lambda: "run1", seed=1)
    file.tally.add(flows([1]), scores(1.0), MODEL, now_ms=NOW)
    file.save()
    (tmp_path / "gone").mkdir()
    file.save()
    assert (tmp_path / "gone" / "scores.pb").exists()


def test_saving_waits_for_its_turn(tmp_path: Path) -> None:
    """Every flow would be a file otherwise."""
    file = TallyFile(tmp_path / "scores.pb", new_run=lambda: "run1", seed=1)
    file.tick(100.0)
    file.tally.add(flows([1]), scores(1.0), MODEL, now_ms=NOW)
    file.tick(101.0)
    before = (tmp_path / "scores.pb").read_bytes()
    file.tick(103.0)
    assert (tmp_path / "scores.pb").read_bytes() != before


def test_an_alert_says_where_it_was_counted(tmp_path: Path) -> None:
    """So that it can be taken out of the histogram again when it turns out to be an attack."""
    file = TallyFile(tmp_path / "scores.pb", new_run=lambda: "run1", seed=1)
    count = MOST_OF_SOURCE + 1
    rows = Rows(
        flows=flows([1] * count),
        matrix=np.zeros((count, len(contract.FEATURES)), dtype=np.float32),
        scores=np.full(count, 5, dtype=np.float32),
        codes=np.ones(count, dtype=np.uint8),
        weights=np.ones(count, dtype=np.float32),
        reasons={},
    )
    gathering = Gathering(1000)
    gathering.add(file.count(rows, MODEL, now_ms=NOW + 5))
    [entry] = gathering.take(Origin(MODEL, 1, 3.0), batch_pb2.SensorHealth(), created_ms=NOW)
    alerts = batch_pb2.Batch.FromString(entry.payload).alerts
    assert {alert.hour_ms for alert in alerts} == {NOW}
    assert [alert.weighed for alert in alerts] == [True] * MOST_OF_SOURCE + [False]
    assert file.count(rows, "", now_ms=NOW) is rows
