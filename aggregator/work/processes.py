"""Processes of the trainer: in groups of their own, told apart from strangers with the same number, ended whole.

- A process is known by its number *and* by its birth (boot and start time, from /proc): a number is used again.
- `spawn` gives a process that waits at a gate: who starts it writes down its identity first and then lets it go. When
  the aggregator dies in between, the gate closes and the process ends without having begun; so there is never one that
  nobody knows of. Its limits are in force before its program is loaded.
- Its output goes into a file and not through a pipe, so it outlives the aggregator.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aggregator.errors import TrainerFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK_EVERY_S: Final = 0.02
TAIL: Final = 256 << 10
"""Bytes of a log that are looked at for its last lines."""

_GATE: Final = 'cd "$1" || exit 1; shift; read -r _ || exit 1; exec "$@" </dev/null'


@dataclass(frozen=True, slots=True)
class Identity:
    """A process: its number, and the boot and tick it was born at."""

    pid: int
    born: str


def identify(pid: int) -> Identity | None:
    """The living process of that number; None when it is gone, or dead and only not collected yet."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    # proc(5): field 3 is the state, field 22 the start time in ticks since boot.
    return None if fields[0] in {"Z", "X"} else Identity(pid, f"{boot} {fields[19]}")


def alive(identity: Identity) -> bool:
    """True while exactly this process lives."""
    return identify(identity.pid) == identity


@dataclass(frozen=True, slots=True)
class AtGate:
    """A process that has not begun. `release` or `abandon` it."""

    identity: Identity
    gate: int

    def release(self) -> None:
        """Let it begin."""
        try:
            with contextlib.suppress(BrokenPipeError):
                os.write(self.gate, b"\n")
        finally:
            os.close(self.gate)

    def abandon(self) -> None:
        """Let it end without having begun."""
        os.close(self.gate)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.identity.pid, 0)


def spawn(
    command: Sequence[str], *, cwd: Path, log: Path, environment: dict[str, str], memory_mib: int, file_mib: int
) -> AtGate:
    """A process in a session of its own that waits at its gate; its output is appended to `log`. Raises `OSError`."""
    waiting, gate = os.pipe()
    try:
        with log.open("ab") as output:
            pid = os.posix_spawn(
                "/bin/sh",
                ["sh", "-c", _GATE, "sh", str(cwd), *command],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, waiting, 0),
                    (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, output.fileno(), 2),
                ],
                setsid=True,
            )
    except OSError:
        os.close(gate)
        raise
    finally:
        os.close(waiting)
    limit(pid, memory_mib=memory_mib, file_mib=file_mib)
    identity = identify(pid)
    held = AtGate(identity or Identity(pid, ""), gate)
    if identity is None:
        held.abandon()
        raise OSError("the process ended before it began")
    return held


def limit(pid: int, *, memory_mib: int, file_mib: int | None = None) -> None:
    """Hold a process, and what it starts from now on, to memory for data and to the size of one file."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_DATA, (memory_mib << 20, memory_mib << 20))
        if file_mib is not None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_mib << 20, file_mib << 20))


def collect(pid: int) -> int | None:
    """The exit code of a child that ended (negative: by that signal), None for any other process."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if found else None


def signal_group(pid: int, number: signal.Signals) -> None:
    """Tell a whole process group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


async def end(pid: int, gone: Callable[[], bool], *, grace_s: float) -> None:
    """SIGTERM, a time to stop, SIGKILL: to the whole group, for children that outlived their parent too."""
    signal_group(pid, signal.SIGTERM)
    if not gone():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await until(gone)
        signal_group(pid, signal.SIGKILL)
        await until(gone)
    signal_group(pid, signal.SIGKILL)


async def until(gone: Callable[[], bool]) -> None:
    """Wait until `gone()`."""
    while not gone():  # noqa: ASYNC110 - what is waited for is another process
        await asyncio.sleep(LOOK_EVERY_S)


def tail(path: Path, *, lines: int) -> list[str]:
    """The last lines of a log, at most; none when there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-lines:]


def resolve_command(command: tuple[str, ...]) -> list[str]:
    """The trainer's command line: beside this Python, else in PATH. Raises `TrainerFailed`."""
    program = command[0]
    if "/" in program:
        return [str(Path(program).absolute()), *command[1:]]
    beside = Path(sys.executable).parent / program
    found = str(beside) if beside.exists() else shutil.which(program)
    if found is None:
        raise TrainerFailed(f"there is no command {program!r}; install anomaflow[trainer], or set trainer_command")
    return [found, *command[1:]]
