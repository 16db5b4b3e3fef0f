"""Scores of every flow, counted: what an agent says of the traffic it does not send.

Quiet flows stay on the host, but how strange they looked must be known where thresholds are chosen. So the sensor
counts the score of every flow it judges, ignored ones included, in histograms by hour and model
(`protos/histogram.py`). No address, no port and no feature is in them.

**Nobody owns them.** Beside all `flows` there are the `weighed` ones: of one initiator at most `MOST_OF_SOURCE`, to one
responder at most `MOST_TO_TARGET` flows in a window of ten minutes of traffic. A scan or a flood going on while scores
are counted is then a handful of rows, not most of them. And there are host-windows, by the highest score among their
flows: `sources` by initiator, `targets` by responder. Many strange flows in few host-windows are an attack, or one
noisy machine; many host-windows are a network that differs from what the model knows.

**Bounded.** Hosts are not remembered: each falls into one of `SLOTS` places of a table by a keyed hash, and two that
share a place share their allowance, which only counts less. A table lasts for one window. At most `MOST_HOURS`
histograms are kept, the oldest go first.

**Counted once.** A histogram is cumulative for its run, hour and model, so sending it twice changes nothing. The file
is renewed by rename every few seconds, and a sensor that starts again goes on counting in it: a restart loses what was
counted since, and at most one host-window is counted twice for each host. A file that cannot be read begins a new run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from google.protobuf.message import DecodeError

from agent.hashing import fold, mix
from agent.state import replace_bytes
from protos import histogram
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.batch import Rows

log = logging.getLogger(__name__)

HOUR_MS: Final = 3_600_000
WINDOW_MS: Final = 600_000
MOST_OF_SOURCE: Final = 60
MOST_TO_TARGET: Final = 600
MOST_HOURS: Final = 48
SLOTS: Final = 1 << 16
SAVE_S: Final = 2.0


@dataclass(slots=True)
class Hour:
    """Counts `[BINS]` of one hour under one model, and the traffic time they cover."""

    flows: NDArray[np.int64] = field(default_factory=histogram.empty)
    weighed: NDArray[np.int64] = field(default_factory=histogram.empty)
    sources: NDArray[np.int64] = field(default_factory=histogram.empty)
    targets: NDArray[np.int64] = field(default_factory=histogram.empty)
    covered_ms: int = 0


class Tally:
    """The counts of one agent. `seed` keys the hash of hosts; `run` names counts that begin from nothing."""

    def __init__(self, *, run: str, seed: int) -> None:
        self.run = run
        self.hours: dict[tuple[int, str], Hour] = {}
        self._sources, self._targets = _Table(seed), _Table(seed + 1)
        self._bucket = (-1, "")
        self._window = -1
        self._latest_ms = 0

    def add(self, flows: NDArray, scores: NDArray[np.float32], digest: str, *, now_ms: int) -> NDArray[np.bool_]:
        """Count finite `scores` [n] of `flows` (`FLOW`, n at least 1) under model `digest`; which of them weigh [n]."""
        bucket = (now_ms // HOUR_MS * HOUR_MS, digest)
        windows = flows["bidirectional_last_seen_ms"] // np.uint64(WINDOW_MS)
        latest_ms = int(flows["bidirectional_last_seen_ms"].max())
        latest = latest_ms // WINDOW_MS
        # Another hour or model has counts of its own; a window that is over is forgotten, and so is a clock set back.
        if bucket != self._bucket or latest > self._window or latest < self._window - 1:
            self._sources.clear()
            self._targets.clear()
            self._bucket, self._window = bucket, latest
        hour = self._hour(bucket)
        # A day that is replayed in a minute is a day; a pause between two captures is none.
        hour.covered_ms += min(max(latest_ms - self._latest_ms, 0), WINDOW_MS) if self._latest_ms else 0
        self._latest_ms = latest_ms
        bins = histogram.places(scores)
        of_source = self._sources.visit(flows["src_ip"], windows, bins, hour.sources)
        of_target = self._targets.visit(flows["dst_ip"], windows, bins, hour.targets)
        weighed = (of_source < MOST_OF_SOURCE) & (of_target < MOST_TO_TARGET)
        np.add.at(hour.flows, bins, 1)
        np.add.at(hour.weighed, bins[weighed], 1)
        return weighed

    def hour_ms(self) -> int:
        """The hour that was last counted in."""
        return self._bucket[0]

    def _hour(self, bucket: tuple[int, str]) -> Hour:
        hour = self.hours.get(bucket)
        if hour is None:
            hour = self.hours[bucket] = Hour()
            while len(self.hours) > MOST_HOURS:
                del self.hours[min(self.hours)]
        return hour

    def to_log(self) -> batch_pb2.ScoreLog:
        """Everything counted, oldest hour first."""
        return batch_pb2.ScoreLog(
            run=self.run,
            hours=[
                batch_pb2.ScoreCounts(
                    run=self.run,
                    hour_ms=hour_ms,
                    model_digest=digest,
                    flows=_packed(hour.flows),
                    weighed=_packed(hour.weighed),
                    sources=_packed(hour.sources),
                    targets=_packed(hour.targets),
                    covered_ms=hour.covered_ms,
                )
                for (hour_ms, digest), hour in sorted(self.hours.items())
            ],
        )


class TallyFile:
    """A `Tally` and the file it lives in. `new_run()` names a run that begins."""

    def __init__(self, path: Path, *, new_run: Callable[[], str], seed: int) -> None:
        self._path = path
        self._saved = b""
        self._next_save = 0.0
        self.tally = self._read(new_run, seed)

    def count(self, rows: Rows, digest: str, *, now_ms: int) -> Rows:
        """`rows`, at least one, counted under model `digest`; without a model a score says nothing."""
        if not digest:
            return rows
        weighed = self.tally.add(rows.flows, rows.scores, digest, now_ms=now_ms)
        return replace(rows, weighed=weighed, hours=np.full(len(rows), self.tally.hour_ms(), dtype=np.uint64))

    def tick(self, now_s: float) -> None:
        """Save when it is time."""
        if now_s >= self._next_save:
            self._next_save = now_s + SAVE_S
            self.save()

    def save(self) -> None:
        """Renew the file when something was counted. A disk that does not take it costs counts, not flows."""
        content = self.tally.to_log().SerializeToString()
        if content == self._saved:
            return
        try:
            replace_bytes(self._path, content)
        except OSError as error:
            log.warning("score_counts_not_written error=%s", error)
        else:
            self._saved = content

    def _read(self, new_run: Callable[[], str], seed: int) -> Tally:
        try:
            kept = batch_pb2.ScoreLog.FromString(self._path.read_bytes())
            tally = Tally(run=kept.run or new_run(), seed=seed)
            for hour in kept.hours:
                parts = (hour.flows, hour.weighed, hour.sources, hour.targets)
                flows, weighed, sources, targets = (histogram.unpack(part.bins, part.counts) for part in parts)
                kept_hour = Hour(flows, weighed, sources, targets, int(hour.covered_ms))
                tally.hours[int(hour.hour_ms), hour.model_digest] = kept_hour
        except FileNotFoundError:
            return Tally(run=new_run(), seed=seed)
        except (OSError, DecodeError, histogram.HistogramError) as error:
            log.warning("score_counts_unreadable error=%s", error)
            return Tally(run=new_run(), seed=seed)
        return tally


class _Table:
    """Flows and highest score of each host in the current window, by slot."""

    def __init__(self, seed: int) -> None:
        self._key = np.uint64((seed * 2 + 1) & 0xFFFFFFFFFFFFFFFF)
        self._flows = np.zeros(SLOTS, dtype=np.int64)
        self._tops = np.full(SLOTS, -1, dtype=np.int64)

    def clear(self) -> None:
        """A new window begins."""
        self._flows.fill(0)
        self._tops.fill(-1)

    def visit(
        self, addresses: NDArray, windows: NDArray[np.uint64], bins: NDArray[np.intp], tops: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """How many flows of its host came before each row [n]; `tops` [BINS] then counts the hosts as they are now."""
        slots = self._slots(addresses, windows)
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        first = np.empty(len(slots), dtype=np.bool_)
        first[0] = True
        np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        hosts = ordered[starts]
        before = np.empty(len(slots), dtype=np.int64)
        before[order] = self._flows[ordered] + np.arange(len(slots)) - starts[np.cumsum(first) - 1]
        self._flows[hosts] += np.diff(np.append(starts, len(slots)))
        old = self._tops[hosts]
        new = np.maximum(old, np.maximum.reduceat(bins[order], starts))
        self._tops[hosts] = new
        np.subtract.at(tops, old[old >= 0], 1)
        np.add.at(tops, new, 1)
        return before

    def _slots(self, addresses: NDArray, windows: NDArray[np.uint64]) -> NDArray[np.intp]:
        hosts = mix(fold(addresses, self._key), windows)
        return (hosts & np.uint64(SLOTS - 1)).astype(np.intp)


def _packed(counts: NDArray[np.int64]) -> batch_pb2.Counts:
    bins, numbers = histogram.pack(counts)
    return batch_pb2.Counts(bins=bins, counts=numbers)
