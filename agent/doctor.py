"""`doctor`: what is wrong with this host, line by line, each with its remedy.

A finding is `ok`, `warn` (the agent runs, but sees or keeps less than it could) or `fail` (it does not run). Checks
look and do not touch, apart from a probe file in the state directory; none needs rights that the agent does not need.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import shutil
import socket
import struct
import time
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent import health, models
from agent.config import require_loopback
from agent.errors import AgentError, ModelRefused
from agent.offers import read_status
from agent.spool_reader import SpoolReader
from agent.state import StateDir
from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.config import AgentConfig

CAP_NET_RAW: Final = 13
_IFF_UP: Final = 1
_SIOCETHTOOL: Final = 0x8946
_OFFLOADS: Final = {"GRO": (0x2B, 1), "LRO": (0x25, 1 << 15)}
"""Offload, its ethtool command (ETHTOOL_GGRO, ETHTOOL_GFLAGS) and the bit that says it is on."""
_NET: Final = Path("/sys/class/net")
_YEAR_2025_MS: Final = 1_735_689_600_000
_YEAR_2100_MS: Final = 4_102_444_800_000


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was seen, and what to do about it."""

    level: Level
    check: str
    text: str
    remedy: str = ""
    exit_code: ExitCode = ExitCode.OK


def examine(config: AgentConfig) -> list[Finding]:
    """Every finding about this host under this configuration."""
    state = StateDir(config.state_dir)
    findings = [*_interface(config), _capability(), *_offloads(config.iface), _buffer(config), _clock(_now_ms())]
    findings += [_state_dir(config, state), _spool(state), *_model(config, state), _aggregator(config)]
    findings.append(_agent(state, _now_ms()))
    return findings


def verdict(findings: Sequence[Finding]) -> ExitCode:
    """The exit code of the gravest finding: 0 when nothing fails."""
    for finding in findings:
        if finding.level is Level.FAIL:
            return finding.exit_code
    return ExitCode.OK


def readable(finding: Finding) -> str:
    """A finding as a line, with its remedy below."""
    line = f"{finding.level.value:<5} {finding.check}: {finding.text}"
    return f"{line}\n      -> {finding.remedy}" if finding.remedy else line


def as_dict(finding: Finding) -> dict[str, str]:
    """For JSON."""
    return {key: value.value if isinstance(value, Level) else str(value) for key, value in asdict(finding).items()} | {
        "exit_code": str(int(finding.exit_code))
    }


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _interface(config: AgentConfig) -> Iterator[Finding]:
    known = sorted(path.name for path in _NET.iterdir()) if _NET.is_dir() else []
    if not config.iface:
        yield Finding(
            Level.WARN, "interface", "none is set", f"set iface or give --iface; here are: {', '.join(known) or 'none'}"
        )
        return
    if config.iface not in known:
        yield Finding(
            Level.FAIL,
            "interface",
            f"{config.iface} does not exist",
            f"here are: {', '.join(known) or 'none'}",
            ExitCode.SOURCE,
        )
        return
    flags = _read_int(_NET / config.iface / "flags", base=16)
    if not (flags or 0) & _IFF_UP:
        yield Finding(
            Level.FAIL, "interface", f"{config.iface} is down", f"ip link set {config.iface} up", ExitCode.SOURCE
        )
        return
    carrier = _read_int(_NET / config.iface / "carrier")
    if carrier == 0:
        yield Finding(Level.WARN, "interface", f"{config.iface} is up without a carrier", "look at the cable")
    else:
        yield Finding(Level.OK, "interface", f"{config.iface} is up")


def _capability() -> Finding:
    effective = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("CapEff:"):
                effective = int(line.split()[1], 16)
    if effective >> CAP_NET_RAW & 1:
        return Finding(Level.OK, "permission", "CAP_NET_RAW is there, packets may be captured")
    return Finding(
        Level.FAIL,
        "permission",
        "CAP_NET_RAW is missing, packets may not be captured",
        "run the systemd unit (AmbientCapabilities=CAP_NET_RAW), or as root; replaying captures needs no right",
        ExitCode.PERMISSION,
    )


def _offloads(iface: str) -> Iterator[Finding]:
    if not iface or not (_NET / iface).exists():
        return
    on = [name for name, (command, bit) in _OFFLOADS.items() if (_ethtool(iface, command) or 0) & bit]
    if on:
        names = " and ".join(on)
        yield Finding(
            Level.WARN,
            "offload",
            f"{names} {'join' if len(on) > 1 else 'joins'} packets on {iface} before they are metered, so counts and "
            "sizes of packets are not those of the wire",
            f"ethtool -K {iface} " + " ".join(f"{name.lower()} off" for name in on),
        )
    else:
        yield Finding(Level.OK, "offload", f"packets of {iface} are metered as they were on the wire")


def _ethtool(iface: str, command: int) -> int | None:
    """The value of a `struct ethtool_value`, None when the driver does not answer."""
    value = array.array("I", [command, 0])
    request = struct.pack("16sP16x", iface.encode()[:15], value.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            fcntl.ioctl(probe.fileno(), _SIOCETHTOOL, request)
    except OSError:
        return None
    return value[1]


def _buffer(config: AgentConfig) -> Finding:
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    if config.buffer_mib * 2 > available:
        return Finding(
            Level.WARN,
            "buffer",
            f"{config.buffer_mib} MiB of capture buffer, and {available} MiB of memory are free",
            "lower buffer_mib",
        )
    if config.buffer_mib < 4:
        return Finding(
            Level.WARN,
            "buffer",
            f"{config.buffer_mib} MiB of capture buffer: bursts will be dropped by the kernel",
            "raise buffer_mib; it is resident memory, and 8 is a good start",
        )
    return Finding(Level.OK, "buffer", f"{config.buffer_mib} MiB of capture buffer, whole packets are seen by length")


def _clock(now_ms: int) -> Finding:
    if not _YEAR_2025_MS < now_ms < _YEAR_2100_MS:
        return Finding(
            Level.FAIL, "clock", "the host's clock is decades off", "set it (timedatectl set-ntp true)", ExitCode.FAILED
        )
    if Path("/run/systemd/timesync").is_dir() and not Path("/run/systemd/timesync/synchronized").exists():
        return Finding(
            Level.WARN, "clock", "not synchronised; alerts carry this host's time", "timedatectl set-ntp true"
        )
    return Finding(Level.OK, "clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_ms / 1000)))


def _state_dir(config: AgentConfig, state: StateDir) -> Finding:
    try:
        state.prepare()
        free = shutil.disk_usage(state.root).free >> 20
    except (AgentError, OSError) as error:
        code = error.exit_code if isinstance(error, AgentError) else ExitCode.STATE
        return Finding(Level.FAIL, "state directory", str(error), "choose one this user may write", code)
    if free < 16:
        return Finding(
            Level.FAIL, "state directory", f"{free} MiB free in {state.root}", "free some space", ExitCode.STATE
        )
    if free < config.spool_max_mib:
        return Finding(
            Level.WARN,
            "state directory",
            f"{free} MiB free in {state.root}, and the spool may grow to {config.spool_max_mib} MiB",
            "free some space, or lower spool_max_mib",
        )
    return Finding(Level.OK, "state directory", f"{state.root}, {free} MiB free")


def _spool(state: StateDir) -> Finding:
    broken = sorted(path.name for path in state.root.glob("*.broken"))
    if not state.spool.exists():
        return Finding(Level.OK, "spool", "not made yet; the first run makes it")
    try:
        reader = SpoolReader(state)
        try:
            waiting = reader.waiting()
        finally:
            reader.close()
    except AgentError as error:
        return Finding(Level.WARN, "spool", str(error), "start the agent: it repairs its spool")
    text = f"{waiting.records} records waiting, {waiting.bytes / (1 << 20):.1f} MiB"
    if broken:
        return Finding(
            Level.WARN,
            "spool",
            f"{text}; damaged files were set aside: {', '.join(broken[:3])}",
            "look at the disk (smartctl, dmesg), then remove them",
        )
    return Finding(Level.OK, "spool", text)


def _model(config: AgentConfig, state: StateDir) -> Iterator[Finding]:
    path = config.model if config.model is not None else state.current
    if not path.exists():
        if config.model is not None:
            yield Finding(Level.FAIL, "model", f"{path} does not exist", "correct the model setting", ExitCode.MODEL)
        else:
            yield Finding(
                Level.WARN, "model", "none is installed; flows are metered, none is scored", "the aggregator sends one"
            )
        return
    try:
        digest = models.verify(path)
    except ModelRefused as error:
        yield Finding(Level.FAIL, "model", str(error), "roll back at the aggregator", ExitCode.MODEL)
        return
    yield Finding(Level.OK, "model", f"{digest[:12]} passes its self-test")
    refused = read_status(state.model_status).refused
    if refused:
        yield Finding(
            Level.WARN, "model", f"the sensor refused {refused[-1][0][:12]}: {refused[-1][1]}", "train it again"
        )


def _aggregator(config: AgentConfig) -> Finding:
    host, port = require_loopback(config.aggregator)
    try:
        with socket.create_connection((host, port), timeout=2):
            return Finding(Level.OK, "aggregator", f"{config.aggregator} answers")
    except OSError as error:
        return Finding(
            Level.WARN,
            "aggregator",
            f"{config.aggregator} does not answer ({error.strerror or error})",
            "start it (anomaflow-aggregator run), or correct the aggregator setting; until then everything is kept",
        )


def _agent(state: StateDir, now_ms: int) -> Finding:
    report = health.read(state.health, now_ms=now_ms)
    if not report.updated_ms:
        return Finding(Level.OK, "agent", "has not run here yet")
    figures = report.health
    lost = f", {figures.packets_dropped} of {figures.packets + figures.packets_dropped} packets dropped"
    text = figures.state + (f": {figures.detail}" if figures.detail else "") + (lost if figures.packets_dropped else "")
    if figures.state == health.RUNNING and not figures.packets_dropped:
        return Finding(Level.OK, "agent", text)
    if figures.state == health.STOPPED:
        return Finding(Level.OK, "agent", f"last run: {text}")
    return Finding(Level.WARN, "agent", text, "raise buffer_mib" if figures.packets_dropped else "see the lines above")


def _read_int(path: Path, base: int = 10) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip(), base)
    except (OSError, ValueError):
        return None
