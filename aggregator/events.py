"""What just happened, told to whoever watches: an in-process pub/sub on the event loop.

Topics are `alert`, `incident`, `model`, `policy`, `job`, `agent`, and the workbench's `dataset`, `experiment`,
`prediction`. An event is a hint to read again, not the data
itself: it may be dropped when a watcher is slow, so nothing may depend on receiving every one. The store is the truth.

    async with events.subscribe("alert", "incident") as subscription:
        async for event in subscription:
            ...
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOPICS: Final = frozenset(
    {"alert", "incident", "model", "policy", "job", "agent", "dataset", "experiment", "prediction"}
)
BACKLOG: Final = 256
"""Events a slow watcher may lag behind; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. `detail` holds ids and counts, for instance `{"ids": [4, 5]}` for `alert`."""

    topic: str
    detail: dict[str, Any] = field(default_factory=dict)


class Subscription:
    """The events of some topics from now on. Iterate it, or `get` with a time limit."""

    def __init__(self, topics: frozenset[str], loop: asyncio.AbstractEventLoop) -> None:
        self.topics = topics
        self._loop = loop
        self._queue: asyncio.Queue[Event] = asyncio.Queue(maxsize=BACKLOG)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        return await self._queue.get()

    async def get(self, timeout_s: float | None = None) -> Event | None:
        """The next event, or None when `timeout_s` passed without one."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def deliver(self, event: Event) -> None:
        """Queue `event` from any thread."""
        with contextlib.suppress(RuntimeError):  # the watcher's loop has ended
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: Event) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(event)


class Events:
    """Publisher and its watchers. `publish` may be called from any thread and never blocks."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []

    def publish(self, topic: str, **detail: Any) -> None:
        """Tell everyone who watches `topic`."""
        if topic not in TOPICS:
            raise ValueError(f"no event topic named {topic!r}; known: {', '.join(sorted(TOPICS))}")
        for subscription in tuple(self._subscriptions):
            if topic in subscription.topics:
                subscription.deliver(Event(topic, detail))

    @contextlib.asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Subscription]:
        """Watch `topics` (all of them when none is named) until the block is left."""
        wanted = frozenset(topics) or TOPICS
        if unknown := wanted - TOPICS:
            raise ValueError(f"no event topic named {', '.join(sorted(unknown))}")
        subscription = Subscription(wanted, asyncio.get_running_loop())
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
