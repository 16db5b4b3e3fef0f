"""Where flows come from: an interface that is lost and returns, and captures one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from agent.errors import CaptureTruncated, InterfaceLost, InterfaceMissing, NotACapture
from agent.flow import FLOW
from agent.meter import MeterStats
from agent.sources import LiveFlows, ReplayFlows

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    """Waiting takes no time here."""

    now = 0.0
    waited = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 0

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.waited += seconds
        return False

    def wake(self) -> None: ...


class FakeMeter:
    """Yields `flows` batches of one flow, then ends or fails."""

    def __init__(self, flows: int, failure: Exception | None = None) -> None:
        self._flows = flows
        self._failure = failure
        self._seen = 0
        self.stopped = False

    @property
    def stats(self) -> MeterStats:
        return MeterStats(packets=10 * self._seen, flows=self._seen, active=3, traffic_ms=self._seen)

    def batches(self) -> Iterator[np.ndarray]:
        for _ in range(self._flows):
            if self.stopped:
                return
            self._seen += 1
            yield np.zeros(1, dtype=FLOW)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self.stopped = True


def test_an_interface_that_vanishes_is_metered_again_when_it_returns() -> None:
    """Lost, missing for a while, back: the flows go on, the counts too, and the trouble is named meanwhile."""
    script = [
        FakeMeter(2, InterfaceLost("eth0 went down")),
        FakeMeter(0, InterfaceMissing("eth0 does not exist")),
        FakeMeter(0, InterfaceMissing("eth0 does not exist")),
        FakeMeter(3),
    ]
    meters = iter(script)
    clock = Clock()
    source = LiveFlows("eth0", lambda: next(meters), clock)
    seen = []
    for flows in source.batches():
        seen.append((len(flows), source.trouble))
    assert [count for count, _ in seen if count] == [1] * 5
    assert {trouble for count, trouble in seen if count} == {""}
    assert {trouble for count, trouble in seen if not count} == {"eth0 went down", "eth0 does not exist"}
    assert clock.waited == pytest.approx(1 + 2 + 4), "pauses grow"
    assert (source.stats.packets, source.stats.flows, source.stats.active) == (50, 5, 0)


def test_an_interface_that_never_was_is_an_error() -> None:
    """A name that does not exist at start is a mistake, not an outage."""
    source = LiveFlows("eth9", lambda: FakeMeter(0, InterfaceMissing("eth9 does not exist")), Clock())
    with pytest.raises(InterfaceMissing):
        list(source.batches())


def test_a_stop_ends_the_waiting() -> None:
    """A sensor that is stopped while its interface is away ends at once."""
    source = LiveFlows("eth0", lambda: FakeMeter(1, InterfaceLost("down")), Clock())
    stream = source.batches()
    next(stream)
    next(stream)
    source.stop()
    assert len(list(stream)) <= 1


def replay(*meters: FakeMeter) -> tuple[ReplayFlows, list[str]]:
    opened: list[str] = []
    script = iter(meters)
    files = [Path(f"{number}.pcap") for number in range(len(meters))]

    def new(path: Path) -> FakeMeter:
        opened.append(str(path))
        return next(script)

    return ReplayFlows(files, new), opened


def test_captures_follow_one_another_without_memory() -> None:
    """Each capture has a meter of its own and is a part of its own, and the counts are of all."""
    source, opened = replay(FakeMeter(2), FakeMeter(3))
    assert [source.part for _ in source.batches()] == [0, 0, 1, 1, 1]
    assert opened == ["0.pcap", "1.pcap"]
    assert source.stats.packets == 50
    assert source.name == "0.pcap, 1.pcap"


def test_a_truncated_capture_does_not_keep_the_others_from_being_read() -> None:
    """Everything whole is metered; what was wrong is remembered."""
    source, _ = replay(FakeMeter(2, CaptureTruncated("cut")), FakeMeter(3))
    assert sum(len(flows) for flows in source.batches()) == 5
    assert isinstance(source.failure, CaptureTruncated)


def test_what_is_no_capture_is_an_error() -> None:
    """A file that is not a capture ends the replay."""
    source, _ = replay(FakeMeter(0, NotACapture("text")), FakeMeter(3))
    with pytest.raises(NotACapture):
        list(source.batches())


def test_a_stop_between_captures() -> None:
    """A stop reaches the meter that runs and keeps the next from starting."""
    source, opened = replay(FakeMeter(5), FakeMeter(5))
    stream = source.batches()
    next(stream)
    source.stop()
    list(stream)
    assert opened == ["0.pcap"]
