"""Packets as they come from a capture, a run at a time.

A run is an array of the engine's packet structures. Reading several before metering any lets times, keys and flags be
computed for all of them at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from agent import engine
from agent.engine import ffi, lib

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Runs:
    """An array of engine packets, filled by one call after another."""

    def __init__(self, capture: engine.Capture, size: int, decode_tunnels: int) -> None:
        self._capture = capture
        self._size = size
        self._decode = decode_tunnels
        self._memory = ffi.new("struct nf_packet[]", size)
        self._bytes = np.frombuffer(ffi.buffer(self._memory), dtype="u1").reshape(size, engine.PACKET_SIZE)
        self._packets = self._bytes.reshape(-1).view(engine.PACKET)
        self.pointers = [self._memory + position for position in range(size)]

    def read(self, until: float | None = None) -> tuple[int, int, int]:
        """Packets read, how the run ended (0 full or out of time, -1 nothing more now, -2 end of file), ignored."""
        self._bytes[:] = 0  # the engine leaves fields of the other family and of other protocols as they were
        handle, mode, decode = self._capture.handle, self._capture.mode, self._decode
        read, pointers, size = lib.capture_next, self.pointers, self._size
        count = ignored = 0
        while count < size:
            result = read(handle, pointers[count], decode, 1, 0, mode)
            if result > 0:
                count += 1
            elif result == 0:
                ignored += 1
            else:
                return count, result, ignored
            if until is not None and time.monotonic() > until:
                break
        return count, 0, ignored

    def times(self, count: int) -> NDArray[np.int64]:
        """Time stamps in milliseconds, as the capture has them."""
        return self._packets["time"][:count].astype(np.int64)

    def set_times(self, times: NDArray[np.int64]) -> None:
        """Replace the time stamps of the first packets."""
        self._packets["time"][: len(times)] = times

    def keys(self, count: int) -> list[bytes]:
        """A key a packet; see `engine.packet_keys`."""
        return engine.packet_keys(self._bytes[:count])

    def closing(self, count: int) -> list[bool]:
        """Whether each packet carries FIN or RST."""
        closing: list[bool] = ((self._packets["fin"][:count] & engine.FIN_OR_RST) != 0).tolist()
        return closing
