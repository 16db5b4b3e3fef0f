"""The door to NFStream's compiled engine: opening captures with honest errors, and the layout of its structures.

Together with `meter.py` this is all that knows the engine. The wheel of nfstream installs `_lib_engine`, a cffi module
with libpcap inside; importing it costs a tenth of the memory that importing `nfstream` does (pandas). The engine's own
open calls say no more than "unable", and close the handle while saying it, so the handle is configured through the very
libpcap that the engine carries: its symbols are exported, and they report what the kernel said.

Structures are read as numpy records from the engine's memory. Their offsets come from the module's own description, so
a changed layout shows as a missing field at import, not as wrong numbers.
"""

from __future__ import annotations

import ctypes
import fcntl
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import _lib_engine
import numpy as np

from agent import errors
from agent.flow import DIRECTIONS, FLAGS

if TYPE_CHECKING:
    from pathlib import Path

ffi: Final = _lib_engine.ffi
lib: Final = _lib_engine.lib

FILE_MODE: Final = 0
LIVE_MODE: Final = 1
POLL_TIMEOUT_MS: Final = 100
"""How long the kernel may hold packets back. The engine asks for a second: too long for an alert to be prompt."""

_LINK_TYPES: Final = frozenset({0, 1, 9, 12, 14, 50, 101, 104, 113, 127, 228, 229})
_ERRORS_PERMISSION: Final = frozenset({-8, -11})  # PCAP_ERROR_PERM_DENIED, PCAP_ERROR_PROMISC_PERM_DENIED
_ERROR_NO_DEVICE: Final = -5
_ERROR_NOT_UP: Final = -9
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 1

_pcap = ctypes.CDLL(_lib_engine.__file__)
_pcap.pcap_geterr.restype = ctypes.c_char_p
_pcap.pcap_statustostr.restype = ctypes.c_char_p
for _name in ("pcap_geterr", "pcap_activate", "pcap_datalink", "pcap_close", "pcap_get_selectable_fd"):
    getattr(_pcap, _name).argtypes = [ctypes.c_void_p]
for _name in ("pcap_set_timeout", "pcap_set_promisc", "pcap_set_snaplen", "pcap_set_buffer_size"):
    getattr(_pcap, _name).argtypes = [ctypes.c_void_p, ctypes.c_int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


_pcap.pcap_compile.argtypes = [
    ctypes.c_void_p,
    ctypes.POINTER(_Program),
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_uint32,
]
_pcap.pcap_setnonblock.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
_pcap.pcap_setfilter.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Program)]
_pcap.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]


def _record(structure: str, wanted: dict[str, str], itemsize: int) -> np.dtype:
    """A numpy dtype over the fields of an engine structure that are read here."""
    offsets = {name: field.offset for name, field in ffi.typeof(structure).fields}
    return np.dtype(
        {
            "names": list(wanted),
            "formats": list(wanted.values()),
            "offsets": [offsets[name] for name in wanted],
            "itemsize": itemsize,
        }
    )


PACKET_SIZE: Final[int] = ffi.sizeof("struct nf_packet")
_packet_offsets = {name: field.offset for name, field in ffi.typeof("struct nf_packet").fields}
PACKET: Final = _record("struct nf_packet", {"time": "<u8", "fin": "<u2"}, PACKET_SIZE)
"""Of a packet: its time in milliseconds, and the word that holds the TCP flags (FIN is bit 0, RST bit 2)."""
FIN_OR_RST: Final = 0b101

KEY_SIZE: Final = 44
HALF_KEY: Final = 18
_KEY_PARTS: Final = (
    (0, "src_ip", 16),
    (16, "src_port", 2),
    (18, "dst_ip", 16),
    (34, "dst_port", 2),
    (36, "ip_version", 4),  # with protocol and VLAN, which follow it
    (40, "tunnel_id", 4),
)

_flow_fields: dict[str, str] = {
    "src_ip": "V16",
    "dst_ip": "V16",
    "src_port": "<u2",
    "dst_port": "<u2",
    "protocol": "u1",
    "ip_version": "u1",
    "vlan_id": "<u2",
    "tunnel_id": "<u4",
}
for _d in DIRECTIONS:
    _flow_fields |= {f"{_d}_{name}": "<u8" for name in ("first_seen_ms", "last_seen_ms", "duration_ms")}
    _flow_fields |= {f"{_d}_{name}": "<u8" for name in ("packets", "bytes")}
    _flow_fields |= {f"{_d}_{stat}_ps": "<u2" for stat in ("min", "max")}
    _flow_fields |= {f"{_d}_{stat}_piat_ms": "<u8" for stat in ("min", "max")}
    _flow_fields |= {f"{_d}_{stat}_{of}": "<f8" for stat in ("mean", "stddev") for of in ("ps", "piat_ms")}
    _flow_fields |= {f"{_d}_{flag}_packets": "<u8" for flag in FLAGS}

FLOW_SIZE: Final[int] = dict(ffi.typeof("struct nf_flow").fields)["splt_direction"].offset
"""Bytes at the head of a flow structure that hold everything read here."""
ENGINE_FLOW: Final = _record("struct nf_flow", _flow_fields, FLOW_SIZE)


def packet_keys(packets: np.ndarray[Any, Any]) -> list[bytes]:
    """Direction-dependent keys of a `[n, PACKET_SIZE]` byte matrix; `reverse_key` gives the other direction's."""
    keys = np.empty((len(packets), KEY_SIZE), dtype="u1")
    for at, name, size in _KEY_PARTS:
        offset = _packet_offsets[name]
        keys[:, at : at + size] = packets[:, offset : offset + size]
    result: list[bytes] = keys.view(f"V{KEY_SIZE}").ravel().tolist()
    return result


def reverse_key(key: bytes) -> bytes:
    """The key of a packet that answers one with `key`."""
    return key[HALF_KEY : 2 * HALF_KEY] + key[:HALF_KEY] + key[2 * HALF_KEY :]


@dataclass(frozen=True, slots=True)
class FileSource:
    """A capture file, pcap or pcapng, and an optional filter in libpcap's language."""

    path: Path
    bpf: str = ""

    @property
    def name(self) -> str:
        """How messages and health figures call it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class LiveSource:
    """An interface. `buffer_mib` is the kernel's: it decides whether a burst is swallowed or dropped."""

    iface: str
    bpf: str = ""
    promiscuous: bool = True
    snaplen: int = 65_535
    buffer_mib: int = 64

    @property
    def name(self) -> str:
        """How messages and health figures call it."""
        return self.iface


class Capture:
    """An open capture. Raises the `SourceError` tree; `close` may be called twice."""

    def __init__(self, source: FileSource | LiveSource) -> None:
        self.source = source
        self.live = isinstance(source, LiveSource)
        self.mode = LIVE_MODE if self.live else FILE_MODE
        self._dropped = 0
        if isinstance(source, FileSource):
            self.handle = _open_file(source)
        else:
            self.handle = _open_interface(source)
        self._address: int | None = int(ffi.cast("uintptr_t", self.handle))
        try:
            self._check_link_type()
            if source.bpf:
                self._set_filter(source.bpf)
        except errors.SourceError:
            self.close()
            raise
        self._poll = select.poll()
        if self.live:
            # With its own time-out libpcap sleeps until a packet comes, for ever on a silent link. So reads never
            # block, and `wait` sleeps on the socket for as long as the caller can afford.
            _pcap.pcap_setnonblock(self._address, 1, ctypes.create_string_buffer(256))
            self._poll.register(_pcap.pcap_get_selectable_fd(self._address), select.POLLIN)

    def _check_link_type(self) -> None:
        link_type = _pcap.pcap_datalink(self._address)
        if link_type not in _LINK_TYPES:
            raise errors.SourceError(
                f"reading {self.source.name}: link type {link_type} is not one the metering engine reads; "
                "capture on an Ethernet, cooked or raw IP interface"
            )

    def _set_filter(self, expression: str) -> None:
        program = _Program()
        if _pcap.pcap_compile(self._address, ctypes.byref(program), expression.encode(), 1, 0xFFFFFFFF) < 0:
            raise errors.BadFilter(f"filter {expression!r} does not compile: {self.error()}; see pcap-filter(7)")
        try:
            if _pcap.pcap_setfilter(self._address, ctypes.byref(program)) < 0:
                raise errors.BadFilter(f"filter {expression!r} cannot be set on {self.source.name}: {self.error()}")
        finally:
            _pcap.pcap_freecode(ctypes.byref(program))

    def error(self) -> str:
        """What libpcap last complained about, empty if nothing."""
        return str(_pcap.pcap_geterr(self._address).decode("utf-8", "replace")) if self._address else ""

    def wait(self, seconds: float) -> None:
        """Sleep until packets can be read from a live source, at most `seconds`."""
        self._poll.poll(seconds * 1000)

    def dropped(self) -> int:
        """Packets lost before they reached this process, since the capture was opened."""
        if not self.live or self._address is None:
            return self._dropped
        statistics = ffi.new("struct nf_stat *")
        lib.capture_stats(self.handle, statistics, self.mode)
        return int(statistics.dropped) + int(statistics.dropped_by_interface)

    def require_alive(self) -> None:
        """Raise `InterfaceLost` when the interface vanished, went down, or libpcap reports an error."""
        complaint = self.error()
        if complaint:
            raise errors.InterfaceLost(f"metering {self.source.name}: {complaint}; waiting for it to come back")
        state = interface_state(self.source.name)
        if state != "up":
            raise errors.InterfaceLost(f"metering {self.source.name}: the interface is {state}; waiting for it")

    def close(self) -> None:
        """Release the handle."""
        if self._address is not None:
            self._dropped = self.dropped()
            lib.capture_close(self.handle)
            self._address = None


def interface_state(name: str) -> str:
    """`up`, `down` or `gone`, asked of the kernel in this process's network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), _SIOCGIFFLAGS, struct.pack("16sH14x", name.encode()[:15], 0))
        except OSError:
            return "gone"
    return "up" if struct.unpack("16sH14x", answer)[1] & _IFF_UP else "down"


def _open_file(source: FileSource) -> Any:
    path = source.path
    if not path.is_file():
        raise errors.CaptureMissing(f"opening capture {path}: no such file; check the path")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise errors.CaptureNotPermitted(f"opening capture {path}: {error.strerror}; check its rights") from error
    message = ffi.new("char[256]")
    handle = lib.capture_open(str(path).encode(), FILE_MODE, message, 0)
    if handle == ffi.NULL:
        text = ffi.string(message).decode("utf-8", "replace")
        raise errors.NotACapture(f"opening capture {path}: {text}; expected a pcap or pcapng file")
    return handle


def _open_interface(source: LiveSource) -> Any:
    name = source.iface
    if interface_state(name) == "gone":
        known = ", ".join(sorted(entry[1] for entry in socket.if_nameindex()))
        raise errors.InterfaceMissing(f"opening interface {name!r}: there is none of that name here; known: {known}")
    message = ffi.new("char[256]")
    handle = lib.capture_open(name.encode(), LIVE_MODE, message, source.buffer_mib << 20)
    if handle == ffi.NULL:
        text = ffi.string(message).decode("utf-8", "replace")
        raise errors.SourceError(f"opening interface {name}: {text}")
    address = int(ffi.cast("uintptr_t", handle))
    _pcap.pcap_set_timeout(address, POLL_TIMEOUT_MS)
    _pcap.pcap_set_promisc(address, int(source.promiscuous))
    _pcap.pcap_set_snaplen(address, source.snaplen)
    status = _pcap.pcap_activate(address)
    if status >= 0:  # positive values are warnings, such as "promiscuous mode not supported"
        return handle
    complaint = _pcap.pcap_geterr(address) or _pcap.pcap_statustostr(status)
    text = complaint.decode("utf-8", "replace")
    _pcap.pcap_close(address)
    if status in _ERRORS_PERMISSION:
        raise errors.CaptureNotPermitted(
            f"opening interface {name}: {text or 'not permitted'}; run with CAP_NET_RAW "
            "(systemd: AmbientCapabilities=CAP_NET_RAW), or as root"
        )
    if status == _ERROR_NO_DEVICE:
        raise errors.InterfaceMissing(f"opening interface {name}: {text or 'no such device'}")
    if status == _ERROR_NOT_UP:
        raise errors.InterfaceLost(f"opening interface {name}: it is down; bring it up with: ip link set {name} up")
    raise errors.SourceError(f"opening interface {name}: {text or f'libpcap status {status}'}")
