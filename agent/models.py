"""How a model becomes current: verified in a process that may die, then installed by rename. How a change is noticed.

    models/<digest>.onnx    files, named by what is in them
    models/current          link to the one to run, replaced by rename
    models/previous         link to the one before it

A file from outside is run for the first time in a child with capped memory and time (`python -m agent.scorer`). Only
when that child said ok do the links move. So an interrupted download, a corrupt file and a hostile one all leave the
old model where it was. Two models stay installed; older files are removed.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from agent.errors import DiskTrouble, ModelRefused
from agent.state import sync_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.state import StateDir

log = logging.getLogger(__name__)

CHILD_TIMEOUT_S: Final = 30.0
WATCH_EVERY_S: Final = 0.2


def verify(path: Path, *, command: Sequence[str] = (), timeout_s: float = CHILD_TIMEOUT_S) -> str:
    """Let a capped child verify `path`; the digest of what it verified. Raises `ModelRefused`."""
    line = [*(command or (sys.executable, "-Im", "agent.scorer")), str(path)]
    try:
        # vfork and no preexec_fn: the child sets its own limits, because this process may have gRPC's threads.
        ended = subprocess.run(line, capture_output=True, timeout=timeout_s, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise ModelRefused(
            f"verifying model {path}: not finished after {timeout_s:g} s; a scoring model needs milliseconds"
        ) from error
    except OSError as error:
        raise ModelRefused(f"verifying model {path}: the check could not be started ({error.strerror})") from error
    try:
        verdict = json.loads(ended.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = (ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise ModelRefused(
            f"verifying model {path}: the check died ({_ending(ended.returncode)}: {last[:200]}); the model wants more "
            "memory or time than a scoring model needs, or the agent is not installed completely"
        ) from None
    if not verdict.get("ok"):
        raise ModelRefused(str(verdict.get("detail", "the check gave no reason")))
    return str(verdict["digest"])


def install(state: StateDir, source: Path, *, expected_digest: str = "", running: str = "") -> str:
    """Verify `source`, copy or move it to its place and make it current; its digest.

    `running` is the model to keep as `previous`, by default what is current. A source inside the models directory is
    moved, any other is copied. Raises `ModelRefused` (the old model stays) and `DiskTrouble`.
    """
    digest = verify(source)
    if expected_digest and digest != expected_digest:
        raise ModelRefused(f"installing model {expected_digest[:12]}: the file is {digest[:12]}; fetch it again")
    target = state.models / f"{digest}.onnx"
    try:
        if source.parent == state.models:
            source.replace(target)
        elif not target.exists():
            temporary = state.models / f".{digest}.{os.getpid()}.part"
            temporary.write_bytes(source.read_bytes())
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        make_current(state, digest, running=running)
    except OSError as error:
        raise DiskTrouble(
            f"installing model {digest[:12]} in {state.models}: {error.strerror}; free some space"
        ) from error
    return digest


def make_current(state: StateDir, digest: str, *, running: str = "") -> None:
    """Point `current` at an installed model, `previous` at the one it replaces, and remove the others.

    What the sensor is `running` may differ from what was current: it keeps its old model when it refuses one.
    """
    known = bool(running) and (state.models / f"{running}.onnx").exists()
    old = running if known else current_digest(state)
    if old and old != digest:
        _link(state.previous, old)
    _link(state.current, digest)
    sync_directory(state.models)
    log.info("model_installed digest=%s previous=%s", digest, old or "none")
    keep = {f"{entry}.onnx" for entry in (digest, old, linked_digest(state.previous)) if entry}
    for path in state.models.glob("*.onnx"):
        if path.name not in keep:
            path.unlink(missing_ok=True)


def current_digest(state: StateDir) -> str:
    """The digest `current` points at, "" without one."""
    return linked_digest(state.current)


def linked_digest(link: Path) -> str:
    """The digest in a link's target, "" if there is no such link or its file is missing."""
    try:
        name = link.readlink().name
    except OSError:
        return ""
    return name.removesuffix(".onnx") if link.exists() else ""


def _link(link: Path, digest: str) -> None:
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(f"{digest}.onnx")
    temporary.replace(link)


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class ModelWatch:
    """Notices when `current` points elsewhere; looks at most every `WATCH_EVERY_S`."""

    def __init__(self, state: StateDir, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._next = 0.0
        self._known = ""

    def changed(self) -> str:
        """The digest of a model that became current since the last call, else ""."""
        now = self._clock.monotonic()
        if now < self._next:
            return ""
        self._next = now + WATCH_EVERY_S
        digest = current_digest(self._state)
        if digest in ("", self._known):
            return ""
        self._known = digest
        return digest
