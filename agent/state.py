"""The agent's state directory: where each file lives, and how small files change.

    spool.db            records on their way (agent/spool.py), with spool.lock beside it
    cursor.json         the shipper's word on what is committed
    models/             <digest>.onnx, and the links `current` and `previous`
    policy.json         the latest policy, written by the shipper
    health.json         the sensor's figures, about every second
    model_status.json   which model the sensor runs, and what it refused
    scores.pb           scores of all flows, counted by hour (agent/counting.py)
    link.json           whether the shipper has the aggregator's ear
    agent_id            this agent's name, when nobody configured one

Sensor and shipper meet only here. A small file appears by rename, so a reader sees the old text or the new one and
never half of either; a file that cannot be understood is treated as absent, because each of them can be made again.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.errors import StateError
from protos.exits import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class StateDir:
    """Paths under one root. `prepare` before use."""

    root: Path

    @property
    def spool(self) -> Path:
        """Records on their way."""
        return self.root / "spool.db"

    @property
    def cursor(self) -> Path:
        """What the shipper knows to be committed."""
        return self.root / "cursor.json"

    @property
    def models(self) -> Path:
        """Installed models."""
        return self.root / "models"

    @property
    def current(self) -> Path:
        """Link to the model to run."""
        return self.models / "current"

    @property
    def previous(self) -> Path:
        """Link to the model that ran before it."""
        return self.models / "previous"

    @property
    def policy(self) -> Path:
        """The latest policy."""
        return self.root / "policy.json"

    @property
    def health(self) -> Path:
        """The sensor's figures."""
        return self.root / "health.json"

    @property
    def model_status(self) -> Path:
        """What the sensor says of models."""
        return self.root / "model_status.json"

    @property
    def scores(self) -> Path:
        """What the sensor counted."""
        return self.root / "scores.pb"

    @property
    def link(self) -> Path:
        """What the shipper says of the aggregator."""
        return self.root / "link.json"

    @property
    def agent_id(self) -> Path:
        """The agent's own name."""
        return self.root / "agent_id"

    def prepare(self) -> None:
        """Create what is missing, for the owner alone. Raises `StateError` when the directory cannot be used."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.models.mkdir(exist_ok=True, mode=0o700)
            probe = self.root / f".probe.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            refused = StateError(
                f"preparing state directory {self.root}: {error.strerror}; give this user write access to it, "
                "or choose another one with --state-dir"
            )
            if isinstance(error, PermissionError):
                refused.exit_code = ExitCode.PERMISSION
            raise refused from error


def replace_text(path: Path, text: str, *, durable: bool = False) -> None:
    """Put `text` at `path` by rename. `durable` waits for the disk. Raises `OSError`; the old file then remains."""
    replace_bytes(path, text.encode("utf-8"), durable=durable)


def replace_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """The same for bytes."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def replace_json(path: Path, content: dict[str, Any], *, durable: bool = False) -> None:
    """`replace_text` of an object."""
    replace_text(path, json.dumps(content, separators=(",", ":")), durable=durable)


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when the file is missing, damaged or not an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sync_directory(path: Path) -> None:
    """Make a rename in `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def stamp(path: Path) -> tuple[int, int, int]:
    """Something that changes whenever the file is replaced; zeros when it is missing."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_mtime_ns, status.st_size)
