"""Packets to finished flow records: the metering loop over NFStream's engine, with a bounded flow table.

Promises:

- With `NFSTREAM_PROFILE` every flow equals `NFStreamer`'s, value by value (a test compares them on real captures).
- Live equals replay. Flows come out in an order that depends on the packets alone: each has a deadline in traffic time
  (its last packet plus the timeout that applies), deadlines are kept in slots of 100 ms, and a slot is emitted, sorted,
  once traffic time has passed its end. On a quiet link the wall clock stands in for the packets that do not come.
- Bounded: past `max_flows` the least recently seen flows are emitted early, marked and counted.
- Never blind in silence: an interface that goes down or vanishes raises, a truncated capture raises after what was
  whole has been emitted, dropped and ignored packets are counted.
- `stop()` ends the capture, and everything held is emitted.

The loop costs one dictionary look-up and two engine calls a packet. Packets are read in runs into one array, so that
times, keys and flags are computed for a run at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agent import engine, errors
from agent.engine import FileSource, LiveSource, ffi, lib
from agent.flow import TCP, EndReason
from agent.packets import Runs
from agent.records import Outbox
from protos.manifest import CaptureProfile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["NFSTREAM_PROFILE", "FileSource", "LiveSource", "Meter", "MeterStats", "read_capture"]

_NEVER: Final = 1 << 62
NFSTREAM_PROFILE: Final = CaptureProfile(
    idle_timeout_ms=120_000, active_timeout_ms=1_800_000, half_open_timeout_ms=_NEVER, tcp_linger_ms=_NEVER
)
"""NFStream's own semantics: no closing by TCP state, and packet times taken as they come."""

_SLOT_MS: Final = 100
_RUN: Final = 512
_LATENESS_MS: Final = 500
"""How long after the wall clock a packet may still be delivered: libpcap hands blocks over every 100 to 200 ms."""
_LIVE_CLOCK_TOLERANCE_MS: Final = 120_000
_JUMP_MS: Final = 3_600_000
_STEP_BACK_MS: Final = {True: 2_000, False: 60_000}
"""A step back that is a clock set anew and not packets out of order: live, and in a capture."""
_YEAR_2100_MS: Final = 4_102_444_800_000
_TICK_S: Final = 0.2
_DRAIN_S: Final = 1.0
_ALIVE_CHECK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class MeterStats:
    """Counts since the meter started. `traffic_ms` is the traffic time reached."""

    packets: int = 0
    ignored: int = 0
    dropped: int = 0
    flows: int = 0
    evicted: int = 0
    active: int = 0
    clock_corrections: int = 0
    traffic_ms: int = 0


class Meter:
    """Meters one source. `batches()` may be iterated once.

    `speed` paces a capture file: 0 reads as fast as possible, 1 as it was recorded, 10 ten times as fast.
    """

    def __init__(
        self,
        source: FileSource | LiveSource,
        profile: CaptureProfile | None = None,
        *,
        max_flows: int = 20_000,
        batch_flows: int = 1024,
        speed: float = 0.0,
        decode_tunnels: bool = True,
    ) -> None:
        self.source = source
        self.profile = profile or CaptureProfile()
        self._max_flows = max_flows
        self._speed = speed
        self._decode = int(decode_tunnels)
        self._stopping = False
        self._capture: engine.Capture | None = None
        self._table: dict[bytes, list[Any]] = {}  # key (either direction) -> [flow, key, reverse key, slot]
        self._slots: dict[int, list[list[Any]]] = {}
        self._next_slot = _NEVER
        self._out = Outbox(batch_flows)
        self._packets = self._ignored = self._evicted = self._active = self._corrections = 0
        self._tick = 0

    @property
    def stats(self) -> MeterStats:
        """A snapshot of the counts."""
        return MeterStats(
            packets=self._packets,
            ignored=self._ignored,
            dropped=self._capture.dropped() if self._capture else 0,
            flows=self._out.count,
            evicted=self._evicted,
            active=self._active,
            clock_corrections=self._corrections,
            traffic_ms=self._tick,
        )

    def stop(self) -> None:
        """Ask the loop to end. May be called from a signal handler; the iterator emits what is held and finishes."""
        self._stopping = True

    def batches(self) -> Iterator[NDArray]:
        """Arrays of `FLOW`, in order of `ended_ms`. Live and paced sources also yield empty arrays as ticks.

        Raises the `SourceError` tree: on opening, or after the last whole packet when the source fails midway. What is
        held then is emitted first.
        """
        self._capture = engine.Capture(self.source)
        failure: errors.SourceError | None = None
        try:
            run = self._live_runs() if self._capture.live else self._file_runs()
            while True:
                try:
                    next(run)
                except StopIteration:
                    break
                except errors.SourceError as error:
                    failure = error
                    break
                yield from self._out.full()
                if self._capture.live or self._speed:
                    yield self._out.partial()
            self._advance(_NEVER, final=True)
            yield from self._out.full()
            last = self._out.partial()
            if len(last):
                yield last
        finally:
            self._release()
            self._capture.close()
        if failure is not None:
            raise failure

    @property
    def _open(self) -> engine.Capture:
        if self._capture is None:
            raise RuntimeError("the capture is opened by batches()")
        return self._capture

    # --- reading -----------------------------------------------------------------------------------------------

    def _file_runs(self) -> Iterator[None]:
        capture = self._open
        runs = Runs(capture, 1 if self._speed else _RUN, self._decode)
        started: float | None = None
        first_ms = previous_ms = 0
        while not self._stopping:
            count, ended, ignored = runs.read()
            self._ignored += ignored
            if count and self._speed:
                times = runs.times(count)
                if started is None or not 0 <= int(times[0]) - previous_ms <= _JUMP_MS:
                    # The beginning, or a stamp no replay can wait for: from here the recorded intervals count again.
                    started, first_ms = time.monotonic(), int(times[0])
                previous_ms = int(times[0])
                due = started + (int(times[0]) - first_ms) / 1000 / self._speed
                while not self._stopping and (wait := due - time.monotonic()) > 0:
                    now_ms = first_ms + int((time.monotonic() - started) * 1000 * self._speed)
                    self._advance(min(now_ms, int(times[0])))
                    yield
                    time.sleep(min(wait, _TICK_S))
            if count:
                self._consume(runs, count)
            yield
            if ended == -1:
                raise errors.CaptureTruncated(
                    f"reading capture {self.source.name}: {capture.error()}; the {self._packets} packets before "
                    "it were metered. The file is damaged or still being written"
                )
            if ended:
                return

    def _live_runs(self) -> Iterator[None]:
        capture = self._open
        runs = Runs(capture, _RUN, self._decode)
        checked = time.monotonic()
        drain_until: float | None = None
        while True:
            count, ended, ignored = runs.read(until=time.monotonic() + _TICK_S)
            self._ignored += ignored
            if count:
                self._consume(runs, count)
            now = time.monotonic()
            if self._stopping:  # what the kernel has taken already is metered too
                drain_until = drain_until or now + _DRAIN_S
                if ended or now > drain_until:
                    return
            elif ended and not count:
                capture.wait(_TICK_S)
            if ended and (now - checked > _ALIVE_CHECK_S or capture.error()):
                capture.require_alive()
                checked = now
            if ended and self._tick:  # nothing waits in the kernel: the clock may speak for packets that do not come
                self._advance(int(time.time() * 1000) - _LATENESS_MS)
            yield

    def _consume(self, runs: Runs, count: int) -> None:
        """Meter the packets of one run."""
        times = self._traffic_times(runs.times(count))
        runs.set_times(times)
        self._packets += count
        table = self._table
        find = table.get
        update = lib.meter_update_flow
        idle, active = self.profile.idle_timeout_ms, self.profile.active_timeout_ms
        mode = self.profile.accounting_mode
        nothing = ffi.NULL
        for packet, key, now, closing in zip(
            runs.pointers, runs.keys(count), times.tolist(), runs.closing(count), strict=False
        ):
            if now >= self._next_slot:
                self._advance(now)
            entry = find(key)
            if entry is None:
                self._create(packet, key, now)
                continue
            expired = update(entry[0], packet, idle, active, mode, 1, 0, 0, nothing, 0)
            if expired:
                flow = entry[0]
                ended = int(flow.bidirectional_last_seen_ms) + idle if expired == 1 else now
                self._emit(entry, ended, EndReason.IDLE if expired == 1 else EndReason.ACTIVE)
                self._create(packet, key, now)
            elif closing:
                self._schedule(entry, self._deadline(entry[0])[0])
        self._tick = int(times[-1])

    def _traffic_times(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Times that never run backwards, with unusable ones replaced by the latest good one and counted.

        A packet stamped far away from its neighbours would otherwise close every flow and poison all later ones.
        """
        if self.profile.tcp_linger_ms != _NEVER:
            bad = (times <= 0) | (times > _YEAR_2100_MS)
            live = self._open.live
            if live:
                bad |= np.abs(times - int(time.time() * 1000)) > _LIVE_CLOCK_TOLERANCE_MS
            if len(times) > 2:
                spike = (times[1:-1] - times[:-2] > _JUMP_MS) & (times[1:-1] - times[2:] > _JUMP_MS)
                bad[1:-1] |= spike
            if bad.any():
                self._corrections += int(bad.sum())
                good = np.flatnonzero(~bad)
                latest = np.searchsorted(good, np.arange(len(times)), side="right") - 1
                first = self._tick or (int(times[good[0]]) if len(good) else int(time.time() * 1000))
                times = np.where(latest >= 0, times[good[latest]] if len(good) else first, first)
            if self._tick - int(times[0]) > _STEP_BACK_MS[live]:
                # The clock was set back, or the run before ended on a stray stamp: what is held ends here, and time
                # begins anew. Else nothing would end until the clock had caught up.
                self._corrections += 1
                self._advance(_NEVER)
                self._tick = 0
            back = np.flatnonzero(np.diff(times) < -_STEP_BACK_MS[live])
            if len(back):  # within a run: the packets after the step are shifted onto what went before, and counted
                self._corrections += len(back)
                for at in back.tolist():
                    times[at + 1 :] += times[at] - times[at + 1]
        return np.maximum.accumulate(np.maximum(times, self._tick))

    # --- the flow table ----------------------------------------------------------------------------------------

    def _create(self, packet: Any, key: bytes, now: int) -> None:
        flow = lib.meter_initialize_flow(packet, self.profile.accounting_mode, 1, 0, 0, ffi.NULL, 0)
        if flow == ffi.NULL:
            self._evict(max(1, self._active // 4), now)
            self._ignored += 1
            return
        if self._active >= self._max_flows:
            self._evict(max(1, self._max_flows // 16), now)
        entry = [flow, key, engine.reverse_key(key), _NEVER]
        self._table[key] = self._table[entry[2]] = entry
        self._active += 1
        half_open = self.profile.half_open_timeout_ms
        wait = half_open if flow.protocol == TCP and half_open < self.profile.idle_timeout_ms else None
        self._schedule(entry, now + (self.profile.idle_timeout_ms if wait is None else wait))

    def _deadline(self, flow: Any) -> tuple[int, EndReason]:
        """When the flow is over if nothing more comes, in milliseconds of traffic time, and why."""
        profile = self.profile
        last = int(flow.bidirectional_last_seen_ms)
        if flow.protocol == TCP:
            if flow.bidirectional_rst_packets or (flow.src2dst_fin_packets and flow.dst2src_fin_packets):
                linger = min(profile.tcp_linger_ms, profile.idle_timeout_ms)
                return last + linger, EndReason.TCP if linger == profile.tcp_linger_ms else EndReason.IDLE
            if not flow.dst2src_packets and profile.half_open_timeout_ms < profile.idle_timeout_ms:
                return last + profile.half_open_timeout_ms, EndReason.HALF_OPEN
        return last + profile.idle_timeout_ms, EndReason.IDLE

    def _schedule(self, entry: list[Any], deadline: int) -> None:
        slot = deadline // _SLOT_MS
        if slot >= entry[3]:
            return  # it will be looked at before that anyway
        entry[3] = slot
        waiting = self._slots.get(slot)
        if waiting is None:
            self._slots[slot] = [entry]
            self._next_slot = min(self._next_slot, (slot + 1) * _SLOT_MS)
        else:
            waiting.append(entry)

    def _advance(self, now: int, *, final: bool = False) -> None:
        """Emit, sorted by deadline, every flow whose slot ended by `now`."""
        table = self._table
        while now >= self._next_slot and self._slots:
            slot = self._next_slot // _SLOT_MS - 1
            due = []
            for entry in self._slots.pop(slot, ()):
                if entry[3] != slot or table.get(entry[1]) is not entry:
                    continue  # emitted already, or moved to an earlier slot
                deadline, reason = self._deadline(entry[0])
                entry[3] = _NEVER
                if deadline // _SLOT_MS > slot:
                    self._schedule(entry, deadline)
                else:
                    due.append((deadline, int(entry[0].bidirectional_first_seen_ms), entry[1], entry, reason))
            for deadline, _, _, entry, reason in sorted(due, key=lambda item: item[:3]):
                self._emit(entry, deadline, EndReason.STOP if final and reason is not EndReason.TCP else reason)
            self._next_slot = (min(self._slots) + 1) * _SLOT_MS if self._slots else _NEVER

    def _evict(self, count: int, now: int) -> None:
        """Emit the `count` least recently seen flows early. One pass over the table pays for many new flows."""
        entries = [entry for key, entry in self._table.items() if key is entry[1]]
        seen = np.fromiter((entry[0].bidirectional_last_seen_ms for entry in entries), dtype=np.int64)
        for position in np.argsort(seen, kind="stable")[:count].tolist():
            self._emit(entries[position], now, EndReason.EVICTED)
            self._evicted += 1

    def _emit(self, entry: list[Any], ended_ms: int, reason: EndReason) -> None:
        flow, key, back, _ = entry
        entry[:] = (None, None, None, _NEVER)  # the slot keeps the list until it comes up: let it hold nothing
        del self._table[key]
        self._table.pop(back, None)  # a flow with itself has one key
        self._active -= 1
        self._out.put(flow, ended_ms, reason)
        lib.meter_free_flow(flow, 0, 0, 1)

    def _release(self) -> None:
        """Free what an abandoned iteration still holds."""
        for key, entry in self._table.items():
            if key is entry[1]:
                lib.meter_free_flow(entry[0], 0, 0, 1)
        self._table.clear()
        self._slots.clear()
        self._active = 0


def read_capture(path: Path, profile: CaptureProfile | None = None, *, bpf: str = "") -> Iterator[NDArray]:
    """The flows of a capture file, in batches of `FLOW`. Raises as `Meter.batches` does."""
    yield from Meter(FileSource(path, bpf), profile).batches()
