"""What can be asked and done about learning: the functions that REST, pages and jobs call, like those of queries.py.

Reads may be called from any thread; `review_queue` takes some tenths of a second, so pages call it in a thread. Writes
are coroutines; they take the acting `Principal` and require its role here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aggregator.learning import labels, yardsticks
from aggregator.queries import PAGE
from aggregator.rows import Role

if TYPE_CHECKING:
    from aggregator.learning.lessons import FrozenSet, LabelDay, Queue
    from aggregator.rows import Label, Page
    from aggregator.services import Services
    from aggregator.users import Principal

DAYS: int = 14
"""Days of verdicts that are shown by person."""


def review_queue(services: Services) -> Queue:
    """The few alerts and quiet flows whose verdict would teach most, each with the reason why it is asked."""
    return services.reviewing.queue()


def list_labels(services: Services, *, limit: int = PAGE, cursor: str | None = None) -> Page[Label]:
    """Verdicts and their undoing, newest first."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: labels.find(db, limit=limit, cursor=cursor, now_ms=now_ms))


def labels_per_day(services: Services, *, days: int = DAYS) -> tuple[LabelDay, ...]:
    """Who gave how many verdicts on which day."""
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: labels.per_day(db, now_ms=now_ms, days=days))


def list_sets(services: Services) -> tuple[FrozenSet, ...]:
    """Frozen sets, newest first, retired ones included."""
    return services.store.read(yardsticks.find)


async def add_label(
    services: Services,
    actor: Principal,
    *,
    target: str,
    target_id: int,
    verdict: str,
    note: str = "",
    expires_ms: int | None = None,
    family: str = "",
) -> Label:
    """Give a verdict (`benign`, `malicious`, `unsure`) on an `alert`, or on every alert an `incident` now has.

    From `expires_ms` on it counts no more; `family` names an attack. Analysts and up. Raises `Invalid`, `NotFound`.
    """
    actor.require(Role.ANALYST)
    label = await services.store.write(
        lambda db: labels.add(
            db,
            target=target,
            target_id=target_id,
            verdict=verdict,
            note=note,
            by=actor.name,
            at_ms=services.clock.now_ms(),
            expires_ms=expires_ms,
            family=family,
            settles=actor.role.covers(Role.OPERATOR),
        )
    )
    _publish(services, label)
    return label


async def undo_label(services: Services, actor: Principal, label_id: int, *, note: str = "") -> Label:
    """Take a verdict back; what its alerts were called before counts again. Analysts and up.

    Raises `NotFound`, and `Conflict` when it was undone already.
    """
    actor.require(Role.ANALYST)
    label = await services.store.write(
        lambda db: labels.undo(db, label_id, note=note, by=actor.name, at_ms=services.clock.now_ms())
    )
    _publish(services, label)
    return label


async def label_flow(
    services: Services,
    actor: Principal,
    flow_id: str,
    *,
    verdict: str,
    note: str = "",
    expires_ms: int | None = None,
    family: str = "",
) -> Label:
    """Give a verdict on a flow by its name, whether it raised an alert or not. Analysts and up.

    Raises `Invalid`, and `NotFound` for a flow that is neither an alert's nor in staging or lake.
    """
    actor.require(Role.ANALYST)
    said = labels.Said(
        verdict, note, actor.name, services.clock.now_ms(), expires_ms, family, actor.role.covers(Role.OPERATOR)
    )
    place = await asyncio.to_thread(services.lake.place, flow_id)
    label = await services.store.write(lambda db: labels.add_to_flow(db, place, said))
    _publish(services, label)
    return label


async def add_set(services: Services, actor: Principal, data: bytes, *, purpose: str, note: str) -> FrozenSet:
    """Take a set file into use. Operators and up. Raises `Invalid`, `Conflict` when its rows are in use already."""
    actor.require(Role.OPERATOR)
    told = await asyncio.to_thread(yardsticks.examine, data, purpose)
    return await _keep(services, actor, data, told, note)


async def add_set_from_incident(services: Services, actor: Principal, incident_id: int, *, note: str) -> FrozenSet:
    """Freeze the alerts of an incident somebody judged: malicious ones as attacks, benign ones as golden rows.

    They train no model from then on. Operators and up. Raises `NotFound`, `Conflict`, `Invalid`.
    """
    actor.require(Role.OPERATOR)
    purpose, data = await asyncio.to_thread(services.store.read, lambda db: yardsticks.from_incident(db, incident_id))
    return await _keep(services, actor, data, yardsticks.examine(data, purpose), note)


async def retire_set(services: Services, actor: Principal, set_id: int, *, note: str) -> FrozenSet:
    """Judge by a set no longer. Operators and up. Raises `NotFound`, `Conflict`, `Invalid`."""
    actor.require(Role.OPERATOR)
    now_ms = services.clock.now_ms()
    return await services.store.write(lambda db: yardsticks.retire(db, set_id, note=note, by=actor.name, at_ms=now_ms))


async def _keep(services: Services, actor: Principal, data: bytes, told: dict[str, object], note: str) -> FrozenSet:
    now_ms = services.clock.now_ms()
    # The file first: a row must never name a file that is not there.
    sha256 = await asyncio.to_thread(yardsticks.keep_file, services.config.sets_dir, data)
    return await services.store.write(
        lambda db: yardsticks.add(db, sha256=sha256, told=told, note=note, by=actor.name, at_ms=now_ms)
    )


def _publish(services: Services, label: Label) -> None:
    touched = {"alert": "ids", "incident": "incidents"}.get(label.target)
    services.events.publish("alert", **({touched: [label.target_id]} if touched else {}), label=label.id)
    services.events.publish("incident", **({"ids": [label.target_id]} if label.target == "incident" else {}))
