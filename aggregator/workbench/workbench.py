"""The workbench's moving parts in one frozen bundle: work that goes on by itself, work that is waited for, uploads."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aggregator.work import ledger
from aggregator.work.short import Short
from aggregator.work.supervisor import Works
from aggregator.workbench import places
from aggregator.workbench.concluding import concluders
from aggregator.workbench.receiving import Receiving

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.models.registry import Registry
    from aggregator.storage.store import Store


@dataclass(frozen=True, slots=True)
class Workbench:
    """What the functions of this package work with, beside store and settings."""

    works: Works
    short: Short
    receiving: Receiving


@contextlib.asynccontextmanager
async def opened(
    store: Store, config: AggregatorConfig, clock: Clock, events: Events, registry: Registry
) -> AsyncIterator[Workbench]:
    """The workbench, recovered: what belongs to nothing is swept away, what was under way goes on."""
    config.workbench_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    await asyncio.to_thread(places.sweep, config.workbench_dir, store.read(_wanted))
    works = Works(store, config, clock, events, concluders(config, clock, registry))
    await works.open()
    try:
        yield Workbench(works, Short(config), Receiving(store, config))
    finally:
        await works.close()


def _wanted(db: sqlite3.Connection) -> set[str]:
    """Incoming files that queued or running work still needs."""
    rows = db.execute(f"SELECT id FROM works WHERE state IN {ledger.UNDER_WAY}")  # noqa: S608 - our own words
    found = [ledger.order_of(db, row["id"]) for row in rows]
    return {name for order in found for name in (*order.secrets, order.environment)}
