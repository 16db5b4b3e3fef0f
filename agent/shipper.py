"""The shipper: keeps one long stream to the aggregator open, and the spool draining through it (agent/session.py).

Promises:

- At least once: a record leaves the spool only after an acknowledgement that covers it. After a lost connection
  everything unacknowledged is sent again; the aggregator recognises it by (agent, epoch, sequence).
- Memory is bounded by the size of a lease, however long the outage was.
- An aggregator that is away costs nothing but time: pauses grow, with full jitter, and everything is kept.
- Policies and models that are pushed take effect by rename, after they were found usable; the sensor notices.

The only module that imports grpc. No engine, no numpy and no onnxruntime: this process moves bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import random
import secrets
import signal
import socket
import sys
from typing import IO, TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

from agent import health
from agent.backoff import Backoff
from agent.clock import SystemClock
from agent.config import add_flags, from_arguments, require_loopback, resolve_agent_id
from agent.errors import AgentError, AggregatorAway, SpoolAbsent, SpoolBusy
from agent.offers import Offers, read_status
from agent.policy import read_policy
from agent.session import Refused, Session
from agent.spool_reader import EpochEnded, SpoolReader
from agent.state import StateDir, replace_json
from protos import names
from protos.exits import ExitCode
from protos.settings import ConfigError
from protos.v1 import fleet_pb2, fleet_pb2_grpc, models_pb2
from protos.version import VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from agent.clock import Clock
    from agent.config import AgentConfig

log = logging.getLogger("agent.shipper")  # run with -m, where __name__ says nothing

REFUSED_PAUSE_S: Final = 60.0
SPOOL_PAUSE_S: Final = 0.2
FETCH_TIMEOUT_S: Final = 300.0
_ORPHAN_CHECK_S: Final = 1.0

OPTIONS: Final = (
    # A proxy of the environment must never see loopback traffic.
    ("grpc.enable_http_proxy", 0),
    # Otherwise a new channel inherits the pauses of the one before; the pauses are ours.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 8 << 20),
)


class GrpcLine:
    """A stream of `Fleet.Connect`. gRPC takes one write at a time, so writers queue."""

    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self._call = call
        self._writing = asyncio.Lock()

    async def send(self, message: fleet_pb2.AgentMessage) -> None:
        """Send one message."""
        async with self._writing:
            await self._call.write(message)

    async def receive(self) -> fleet_pb2.AggregatorMessage | None:
        """The next message, None at the end."""
        message = await self._call.read()
        return None if message is grpc.aio.EOF else message

    async def finish(self) -> None:
        """Close the writing half: what was sent before is delivered first."""
        async with self._writing:
            await self._call.done_writing()


class Shipper:
    """One agent's way to its aggregator. `stop` may be called from a signal handler of the loop."""

    def __init__(
        self, *, agent_id: str, target: str, source: str, state: StateDir, clock: Clock, chance: Callable[[], float]
    ) -> None:
        self.agent_id = agent_id
        self.target = target
        self._source = source
        self._state = state
        self._clock = clock
        self._chance = chance
        self._stopping = asyncio.Event()
        self._backoff = Backoff(chance)
        self._stub: fleet_pb2_grpc.FleetStub | None = None
        self._offers = Offers(state, self._fetch)

    def stop(self) -> None:
        """End after a short farewell."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`. Nothing that an aggregator, a network or a spool does ends it."""
        said = ""
        while not self._stopping.is_set():
            state, detail, pause = "away", "", 0.0
            try:
                await self._converse()
            except EpochEnded:
                log.info("epoch_ended")
            except SpoolAbsent:
                pause = SPOOL_PAUSE_S  # the sensor is about to make it
            except Refused as error:
                state, detail, pause = "refused", str(error), max(REFUSED_PAUSE_S, self._backoff.next_s())
            except (AgentError, OSError) as error:
                detail, pause = str(error), self._backoff.next_s()
            if detail and not self._stopping.is_set():
                self._write_link(state, detail)
                if detail != said:
                    log.warning("aggregator_%s detail=%s", state, detail)
            said = detail
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        self._write_link("stopped", "")

    async def _converse(self) -> None:
        """One connection, from Hello to its end."""
        reader = SpoolReader(self._state)
        try:
            async with grpc.aio.insecure_channel(self.target, options=OPTIONS) as channel:
                self._stub = fleet_pb2_grpc.FleetStub(channel)
                call = self._stub.Connect()
                session = Session(
                    GrpcLine(call),
                    reader=reader,
                    state=self._state,
                    offers=self._offers,
                    clock=self._clock,
                    new_backoff=lambda: Backoff(self._chance),
                )
                try:
                    await session.run(self._hello(reader), self._stopping, self._welcomed)
                finally:
                    call.cancel()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise self._away(error, f"talking to the aggregator at {self.target}") from error
        finally:
            self._stub = None
            reader.close()

    def _away(self, error: Exception, doing: str) -> AggregatorAway:
        if isinstance(error, grpc.aio.AioRpcError):
            what = f"{error.code().name.lower().replace('_', ' ')}: {error.details()}"
        else:
            what = "the stream ended"
        return AggregatorAway(f"{doing}: {what}. Everything is kept and sent when it answers; is it running?")

    def _welcomed(self) -> None:
        self._backoff.reset()
        log.info("aggregator_connected target=%s", self.target)
        self._write_link("connected", "")

    def _hello(self, reader: SpoolReader) -> fleet_pb2.Hello:
        report = health.read(self._state.health, now_ms=self._clock.wall_ms())
        policy = read_policy(self._state.policy)
        return fleet_pb2.Hello(
            agent_id=self.agent_id,
            epoch=reader.epoch,
            version=VERSION,
            hostname=socket.gethostname(),
            source=self._source or report.health.source,
            feature_digest=names.DIGEST,
            model_digest=read_status(self._state.model_status).running,
            policy_version=policy.version if policy else 0,
        )

    async def _fetch(self, digest: str) -> AsyncIterator[bytes]:
        doing = f"fetching model {digest[:12]} from {self.target}"
        if self._stub is None:
            raise AggregatorAway(f"{doing}: the connection ended; it is fetched over the next one")
        request = models_pb2.ModelRequest(agent_id=self.agent_id, digest=digest)
        try:
            async for chunk in self._stub.FetchModel(request, timeout=FETCH_TIMEOUT_S):
                yield chunk.data
        except grpc.aio.AioRpcError as error:
            raise self._away(error, doing) from error

    def _write_link(self, state: str, detail: str) -> None:
        with contextlib.suppress(OSError):
            replace_json(
                self._state.link,
                {"state": state, "detail": detail, "target": self.target, "updated_ms": self._clock.wall_ms()},
            )


def own(state: StateDir) -> IO[bytes]:
    """Be the only shipper of this state directory, until closed. Raises `SpoolBusy`."""
    lock = state.root.joinpath("shipper.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise SpoolBusy(
            f"sending from {state.root}: another shipper does so already; stop it, or use another --state-dir"
        ) from error
    return lock


async def ship(config: AgentConfig, state: StateDir, *, parent: int) -> None:
    """Run a shipper until SIGTERM, SIGINT or the end of the process that started it."""
    host, port = require_loopback(config.aggregator)
    shipper = Shipper(
        agent_id=resolve_agent_id(config, state, hostname=socket.gethostname(), suffix=lambda: secrets.token_hex(2)),
        target=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        source=config.iface,
        state=state,
        clock=SystemClock(),
        chance=random.random,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, shipper.stop)

    async def follow_parent() -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 - nothing announces the death of a parent
            await asyncio.sleep(_ORPHAN_CHECK_S)
        log.warning("supervisor_gone")
        shipper.stop()

    watch = loop.create_task(follow_parent()) if parent else None
    try:
        await shipper.run()
    finally:
        if watch is not None:
            watch.cancel()


def parser() -> argparse.ArgumentParser:
    """The command line of the process; `anomaflow-agent run` starts it with everything in the environment."""
    result = argparse.ArgumentParser(prog="python -m agent.shipper", description="Send what the spool holds.")
    result.add_argument("--parent", type=int, default=0, metavar="PID", help="End when this process is gone.")
    add_flags(result, "state_dir", "aggregator", "agent_id")
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run until stopped; the process's exit code."""
    arguments = parser().parse_args(argv)
    try:
        config = from_arguments(arguments)
        logging.basicConfig(
            level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        state = StateDir(config.state_dir)
        state.prepare()
        with own(state):
            asyncio.run(ship(config, state, parent=arguments.parent))
    except ConfigError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return ExitCode.CONFIG
    except AgentError as error:
        print(f"anomaflow-agent: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    raise SystemExit(main())
