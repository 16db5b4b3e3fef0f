"""Files: a capture in the classic pcap format, and the labels of its flows beside it.

Promises:

- A file appears by rename when it is whole; an interrupted run leaves nothing under the name that was asked for.
- Nothing is held back: packets and labels go to disk as they come, through buffers of a few hundred kilobytes.
- The labels are one JSON document: `format`, what made them, `columns`, and `flows` with a list for every flow of which
  a packet was written, in the order of their ends. Times are milliseconds UTC, cut as NFStream cuts them.
"""

from __future__ import annotations

import json
import struct
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from trainer import appearing as files
from trainer.errors import OutputError
from trainer.traffic.packets import TrafficError
from trainer.traffic.templates import ICMP, ICMPV6

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from trainer.traffic.flows import Flow
    from trainer.traffic.packets import Packet

FORMAT: Final = 1
COLUMNS: Final = (
    "src_ip",
    "src_port",
    "dst_ip",
    "dst_port",
    "protocol",
    "first_ms",
    "last_ms",
    "packets",
    "label",
    "kind",
    "campaign",
)
BENIGN: Final = "benign"
MALICIOUS: Final = "malicious"

_FILE_HEADER = struct.Struct("<IHHiIII").pack(0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
_record = struct.Struct("<IIII").pack
_MEGA = 1_000_000
_CHUNK = 2048


@contextmanager
def appearing(path: Path, mode: str) -> Iterator[IO[Any]]:
    """A file that takes its name when the block ends well. Raises `TrafficError` where it cannot be written."""
    try:
        with files.appearing(path) as beside, beside.open(mode, buffering=1 << 18) as stream:
            yield stream
    except OutputError as error:
        raise TrafficError(f"cannot write what was made: {error}") from error


def write_packets(stream: IO[bytes], packets: Iterable[Packet], start_us: int) -> int:
    """The capture of `packets`, whose times count from `start_us` (microseconds UTC). Returns how many there were."""
    stream.write(_FILE_HEADER)
    parts: list[bytes] = []
    written = 0
    for time, frame, length in packets:
        seconds, rest = divmod(start_us + time, _MEGA)
        parts.append(_record(seconds, rest, len(frame), length))
        parts.append(frame)
        written += 1
        if len(parts) >= _CHUNK:
            stream.write(b"".join(parts))
            parts.clear()
    stream.write(b"".join(parts))
    return written


class LabelWriter:
    """Writes one row a flow, and counts flows and packets by kind."""

    def __init__(self, stream: IO[str], start_us: int, about: dict[str, Any]) -> None:
        self._stream = stream
        self._start_us = start_us
        self._first = True
        self.by_kind: dict[str, list[int]] = {}
        head = json.dumps({"format": FORMAT, **about, "columns": COLUMNS})
        stream.write(head[:-1] + ', "flows": [\n')

    def add(self, flow: Flow) -> None:
        """The row of a flow that is over. What is not IP is counted, but has no row: no meter sees it."""
        counts = self.by_kind.setdefault(flow.kind, [0, 0])
        counts[0] += 1
        counts[1] += flow.written
        if not flow.protocol:
            return
        source, sport, target, dport = flow.ends
        if flow.protocol in (ICMP, ICMPV6):
            sport = dport = 0
        row = (
            str(source),
            sport,
            str(target),
            dport,
            flow.protocol,
            (self._start_us + flow.first_us) // 1000,
            (self._start_us + flow.last_us) // 1000,
            flow.written,
            MALICIOUS if flow.campaign else BENIGN,
            flow.kind,
            flow.campaign,
        )
        self._stream.write(("" if self._first else ",\n") + json.dumps(row, separators=(",", ":")))
        self._first = False

    def close(self) -> None:
        """End the document."""
        self._stream.write("\n]}\n")
