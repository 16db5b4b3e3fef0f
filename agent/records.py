"""Finished flows, copied out of the engine's memory and turned into `FLOW` records a batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent import engine
from agent.engine import ffi
from agent.flow import DIRECTIONS, FLOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from agent.flow import EndReason


class Outbox:
    """Takes engine flows one by one and gives `FLOW` arrays of at most `size` rows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ready: list[NDArray] = []
        self._ended: list[int] = []
        self._reasons: list[int] = []
        self._memory = bytearray(size * engine.FLOW_SIZE)
        self._target = ffi.from_buffer("char[]", self._memory)
        self.count = 0

    def put(self, flow: Any, ended_ms: int, reason: EndReason) -> None:
        """Copy what is read of an engine flow; its memory may be freed afterwards."""
        ffi.memmove(self._target + len(self._ended) * engine.FLOW_SIZE, flow, engine.FLOW_SIZE)
        self._ended.append(ended_ms)
        self._reasons.append(reason)
        self.count += 1
        if len(self._ended) == self._size:
            self._ready.append(self._convert())

    def full(self) -> Iterator[NDArray]:
        """Batches of full size."""
        while self._ready:
            yield self._ready.pop(0)

    def partial(self) -> NDArray:
        """What is there, possibly nothing."""
        return self._convert()

    def _convert(self) -> NDArray:
        rows = len(self._ended)
        flows = np.zeros(rows, dtype=FLOW)
        if rows:
            raw = np.frombuffer(self._memory, dtype=engine.ENGINE_FLOW, count=rows)
            for name in engine.ENGINE_FLOW.names or ():
                if not name.endswith("_ip"):
                    flows[name] = raw[name]
            four = flows["ip_version"] != 6
            for name in ("src_ip", "dst_ip"):
                address = np.frombuffer(raw[name].tobytes(), dtype="u1").reshape(rows, 16)
                flows[name] = address
                flows[name][four, :10] = 0
                flows[name][four, 10:12] = 0xFF
                flows[name][four, 12:] = address[four, :4]
            for direction in DIRECTIONS:
                packets = flows[f"{direction}_packets"].astype(np.float64)
                _finish(flows, f"{direction}_stddev_ps", packets - 1)
                _finish(flows, f"{direction}_stddev_piat_ms", packets - 2)
            flows["ended_ms"] = self._ended
            flows["end"] = self._reasons
        self._ended, self._reasons = [], []
        return flows


def _finish(flows: NDArray, name: str, freedom: NDArray[np.float64]) -> None:
    """The engine keeps sums of squared differences (Welford); a sample deviation is sqrt(sum / degrees of freedom)."""
    sums = flows[name]
    flows[name] = np.sqrt(np.divide(sums, freedom, out=sums.copy(), where=freedom > 0))
