"""Time and waiting, handed in. Only this module and `main.py` may ask the operating system for either.

Wall time is UTC milliseconds since the epoch and may jump: it labels. Monotonic seconds never jump: they measure.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What anything in the agent knows of time."""

    def wall_ms(self) -> int:
        """UTC milliseconds since the epoch. May jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start. Never jumps."""

    def wait(self, seconds: float) -> bool:
        """Wait, at most `seconds`; True when woken early by `wake`."""

    def wake(self) -> None:
        """End the current and every later wait at once. Safe in a signal handler."""


class SystemClock:
    """The clock of the host."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wall_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def wait(self, seconds: float) -> bool:
        """Wait, at most `seconds`; True when woken early."""
        return self._woken.wait(max(0.0, seconds))

    def wake(self) -> None:
        """End the current and every later wait."""
        self._woken.set()
