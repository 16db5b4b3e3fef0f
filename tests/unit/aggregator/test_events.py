"""What just happened, told to whoever watches."""

from __future__ import annotations

import asyncio

import pytest

from aggregator.events import BACKLOG, Events


async def test_watchers_get_what_they_watch():
    """From any thread, and nothing after they stopped."""
    events = Events()
    async with events.subscribe("job") as watching:
        await asyncio.to_thread(events.publish, "job", id=1)
        events.publish("alert", ids=[2])
        event = await watching.get(timeout_s=1)
        assert (event.topic, event.detail) == ("job", {"id": 1})
        assert await watching.get(timeout_s=0.01) is None
    events.publish("job", id=3)


async def test_a_slow_watcher_loses_the_oldest_and_blocks_nobody():
    """Memory stays bounded."""
    events = Events()
    async with events.subscribe() as watching:
        for number in range(BACKLOG + 10):
            events.publish("agent", number=number)
        await asyncio.sleep(0)
        assert (await watching.get()).detail == {"number": 10}


async def test_topics_are_known():
    """A misspelt topic is an error on both sides, not silence."""
    with pytest.raises(ValueError, match="alarm"):
        Events().publish("alarm")
    with pytest.raises(ValueError, match="alarm"):
        async with Events().subscribe("alarm"):
            pass
