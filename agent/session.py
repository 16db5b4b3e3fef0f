"""One conversation with the aggregator, from Hello to its end. Knows messages, not how they travel.

Records leave in the order of the spool, at most `window` unacknowledged. An acknowledgement covers everything up to its
number; only then does the spool's cursor move. Beside the records go heartbeats and word of models; policies and model
offers come back on the same stream. When records stay unacknowledged for too long the conversation is given up, because
a connection that lost its other end says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf.message import DecodeError

from agent import footprint, health
from agent.errors import AgentError, AggregatorAway
from agent.offers import Answer, Offer, Outcome, read_status
from agent.policy import Policy, PolicyRefused, follow, read_policy, to_json
from agent.spool_file import Kind
from agent.state import replace_json, stamp
from protos.v1 import batch_pb2, fleet_pb2, models_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.backoff import Backoff
    from agent.clock import Clock
    from agent.offers import Offers
    from agent.spool_file import Record
    from agent.spool_reader import SpoolReader
    from agent.state import StateDir

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 5.0
TRIM_BEATS: Final = 12
POLL_S: Final = 0.1
WATCH_S: Final = 0.5
WELCOME_S: Final = 15.0
ACKNOWLEDGE_S: Final = 30.0
FAREWELL_S: Final = 3.0
LEASE_RECORDS: Final = 4
DEFAULT_WINDOW: Final = 8

_REPORT: Final = {
    Outcome.INSTALLED: models_pb2.ModelReport.INSTALLED,
    Outcome.RUNNING: models_pb2.ModelReport.RUNNING,
    Outcome.REFUSED: models_pb2.ModelReport.REFUSED,
}


class Refused(AggregatorAway):
    """The aggregator said no, and that asking again changes nothing."""


class Line(Protocol):
    """A stream of messages both ways."""

    async def send(self, message: fleet_pb2.AgentMessage) -> None:
        """Send one message; returns when the transport took it."""

    async def receive(self) -> fleet_pb2.AggregatorMessage | None:
        """The next message, None when the other side ended the stream."""

    async def finish(self) -> None:
        """Say that nothing more will be sent, after everything that was."""


class Session:
    """A conversation over `line`. `new_backoff()` paces repeated downloads of one offer."""

    def __init__(
        self,
        line: Line,
        *,
        reader: SpoolReader,
        state: StateDir,
        offers: Offers,
        clock: Clock,
        new_backoff: Callable[[], Backoff],
    ) -> None:
        self._line = line
        self._reader = reader
        self._state = state
        self._offers = offers
        self._clock = clock
        self._new_backoff = new_backoff
        self._window = DEFAULT_WINDOW
        self._in_flight: deque[int] = deque()
        self._acknowledged = asyncio.Event()
        self._progress_at = 0.0
        self._paused_until = 0.0
        self._running_said = ""
        self._refused_said: set[str] = set()
        self._scores_stamp = (0, 0, 0)
        self._scores_said: dict[tuple[str, int, str], bytes] = {}
        self._offer: asyncio.Task[None] | None = None
        self._offered = ""

    async def run(self, hello: fleet_pb2.Hello, stopping: asyncio.Event, welcomed: Callable[[], None]) -> None:
        """Until `stopping` or the end of the line. Raises `AggregatorAway`, `StateError` or `EpochEnded`."""
        await self._line.send(fleet_pb2.AgentMessage(hello=hello))
        self._running_said = hello.model_digest
        self._take_welcome(await self._first_message())
        welcomed()
        await _first_to_fail(
            self._receive(stopping),
            self._push(stopping),
            self._beat(),
            self._watch_models(),
            cleanup=self._forget_offer,
        )

    async def _first_message(self) -> fleet_pb2.AggregatorMessage:
        try:
            message = await asyncio.wait_for(self._line.receive(), WELCOME_S)
        except TimeoutError:
            raise AggregatorAway(
                f"greeting the aggregator: no answer within {WELCOME_S:g} s; is it overloaded?"
            ) from None
        if message is None:
            raise AggregatorAway("greeting the aggregator: it ended the stream at once; look at its log")
        return message

    def _take_welcome(self, message: fleet_pb2.AggregatorMessage) -> None:
        if message.HasField("refusal"):
            raise _refusal(message.refusal)
        if not message.HasField("welcome"):
            raise AggregatorAway("greeting the aggregator: its first word is no welcome; are the versions the same?")
        if message.welcome.cursor > self._reader.cursor:
            # Beyond the end of the file too: then the file is an old copy, and the sensor begins a new epoch.
            self._reader.commit(message.welcome.cursor)
        self._reader.rollback()
        self._window = min(message.welcome.window or DEFAULT_WINDOW, DEFAULT_WINDOW)

    # --- receiving ---------------------------------------------------------------------------------------------

    async def _receive(self, stopping: asyncio.Event) -> None:
        while (message := await self._line.receive()) is not None:
            kind = message.WhichOneof("body")
            if kind == "ack":
                self._take_ack(message.ack)
            elif kind == "policy":
                self._take_policy(message.policy)
            elif kind == "model_offer":
                self._take_offer(message.model_offer)
            elif kind == "refusal":
                raise _refusal(message.refusal)
        if stopping.is_set():
            return
        raise AggregatorAway("the aggregator ended the stream; records are kept and sent when it is back")

    def _take_ack(self, ack: fleet_pb2.Ack) -> None:
        if self._in_flight and ack.sequence > self._in_flight[-1]:
            log.warning("ack_beyond_sent sequence=%d sent=%d", ack.sequence, self._in_flight[-1])
            return
        while self._in_flight and self._in_flight[0] <= ack.sequence:
            self._in_flight.popleft()
        self._reader.commit(ack.sequence)
        self._window = min(ack.window or self._window, DEFAULT_WINDOW)
        self._paused_until = self._clock.monotonic() + ack.pause_ms / 1000
        self._progress_at = max(self._clock.monotonic(), self._paused_until)
        self._acknowledged.set()

    def _take_policy(self, message: models_pb2.Policy) -> None:
        new = Policy(
            version=message.version,
            model_digest=message.model_digest,
            threshold=message.threshold,
            keep_fraction=message.keep_fraction,
            max_alerts_per_minute=message.max_alerts_per_minute,
        )
        try:
            policy = follow(read_policy(self._state.policy), new)
            replace_json(self._state.policy, to_json(policy), durable=True)
        except (PolicyRefused, OSError) as error:
            log.warning("policy_refused version=%d error=%s", new.version, error)
        else:
            log.info("policy_received version=%d threshold=%g", policy.version, policy.threshold)

    # --- sending -----------------------------------------------------------------------------------------------

    async def _push(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            self._acknowledged.clear()
            now = self._clock.monotonic()
            room = min(self._window - len(self._in_flight), LEASE_RECORDS)
            records = self._reader.lease(room) if room > 0 and now >= self._paused_until else []
            for record in records:
                if not self._in_flight:
                    self._progress_at = self._clock.monotonic()
                self._in_flight.append(record.sequence)
                await self._line.send(fleet_pb2.AgentMessage(record=_message(record)))
            if not records:
                self._require_progress(now)
                await self._pause(stopping)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                while self._in_flight:
                    self._acknowledged.clear()
                    await self._acknowledged.wait()
                await self._send_heartbeat()  # the last word: stopped, and what is left in the spool
                await self._line.finish()
                await asyncio.sleep(FAREWELL_S)  # until the other side ends the stream, and with it this

    async def _pause(self, stopping: asyncio.Event) -> None:
        """Until an acknowledgement makes room, or it is time to look for new records."""
        with contextlib.suppress(TimeoutError):
            if self._in_flight and not stopping.is_set():
                await asyncio.wait_for(self._acknowledged.wait(), POLL_S)
            else:
                await asyncio.wait_for(stopping.wait(), POLL_S)

    def _require_progress(self, now: float) -> None:
        if self._in_flight and now - self._progress_at > ACKNOWLEDGE_S:
            raise AggregatorAway(
                f"waiting for the aggregator: {len(self._in_flight)} records unacknowledged for {ACKNOWLEDGE_S:g} s; "
                "they are sent again over a new connection"
            )

    async def _beat(self) -> None:
        beats = 0
        while True:
            await self._send_heartbeat()
            if beats % TRIM_BEATS == 0:
                footprint.trim()
            beats += 1
            await asyncio.sleep(HEARTBEAT_S)

    async def _send_heartbeat(self) -> None:
        waiting = self._reader.waiting()
        now_ms = self._clock.wall_ms()
        report = health.read(self._state.health, now_ms=now_ms)
        heartbeat = fleet_pb2.Heartbeat(
            health=report.health,
            spool_bytes=waiting.bytes,
            spool_records=waiting.records,
            model_digest=report.model_digest,
            policy_version=report.policy_version,
            sent_ms=now_ms,
        )
        await self._send_scores()
        await self._line.send(fleet_pb2.AgentMessage(heartbeat=heartbeat))

    async def _send_scores(self) -> None:
        """What the sensor counted and was not said on this stream yet. Said twice it changes nothing."""
        changed = stamp(self._state.scores)
        if changed == self._scores_stamp:
            return
        try:
            counted = batch_pb2.ScoreLog.FromString(self._state.scores.read_bytes())
        except (OSError, DecodeError):
            return  # the sensor is about to make a new one
        self._scores_stamp = changed
        for hour in counted.hours:
            key, content = (hour.run, hour.hour_ms, hour.model_digest), hour.SerializeToString()
            if self._scores_said.get(key) != content:
                await self._line.send(fleet_pb2.AgentMessage(score_counts=hour))
                self._scores_said[key] = content
        kept = {(hour.run, hour.hour_ms, hour.model_digest) for hour in counted.hours}
        self._scores_said = {key: content for key, content in self._scores_said.items() if key in kept}

    # --- models ------------------------------------------------------------------------------------------------

    def _take_offer(self, message: models_pb2.ModelOffer) -> None:
        if self._offer is not None and not self._offer.done():
            if message.digest == self._offered:
                return
            self._offer.cancel()
        self._offered = message.digest
        offer = Offer(message.digest, message.size, message.name, message.feature_digest)
        log.info("model_offered digest=%s name=%s", offer.digest, offer.name)
        self._offer = asyncio.create_task(self._answer(offer))

    async def _answer(self, offer: Offer) -> None:
        backoff = self._new_backoff()
        while True:
            try:
                answer = await self._offers.answer(offer)
            except AggregatorAway as error:
                log.warning("model_fetch_interrupted digest=%s error=%s", offer.digest, error)
                await asyncio.sleep(backoff.next_s())
            else:
                return await self._say(answer)

    async def _say(self, answer: Answer) -> None:
        if answer.outcome is Outcome.RUNNING:
            self._running_said = answer.digest
        log.info("model_report digest=%s state=%s detail=%s", answer.digest, answer.outcome.value, answer.detail)
        report = models_pb2.ModelReport(digest=answer.digest, state=_REPORT[answer.outcome], detail=answer.detail)
        await self._line.send(fleet_pb2.AgentMessage(model_report=report))

    async def _watch_models(self) -> None:
        """Pass on what the sensor says: which model runs, and which one it refused."""
        seen = (0, 0, 0)
        while True:
            changed = stamp(self._state.model_status)
            if changed != seen:
                seen = changed
                status = read_status(self._state.model_status)
                if status.running and status.running != self._running_said:
                    await self._say(Answer(status.running, Outcome.RUNNING))
                for digest, detail in status.refused:
                    if digest not in self._refused_said:
                        self._refused_said.add(digest)
                        await self._say(Answer(digest, Outcome.REFUSED, detail))
            await asyncio.sleep(WATCH_S)

    async def _forget_offer(self) -> None:
        if self._offer is not None:
            self._offer.cancel()
            await asyncio.gather(self._offer, return_exceptions=True)


def _message(record: Record) -> fleet_pb2.Record:
    if record.kind is Kind.BATCH:
        return fleet_pb2.Record(sequence=record.sequence, batch=record.payload)
    gap = batch_pb2.Gap(
        first_sequence=record.first,
        last_sequence=record.sequence,
        flows=record.flows,
        alerts=record.alerts,
        reason=record.reason,
    )
    return fleet_pb2.Record(sequence=record.sequence, gap=gap.SerializeToString())


def _refusal(refusal: fleet_pb2.Refusal) -> AgentError:
    kind = AggregatorAway if refusal.retry else Refused
    return kind(f"the aggregator refused this agent: {refusal.reason or 'it gave no reason'}")


async def _first_to_fail(*parts: Awaitable[None], cleanup: Callable[[], Awaitable[None]]) -> None:
    """Run `parts` until one ends or fails, then end the others. Raises what it raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await cleanup()
    for task in done:
        task.result()
