"""Every setting of the agent: a name, a default and a sentence.

Defaults < file < environment (`ANOMAFLOW_AGENT_<NAME>`) < flags. The supervisor resolves the settings once and hands
them to sensor and shipper through their environment, so that the two never read a file that changed in between.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agent.errors import StateError
from agent.state import replace_text
from protos.settings import ConfigError, load, setting

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from agent.state import StateDir
    from protos.manifest import CaptureProfile

PREFIX: Final = "ANOMAFLOW_AGENT_"
_AGENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What an operator may set."""

    agent_id: str = setting("", "Name of this agent; empty: made from the host's name and kept in the state directory.")
    iface: str = setting("", "Network interface to meter.")
    bpf: str = setting("", "Capture filter in tcpdump's language; empty meters everything.")
    promiscuous: bool = setting(True, "Also meter packets that are not addressed to this host.")
    buffer_mib: int = setting(
        8, "Kernel buffer for captured packets, MiB, resident; a larger one survives longer bursts."
    )
    max_flows: int = setting(20_000, "Flows metered at once; beyond it the least recently seen are emitted early.")
    idle_timeout_ms: int = setting(15_000, "A flow ends after this long without a packet.")
    active_timeout_ms: int = setting(60_000, "A flow older than this is cut, and a new record follows.")
    half_open_timeout_ms: int = setting(5_000, "A TCP flow without an answer ends after this long.")
    tcp_linger_ms: int = setting(1_000, "A TCP flow ends this long after FIN both ways or RST.")
    state_dir: Path = setting(Path("/var/lib/anomaflow-agent"), "Directory for spool, models and status.")  # noqa: RUF009
    aggregator: str = setting("127.0.0.1:50551", "Address of the aggregator, host:port; loopback only.")
    model: Path | None = setting(None, "Model file to start with while none is installed.")  # noqa: RUF009
    threshold: float | None = setting(None, "Score that makes an alert, instead of the policy's and the model's own.")
    promised_fpr: float = setting(
        0.001, "Until a policy came: the false positive rate whose threshold the model supplies."
    )
    keep_fraction: float = setting(0.05, "Until a policy came: share of quiet flows kept as a sample, 0 to 1.")
    max_alerts_per_minute: int = setting(
        120, "Until a policy came: hard cap on alerts; flows beyond it are kept as flows."
    )
    batch_flows: int = setting(512, "Flows in a batch at most.")
    flush_ms: int = setting(500, "A batch waits at most this long for more flows.")
    spool_max_mib: int = setting(512, "Size of the spool, MiB; a fifth of it is reserved for alerts.")
    drain_timeout_s: float = setting(60.0, "After a replay, wait this long for the aggregator to take what is spooled.")
    log_level: str = setting("info", "What is written to the log: debug, info, warning or error.")

    def profile(self) -> CaptureProfile:
        """The capture profile of these timeouts."""
        from protos.manifest import CaptureProfile

        return CaptureProfile(
            idle_timeout_ms=self.idle_timeout_ms,
            active_timeout_ms=self.active_timeout_ms,
            half_open_timeout_ms=self.half_open_timeout_ms,
            tcp_linger_ms=self.tcp_linger_ms,
        )


_RANGES: Final[dict[str, tuple[float, float]]] = {
    "buffer_mib": (1, 2000),
    "max_flows": (16, 10_000_000),
    "idle_timeout_ms": (100, 3_600_000),
    "active_timeout_ms": (1_000, 86_400_000),
    "half_open_timeout_ms": (100, 3_600_000),
    "tcp_linger_ms": (0, 3_600_000),
    "promised_fpr": (1e-9, 1),
    "keep_fraction": (0, 1),
    "max_alerts_per_minute": (0, 1_000_000),
    # The upper end keeps a batch under gRPC's usual limit of 4 MiB a message.
    "batch_flows": (1, 4096),
    "flush_ms": (10, 60_000),
    "spool_max_mib": (1, 1_000_000),
    "drain_timeout_s": (0, 86_400),
}


def load_config(
    *,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
) -> AgentConfig:
    """The settings, checked. Raises `ConfigError` that names the setting and what would be right."""
    config = load(AgentConfig, path=path, environ=environ, prefix=PREFIX, flags=flags)
    for name, (low, high) in _RANGES.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise ConfigError(f"{name} = {value} is outside {low:g} to {high:g}")
    if config.agent_id and not _AGENT_ID.fullmatch(config.agent_id):
        raise ConfigError(
            f"agent_id = {config.agent_id!r} cannot be used: up to 64 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    if config.threshold is not None and not math.isfinite(config.threshold):
        raise ConfigError(
            f"threshold = {config.threshold} is not a score; scores are finite, 3 means one in a thousand"
        )
    if config.log_level not in {"debug", "info", "warning", "error"}:
        raise ConfigError(f"log_level = {config.log_level!r} is not one of debug, info, warning, error")
    require_loopback(config.aggregator)
    return config


def require_loopback(address: str) -> tuple[str, int]:
    """Host and port of a loopback address; `ConfigError` for any other, because agents have no identity yet."""
    host, _, port = address.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"aggregator = {address!r} is not host:port, such as 127.0.0.1:50551 or [::1]:50551")
    try:
        loopback = bare == "localhost" or ipaddress.ip_address(bare).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ConfigError(
            f"aggregator = {address!r} is not a loopback address. Agents have no certificates in this version, so what "
            "they send may not leave the host; run the aggregator here, or bring its port here through an SSH tunnel"
        )
    return bare, int(port)


def require_source(config: AgentConfig, replay: Sequence[Path]) -> None:
    """Raise `ConfigError` when there is nothing to meter."""
    if not config.iface and not replay:
        raise ConfigError("iface is not set and there is nothing to replay; name an interface or a capture file")


def to_environ(config: AgentConfig) -> dict[str, str]:
    """The settings as environment variables that `load_config` reads back to an equal object."""
    variables: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value is not None:
            variables[f"{PREFIX}{field.name.upper()}"] = str(value)
    return variables


def resolve_agent_id(config: AgentConfig, state: StateDir, *, hostname: str, suffix: Callable[[], str]) -> str:
    """The configured name, else the kept one, else a new one from `hostname` and `suffix()`, which is then kept.

    The suffix keeps two hosts that were cloned with one name apart.
    """
    if config.agent_id:
        return config.agent_id
    try:
        kept = state.agent_id.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    if _AGENT_ID.fullmatch(kept):
        return kept
    base = re.sub(r"[^a-z0-9-]+", "-", hostname.split(".", maxsplit=1)[0].lower()).strip("-")[:40] or "agent"
    name = f"{base}-{suffix()}"
    try:
        replace_text(state.agent_id, name + "\n", durable=True)
    except OSError as error:
        raise StateError(
            f"keeping this agent's name in {state.agent_id}: {error.strerror}; free some space, or set agent_id"
        ) from error
    return name


def add_flags(parser: argparse._ActionsContainer, *names: str) -> None:
    """A flag for each setting named, `--` and dashes, without a default of its own: absent means not given."""
    fields = {field.name: field for field in dataclasses.fields(AgentConfig)}
    for name in names:
        field = fields[name]
        flag = "--" + name.replace("_", "-")
        shown = "" if field.default in ("", None) else f" Default: {field.default}."
        text = (field.metadata["help"] + shown).replace("%", "%%")
        parser.add_argument(flag, dest=name, default=None, metavar=name.upper(), help=text)


def from_arguments(arguments: argparse.Namespace, environ: Mapping[str, str] | None = None) -> AgentConfig:
    """The settings of a command line made with `add_flags` and, if it has one, `--config`."""
    known = {field.name for field in dataclasses.fields(AgentConfig)}
    flags = {name: value for name, value in vars(arguments).items() if name in known}
    variables = os.environ if environ is None else environ
    return load_config(path=getattr(arguments, "config", None), environ=variables, flags=flags)
