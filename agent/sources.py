"""Where the flows come from: an interface that may vanish and return, or captures one after the other.

Both are a stream of batches with empty ones as ticks, so the sensor looks at the clock the same way. The live source
goes on after an interface was lost: it says so, tries again with growing pauses, and meters on when the interface is
back. It gives up only when the very first attempt fails for a reason that a person must settle.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from agent.errors import CaptureTruncated, InterfaceLost, InterfaceMissing, SourceError
from agent.flow import FLOW
from agent.meter import MeterStats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from agent.clock import Clock

log = logging.getLogger(__name__)

NOTHING: Final = np.zeros(0, dtype=FLOW)
_TICK_S: Final = 0.2
_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


class Metering(Protocol):
    """What is needed of `agent.meter.Meter`."""

    @property
    def stats(self) -> MeterStats:
        """Counts so far."""

    def batches(self) -> Iterator[NDArray]:
        """Finished flows."""

    def stop(self) -> None:
        """End soon."""


class Source(Protocol):
    """Batches of `FLOW`, and what became of the packets.

    `part` rises when flows begin that have nothing to do with the ones before: another capture.
    """

    part: int
    trouble: str
    failure: SourceError | None
    name: str

    @property
    def stats(self) -> MeterStats:
        """Counts since the start, over every meter."""

    def batches(self) -> Iterator[NDArray]:
        """Finished flows and, at least every 200 ms or so, something even if it is empty."""

    def stop(self) -> None:
        """End soon, emitting what is held. Safe in a signal handler."""


@dataclass(slots=True)
class _Counts:
    """Sums over meters that ended."""

    total: MeterStats

    def add(self, stats: MeterStats) -> None:
        self.total = self.with_current(stats, active=0)

    def with_current(self, stats: MeterStats, active: int | None = None) -> MeterStats:
        sums = {
            field.name: getattr(self.total, field.name) + getattr(stats, field.name) for field in fields(MeterStats)
        }
        sums["active"] = stats.active if active is None else active
        sums["traffic_ms"] = stats.traffic_ms or self.total.traffic_ms
        return MeterStats(**sums)


class _Metered:
    """What the two sources have alike: one meter after another, and what they all counted."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.part = 0
        self.trouble = ""
        self.failure: SourceError | None = None
        self._meter: Metering | None = None
        self._counts = _Counts(MeterStats())
        self._stopping = False

    @property
    def stats(self) -> MeterStats:
        """Counts since the start, over every meter."""
        return self._counts.with_current(self._meter.stats) if self._meter else self._counts.total

    def stop(self) -> None:
        """End soon, emitting what is held. Safe in a signal handler."""
        self._stopping = True
        if self._meter is not None:
            self._meter.stop()


class LiveFlows(_Metered):
    """An interface. `new_meter` makes a meter for it; each lasts until the interface is lost."""

    def __init__(self, name: str, new_meter: Callable[[], Metering], clock: Clock) -> None:
        super().__init__(name)
        self._new_meter = new_meter
        self._clock = clock

    def stop(self) -> None:
        """End soon, also when it waits for the interface to come back."""
        super().stop()
        self._clock.wake()

    def batches(self) -> Iterator[NDArray]:
        """Flows while the interface is there, empty batches while it is not."""
        seen = False
        pause = _FIRST_PAUSE_S
        while not self._stopping:
            self._meter = self._new_meter()
            try:
                for flows in self._meter.batches():
                    if self.trouble:
                        log.info("interface_back iface=%s", self.name)
                        self.trouble = ""
                    seen, pause = True, _FIRST_PAUSE_S
                    yield flows
            except InterfaceLost as error:
                self._lost(error)
            except InterfaceMissing as error:
                if not seen and not self.trouble:
                    raise
                self._lost(error)
            else:
                return
            finally:
                self._counts.add(self._meter.stats)
                self._meter = None
            yield from self._wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _lost(self, error: SourceError) -> None:
        if not self.trouble:
            log.error("interface_lost iface=%s error=%s", self.name, error)
        self.trouble = str(error)

    def _wait(self, seconds: float) -> Iterator[NDArray]:
        until = self._clock.monotonic() + seconds
        while not self._stopping and (left := until - self._clock.monotonic()) > 0:
            yield NOTHING
            self._clock.wait(min(left, _TICK_S))


class ReplayFlows(_Metered):
    """Captures one after the other, each with a meter of its own and as a `part` of its own."""

    def __init__(self, files: Sequence[Path], new_meter: Callable[[Path], Metering]) -> None:
        super().__init__(", ".join(file.name for file in files))
        self._files = files
        self._new_meter = new_meter

    def batches(self) -> Iterator[NDArray]:
        """Flows of every capture. `failure` says when one was truncated; the next one follows all the same."""
        for number, file in enumerate(self._files):
            if self._stopping:
                return
            self.part = number
            self._meter = self._new_meter(file)
            try:
                yield from self._meter.batches()
            except CaptureTruncated as error:
                log.warning("capture_truncated error=%s", error)
                self.failure = error
            finally:
                self._counts.add(self._meter.stats)
                self._meter = None
