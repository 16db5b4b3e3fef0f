"""Records into the store: exactly once, with everything an alert needs."""

from __future__ import annotations

import pytest

from aggregator import agents
from aggregator.intake import ingest, screening
from aggregator.intake.screening import Broken, Sender
from aggregator.rows import Reason
from aggregator.storage.store import Store
from aggregator.triage import alerts
from protos import contract
from protos.v1 import batch_pb2, fleet_pb2, models_pb2


@pytest.fixture
def store(tmp_path, parts):
    opened = Store(tmp_path / "aggregator.db").open()
    opened.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
    yield opened
    opened.close()


@pytest.fixture
def push(store, parts, tmp_path):
    config = parts.config(tmp_path)

    async def push(*records, sender=parts.SENDER, now_ms=parts.START_MS):
        examined = [screening.examine(sender, record, config) for record in records]
        return await ingest.push(store, config, sender, examined, now_ms=now_ms)

    return push


async def test_an_alert_is_stored_with_its_reasons_model_and_health(store, push, parts):
    """What the console shows of an alert comes back as it was sent."""
    stored = await push(parts.record(1, parts.batch(4, alerts=(3,), model="b" * 64)))
    detail = store.read(lambda db: alerts.get(db, stored.alert_ids[0]))
    assert detail.alert.reasons[0] == Reason("src_ports_10s", 40.0, 1.5, 0.75, "40 ports in 10 s")
    assert (detail.alert.model_digest, detail.alert.flow_id) == ("b" * 64, "sensor-1.c0ffee.1.3")
    assert (detail.health.packets_dropped, detail.end, detail.policy_version) == (7, "tcp", 1)
    assert len(detail.features) == len(contract.FEATURES)


async def test_the_same_record_twice_is_stored_once(store, push, parts):
    """At least once on the wire, exactly once in the tables; the second time is acknowledged all the same."""
    first = await push(parts.record(1, alerts=(0,)))
    before = parts.dump(store, "alerts", "inbox", "cursors", "agents", "gaps")
    again = await push(parts.record(1, alerts=(0,)))
    assert (first.cursor, again.cursor) == (1, 1)
    assert again.alert_ids == ()
    assert parts.dump(store, "alerts", "inbox", "cursors", "agents", "gaps") == before


async def test_a_new_epoch_begins_at_one_again(store, push, parts):
    """A spool that was born again numbers from 1; its records are other records."""
    await push(parts.record(1, alerts=(0,)), parts.record(2, alerts=(0,)))
    other = Sender(parts.SENDER.agent_id, "beef")
    stored = await push(parts.record(1, alerts=(0,)), sender=other)
    assert (stored.cursor, len(stored.alert_ids)) == (1, 1)
    assert store.read(lambda db: ingest.cursor(db, parts.SENDER)) == 2


async def test_a_broken_record_is_set_aside_declared_and_passed(store, push, parts, tmp_path):
    """One bad record neither enters as flows nor holds up what is behind it."""
    stored = await push(parts.record(1), fleet_pb2.Record(sequence=2, batch=b"\xff\xff"), parts.record(3, alerts=(1,)))
    assert (stored.cursor, len(stored.alert_ids), len(stored.broken)) == (3, 1, 1)
    assert (tmp_path / "broken" / "sensor-1.c0ffee.2.broken").read_bytes() == b"\xff\xff"
    agent = store.read(agents.find).items[0]
    assert (agent.broken_batches, agent.batches) == (1, 2)
    (gap,) = store.read(lambda db: agents.gaps(db, agent=None, limit=10)).items
    assert (gap.first_sequence, gap.last_sequence) == (2, 2)
    assert gap.reason.startswith("set aside")


async def test_a_declared_gap_is_counted(store, push, parts):
    """Loss is always declared, and adds up on the agent."""
    gap = batch_pb2.Gap(first_sequence=1, last_sequence=4, flows=300, alerts=2, reason="spool full")
    stored = await push(parts.record(4, gap))
    agent = store.read(agents.find).items[0]
    assert (stored.cursor, agent.lost_flows, agent.lost_alerts) == (4, 300, 2)


async def test_a_batch_without_rows_brings_health_only(store, push, parts):
    """Nothing is put into a file for it."""
    await push(parts.record(1, rows=0))
    assert store.read(lambda db: db.execute("SELECT count(*) FROM inbox").fetchone()[0]) == 0
    assert store.read(agents.find).items[0].health.packets_dropped == 7


def test_broken_records_do_not_fill_the_disk(tmp_path, parts):
    """Beyond the room for them they are counted only."""
    bad = Broken(1, b"x" * (1 << 20), "bad")
    assert ingest.set_aside(bad, parts.SENDER, tmp_path, room_mib=1) is not None
    assert ingest.set_aside(Broken(2, b"x", "bad"), parts.SENDER, tmp_path, room_mib=1) is None
    assert len(list(tmp_path.iterdir())) == 1


def test_a_heartbeat_and_a_model_report_show_on_the_agent(store, parts):
    """How the agent is, what it runs, what it refused and why."""
    beat = fleet_pb2.Heartbeat(
        health=batch_pb2.SensorHealth(state="degraded", detail="disk full"),
        spool_bytes=2048,
        spool_records=3,
        model_digest="c" * 64,
        policy_version=9,
    )
    store.write_now(lambda db: ingest.store_heartbeat(db, parts.SENDER, beat, now_ms=5))
    report = models_pb2.ModelReport(digest="d" * 64, state=models_pb2.ModelReport.REFUSED, detail="self-test")
    store.write_now(lambda db: ingest.store_model_report(db, parts.SENDER, report, now_ms=6))
    agent = store.read(agents.find).items[0]
    assert (agent.health.state, agent.spool_bytes, agent.policy_version) == ("degraded", 2048, 9)
    assert (agent.model_digest, agent.model_state, agent.model_detail) == ("c" * 64, "refused", "self-test")
    assert (agent.connected, agent.last_seen_ms) == (True, 6)


def test_an_agent_cannot_overflow_a_column(store, parts):
    """Unsigned values of the wire are held to what a column takes."""
    beat = fleet_pb2.Heartbeat(spool_bytes=2**64 - 1, policy_version=2**64 - 1)
    store.write_now(lambda db: ingest.store_heartbeat(db, parts.SENDER, beat, now_ms=5))
    assert store.read(agents.find).items[0].spool_bytes == 2**62


async def test_the_depth_of_the_inbox_is_known_without_counting(store, push, parts):
    """Ids are consecutive, so their range is the depth."""
    assert store.read(ingest.inbox_depth) == 0
    await push(*(parts.record(number) for number in range(1, 6)))
    assert store.read(ingest.inbox_depth) == 5
