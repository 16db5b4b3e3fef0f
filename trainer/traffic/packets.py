"""Frames: the hot path patches addresses, ports, numbers, lengths and checksums into a crafted template.

Promises:

- Every frame that is not cut is what scapy would have built: lengths and the IP, TCP, UDP, ICMP and ICMPv6 checksums
  are right (a test lets scapy compute them again). A checksum is the sum of the template's constant and of the
  patched words, modulo 65535 (RFC 1071: one's complement addition is addition modulo 2^16 - 1, so a 32-bit field may be
  added whole).
- Payload is pseudo-random filler, behind an optional head of real bytes (a DNS message, a TLS record header). Its part
  of the checksum comes from running sums, so a full segment costs no more than an empty one.
- With `snap` set, an IPv4 frame is cut to that many bytes and keeps its original length beside it. IPv6 frames stay
  whole: the metering engine ignores IPv6 packets that are cut.
"""

from __future__ import annotations

import random
import struct
from itertools import accumulate
from typing import Final, TypeAlias

from trainer.traffic.templates import Endpoint, Template, templates

Packet: TypeAlias = tuple[int, bytes, int]
"""Microseconds since the start of the scenario, the frame as captured, its length on the wire in bytes."""

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

SMALLEST_SNAP: Final = 80
"""Every header of every template fits: Ethernet, IPv4, and TCP with the options of a SYN are 74 bytes."""

_FILLER_BYTES: Final = 1 << 16
_LARGEST_PAYLOAD: Final = 1 << 11

_segment = struct.Struct("!IIHHH").pack_into
_two_words = struct.Struct("!II").pack_into
_word = struct.Struct("!H").pack_into


class TrafficError(ValueError):
    """Traffic that cannot be made as asked. The message says what is wrong and what would be right."""


class Filler:
    """Pseudo-random payload, the same for the same seed, with running sums of its 16-bit words."""

    def __init__(self, seed: int | str) -> None:
        self.data = random.Random(f"filler/{seed}").randbytes(_FILLER_BYTES + _LARGEST_PAYLOAD)
        words = struct.unpack(f"!{len(self.data) // 2}H", self.data)
        self._sums = [0, *accumulate(words)]

    def total(self, offset: int, size: int) -> int:
        """Sum of the words of `size` bytes from the even `offset`, an odd last byte padded with zero."""
        end = offset + size
        total = self._sums[end >> 1] - self._sums[offset >> 1]
        return total + (self.data[end - 1] << 8) if size & 1 else total


class Wire:
    """What all frames of one capture share: the filler, and how many bytes of an IPv4 frame are kept (0: all)."""

    def __init__(self, seed: int | str, snap: int = 0) -> None:
        if snap and snap < SMALLEST_SNAP:
            raise TrafficError(
                f"snap length {snap} would cut headers off; give at least {SMALLEST_SNAP}, or 0 for whole packets"
            )
        self.filler = Filler(seed)
        self.snap = snap


class Sender:
    """One direction of one conversation: a template with its addresses set, ready for the fields of each packet.

    Base of the protocol-specific senders. `at` is the offset of the transport header.
    """

    __slots__ = ("_addresses", "_offset", "_wire", "at", "header", "ident", "ip_sum", "length", "snap", "version")

    def __init__(self, wire: Wire, template: Template, source: Endpoint, target: Endpoint, salt: int) -> None:
        header = bytearray(template.data)
        header[0:6] = target.mac
        header[6:12] = source.mac
        if template.version == 4:
            header[22] = source.ttl
            header[26:30] = source.ip
            header[30:34] = target.ip
        else:
            header[21] = source.ttl
            header[22:38] = source.ip
            header[38:54] = target.ip
        self._addresses = (int.from_bytes(source.ip, "big") + int.from_bytes(target.ip, "big")) % 65535
        self._wire = wire
        self._offset = salt & 0xFFFE
        self.version = template.version
        self.header = header
        self.at = template.transport
        self.length = len(header)
        self.ident = salt & 0xFFFF
        self.ip_sum = template.ip_sum + (source.ttl << 8) + self._addresses
        # The engine ignores IPv6 packets that are cut, so those stay whole.
        self.snap = wire.snap if template.version == 4 else 0

    def payload(self, size: int, head: bytes) -> tuple[int, int]:
        """Choose the filler behind an even-sized `head`. Returns its offset and the sum of the whole payload."""
        self._offset = offset = (self._offset + 1474) & 0xFFFE
        rest = size - len(head)
        total = self._wire.filler.total(offset, rest) if rest else 0
        return (offset, total + int.from_bytes(head, "big")) if head else (offset, total)

    def finish(self, size: int, head: bytes, offset: int) -> tuple[bytes, int]:
        """Patch the IP header for `size` bytes of payload. Returns the frame, cut to the snap length, and its size."""
        header, length = self.header, self.length
        wire = length + size
        if self.version == 4:
            self.ident = ident = (self.ident + 1) & 0xFFFF
            total = wire - 14
            _word(header, 16, total)
            _word(header, 18, ident)
            _word(header, 24, -(self.ip_sum + total + ident) % 65535)
            if self.snap and wire > self.snap:
                size = self.snap - length
                head = head[:size]
        else:
            _word(header, 18, wire - 54)
        if not size:
            return bytes(header), wire
        return bytes(header) + head + self._wire.filler.data[offset : offset + size - len(head)], wire


def even(head: bytes) -> bytes:
    """`head` with a zero byte more where its length is odd: filler is summed from word boundaries."""
    return head + b"\0" if len(head) & 1 else head


class TcpSender(Sender):
    """Segments of one direction. `kind` is a TCP template's name without the version."""

    __slots__ = ("_offset_bits", "_stamp", "_sum", "_tcp_length")

    def __init__(
        self, wire: Wire, kind: str, source: Endpoint, target: Endpoint, sport: int, dport: int, salt: int
    ) -> None:
        template = templates()[f"{kind}{source.version}"]
        super().__init__(wire, template, source, target, salt)
        _word(self.header, self.at, sport)
        _word(self.header, self.at + 2, dport)
        self._tcp_length = self.length - self.at
        self._offset_bits = self._tcp_length << 10  # in 32-bit words, in the upper four bits
        self._sum = template.transport_sum + self._addresses + sport + dport
        self._stamp = template.stamp

    def frame(
        self,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        size: int = 0,
        head: bytes = b"",
        stamp: int = 0,
        echo: int = 0,
    ) -> tuple[bytes, int]:
        """The segment with `size` bytes of payload, of which `head` (even-sized) are given. Frame and wire length."""
        offset, total = self.payload(size, head) if size else (0, 0)
        flags |= self._offset_bits
        total += self._sum + self._tcp_length + size + flags + window + seq + ack
        if self._stamp:
            total += stamp + echo
            _two_words(self.header, self._stamp, stamp, echo)
        _segment(self.header, self.at + 4, seq, ack, flags, window, -total % 65535)
        return self.finish(size, head, offset)


class UdpSender(Sender):
    """Datagrams of one direction."""

    __slots__ = ("_sum",)

    def __init__(self, wire: Wire, source: Endpoint, target: Endpoint, sport: int, dport: int, salt: int) -> None:
        template = templates()[f"udp{source.version}"]
        super().__init__(wire, template, source, target, salt)
        _word(self.header, self.at, sport)
        _word(self.header, self.at + 2, dport)
        self._sum = template.transport_sum + self._addresses + sport + dport

    def frame(self, size: int, head: bytes = b"") -> tuple[bytes, int]:
        """The datagram with `size` bytes of payload, of which `head` (even-sized unless it is all) are given."""
        offset, total = self._tail_safe(size, head) if size else (0, 0)
        length = size + 8
        _word(self.header, self.at + 4, length)
        # The length stands in the header and in the pseudo header; a checksum of zero would mean "none" (RFC 768).
        _word(self.header, self.at + 6, -(self._sum + 2 * length + total) % 65535 or 0xFFFF)
        return self.finish(size, head, offset)

    def _tail_safe(self, size: int, head: bytes) -> tuple[int, int]:
        if len(head) == size and size & 1:
            return 0, int.from_bytes(head + b"\0", "big")
        return self.payload(size, head)


class IcmpSender(Sender):
    """ICMP or ICMPv6 messages of one direction. `kind` is an ICMP template's name without the version."""

    __slots__ = ("_sum",)

    def __init__(self, wire: Wire, kind: str, source: Endpoint, target: Endpoint, salt: int) -> None:
        template = templates()[f"{kind}{source.version}"]
        super().__init__(wire, template, source, target, salt)
        # Only ICMPv6 has a pseudo header.
        self._sum = template.transport_sum + (self._addresses if source.version == 6 else 0)

    def frame(self, ident: int, seq: int, size: int, head: bytes = b"") -> tuple[bytes, int]:
        """The message; for an unreachable, `ident` and `seq` are zero and `head` is the packet it answers."""
        offset, total = self.payload(size, head) if size else (0, 0)
        pseudo_length = size + 8 if self.version == 6 else 0
        _word(self.header, self.at + 2, -(self._sum + pseudo_length + ident + seq + total) % 65535)
        _word(self.header, self.at + 4, ident)
        _word(self.header, self.at + 6, seq)
        return self.finish(size, head, offset)
