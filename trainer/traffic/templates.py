"""Header templates: scapy crafts one for each kind of packet, all variable fields zero.

With addresses, ports, numbers, lengths and checksums zero, a checksum is later the template's constant sum and the
words that were patched in. Frames too rare to be worth patching (ARP, neighbour discovery) are crafted whole.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

TCP: Final = 6
UDP: Final = 17
ICMP: Final = 1
ICMPV6: Final = 58


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a frame: addresses in network order, and what the sender's system puts in headers.

    `mac` is the next hop's for hosts behind the gateway. `stamps` tells whether its TCP uses timestamps (RFC 7323).
    """

    mac: bytes
    ip: bytes
    ttl: int = 64
    stamps: bool = False

    @property
    def version(self) -> int:
        """4 or 6."""
        return 4 if len(self.ip) == 4 else 6

    def __str__(self) -> str:
        return str(ipaddress.ip_address(self.ip))


@dataclass(frozen=True, slots=True)
class Template:
    """A crafted header, addresses, ports, lengths and checksums zero, with the sums of what stays constant."""

    data: bytes
    version: int
    transport: int
    """Offset of the transport header in bytes."""
    ip_sum: int
    transport_sum: int
    """Sum of the constant transport words, and for all but ICMP of the protocol number in the pseudo header."""
    stamp: int = 0
    """Offset of the TCP timestamp's two words, 0 without the option."""


@cache
def templates() -> dict[str, Template]:
    """All header templates, crafted by scapy on first use, by kind and IP version: `tcp4`, `syn_stamped6`."""
    from scapy.layers import inet
    from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
    from scapy.layers.l2 import Ether

    nobody, anywhere = str(ipaddress.IPv4Address(0)), str(ipaddress.IPv6Address(0))
    ether = Ether(src="00:00:00:00:00:00", dst="00:00:00:00:00:00")
    ip4 = ether / inet.IP(src=nobody, dst=nobody, id=0, len=0, chksum=0, ttl=0, flags="DF")
    ip6 = ether / IPv6(src=anywhere, dst=anywhere, plen=0, hlim=0)
    stamps = [("NOP", None), ("NOP", None), ("Timestamp", (0, 0))]

    def tcp(options: list[tuple[str, object]]) -> object:
        return inet.TCP(sport=0, dport=0, seq=0, ack=0, flags=0, window=0, chksum=0, options=options)

    def syn(mss: int, *, stamped: bool) -> object:
        middle: list[tuple[str, object]] = [("Timestamp", (0, 0))] if stamped else [("NOP", None), ("NOP", None)]
        return tcp([("MSS", mss), ("SAckOK", b""), *middle, ("NOP", None), ("WScale", 7 if stamped else 8)])

    udp = inet.UDP(sport=0, dport=0, len=0, chksum=0)
    crafted: dict[str, Template] = {}
    for version, ip, mss in ((4, ip4, 1460), (6, ip6, 1440)):
        transport = 34 if version == 4 else 54
        for kind, layer, stamp, number in (
            ("tcp", tcp([]), 0, TCP),
            ("tcp_stamped", tcp(list(stamps)), transport + 24, TCP),
            ("syn", syn(mss, stamped=False), 0, TCP),
            ("syn_stamped", syn(mss, stamped=True), transport + 28, TCP),
            # Scanners that build their own segments send the bare maximum segment size only.
            ("syn_bare", tcp([("MSS", 1460)]), 0, TCP),
            ("udp", udp, 0, UDP),
        ):
            crafted[f"{kind}{version}"] = _template(bytes(ip / layer), version, transport, stamp, number)
    for kind, code in (("echo_request", 8), ("echo_reply", 0)):
        crafted[f"{kind}4"] = _template(bytes(ip4 / inet.ICMP(type=code, id=0, seq=0, chksum=0)), 4, 34, 0, 0)
    crafted["unreachable4"] = _template(bytes(ip4 / inet.ICMP(type=3, code=3, chksum=0, unused=0)), 4, 34, 0, 0)
    crafted["echo_request6"] = _template(bytes(ip6 / ICMPv6EchoRequest(id=0, seq=0, cksum=0)), 6, 54, 0, ICMPV6)
    crafted["echo_reply6"] = _template(bytes(ip6 / ICMPv6EchoReply(id=0, seq=0, cksum=0)), 6, 54, 0, ICMPV6)
    return crafted


@lru_cache(maxsize=4096)
def arp(asker: Endpoint, asked: Endpoint) -> tuple[bytes, bytes]:
    """An ARP request and its reply."""
    from scapy.layers.l2 import ARP, Ether

    own, other = (str(end) for end in (asker, asked))
    question = Ether(src=asker.mac, dst=b"\xff" * 6) / ARP(op=1, hwsrc=asker.mac, psrc=own, pdst=other)
    reply = Ether(src=asked.mac, dst=asker.mac) / ARP(op=2, hwsrc=asked.mac, psrc=other, hwdst=asker.mac, pdst=own)
    return bytes(question), bytes(reply)


@lru_cache(maxsize=4096)
def neighbour(asker: Endpoint, asked: Endpoint) -> tuple[bytes, bytes]:
    """An IPv6 neighbour solicitation of a host that knows the other already, and the advertisement."""
    from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
    from scapy.layers.l2 import Ether

    own, other = (str(end) for end in (asker, asked))
    question = IPv6(src=own, dst=other, hlim=255) / ICMPv6ND_NS(tgt=other) / ICMPv6NDOptSrcLLAddr(lladdr=asker.mac)
    reply = IPv6(src=other, dst=own, hlim=255) / ICMPv6ND_NA(tgt=other, R=0) / ICMPv6NDOptDstLLAddr(lladdr=asked.mac)
    return (
        bytes(Ether(src=asker.mac, dst=asked.mac) / question),
        bytes(Ether(src=asked.mac, dst=asker.mac) / reply),
    )


def _template(data: bytes, version: int, transport: int, stamp: int, pseudo: int) -> Template:
    ip_sum = int.from_bytes(data[14:transport], "big") % 65535
    constant = bytearray(data[transport:])
    if pseudo == TCP:
        constant[12:14] = b"\0\0"  # offset and flags are patched together
    return Template(data, version, transport, ip_sum, int.from_bytes(constant, "big") % 65535 + pseudo, stamp)
