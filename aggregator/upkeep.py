"""What must happen again and again: staging, merging, grouping. Loops on the event loop, work in threads.

A round that fails is logged and tried again at its next turn: everything it does can simply run again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from aggregator.triage.grouping import Grouper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from aggregator.services import Services

log = logging.getLogger(__name__)


class Upkeep:
    """The loops. `stored` tells them that a commit brought something."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._grouper = Grouper(services.store, services.clock, services.events)
        self._rows = 0
        self._stage_now = asyncio.Event()

    def stored(self, flows: int, alert_ids: tuple[int, ...]) -> None:
        """Flows and alerts were committed."""
        self._rows += flows
        if self._rows >= self._services.config.stage_rows:
            self._stage_now.set()
        if alert_ids:
            self._grouper.nudge()
            self._services.events.publish("alert", ids=list(alert_ids))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the loops while the block runs; at its end, stage what came last."""
        loops = (
            ("stage", self._stage_loop()),
            ("merge", self._merge_loop()),
            ("group", self._grouper.run()),
            ("attend", self._attend_loop()),
        )
        tasks = [asyncio.create_task(work, name=name) for name, work in loops]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._attempt("stage", self._stage())

    async def _stage_loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stage_now.wait(), self._services.config.stage_seconds)
            self._stage_now.clear()
            self._rows = 0
            await self._attempt("stage", self._stage())

    async def _merge_loop(self) -> None:
        while True:
            await self._services.clock.sleep(self._services.config.merge_minutes * 60)
            await self._attempt("merge", self._merge())

    async def _attend_loop(self) -> None:
        while True:
            await self._services.clock.sleep(self._services.config.attend_minutes * 60)
            await self._attempt("attend", self._services.promises.attend())

    async def _stage(self) -> None:
        rows = await asyncio.to_thread(self._services.lake.stage)
        if rows:
            log.debug("flows_staged rows=%d", rows)

    async def _merge(self) -> None:
        await asyncio.to_thread(
            self._services.lake.merge,
            now_ms=self._services.clock.now_ms(),
            quarantine_hours=self._services.config.quarantine_hours,
        )

    @staticmethod
    async def _attempt(what: str, work: Awaitable[object]) -> None:
        try:
            await work
        except Exception:  # a step that fails is tried again next round; its loop goes on
            log.exception("upkeep_failed step=%s", what)
