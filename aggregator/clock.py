"""Time, handed in. The only module of the aggregator that asks the system what time it is.

Wall time is UTC milliseconds and may step; waiting and limits use the monotonic clock, which does not.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the aggregator needs of time."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps."""

    async def sleep(self, seconds: float) -> None:
        """Wait without holding the event loop."""


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without holding the event loop."""
        await asyncio.sleep(seconds)
