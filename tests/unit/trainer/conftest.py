"""What the trainer's tests share: synthetic rows, loaded by path because tests are no package, and tiny captures."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_START_S = 1_700_000_000


@pytest.fixture
def write_pcap(tmp_path: Path) -> Callable[..., Path]:
    """Write a capture of single UDP packets, one flow each: `write_pcap(name, flows, port=53, host=2, cut=0)`."""

    def write(name: str, flows: int, *, port: int = 53, host: int = 2, cut: int = 0) -> Path:
        data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        for number in range(flows):
            packet = _udp(host, 40_000 + number, port, 20 + number % 50)
            data += struct.pack("<IIII", _START_S + number, 0, len(packet), len(packet)) + packet
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[: len(data) - cut])
        return path

    return write


def _udp(host: int, source_port: int, port: int, size: int) -> bytes:
    ethernet = bytes.fromhex("020000000001020000000002") + b"\x08\x00"
    addresses = bytes([10, 0, 0, host, 10, 0, 0, 9])
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28 + size, 0, 0, 64, 17, 0) + addresses
    return ethernet + header + struct.pack(">HHHH", source_port, port, 8 + size, 0) + bytes(size)
