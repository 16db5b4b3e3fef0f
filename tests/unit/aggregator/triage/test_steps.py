"""Steps in the store: append-only, kept through growth and merging, and told in the incident's row."""

from __future__ import annotations

import sqlite3

import pytest

from aggregator.errors import Conflict
from aggregator.events import Events
from aggregator.intake import ingest, screening
from aggregator.rows import Role
from aggregator.triage import cases, steps
from aggregator.triage.cases import IncidentFilter
from aggregator.triage.grouping import Grouper
from aggregator.triage.handling import ACKNOWLEDGE, ASSIGN, COMMENT


@pytest.fixture
async def services(tmp_path, parts):
    async with parts.services(tmp_path / "state") as built:
        parts.add_user(built, "ada", Role.ANALYST)
        built.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=parts.START_MS))
        yield built


@pytest.fixture
def arrive(services, parts):
    """Store alerts now and group them."""
    sequence = iter(range(1, 100))

    async def stored(rows=1, **how):
        body = parts.batch(rows, alerts=range(rows), at_ms=services.clock.now_ms(), **how)
        found = screening.examine(parts.SENDER, parts.record(next(sequence), body), services.config)
        now_ms = services.clock.now_ms()
        services.store.write_now(lambda db: ingest.store_records(db, parts.SENDER, [found], now_ms=now_ms))
        await Grouper(services.store, services.clock, Events()).round()

    return stored


def incidents(services, **where):
    now_ms = services.clock.now_ms()
    return services.store.read(lambda db: cases.find(db, IncidentFilter(**where), now_ms=now_ms, limit=50)).items


def take(services, incident_id, deed, **how):
    now_ms = services.clock.now_ms()
    return services.store.write_now(lambda db: steps.add(db, incident_id, deed, by="ada", at_ms=now_ms, **how))


async def test_an_incident_that_becomes_a_scan_is_looked_at_again(services, arrive):
    """Its acknowledgement was of a single flow; whose it is and what was said stay."""
    await arrive(ports=[1])
    (one,) = incidents(services)
    take(services, one.id, ACKNOWLEDGE)
    take(services, one.id, ASSIGN, assignee="ada")
    take(services, one.id, COMMENT, note="odd")
    assert [found.id for found in incidents(services, acknowledged=True)] == [one.id]
    await arrive(20, ports=range(2, 22))
    (grown,) = incidents(services)
    assert (grown.id, grown.kind) == (one.id, "port scan")
    assert (grown.acknowledged_by, grown.assignee, grown.comments) == (None, "ada", 1)
    take(services, one.id, ACKNOWLEDGE)
    await arrive(5, ports=range(30, 35))
    assert incidents(services, acknowledged=True)[0].alerts == 26


async def test_an_incident_that_opens_again_is_looked_at_again(services, arrive):
    """An alert within the hour belongs to what was seen; one after a silence does not."""
    await arrive(20, ports=range(1, 21))
    (one,) = incidents(services)
    take(services, one.id, ACKNOWLEDGE)
    services.clock.forward(hours=0.5)
    await arrive(5, ports=range(21, 26))
    assert len(incidents(services, acknowledged=True)) == 1
    services.clock.forward(hours=2)
    await arrive(20, ports=range(1, 21))
    (again,) = incidents(services)
    assert (again.id, again.reopened, again.acknowledged_by) == (one.id, 1, None)
    take(services, one.id, ACKNOWLEDGE)
    assert incidents(services, acknowledged=True)[0].acknowledged_ms == services.clock.now_ms()


async def test_what_was_said_of_a_part_is_told_of_the_whole(services, arrive):
    """Two single flows that turn out to be one doing: comments and whose it is come along."""
    await arrive(ports=[80], targets=["10.0.0.9"])
    await arrive(ports=[80], targets=["10.0.0.10"])
    first, second = sorted(found.id for found in incidents(services))
    take(services, second, COMMENT, note="who is this?")
    take(services, second, ASSIGN, assignee="ada")
    await arrive(10, ports=range(1, 11), targets=["10.0.0.9", "10.0.0.10"])
    (whole,) = incidents(services)
    assert (whole.id, whole.comments, whole.assignee) == (first, 1, "ada")
    detail = services.store.read(lambda db: cases.get(db, second, now_ms=services.clock.now_ms()))
    assert [(step.incident_id, step.deed) for step in detail.steps] == [(second, ASSIGN), (second, COMMENT)]
    assert take(services, second, COMMENT, note="a scan").incident_id == first


async def test_steps_are_never_changed(services, arrive):
    """Neither by an update nor by a deletion; taking one back is a further one."""
    await arrive()
    step = take(services, 1, COMMENT, note="odd")
    undone = services.store.write_now(lambda db: steps.undo(db, step.id, by="ada", at_ms=1))
    assert (undone.undoes, services.store.read(lambda db: steps.get(db, step.id)).undone) == (step.id, True)
    with pytest.raises(Conflict):
        services.store.write_now(lambda db: steps.undo(db, step.id, by="ada", at_ms=1))
    for change in ("UPDATE incident_steps SET note = ''", "DELETE FROM incident_steps"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            services.store.write_now(lambda db, change=change: db.execute(change))
