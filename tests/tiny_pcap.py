"""Tiny captures, written byte by byte: an ordinary exchange or two, and a port scan."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

START_MS = 1_700_000_000_000
SYN, ACK, FIN_ACK, RST_ACK, SYN_ACK = 0x02, 0x10, 0x11, 0x14, 0x12


def packet(source: str, destination: str, ports: tuple[int, int], flags: int, payload: bytes = b"") -> bytes:
    """An Ethernet frame with an IPv4 TCP segment. Checksums are left empty, as offloading leaves them."""
    tcp = struct.pack("!HHIIBBHHH", *ports, 1, 1, 5 << 4, flags, 64_240, 0, 0) + payload
    addresses = bytes(map(int, source.split("."))) + bytes(map(int, destination.split(".")))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + addresses
    return bytes(6) + b"\x02\0\0\0\0\x01" + b"\x08\x00" + ip + tcp


def write(path: Path, packets: Iterable[tuple[int, bytes]]) -> Path:
    """A pcap file of `(milliseconds after the start, frame)`."""
    data = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)]
    for after_ms, frame in packets:
        seconds, rest = divmod(START_MS + after_ms, 1000)
        data.append(struct.pack("<IIII", seconds, rest * 1000, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(data))
    return path


def ordinary(client: str, server: str, port: int, at_ms: int) -> list[tuple[int, bytes]]:
    """A connection that is opened, used and closed."""
    there, back = (port, 443), (443, port)
    return [
        (at_ms, packet(client, server, there, SYN)),
        (at_ms + 5, packet(server, client, back, SYN_ACK)),
        (at_ms + 6, packet(client, server, there, ACK, b"x" * 300)),
        (at_ms + 20, packet(server, client, back, ACK, b"y" * 900)),
        (at_ms + 25, packet(client, server, there, FIN_ACK)),
        (at_ms + 30, packet(server, client, back, FIN_ACK)),
    ]


def scan(attacker: str, victim: str, ports: int, at_ms: int) -> list[tuple[int, bytes]]:
    """A SYN a port, 10 ms apart, each answered by RST."""
    packets = []
    for number in range(ports):
        pair = (40_000, 1 + number)
        packets.append((at_ms + 10 * number, packet(attacker, victim, pair, SYN)))
        packets.append((at_ms + 10 * number + 1, packet(victim, attacker, pair[::-1], RST_ACK)))
    return packets


def write_office(path: Path, connections: int = 20) -> Path:
    """Ordinary connections of five clients, one every 300 ms."""
    packets: list[tuple[int, bytes]] = []
    for number in range(connections):
        packets += ordinary(f"10.0.0.{1 + number % 5}", "10.0.1.1", 50_000 + number, 300 * number)
    return write(path, sorted(packets))


def write_scan(path: Path, ports: int = 60, connections: int = 10) -> Path:
    """Ordinary connections and a port scan from 10.0.0.66 among them."""
    packets = scan("10.0.0.66", "10.0.1.9", ports, 500)
    for number in range(connections):
        packets += ordinary(f"10.0.0.{1 + number % 5}", "10.0.1.1", 50_000 + number, 100 * number)
    return write(path, sorted(packets, key=lambda entry: entry[0]))
