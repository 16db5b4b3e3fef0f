"""The law of ingest: whatever is sent again, in whatever order and grouping, the tables are those of sending it once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.intake import ingest, screening
from aggregator.intake.screening import Sender
from aggregator.storage.lake import Lake
from aggregator.storage.store import Store
from protos.v1 import batch_pb2, fleet_pb2

SENDERS = (Sender("alpha", "aaaa"), Sender("alpha", "bbbb"), Sender("beta", "aaaa"))
LENGTH = 6


def originals(parts):
    """What each spool holds: batches, a gap, a broken record, in sequence."""
    made = {}
    for number, sender in enumerate(SENDERS):
        records = [parts.record(place, rows=3, alerts=(place % 3,), seed=number) for place in range(1, LENGTH + 1)]
        records[2] = parts.record(3, batch_pb2.Gap(first_sequence=3, last_sequence=3, flows=9, reason="full"))
        records[4] = fleet_pb2.Record(sequence=5, batch=b"\x01\x02")
        made[sender] = records
    return made


def a_shipping(draw):
    """Rounds of (sender, from, to): an agent resends from any point up to what it has sent plus a little more."""
    reached = dict.fromkeys(range(len(SENDERS)), 0)
    rounds = []
    for _ in range(draw(st.integers(1, 12))):
        sender = draw(st.sampled_from(sorted(reached)))
        start = draw(st.integers(0, reached[sender]))
        end = draw(st.integers(start, LENGTH))
        rounds.append((sender, start, end))
        reached[sender] = max(reached[sender], end)
    return rounds + [(sender, reached[sender], LENGTH) for sender in reached]


class Room:
    """A store, a lake and a way to send to them."""

    def __init__(self, folder, parts):
        self.parts = parts
        self.config = parts.config(Path(folder))
        self.store = Store(self.config.database).open()
        self.lake = Lake(self.config.state_dir, self.store).open()
        for sender in SENDERS:
            greeting = parts.hello(sender.agent_id, sender.epoch)
            self.store.write_now(lambda db, greeting=greeting: ingest.store_hello(db, greeting, now_ms=1))

    def send(self, sender, records):
        examined = [screening.examine(sender, record, self.config) for record in records]
        now_ms = self.parts.START_MS
        return self.store.write_now(lambda db: ingest.store_records(db, sender, examined, now_ms=now_ms))

    def tables(self):
        """What must be equal, without the surrogate ids that depend on the order of arrival."""
        ask = {
            "alerts": "SELECT agent_id, epoch, sequence, row, flow_id, src_ip, score, reasons, hex(features) FROM alerts",
            "gaps": "SELECT agent_id, epoch, first_sequence, last_sequence, flows, alerts, reason FROM gaps",
            "cursors": "SELECT * FROM cursors",
            "agents": "SELECT agent_id, batches, flows, alerts, lost_flows, lost_alerts, broken_batches FROM agents",
        }
        found = {
            name: self.store.read(lambda db, text=text: sorted(map(tuple, db.execute(text))))
            for name, text in ask.items()
        }
        self.lake.stage()
        flows = self.lake.flows(None, limit=1000, cursor=None).items
        return found | {"flows": sorted(flow.flow_id for flow in flows)}

    def close(self):
        self.store.close()


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_resending_and_regrouping_changes_nothing(parts, data):
    """Random resends from random points, interleaved between agents, staged at random moments."""
    records = originals(parts)
    rounds = a_shipping(data.draw)
    stage_after = data.draw(st.sets(st.integers(0, len(rounds) - 1)))
    with tempfile.TemporaryDirectory() as once_in, tempfile.TemporaryDirectory() as often_in:
        once, often = Room(once_in, parts), Room(often_in, parts)
        try:
            for sender in SENDERS:
                once.send(sender, records[sender])
            for place, (number, start, end) in enumerate(rounds):
                sender = SENDERS[number]
                stored = often.send(sender, records[sender][start:end])
                assert stored.cursor >= end or stored.cursor == LENGTH
                if place in stage_after:
                    often.lake.stage()
            assert often.tables() == once.tables()
        finally:
            once.close()
            often.close()
