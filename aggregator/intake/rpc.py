"""The fleet's gRPC skin: streams in, plain functions of ingest.py, streams out.

One stream is three things at once: a reader that fills a bounded queue and waits while it is full (so a fast agent is
slowed by TCP and not by memory), a worker that stores what waits together and acknowledges it, and an outbox of what is
to be told to the agent (welcome, acknowledgement, policy, model offer).

- An acknowledgement is sent after the commit and covers everything up to its sequence.
- A policy or model that changes is offered at once on every open stream, and again on the next hello or heartbeat.
- A second stream of the same agent ends the first one: after a broken link the old one may linger.
- A broken record is set aside and counted; its stream ends with a refusal that says what was wrong, and the agent
  goes on with the next record when it comes back. Nobody else notices.
- Listens on loopback only: agents have no identities yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import grpc

from aggregator.calibration import counts, groups
from aggregator.config import DIGEST, require_loopback
from aggregator.errors import AggregatorError, BindRefused, NotFound, RecordRefused, StateError
from aggregator.intake import ingest, screening
from aggregator.intake.mailbox import Inbound, Outbox
from aggregator.models import registry, rollout
from aggregator.rows import Model, ModelState, Policy
from protos.v1 import fleet_pb2, fleet_pb2_grpc, models_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aggregator.intake.screening import Broken, Examined, Sender
    from aggregator.services import Services

log = logging.getLogger(__name__)

CHUNK: Final = 256 << 10
PAUSE_MS: Final = 500
"""Pause asked of agents while too many records wait for a Parquet file."""

OFFER_AGAIN_S: Final = 60.0
"""An agent that still runs another model after so long is offered the champion again."""

COMMIT_RECORDS: Final = 16
COMMIT_BYTES: Final = 8 << 20
"""Records, and bytes, that one commit of one stream takes."""


@dataclass(slots=True)
class Stream:
    """One agent's open stream."""

    sender: Sender
    outbox: Outbox
    standing: rollout.Standing = field(default_factory=rollout.Standing)
    offered: str = ""
    offered_s: float = 0.0
    sent_policy: int = 0
    replaced: bool = False

    def presumed(self, champion: str, now_s: float) -> rollout.Standing:
        """What the agent will run if nothing more is said.

        One that was offered another model than today's champion may be on its way to it, whatever it runs now. And a
        refusal is believed for a while only: a full disk refuses too, and may be emptied.
        """
        standing = self.standing
        if standing.refused_digest and now_s - self.offered_s >= OFFER_AGAIN_S:
            standing = replace(standing, refused_digest="")
        if self.offered and self.offered not in {champion, standing.refused_digest}:
            standing = replace(standing, model_digest=self.offered)
        return standing


class FleetServicer(fleet_pb2_grpc.FleetServicer):
    """Streams of agents. `stored(flows, alert_ids)` is called after every commit."""

    def __init__(self, services: Services, stored: Callable[[int, tuple[int, ...]], None]) -> None:
        self._services = services
        self._stored = stored
        self._streams: dict[str, Stream] = {}
        self._target: rollout.Target | None = None
        self._generation = 0

    # --- what gRPC calls ---------------------------------------------------------------------------------------

    async def Connect(  # noqa: N802 - the name in fleet.proto
        self,
        request_iterator: AsyncIterator[fleet_pb2.AgentMessage],
        context: Any,  # noqa: ARG002 - gRPC passes it
    ) -> AsyncIterator[fleet_pb2.AggregatorMessage]:
        """One agent's stream, from hello to whichever side ends it."""
        outbox = Outbox()
        serving = asyncio.create_task(self._serve(request_iterator, outbox))
        try:
            async for message in outbox:
                yield message
        finally:
            serving.cancel()
            await asyncio.wait([serving])

    async def FetchModel(  # noqa: N802 - the name in fleet.proto
        self, request: models_pb2.ModelRequest, context: Any
    ) -> AsyncIterator[models_pb2.ModelChunk]:
        """The bytes of a model that was not refused, in chunks."""
        path = await asyncio.to_thread(self._model_path, request.digest)
        if path is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such model, or it was refused")
            return
        with await asyncio.to_thread(path.open, "rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK):
                yield models_pb2.ModelChunk(data=chunk)

    def _model_path(self, digest: str) -> Path | None:
        if not DIGEST.fullmatch(digest):
            return None
        try:
            model = self._services.registry.get(digest)
        except NotFound:
            return None
        path = self._services.registry.path(model.digest)
        return path if path.exists() and model.state is not ModelState.REFUSED else None

    # --- what happens inside the aggregator ----------------------------------------------------------------------

    async def follow_changes(self) -> None:
        """Offer models and policies to every open stream when they change, until cancelled."""
        async with self._services.events.subscribe("model", "policy") as changes:
            async for _ in changes:
                self._target, self._generation = None, self._generation + 1
                for stream in list(self._streams.values()):
                    with contextlib.suppress(AggregatorError):
                        await self._offer(stream)

    @property
    def connected(self) -> int:
        """Streams open now."""
        return len(self._streams)

    # --- one stream --------------------------------------------------------------------------------------------

    async def _serve(self, messages: AsyncIterator[fleet_pb2.AgentMessage], outbox: Outbox) -> None:
        stream: Stream | None = None
        inbound = Inbound(self._services.config.stream_window)
        reader = asyncio.create_task(inbound.fill(messages))
        try:
            stream = await self._greet(await inbound.get(), outbox)
            await self._offer(stream)
            while (message := await inbound.get()) is not None:
                await self._handle(stream, message, inbound)
        except RecordRefused as error:
            log.warning("agent_refused agent=%s reason=%s", stream.sender.agent_id if stream else "?", error)
            outbox.put(_refusal(str(error), retry=error.retry))
        except StateError as error:
            log.error("ingest_failed agent=%s error=%s", stream.sender.agent_id if stream else "?", error)  # noqa: TRY400
            outbox.put(_refusal(f"the aggregator cannot store now: {error}", retry=True))
        except Exception:  # the agent is told to come again rather than left with a broken stream
            log.exception("stream_failed agent=%s", stream.sender.agent_id if stream else "?")
            outbox.put(_refusal("the aggregator failed on this stream; see its log", retry=True))
        finally:
            reader.cancel()
            outbox.close()
            if stream is not None:
                await self._part(stream)

    async def _greet(self, message: fleet_pb2.AgentMessage | None, outbox: Outbox) -> Stream:
        if message is None or message.WhichOneof("body") != "hello":
            raise RecordRefused("a stream begins with a hello")
        hello = message.hello
        sender = screening.check_hello(hello)
        stream = Stream(sender, outbox, rollout.Standing(hello.model_digest, hello.policy_version))
        old = self._streams.get(sender.agent_id)
        self._streams[sender.agent_id] = stream
        if old is not None:
            old.replaced = True
            old.outbox.put(_refusal("another stream of this agent took over", retry=True))
            old.outbox.close()
        now_ms = self._services.clock.now_ms()
        cursor = await self._services.store.write(lambda db: ingest.store_hello(db, hello, now_ms=now_ms))
        window = self._services.config.stream_window
        outbox.put(fleet_pb2.AggregatorMessage(welcome=fleet_pb2.Welcome(cursor=cursor, window=window)))
        log.info("agent_connected agent=%s epoch=%s cursor=%d", sender.agent_id, sender.epoch, cursor)
        self._services.events.publish("agent", id=sender.agent_id)
        return stream

    async def _part(self, stream: Stream) -> None:
        if self._streams.get(stream.sender.agent_id) is stream:
            del self._streams[stream.sender.agent_id]
        if stream.replaced:
            return
        now_ms = self._services.clock.now_ms()
        with contextlib.suppress(StateError):
            await self._services.store.write(lambda db: ingest.store_goodbye(db, stream.sender, now_ms=now_ms))
        log.info("agent_left agent=%s", stream.sender.agent_id)
        self._services.events.publish("agent", id=stream.sender.agent_id)

    async def _handle(self, stream: Stream, message: fleet_pb2.AgentMessage, inbound: Inbound) -> None:
        kind = message.WhichOneof("body")
        store, now_ms = self._services.store, self._services.clock.now_ms()
        if kind == "record":
            await self._take(stream, _waiting_records(message.record, inbound))
        elif kind == "heartbeat":
            beat = message.heartbeat
            await store.write(lambda db: ingest.store_heartbeat(db, stream.sender, beat, now_ms=now_ms))
            stream.standing = replace(
                stream.standing, model_digest=beat.model_digest, policy_version=beat.policy_version
            )
            self._services.events.publish("agent", id=stream.sender.agent_id)
            await self._offer(stream)
        elif kind == "score_counts":
            counted = message.score_counts
            await store.write(lambda db: counts.store(db, stream.sender.agent_id, counted, now_ms=now_ms))
        elif kind == "model_report":
            report = message.model_report
            await store.write(lambda db: ingest.store_model_report(db, stream.sender, report, now_ms=now_ms))
            if report.state == models_pb2.ModelReport.REFUSED:
                stream.standing = replace(stream.standing, refused_digest=report.digest)
                log.warning("model_refused_by_agent agent=%s digest=%s", stream.sender.agent_id, report.digest[:12])
            elif report.state == models_pb2.ModelReport.RUNNING:
                stream.standing = replace(stream.standing, model_digest=report.digest)
            self._services.events.publish("agent", id=stream.sender.agent_id)
        elif kind == "hello":
            raise RecordRefused("a stream has one hello")
        else:
            raise RecordRefused("a message without a body; install the same version on both sides")

    async def _take(self, stream: Stream, records: list[fleet_pb2.Record]) -> None:
        """Store records, acknowledge them, and tell who watches."""
        config = self._services.config
        examined: list[Examined] = [screening.examine(stream.sender, record, config) for record in records]
        stored = await ingest.push(
            self._services.store, config, stream.sender, examined, now_ms=self._services.clock.now_ms()
        )
        waiting = self._services.store.read(ingest.inbox_depth)
        ack = fleet_pb2.Ack(
            sequence=stored.cursor,
            window=config.stream_window,
            pause_ms=PAUSE_MS if waiting > config.inbox_high_water else 0,
        )
        stream.outbox.put(fleet_pb2.AggregatorMessage(ack=ack))
        if stored.flows or stored.alert_ids:
            self._stored(stored.flows, stored.alert_ids)
        if stored.broken:
            raise RecordRefused(_explain(stored.broken), retry=True)

    async def _offer(self, stream: Stream) -> None:
        """Send what the agent should have and was not sent on this stream yet."""
        target, generation = self._target, self._generation
        if target is None:
            target = await asyncio.to_thread(
                self._services.store.read, lambda db: groups.target(db, registry.champion(db))
            )
            if generation == self._generation:  # else it changed while we read; whoever changed it offers again
                self._target = target
        champion, policy = target.champion, target.policy_of(stream.sender.agent_id)
        models = [champion] if champion else []
        now_s = self._services.clock.monotonic_s()
        offer = rollout.choose(stream.presumed(champion.digest if champion else "", now_s), models, policy)
        if offer.policy is not None and offer.policy.version > stream.sent_policy:
            stream.sent_policy = offer.policy.version
            stream.outbox.put(fleet_pb2.AggregatorMessage(policy=_policy(offer.policy)))
        if offer.model is None:
            stream.offered = ""
        elif offer.model.digest != stream.offered or now_s - stream.offered_s >= OFFER_AGAIN_S:
            stream.offered, stream.offered_s = offer.model.digest, now_s
            stream.outbox.put(fleet_pb2.AggregatorMessage(model_offer=_model_offer(offer.model)))


@contextlib.asynccontextmanager
async def serve(servicer: FleetServicer, *, host: str, port: int, max_record_mib: int) -> AsyncIterator[int]:
    """Listen while the block runs; gives the port. Raises `BindRefused` beyond loopback or for a port in use."""
    require_loopback(host, "grpc_host")
    # Somewhat above our own limit, so that a record that is too large is set aside and not met with a cut stream.
    largest = (max_record_mib * 2 + 1) << 20
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", largest),
            ("grpc.so_reuseport", 0),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ]
    )
    fleet_pb2_grpc.add_FleetServicer_to_server(servicer, server)
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        raise BindRefused(f"listening for agents on {host}:{port}: {error}; is another aggregator running?") from error
    if bound == 0:
        raise BindRefused(f"listening for agents on {host}:{port} failed; is another aggregator running?")
    await server.start()
    following = asyncio.create_task(servicer.follow_changes(), name="follow-changes")
    log.info("grpc_listening host=%s port=%d", host, bound)
    try:
        yield bound
    finally:
        following.cancel()
        await server.stop(grace=1.0)


def _waiting_records(first: fleet_pb2.Record, inbound: Inbound) -> list[fleet_pb2.Record]:
    """`first` and the records right behind it that are here already: they share a commit."""
    records, size = [first], first.ByteSize()
    while len(records) < COMMIT_RECORDS and size < COMMIT_BYTES and (record := inbound.next_record()) is not None:
        records.append(record)
        size += record.ByteSize()
    return records


def _explain(broken: tuple[Broken, ...]) -> str:
    first = broken[0]
    more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
    return f"record {first.sequence} was set aside as malformed{more}: {first.problem}; go on with the next one"


def _refusal(reason: str, *, retry: bool) -> fleet_pb2.AggregatorMessage:
    return fleet_pb2.AggregatorMessage(refusal=fleet_pb2.Refusal(reason=reason[:1000], retry=retry))


def _policy(policy: Policy) -> models_pb2.Policy:
    return models_pb2.Policy(
        version=policy.version,
        model_digest=policy.model_digest,
        threshold=policy.threshold,
        keep_fraction=policy.keep_fraction,
        max_alerts_per_minute=policy.max_alerts_per_minute,
    )


def _model_offer(model: Model) -> models_pb2.ModelOffer:
    return models_pb2.ModelOffer(
        digest=model.digest,
        size=model.size,
        name=model.name,
        version=model.version,
        feature_digest=model.feature_digest,
    )
