"""What is on its way out of and into a stream. Both are bounded, whatever the other side does.

Outgoing messages are kept one of a kind: an acknowledgement is cumulative, and of policies and offers only the newest
counts, so an agent that does not read costs a handful of messages. Incoming ones wait in a queue that makes its filler
wait while it is full.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from protos.v1 import fleet_pb2


class Outbox:
    """The newest message of each kind, in the order in which the kinds came up. Iterate it to send them."""

    def __init__(self) -> None:
        self._messages: dict[str, fleet_pb2.AggregatorMessage] = {}
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, message: fleet_pb2.AggregatorMessage) -> None:
        """Have `message` sent, in place of one of its kind that was not sent yet. Never waits."""
        self._messages[str(message.WhichOneof("body"))] = message
        self._changed.set()

    def close(self) -> None:
        """End the stream after what is in here."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[fleet_pb2.AggregatorMessage]:
        while True:
            while self._messages:
                yield self._messages.pop(next(iter(self._messages)))
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()


class Inbound:
    """Messages of an agent, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._queue: asyncio.Queue[fleet_pb2.AgentMessage | None] = asyncio.Queue(size)
        self._held: list[fleet_pb2.AgentMessage | None] = []

    async def fill(self, messages: AsyncIterator[fleet_pb2.AgentMessage]) -> None:
        """Take messages in, waiting while there is no room."""
        try:
            async for message in messages:
                await self._queue.put(message)
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await self._queue.put(None)

    async def get(self) -> fleet_pb2.AgentMessage | None:
        """The next message, None when the agent has ended the stream."""
        return self._held.pop() if self._held else await self._queue.get()

    def next_record(self) -> fleet_pb2.Record | None:
        """The next message's record if one is here already and is a record; anything else keeps its place."""
        if not self._held:
            try:
                self._held.append(self._queue.get_nowait())
            except asyncio.QueueEmpty:
                return None
        message = self._held[0]
        if message is None or message.WhichOneof("body") != "record":
            return None
        self._held.clear()
        return message.record
