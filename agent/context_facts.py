"""What one flow record says by itself, before anything is remembered: the facts that the context counts. Pure.

Every fact is read from headers. Each is about how a kind of attack works, with a bound that any tool of that kind
meets, and none about a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from agent.flow import ICMP, ICMPV6, TCP, UDP, EndReason

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORT_BYTES: Final = 10_000
"""An exchange of at most so many bytes is short: a log-in, a poll, an error page; with TLS around it as well."""
IDLE_BYTES_PER_S: Final = 100.0
"""Below this rate a connection is held rather than used: one small packet and its acknowledgement a second are more."""
ORDINARY_PACKET: Final = 100.0
"""Bytes on the wire that an ordinary DNS question or a default ping stays within: 98 for a ping of 56 bytes, 70 to 95
for the name of a host."""
SERVICE_NAME: Final = 50.0
"""Bytes that one question of a flow may have beyond that: directories name services by site and domain (RFC 2782), and
such a name is that much longer than a host's. Clients ask each from a port of its own; a tunnel goes on asking."""
_DNS_PORT: Final = 53
_MULTICAST_V4: Final = (224, 239)
_BROADCAST: Final = 255


def group_address(flows: NDArray) -> NDArray[np.bool_]:
    """Flows to a multicast or broadcast address, where no answer is due.

    224.0.0.0/4, ff00::/8, and IPv4 addresses that end in 255: the limited broadcast, and the directed broadcast of
    every network that ends on an octet. (In a larger network a host can have such an address; it is one in 256.)
    """
    address = flows["dst_ip"]
    first, last = address[:, 12], address[:, 15]
    four = ((first >= _MULTICAST_V4[0]) & (first <= _MULTICAST_V4[1])) | (last == _BROADCAST)
    result: NDArray[np.bool_] = np.where(flows["ip_version"] == 6, address[:, 0] == 0xFF, four)
    return result


def unanswered(flows: NDArray) -> NDArray[np.bool_]:
    """Flows to one host that never answered, or refused: no packet back, or a TCP SYN that no SYN came back for."""
    silent = flows["dst2src_packets"] == 0
    turned_away = _asked(flows) & (flows["dst2src_syn_packets"] == 0)
    result: NDArray[np.bool_] = (silent | turned_away) & ~group_address(flows)
    return result


def refused(flows: NDArray) -> NDArray[np.bool_]:
    """TCP connections answered by a reset, or accepted and reset by either side before any data."""
    turned_away = (flows["dst2src_syn_packets"] == 0) & (flows["dst2src_rst_packets"] > 0)
    torn_down = (
        (flows["dst2src_syn_packets"] > 0)
        & (flows["bidirectional_rst_packets"] > 0)
        & (flows["bidirectional_psh_packets"] == 0)
        & (flows["src2dst_fin_packets"] == 0)
    )
    result: NDArray[np.bool_] = _asked(flows) & (turned_away | torn_down)
    return result


def exchanges(flows: NDArray) -> NDArray[np.bool_]:
    """Short TCP conversations seen whole: opened, data both ways, closed, at most `SHORT_BYTES`."""
    spoke = (flows["src2dst_psh_packets"] > 0) & (flows["dst2src_psh_packets"] > 0)
    short = flows["bidirectional_bytes"] <= SHORT_BYTES
    result: NDArray[np.bool_] = _asked(flows) & (flows["dst2src_syn_packets"] > 0) & spoke & _closed(flows) & short
    return result


def held(flows: NDArray) -> NDArray[np.bool_]:
    """Pieces of TCP conversations that both sides keep open, neither closing, while hardly anything is said.

    The meter cuts a long conversation at its timeouts, so one that is held gives a piece every few seconds.
    """
    thin = flows["bidirectional_bytes"] < IDLE_BYTES_PER_S * lasted_s(flows)
    result: NDArray[np.bool_] = (flows["protocol"] == TCP) & (flows["dst2src_packets"] > 0) & ~_closed(flows) & thin
    return result


def begins(flows: NDArray) -> NDArray[np.bool_]:
    """Flows that may begin a conversation: a TCP flow without the initiator's SYN is the rest of one."""
    result: NDArray[np.bool_] = (flows["protocol"] != TCP) | (flows["src2dst_syn_packets"] > 0)
    return result


def cut_off(flows: NDArray) -> NDArray[np.bool_]:
    """Flows that the meter ended while they went on: by the active timeout, or for want of room."""
    result: NDArray[np.bool_] = (flows["end"] == EndReason.ACTIVE) | (flows["end"] == EndReason.EVICTED)
    return result


def lasted_s(flows: NDArray) -> NDArray[np.float64]:
    """Seconds from the first packet until the flow was declared over, at least a millisecond."""
    lasted = flows["ended_ms"].astype(np.float64) - flows["bidirectional_first_seen_ms"]
    result: NDArray[np.float64] = np.maximum(lasted, 1.0) / 1000.0
    return result


def dns(flows: NDArray) -> NDArray[np.bool_]:
    """Flows to port 53, UDP or TCP. Names asked of the neighbourhood (5353, 5355) have other sizes and other rates."""
    result: NDArray[np.bool_] = (flows["dst_port"] == _DNS_PORT) & (
        (flows["protocol"] == UDP) | (flows["protocol"] == TCP)
    )
    return result


def icmp(flows: NDArray) -> NDArray[np.bool_]:
    """ICMP and ICMPv6 flows."""
    result: NDArray[np.bool_] = (flows["protocol"] == ICMP) | (flows["protocol"] == ICMPV6)
    return result


def volume(flows: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Packets, bytes, and bytes beyond `ORDINARY_PACKET` a packet, sent by the initiator; both ways for ICMP.

    Who of two hosts began an exchange of echoes is chance once the meter has cut it, and a tunnel uses both directions.
    """
    both = icmp(flows)
    packets, size = flows["src2dst_packets"].astype(np.float64), flows["src2dst_bytes"].astype(np.float64)
    large = np.maximum(size - ORDINARY_PACKET * packets - SERVICE_NAME * dns(flows), 0.0)
    back, returned = flows["dst2src_packets"] * both, flows["dst2src_bytes"] * both
    large += np.maximum(returned - ORDINARY_PACKET * back, 0.0)
    return packets + back, size + returned, large


def _asked(flows: NDArray) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (flows["protocol"] == TCP) & (flows["src2dst_syn_packets"] > 0)
    return result


def _closed(flows: NDArray) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (flows["bidirectional_fin_packets"] > 0) | (flows["bidirectional_rst_packets"] > 0)
    return result
