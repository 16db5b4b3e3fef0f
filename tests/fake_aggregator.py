"""An aggregator for tests of the agent: a real gRPC server that keeps what it is sent, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from protos.v1 import batch_pb2, fleet_pb2, fleet_pb2_grpc, models_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass
class Behaviour:
    """What it does wrong. As it stands: nothing."""

    acknowledge: bool = True
    window: int = 8
    pause_ms: int = 0
    hang_up_after: int = 0
    """End the stream with an error after this many records of it, unacknowledged."""
    refusal: fleet_pb2.Refusal | None = None
    chunk: int = 1000
    break_download_after: int = 0
    """Bytes after which a download fails; 0 for never."""
    corrupt_download: bool = False


@dataclass
class Kept:
    """What arrived."""

    records: dict[tuple[str, str], dict[int, fleet_pb2.Record]] = field(default_factory=lambda: defaultdict(dict))
    received: list[int] = field(default_factory=list)
    """Every record's number as it came, repetitions included."""
    hellos: list[fleet_pb2.Hello] = field(default_factory=list)
    heartbeats: list[fleet_pb2.Heartbeat] = field(default_factory=list)
    counts: list[batch_pb2.ScoreCounts] = field(default_factory=list)
    reports: list[models_pb2.ModelReport] = field(default_factory=list)
    fetches: int = 0
    most_in_flight: int = 0


class FakeAggregator(fleet_pb2_grpc.FleetServicer):
    """Start it, talk to it, look at `kept`."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self.kept = Kept()
        self.models: dict[str, bytes] = {}
        self.policy: models_pb2.Policy | None = None
        self.offer: models_pb2.ModelOffer | None = None
        self._server: grpc.aio.Server | None = None
        self._outboxes: list[asyncio.Queue[fleet_pb2.AggregatorMessage]] = []
        self.port = 0

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; on `port` again after a stop, if it is given."""
        self._server = grpc.aio.server()
        fleet_pb2_grpc.add_FleetServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        await self._server.start()

    async def stop(self) -> None:
        """Vanish."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def cursor(self, agent: str, epoch: str) -> int:
        """The highest number kept."""
        return max(self.kept.records[agent, epoch], default=0)

    def batches(self) -> list[batch_pb2.Batch]:
        """Every batch kept, in order of its number."""
        return [
            batch_pb2.Batch.FromString(records[number].batch)
            for records in self.kept.records.values()
            for number in sorted(records)
            if records[number].WhichOneof("body") == "batch"
        ]

    def gaps(self) -> list[batch_pb2.Gap]:
        """Every gap kept."""
        return [
            batch_pb2.Gap.FromString(records[number].gap)
            for records in self.kept.records.values()
            for number in sorted(records)
            if records[number].WhichOneof("body") == "gap"
        ]

    def publish(self, data: bytes, name: str = "model") -> str:
        """Offer a model to everybody, now and later; its digest."""
        digest = hashlib.sha256(data).hexdigest()
        self.models[digest] = data
        self.offer = models_pb2.ModelOffer(digest=digest, size=len(data), name=name)
        self._tell(fleet_pb2.AggregatorMessage(model_offer=self.offer))
        return digest

    def set_policy(self, policy: models_pb2.Policy) -> None:
        """Send a policy to everybody, now and later."""
        self.policy = policy
        self._tell(fleet_pb2.AggregatorMessage(policy=policy))

    def _tell(self, message: fleet_pb2.AggregatorMessage) -> None:
        for outbox in self._outboxes:
            outbox.put_nowait(message)

    async def Connect(  # noqa: N802
        self, request_iterator: AsyncIterator[fleet_pb2.AgentMessage], context: Any
    ) -> AsyncIterator[fleet_pb2.AggregatorMessage]:
        """One conversation."""
        outbox: asyncio.Queue[fleet_pb2.AggregatorMessage] = asyncio.Queue()
        reading = asyncio.create_task(self._read(request_iterator, outbox))
        self._outboxes.append(outbox)
        try:
            while True:
                message = asyncio.create_task(outbox.get())
                await asyncio.wait({message, reading}, return_when=asyncio.FIRST_COMPLETED)
                if message.done():
                    yield message.result()
                    continue
                message.cancel()
                if reading.exception() is not None:
                    await context.abort(grpc.StatusCode.INTERNAL, "told to misbehave")
                return
        finally:
            self._outboxes.remove(outbox)
            reading.cancel()

    async def _read(
        self, messages: AsyncIterator[fleet_pb2.AgentMessage], outbox: asyncio.Queue[fleet_pb2.AggregatorMessage]
    ) -> None:
        hello = (await anext(aiter(messages))).hello
        self.kept.hellos.append(hello)
        if self.behaviour.refusal is not None:
            outbox.put_nowait(fleet_pb2.AggregatorMessage(refusal=self.behaviour.refusal))
            return
        records = self.kept.records[hello.agent_id, hello.epoch]
        cursor = max(records, default=0)
        welcome = fleet_pb2.Welcome(cursor=cursor, window=self.behaviour.window)
        outbox.put_nowait(fleet_pb2.AggregatorMessage(welcome=welcome))
        if self.policy is not None and self.policy.version != hello.policy_version:
            outbox.put_nowait(fleet_pb2.AggregatorMessage(policy=self.policy))
        if self.offer is not None and self.offer.digest != hello.model_digest:
            outbox.put_nowait(fleet_pb2.AggregatorMessage(model_offer=self.offer))
        seen = 0
        async for message in messages:
            kind = message.WhichOneof("body")
            if kind == "heartbeat":
                self.kept.heartbeats.append(message.heartbeat)
            elif kind == "score_counts":
                self.kept.counts.append(message.score_counts)
            elif kind == "model_report":
                self.kept.reports.append(message.model_report)
            elif kind == "record":
                seen += 1
                sequence = message.record.sequence
                self.kept.received.append(sequence)
                if self.behaviour.hang_up_after and seen >= self.behaviour.hang_up_after:
                    raise ConnectionAbortedError
                if not self.behaviour.acknowledge:
                    self.kept.most_in_flight = max(self.kept.most_in_flight, seen)
                    continue
                if sequence > cursor:
                    records[sequence] = message.record
                    cursor = sequence
                ack = fleet_pb2.Ack(sequence=sequence, window=self.behaviour.window, pause_ms=self.behaviour.pause_ms)
                outbox.put_nowait(fleet_pb2.AggregatorMessage(ack=ack))

    async def FetchModel(  # noqa: N802
        self, request: models_pb2.ModelRequest, context: Any
    ) -> AsyncIterator[models_pb2.ModelChunk]:
        """A model, whole or not."""
        self.kept.fetches += 1
        data = self.models[request.digest]
        if self.behaviour.corrupt_download:
            data = data[:-1] + bytes([data[-1] ^ 1])
        sent = 0
        for start in range(0, len(data), self.behaviour.chunk):
            if self.behaviour.break_download_after and sent >= self.behaviour.break_download_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "told to break")
            yield models_pb2.ModelChunk(data=data[start : start + self.behaviour.chunk])
            sent += self.behaviour.chunk


async def eventually(condition: Callable[[], Any], *, seconds: float = 10.0, what: str = "") -> Any:
    """Wait until `condition()` is true and give its value; fail, naming `what`, when it takes too long."""
    async with asyncio.timeout(seconds * 10):
        for _ in range(int(seconds / 0.02)):
            value = condition()
            if value:
                return value
            await asyncio.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what or condition}")
