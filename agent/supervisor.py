"""Sensor and shipper as two fresh processes, kept alive together.

They are spawned, never forked: gRPC's threads and the engine's memory do not survive a fork. A process that dies is
started again with growing pauses. One that says a person must settle something (no such interface, not permitted, a
wrong setting, a state directory in use) ends the whole at its first start, with its exit code; later it is tried
again, because what worked before may work again. A stop reaches the sensor first, then the shipper, so that the last
batch still leaves.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from agent import models
from agent.backoff import Backoff
from agent.config import PREFIX, resolve_agent_id, to_environ
from agent.errors import AgentError, AggregatorAway
from agent.state import StateDir
from protos.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.config import AgentConfig

log = logging.getLogger(__name__)

FOR_A_PERSON: Final = frozenset(
    {ExitCode.USAGE, ExitCode.CONFIG, ExitCode.SOURCE, ExitCode.PERMISSION, ExitCode.STATE, ExitCode.MODEL}
)
"""Exit codes that starting again does not cure."""

HEALTHY_AFTER_S: Final = 5.0
_TICK_S: Final = 0.2
_SENSOR_STOP_S: Final = 15.0
_SHIPPER_STOP_S: Final = 6.0
_FAREWELL_S: Final = 2.0


class Child:
    """One process that is to be running."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], backoff: Backoff) -> None:
        self.name = name
        self._command = list(command)
        self._environ = dict(environ)
        self._backoff = backoff
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._restart_at = 0.0
        self.was_healthy = False

    @property
    def pid(self) -> int:
        """Its process id, 0 while it is not running."""
        return self._process.pid if self._process else 0

    def start(self, now: float) -> None:
        """Start a fresh interpreter in a process group of its own, so that Ctrl-C reaches the supervisor alone."""
        self._process = subprocess.Popen(self._command, env=self._environ, stdin=subprocess.DEVNULL, process_group=0)
        self._started_at = now
        log.info("%s_started pid=%d", self.name, self._process.pid)

    def poll(self, now: float) -> int | None:
        """The exit code if it has just ended; otherwise None, after starting it again when that is due."""
        if self._process is None:
            if now >= self._restart_at:
                self.start(now)
            return None
        code = self._process.poll()
        if code is None:
            if now - self._started_at > HEALTHY_AFTER_S:
                self.was_healthy = True
                self._backoff.reset()
            return None
        self._process = None
        self._restart_at = now + self._backoff.next_s()
        return code

    def stop(self, seconds: float) -> int | None:
        """Ask it to end, insist after `seconds`; its exit code, None if it was not running."""
        if self._process is None:
            return None
        self._process.terminate()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            log.warning("%s_killed after_s=%g", self.name, seconds)
            self._process.kill()
            code = self._process.wait()
        self._process = None
        return code


class Supervisor:
    """Runs the two until a stop, or until the replay is over and sent. `patience` is a clock that nothing wakes."""

    def __init__(
        self,
        *,
        sensor: Child,
        shipper: Child,
        replay: bool,
        waiting: Callable[[], int],
        drain_timeout_s: float,
        clock: Clock,
        patience: Clock,
    ) -> None:
        self._sensor = sensor
        self._shipper = shipper
        self._replay = replay
        self._waiting = waiting
        self._drain_timeout_s = drain_timeout_s
        self._clock = clock
        self._patience = patience
        self._stopping = False

    def stop(self) -> None:
        """End soon. Safe in a signal handler."""
        self._stopping = True
        self._clock.wake()

    def run(self) -> int:
        """The exit code of the whole. Raises `AggregatorAway` when a replay could not be sent in time."""
        # The sensor first: it makes the spool.
        self._sensor.start(self._clock.monotonic())
        self._shipper.start(self._clock.monotonic())
        try:
            code = self._watch()
        finally:
            sensor_code = self._sensor.stop(_SENSOR_STOP_S)
            self._drain(_FAREWELL_S)
            self._shipper.stop(_SHIPPER_STOP_S)
        if not self._stopping or sensor_code in (None, -signal.SIGTERM):  # the latter: asked before it could listen
            return code
        return sensor_code if sensor_code >= 0 else ExitCode.FAILED

    def _watch(self) -> int:
        while not self._stopping:
            now = self._clock.monotonic()
            shipper_code = self._shipper.poll(now)
            if shipper_code is not None:
                log.warning("shipper_ended code=%d", shipper_code)
                if shipper_code in FOR_A_PERSON and not self._shipper.was_healthy:
                    return shipper_code
            sensor_code = self._sensor.poll(now)
            if sensor_code is not None:
                if self._replay:
                    return self._after_replay(sensor_code)
                log.warning("sensor_ended code=%d", sensor_code)
                if sensor_code in FOR_A_PERSON and not self._sensor.was_healthy:
                    return sensor_code
            self._clock.wait(_TICK_S)
        return ExitCode.OK

    def _after_replay(self, code: int) -> int:
        if code not in (ExitCode.OK, ExitCode.SOURCE):
            return code if code > 0 else ExitCode.FAILED
        left = self._drain(self._drain_timeout_s)
        if left and not self._stopping:
            raise AggregatorAway(
                f"sending the replay: {left} records are still in the spool after {self._drain_timeout_s:g} s. Nothing "
                "is lost: the next run sends them, once the aggregator is there"
            )
        return code

    def _drain(self, seconds: float) -> int:
        """Wait until everything is committed; how many records are not."""
        until = self._patience.monotonic() + seconds
        left = self._waiting()
        while left and self._patience.monotonic() < until and not (self._stopping and seconds > _FAREWELL_S):
            self._shipper.poll(self._patience.monotonic())
            self._patience.wait(_TICK_S / 2)
            left = self._waiting()
        return left


def waiting_records(state: StateDir) -> int:
    """Records in the spool that are not committed; 0 when there is no spool."""
    from agent.spool_reader import SpoolReader

    try:
        reader = SpoolReader(state)
    except AgentError:
        return 0
    try:
        return reader.waiting().records
    except AgentError:
        return 0
    finally:
        reader.close()


def install_first_model(config: AgentConfig, state: StateDir) -> None:
    """Make the configured model current if none is. Raises `ModelRefused` with what is wrong."""
    if config.model is None:
        return
    current = models.current_digest(state)
    if current:
        log.info("model_setting_ignored reason=installed current=%s", current)
        return
    models.install(state, config.model)


def make_supervisor(
    config: AgentConfig,
    *,
    replay: Sequence[Path],
    pace: str,
    wait_model_s: float,
    hostname: str,
    suffix: Callable[[], str],
    chance: Callable[[], float],
    clock: Clock,
    patience: Clock,
) -> Supervisor:
    """Everything `anomaflow-agent run` needs. Raises the `AgentError` tree when the host is not ready."""
    state = StateDir(config.state_dir)
    state.prepare()
    resolve_agent_id(config, state, hostname=hostname, suffix=suffix)
    install_first_model(config, state)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environ |= to_environ(config)
    environ.pop("GRPC_ENABLE_FORK_SUPPORT", None)
    environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # glibc's arenas cost a daemon with a few threads tens of megabytes and gain it nothing.
    environ.setdefault("MALLOC_ARENA_MAX", "1")
    environ.setdefault("MALLOC_TRIM_THRESHOLD_", "131072")
    environ.setdefault("MALLOC_MMAP_THRESHOLD_", "131072")
    own_pid = ["--parent", str(os.getpid())]
    sensor = [sys.executable, "-Im", "agent.sensor", *own_pid, "--pace", pace, "--wait-model", str(wait_model_s)]
    if replay:
        sensor += ["--replay", *(str(path.absolute()) for path in replay)]
    shipper = [sys.executable, "-Im", "agent.shipper", *own_pid]
    return Supervisor(
        sensor=Child("sensor", sensor, environ, Backoff(chance, first_s=1.0)),
        shipper=Child("shipper", shipper, environ, Backoff(chance, first_s=1.0)),
        replay=bool(replay),
        waiting=lambda: waiting_records(state),
        drain_timeout_s=config.drain_timeout_s,
        clock=clock,
        patience=patience,
    )
