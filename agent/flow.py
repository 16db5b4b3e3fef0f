"""A finished flow: the numpy record that the meter emits and everything later reads.

`FLOW` is independent of the engine's memory layout. Names are NFStream's. Addresses are 16 bytes in network order, an
IPv4 address as `::ffff:a.b.c.d`, so that one column serves both families. MAC addresses and application names have no
place here: what is not in the record cannot leave the host.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

DIRECTIONS: Final = ("bidirectional", "src2dst", "dst2src")
FLAGS: Final = ("syn", "cwr", "ece", "urg", "ack", "psh", "rst", "fin")


class EndReason(IntEnum):
    """Why the meter closed a flow. Values follow `EndReason` in flow.proto (a test holds them together)."""

    IDLE = 1
    ACTIVE = 2
    TCP = 3
    HALF_OPEN = 4
    EVICTED = 5
    STOP = 6


def _direction_fields(direction: str) -> list[tuple[str, str]]:
    times = [(f"{direction}_{name}", "<u8") for name in ("first_seen_ms", "last_seen_ms", "duration_ms")]
    volume = [(f"{direction}_{name}", "<u8") for name in ("packets", "bytes")]
    sizes = [
        (f"{direction}_{stat}_ps", kind)
        for stat, kind in (("min", "<u2"), ("mean", "<f8"), ("stddev", "<f8"), ("max", "<u2"))
    ]
    gaps = [
        (f"{direction}_{stat}_piat_ms", kind)
        for stat, kind in (("min", "<u8"), ("mean", "<f8"), ("stddev", "<f8"), ("max", "<u8"))
    ]
    flags = [(f"{direction}_{flag}_packets", "<u8") for flag in FLAGS]
    return times + volume + sizes + gaps + flags


FLOW: Final = np.dtype(
    [
        ("src_ip", "u1", 16),
        ("dst_ip", "u1", 16),
        ("src_port", "<u2"),
        ("dst_port", "<u2"),
        ("protocol", "u1"),
        ("ip_version", "u1"),
        ("vlan_id", "<u2"),
        ("tunnel_id", "<u4"),
        ("end", "u1"),
        ("ended_ms", "<u8"),
        *[field for direction in DIRECTIONS for field in _direction_fields(direction)],
    ]
)
"""One finished flow. `ended_ms` is the traffic time at which the flow was declared over (its last packet plus the
timeout that closed it); batches are ordered by it, live and in replay, so context features agree. Standard deviations
are final (sample deviation), not running sums."""

TCP: Final = 6
UDP: Final = 17
ICMP: Final = 1
ICMPV6: Final = 58
