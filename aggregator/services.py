"""The collaborators of the aggregator in one frozen bundle. main.py builds it; skins and queries receive it.

Nothing here is created on import, and nothing in here reaches for another part by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.calibration.promises import Promises
    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig
    from aggregator.events import Events
    from aggregator.learning.reviewing import Reviewing
    from aggregator.models.jobs import Jobs
    from aggregator.models.registry import Registry
    from aggregator.storage.lake import Lake
    from aggregator.storage.store import Store
    from aggregator.web.access import Access
    from aggregator.workbench.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request may need."""

    config: AggregatorConfig
    clock: Clock
    store: Store
    lake: Lake
    registry: Registry
    promises: Promises
    jobs: Jobs
    access: Access
    events: Events
    reviewing: Reviewing
    workbench: Workbench
