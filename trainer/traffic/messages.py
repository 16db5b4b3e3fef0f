"""The first bytes of messages: enough that a capture reads as what it claims to be.

Only the opening of a message is real; filler follows. DNS messages are whole, because a tunnel is seen in them. A test
lets scapy read them.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

A: Final = 1
NULL: Final = 10
PTR: Final = 12
TXT: Final = 16
AAAA: Final = 28
HTTPS: Final = 65

_HEADER = struct.Struct("!HHHHHH")


@lru_cache(maxsize=4096)
def _encoded(name: str) -> bytes:
    return encode_name(name)


def encode_name(name: str) -> bytes:
    """A domain name as DNS writes it (RFC 1035, 3.1)."""
    return b"".join(bytes((len(label),)) + label.encode("ascii") for label in name.split(".")) + b"\0"


def dns_query(ident: int, name: str, kind: int = A) -> bytes:
    """A recursive query for one name."""
    return _HEADER.pack(ident, 0x0100, 1, 0, 0, 0) + _encoded(name) + struct.pack("!HH", kind, 1)


def dns_answer(ident: int, name: str, kind: int, records: list[bytes], *, missing: bool = False) -> bytes:
    """The answer to that query: every entry of `records` is one record's data; `missing` says NXDOMAIN."""
    flags = 0x8183 if missing else 0x8180
    question = _encoded(name) + struct.pack("!HH", kind, 1)
    body = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 300, len(record)) + record for record in records)
    return _HEADER.pack(ident, flags, 1, len(records), 0, 0) + question + body


def mdns(name: str, kind: int = PTR, *, record: bytes = b"") -> bytes:
    """A multicast DNS query, or with `record` an announcement (RFC 6762)."""
    if not record:
        return _HEADER.pack(0, 0, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", kind, 1)
    answer = encode_name(name) + struct.pack("!HHIH", kind, 0x8001, 120, len(record)) + record
    return _HEADER.pack(0, 0x8400, 0, 1, 0, 0) + answer


def txt(data: bytes) -> bytes:
    """The data of a TXT record: strings of at most 255 bytes."""
    return b"".join(
        bytes((len(data[start : start + 255]),)) + data[start : start + 255] for start in range(0, len(data), 255)
    )


def tls_record(kind: int, size: int) -> bytes:
    """The header of a TLS record of `size` bytes in all: 22 handshake, 23 application data."""
    return struct.pack("!BHH", kind, 0x0303, min(size - 5, 16_384) if size > 5 else 0) + b"\0"


def client_hello(size: int) -> bytes:
    """How a TLS client's first record begins."""
    return struct.pack("!BHHBBHH", 22, 0x0301, size - 5, 1, 0, size - 9, 0x0303) + b"\0"


def ntp(*, server: bool) -> bytes:
    """The first four bytes of an NTP message, version 4."""
    return b"\x24\x02\x06\xe8" if server else b"\x23\x00\x06\xec"


def quic_initial() -> bytes:
    """The first bytes of a QUIC version 1 long header."""
    return b"\xc3\x00\x00\x00\x01\x08"


SSDP_SEARCH: Final = (
    b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 3\r\nST: ssdp:all\r\n\r\n'
)
SSDP_NOTIFY: Final = (
    b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNTS: ssdp:alive\r\nCACHE-CONTROL: max-age=1800\r\n"
)
SNMP: Final = b"\x30\x29\x02\x01\x01\x04\x06public"
SMB2: Final = b"\xfeSMB@\x00"
