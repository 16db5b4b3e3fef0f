"""The sensor's figures: from the sensor to `health.json`, and from there into the shipper's heartbeats.

The keys of the file are the fields of `SensorHealth`, so nobody types the list twice. A file that was not renewed for a
while is a figure too: the sensor is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent.state import read_json, replace_json
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNNING: Final = "running"
DEGRADED: Final = "degraded"
INTERFACE_LOST: Final = "interface-lost"
STOPPED: Final = "stopped"
SILENT_AFTER_MS: Final = 10_000

_FIELDS: Final = tuple(field.name for field in batch_pb2.SensorHealth.DESCRIPTOR.fields)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is not as it should be. Empty strings and False mean that it is."""

    stopped: str = ""
    interface: str = ""
    spool: str = ""
    model: str = ""


def judge(trouble: Trouble) -> tuple[str, str]:
    """State and detail for the trouble there is, the gravest first. Pure."""
    details = [text for text in (trouble.stopped, trouble.interface, trouble.spool, trouble.model) if text]
    if trouble.stopped:
        state = STOPPED
    elif trouble.interface:
        state = INTERFACE_LOST
    else:
        state = DEGRADED if details else RUNNING
    return state, "; ".join(details)


@dataclass(frozen=True, slots=True)
class Report:
    """What `health.json` says."""

    health: batch_pb2.SensorHealth
    model_digest: str
    policy_version: int
    updated_ms: int


def write(path: Path, report: Report) -> None:
    """Replace the file. Raises `OSError`."""
    figures = {name: getattr(report.health, name) for name in _FIELDS}
    replace_json(
        path,
        {
            "health": figures,
            "model_digest": report.model_digest,
            "policy_version": report.policy_version,
            "updated_ms": report.updated_ms,
        },
    )


def read(path: Path, *, now_ms: int) -> Report:
    """What the file says, or that the sensor is silent: no file, or an old one."""
    content = read_json(path)
    health = _health(content.get("health", {}))
    updated = content.get("updated_ms", 0)
    updated = updated if isinstance(updated, int) else 0
    if not updated:
        health.state, health.detail = STOPPED, "the sensor has not started"
    elif health.state != STOPPED and abs(now_ms - updated) > SILENT_AFTER_MS:
        health.detail = f"the sensor is silent for {abs(now_ms - updated) // 1000} s; its last state: {health.state}"
        health.state = DEGRADED
    digest, version = content.get("model_digest", ""), content.get("policy_version", 0)
    return Report(health, str(digest), version if isinstance(version, int) and version >= 0 else 0, updated)


def _health(figures: Mapping[str, Any] | Any) -> batch_pb2.SensorHealth:
    health = batch_pb2.SensorHealth()
    if isinstance(figures, dict):
        for name in _FIELDS:
            if name in figures:
                try:
                    setattr(health, name, figures[name])
                except (TypeError, ValueError):
                    continue  # another version's figure
    return health
