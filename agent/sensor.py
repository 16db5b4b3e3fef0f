"""The sensor's loop: meter, features, score, decide, enqueue. No network: gRPC is never imported here.

Promises:

- Between two batches, and only there, the model or the policy may change. A model that became current is loaded and
  self-tested first; one that fails is refused, and the old one goes on. No batch sees two of either.
- Without a model flows are metered and sampled all the same, and the state says what is missing.
- Whatever the disk or the interface does, the loop goes on and says so (`health.json`, about every second).
- A stop ends the capture, and everything that is held is decided and enqueued.
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agent import footprint, health, models
from agent.batch import Gathering
from agent.clock import SystemClock
from agent.config import add_flags, from_arguments, require_source
from agent.counting import TallyFile
from agent.errors import AgentError, ModelRefused
from agent.keeper import Keeper
from agent.meter import FileSource, LiveSource, Meter
from agent.pipeline import Pipeline, leaving
from agent.policy import initial_policy, read_policy
from agent.scorer import Scorer
from agent.sources import LiveFlows, ReplayFlows
from agent.spool import Spool
from agent.state import StateDir, replace_json, stamp
from protos.exits import ExitCode
from protos.settings import ConfigError
from protos.v1 import batch_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from agent.clock import Clock
    from agent.config import AgentConfig
    from agent.errors import SourceError
    from agent.sources import Source

log = logging.getLogger("agent.sensor")  # run with -m, where __name__ says nothing

GATHER_ROWS: Final = 512
GATHER_S: Final = 0.1
"""Flows wait this long, or for this many others, to be scored together: a batch costs the same for one as for many."""
WATCH_S: Final = 0.2
REPORT_S: Final = 1.0
TRIM_S: Final = 60.0
_REFUSED_REMEMBERED: Final = 4


class Sensor:
    """One run over one source. Everything it touches is handed in."""

    def __init__(
        self,
        *,
        config: AgentConfig,
        state: StateDir,
        source: Source,
        pipeline: Pipeline,
        keeper: Keeper,
        counts: TallyFile,
        clock: Clock,
        orphaned: Callable[[], bool] = lambda: False,
    ) -> None:
        self._config = config
        self._state = state
        self._source = source
        self._pipeline = pipeline
        self._keeper = keeper
        self._counts = counts
        self._clock = clock
        self._orphaned = orphaned
        self._watch = models.ModelWatch(state, clock)
        self._gathering = Gathering(config.batch_flows)
        self._held: list[NDArray] = []
        self._part = source.part
        self._held_since = self._gathered_since = 0.0
        self._next_watch = self._next_report = self._next_trim = 0.0
        self._policy_stamp = (0, 0, 0)
        self._refused: dict[str, str] = {}
        self._refusal = ""
        self._latency_ms = 0.0
        self._stopped = ""
        self._stopping = False

    @property
    def failure(self) -> SourceError | None:
        """What was wrong with a capture that was read all the same."""
        return self._source.failure

    def stop(self) -> None:
        """End soon, keeping everything held. Safe in a signal handler."""
        self._stopping = True
        self._source.stop()
        self._clock.wake()

    def run(self, *, wait_for_model_s: float = 0.0) -> None:
        """Until the source ends or `stop`. Raises the `SourceError` tree after everything held is enqueued."""
        self._load_first_model()
        self._watch_files()
        self._report()
        try:
            self._await_model(wait_for_model_s)
            if not self._stopping:
                for flows in self._source.batches():
                    self._take(flows)
                    self._tick()
            self._stopped = "stopped" if self._stopping else "the replay is finished"
        except AgentError as error:
            self._stopped = str(error)
            raise
        finally:
            self._judge()
            self._flush()
            self._keeper.close()
            self._counts.save()
            self._report()

    # --- flows -------------------------------------------------------------------------------------------------

    def _take(self, flows: NDArray) -> None:
        now = self._clock.monotonic()
        if self._source.part != self._part:
            self._judge()
            self._part = self._source.part
            self._pipeline.restart()
        if len(flows):
            if not self._held:
                self._held_since = now
            self._held.append(flows)
        if self._held and (sum(map(len, self._held)) >= GATHER_ROWS or now - self._held_since >= GATHER_S):
            self._judge()

    def _judge(self) -> None:
        """Features, scores and decisions for what is held."""
        if not self._held:
            return
        started = self._clock.monotonic()
        flows = self._held[0] if len(self._held) == 1 else np.concatenate(self._held)
        self._held = []
        matrix = self._pipeline.measure(flows)
        try:
            rows = self._pipeline.judge(flows, matrix)
        except ModelRefused as error:
            self._flush()
            self._refuse(self._pipeline.origin.model_digest, error)
            self._pipeline.use_model(None)
            self._write_model_status()
            rows = self._pipeline.judge(flows, matrix)
        ended = self._clock.monotonic()
        self._latency_ms = (ended - min(started, self._held_since)) * 1000
        if not self._gathering.count:
            self._gathered_since = ended
        rows = self._counts.count(rows, self._pipeline.origin.model_digest, now_ms=self._clock.wall_ms())
        self._gathering.add(leaving(rows))

    def _flush(self) -> None:
        entries = self._gathering.take(self._pipeline.origin, self._health(), created_ms=self._clock.wall_ms())
        self._keeper.keep(entries)

    def _tick(self) -> None:
        now = self._clock.monotonic()
        if now >= self._next_watch:
            self._next_watch = now + WATCH_S
            self._watch_files()
        waited_ms = (now - self._gathered_since) * 1000
        if self._gathering.count >= self._config.batch_flows or (
            self._gathering.count and waited_ms >= self._config.flush_ms
        ):
            self._flush()
        if now >= self._next_report:
            self._next_report = now + REPORT_S
            self._keeper.tick()
            self._report()
            self._counts.tick(now)
            if now >= self._next_trim:
                self._next_trim = now + TRIM_S
                footprint.trim()
            if self._orphaned() and not self._stopping:
                log.warning("supervisor_gone")
                self.stop()

    # --- model and policy --------------------------------------------------------------------------------------

    def _load_first_model(self) -> None:
        digest = self._watch.changed()
        for candidate in (digest, models.linked_digest(self._state.previous)):
            if candidate and self._swap(candidate):
                return
        self._write_model_status()

    def _await_model(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while not self._pipeline.scorer and not self._stopping and self._clock.monotonic() < until:
            self._clock.wait(WATCH_S)
            self._tick()

    def _watch_files(self) -> None:
        digest = self._watch.changed()
        if digest and digest != self._pipeline.origin.model_digest:
            self._swap(digest)
        changed = stamp(self._state.policy)
        if changed != self._policy_stamp:
            self._policy_stamp = changed
            policy = read_policy(self._state.policy)
            if policy is not None and policy != self._pipeline.policy:
                self._judge()
                self._flush()
                self._pipeline.use_policy(policy)
                log.info("policy_changed version=%d threshold=%g", policy.version, self._pipeline.origin.threshold)

    def _swap(self, digest: str) -> bool:
        """Score with `digest` from now on, if it passes; else the old model goes on."""
        try:
            scorer = Scorer(self._state.models / f"{digest}.onnx", expected_digest=digest)
        except ModelRefused as error:
            self._refuse(digest, error)
            self._write_model_status()
            return False
        self._judge()
        self._flush()
        self._pipeline.use_model(scorer)
        self._refusal = ""
        self._next_trim = 0.0  # loading a model touches much code that scoring does not
        log.info("model_running digest=%s threshold=%g", digest, self._pipeline.origin.threshold)
        self._write_model_status()
        return True

    def _refuse(self, digest: str, error: ModelRefused) -> None:
        log.warning("model_refused digest=%s error=%s", digest, error)
        self._refused = dict([*self._refused.items(), (digest, str(error))][-_REFUSED_REMEMBERED:])
        self._refusal = f"model {digest[:12]} was refused: {error}"

    def _write_model_status(self) -> None:
        running = self._pipeline.scorer
        try:
            replace_json(
                self._state.model_status,
                {
                    "running": running.digest if running else "",
                    "name": running.manifest.name if running else "",
                    "refused": self._refused,
                    "updated_ms": self._clock.wall_ms(),
                },
            )
        except OSError as error:
            log.warning("model_status_not_written error=%s", error)

    # --- health ------------------------------------------------------------------------------------------------

    def _trouble(self) -> health.Trouble:
        scorer = self._pipeline.scorer
        words = []
        if scorer is None:
            words.append("waiting for a model: flows are metered and sampled, none is scored")
        elif scorer.manifest.profile != self._config.profile():
            words.append("the model was fitted with other flow timeouts than these, so its scores mean something else")
        if scorer is not None and scorer.unusable:
            words.append(f"the model gave no number for {scorer.unusable} flows")
        if self._refusal:
            words.append(self._refusal)
        spool = self._keeper.trouble
        if self._keeper.waiting:
            spool += f" ({self._keeper.waiting} batches with alerts wait in memory)"
        return health.Trouble(
            stopped=self._stopped, interface=self._source.trouble, spool=spool, model="; ".join(words)
        )

    def _health(self) -> batch_pb2.SensorHealth:
        stats = self._source.stats
        state, detail = health.judge(self._trouble())
        return batch_pb2.SensorHealth(
            packets=stats.packets,
            packets_ignored=stats.ignored,
            packets_dropped=stats.dropped,
            flows=stats.flows,
            flows_evicted=stats.evicted,
            active_flows=stats.active,
            alerts=self._pipeline.alerts,
            alerts_capped=self._pipeline.capped,
            clock_corrections=stats.clock_corrections,
            state=state,
            detail=detail,
            source=self._source.name,
            traffic_ms=stats.traffic_ms,
            score_latency_ms=self._latency_ms,
        )

    def _report(self) -> None:
        origin = self._pipeline.origin
        report = health.Report(self._health(), origin.model_digest, origin.policy_version, self._clock.wall_ms())
        try:
            health.write(self._state.health, report)
        except OSError as error:
            log.warning("health_not_written error=%s", error)


def uniforms(count: int) -> NDArray[np.float64]:
    """Numbers from [0, 1) of the operating system, so that nobody can foresee which quiet flows are kept."""
    bits = np.frombuffer(os.urandom(8 * count), dtype="<u8") >> np.uint64(11)
    return bits.astype(np.float64) * np.float64(2.0**-53)


def build(config: AgentConfig, clock: Clock, *, replay: Sequence[Path], speed: float, parent: int) -> Sensor:
    """The sensor of this configuration. Raises `StateError`."""
    state = StateDir(config.state_dir)
    state.prepare()
    pipeline = Pipeline(
        read_policy(state.policy) or initial_policy(config),
        chance=uniforms,
        threshold=config.threshold,
        promised_fpr=config.promised_fpr,
        seed=int.from_bytes(os.urandom(4), "little") if not replay else 0,
    )
    profile = config.profile()

    def live() -> Meter:
        source = LiveSource(config.iface, config.bpf, promiscuous=config.promiscuous, buffer_mib=config.buffer_mib)
        return Meter(source, profile, max_flows=config.max_flows, batch_flows=config.batch_flows)

    def from_file(path: Path) -> Meter:
        source = FileSource(path, config.bpf)
        return Meter(source, profile, max_flows=config.max_flows, batch_flows=config.batch_flows, speed=speed)

    source: Source
    source = ReplayFlows(replay, from_file) if replay else LiveFlows(config.iface, live, clock)
    keeper = Keeper(lambda: Spool.open(state, max_bytes=config.spool_max_mib << 20, clock=clock), clock=clock)
    return Sensor(
        config=config,
        state=state,
        source=source,
        pipeline=pipeline,
        keeper=keeper,
        counts=TallyFile(state.scores, new_run=lambda: secrets.token_hex(8), seed=secrets.randbits(62)),
        clock=clock,
        orphaned=lambda: bool(parent) and os.getppid() != parent,
    )


def parser() -> argparse.ArgumentParser:
    """The command line of the process; `anomaflow-agent run` starts it with everything in the environment."""
    result = argparse.ArgumentParser(prog="python -m agent.sensor", description=__doc__)
    result.add_argument("--replay", nargs="+", type=Path, default=[], metavar="FILE", help="Captures instead of live.")
    result.add_argument("--pace", choices=("real", "fast"), default="fast", help="How fast captures are replayed.")
    result.add_argument("--wait-model", type=float, default=0.0, metavar="S", help="Wait this long for a first model.")
    result.add_argument("--parent", type=int, default=0, metavar="PID", help="End when this process is gone.")
    add_flags(result, "iface", "state_dir")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped; the process's exit code."""
    arguments = parser().parse_args(argv)
    try:
        config = from_arguments(arguments)
        logging.basicConfig(
            level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        require_source(config, arguments.replay)
        speed = 1.0 if arguments.pace == "real" else 0.0
        sensor = build(config, SystemClock(), replay=arguments.replay, speed=speed, parent=arguments.parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sensor.stop())
        sensor.run(wait_for_model_s=arguments.wait_model)
    except ConfigError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return ExitCode.CONFIG
    except AgentError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return error.exit_code
    failure = sensor.failure
    if failure is not None:
        print(f"anomaflow-agent: {failure}", file=sys.stderr)
        return failure.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    raise SystemExit(main())
