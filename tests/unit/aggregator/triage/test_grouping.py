"""Alerts into incidents as they arrive, equal to grouping them all at once."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.events import Events
from aggregator.intake import ingest, screening
from aggregator.learning import labels
from aggregator.storage.store import Store
from aggregator.triage import cases, grouping
from aggregator.triage.incidents import GAP_MS, SLOW_GAP_MS, group
from aggregator.triage.points import TRAITS
from protos import contract

PROBE = {**dict.fromkeys(TRAITS, 0.0), "src2dst_packets": 2, "src2dst_bytes": 120, "src2dst_syn_packets": 2}
TALK = {**dict.fromkeys(TRAITS, 10.0), "src2dst_syn_packets": 1, "dst2src_syn_packets": 1, "dst2src_rst_packets": 0}


class Bench:
    """A store and a grouper; `arrive` stores alerts as one record."""

    def __init__(self, folder, parts):
        self.parts = parts
        self.config = parts.config(Path(folder))
        self.store = Store(self.config.database).open()
        self.store.write_now(lambda db: ingest.store_hello(db, parts.hello(), now_ms=1))
        self.events = Events()
        self.grouper = grouping.Grouper(self.store, parts.HandClock(), self.events)
        self.sequence = 0

    def arrive(self, *flows, at_ms=None):
        """Store one alert for each (src, dst, port, ms after the start); a fifth `"talk"` makes it a conversation."""
        self.sequence += 1
        start = self.parts.START_MS
        for src, dst, port, after, *talk in flows:
            packets = np.full(1, 20 if talk else 2, dtype="<u8")
            where = {"sources": [src], "targets": [dst], "ports": [port], "at_ms": start + after}
            body = self.parts.batch(1, alerts=(0,), packets=packets, **where)
            matrix = contract.unpack_matrix(body.features, 1).copy()
            for trait, value in (TALK if talk else PROBE).items():
                matrix[0, contract.index(trait)] = value
            body.features = contract.pack_matrix(matrix)
            record = self.parts.record(self.sequence, body)
            self.sequence += 1
            found = screening.examine(self.parts.SENDER, record, self.config)
            self.store.write_now(
                lambda db, found=found: ingest.store_records(db, self.parts.SENDER, [found], now_ms=at_ms or start)
            )

    def settle(self):
        async def rounds():
            while await self.grouper.round():
                pass

        asyncio.run(rounds())

    def incidents(self, now_ms=None):
        now_ms = now_ms or self.parts.START_MS
        return self.store.read(lambda db: cases.find(db, cases.IncidentFilter(), now_ms=now_ms, limit=1000)).items

    def membership(self):
        rows = self.store.read(lambda db: db.execute("SELECT id, incident_id FROM alerts").fetchall())
        found = {}
        for row in rows:
            found.setdefault(row["incident_id"], set()).add(row["id"])
        return found

    def points(self):
        """The alerts as grouping sees them, without the incidents they are in."""
        read = self.store.read(lambda db: grouping._points(db, "ORDER BY alerts.id"))
        return [replace(point, incident_id=None, rule="", anchor="") for point in read]


@pytest.fixture
def bench(tmp_path, parts):
    made = Bench(tmp_path, parts)
    yield made
    made.store.close()


def test_a_growing_scan_keeps_its_id(bench):
    """It begins as one strange flow, becomes a port scan, and is the same incident all along."""
    bench.arrive(("10.0.0.1", "10.0.0.9", 1, 0))
    bench.settle()
    (first,) = bench.incidents()
    assert first.kind == "single flow"
    for port in range(2, 30):
        bench.arrive(("10.0.0.1", "10.0.0.9", port, port * 100))
    bench.settle()
    (grown,) = bench.incidents()
    assert (grown.id, grown.kind, grown.alerts, grown.ports) == (first.id, "port scan", 29, 29)
    assert grown.title == "10.0.0.1 tried 29 ports of 10.0.0.9"
    assert grown.reasons[0].feature == "src_ports_10s"


def test_incidents_that_turn_out_to_be_one_are_merged_and_old_ids_still_lead_there(bench):
    """Four pairs are four incidents until a fifth target shows that it is one sweep."""
    for host in range(1, 5):
        bench.arrive(("10.0.0.1", f"10.0.1.{host}", 445, host * 10))
    bench.settle()
    ids = sorted(found.id for found in bench.incidents())
    assert len(ids) == 4
    bench.arrive(("10.0.0.1", "10.0.1.5", 445, 60))
    bench.settle()
    (sweep,) = bench.incidents()
    assert (sweep.id, sweep.kind, sweep.alerts) == (ids[0], "host sweep", 5)
    for old in ids:
        assert (
            bench.store.read(lambda db, old=old: cases.get(db, old, now_ms=bench.parts.START_MS)).incident.id
            == sweep.id
        )


def test_two_episodes_merge_when_the_pause_between_them_is_filled(bench):
    """An alert that arrives late, with a time in between, joins what it connects."""
    ports = range(1, 8)
    bench.arrive(*(("10.0.0.1", "10.0.0.9", port, 0) for port in ports))
    bench.arrive(*(("10.0.0.1", "10.0.0.9", 100 + port, 2 * GAP_MS - 1000) for port in ports))
    bench.settle()
    assert len(bench.incidents()) == 2
    bench.arrive(("10.0.0.1", "10.0.0.9", 99, GAP_MS - 500))
    bench.settle()
    (merged,) = bench.incidents()
    assert merged.alerts == 15


def test_a_scan_takes_its_alerts_out_of_a_flood(bench):
    """The flood's figures follow when one of its sources turns out to be a scanner."""
    bench.arrive(*((f"203.0.113.{number}", "10.0.0.9", 80, number) for number in range(1, 10)))
    bench.settle()
    (flood,) = bench.incidents()
    bench.arrive(*(("203.0.113.1", f"10.0.0.{host}", 80, 50 + host) for host in range(20, 30)))
    bench.settle()
    by_id = {found.id: found for found in bench.incidents()}
    assert by_id[flood.id].alerts == 8
    assert sum(found.alerts for found in by_id.values()) == 19


def test_a_lasting_exchange_that_was_a_few_flows_keeps_its_id(bench):
    """Five calls to one service make a beacon of what were strange flows of two hosts."""
    for call in range(3):
        bench.arrive(("10.0.0.1", "203.0.113.9", 443, call * SLOW_GAP_MS // 2, "talk"))
        bench.settle()
    (first,) = bench.incidents()
    for call in range(3, 9):
        bench.arrive(("10.0.0.1", "203.0.113.9", 443, call * SLOW_GAP_MS // 2, "talk"))
        bench.settle()
    (grown,) = bench.incidents()
    assert (grown.id, grown.alerts, grown.kind) == (first.id, 9, "beacon")


def test_an_incident_closes_after_a_pause_and_reopens(bench):
    """It is open while alerts arrive, closed after a silence, and open again, marked so, with the next alert."""
    hour = 3_600_000
    start = bench.parts.START_MS
    bench.arrive(("10.0.0.1", "10.0.0.9", 1, 0))
    bench.settle()
    assert bench.incidents(now_ms=start + hour // 2)[0].state == "open"
    assert bench.incidents(now_ms=start + 2 * hour)[0].state == "closed"
    bench.grouper._clock.ms = start + 3 * hour
    bench.arrive(("10.0.0.1", "10.0.0.9", 2, hour // 2), at_ms=start + 3 * hour)
    bench.settle()
    (again,) = bench.incidents(now_ms=start + 3 * hour)
    assert (again.state, again.reopened, again.alerts) == ("open", 1, 2)


def test_a_verdict_on_an_incident_is_on_the_alerts_it_has_then(bench):
    """An alert that joins later was not looked at: the incident is undecided again."""
    bench.arrive(*(("10.0.0.1", "10.0.0.9", port, port) for port in range(1, 8)))
    bench.settle()
    (found,) = bench.incidents()
    bench.store.write_now(
        lambda db: labels.add(
            db, target="incident", target_id=found.id, verdict="malicious", note="", by="ada", at_ms=1
        )
    )
    assert bench.incidents()[0].verdict == "malicious"
    bench.arrive(("10.0.0.1", "10.0.0.9", 99, 100))
    bench.settle()
    assert bench.incidents()[0].verdict is None


def test_alerts_left_over_by_a_crash_are_grouped_at_the_next_round(bench):
    """Grouping is not part of the commit; what has no incident yet is found again."""
    bench.arrive(("10.0.0.1", "10.0.0.9", 1, 0))
    again = grouping.Grouper(bench.store, bench.parts.HandClock(), bench.events)
    assert asyncio.run(again.round()) == 1
    assert asyncio.run(again.round()) == 0


def test_figures_left_stale_by_a_crash_are_refreshed_at_the_next_round(bench):
    """Between joining and describing there is a moment; a crash in it leaves an incident without a title."""
    bench.arrive(("10.0.0.1", "10.0.0.9", 1, 0))
    _, moves = bench.store.read(grouping.plan)
    bench.store.write_now(lambda db: grouping.apply(db, moves, now_ms=1))
    (bare,) = bench.incidents()
    assert (bare.title, bare.alerts) == ("", 1)
    bench.settle()
    assert bench.incidents()[0].kind == "single flow"


def test_a_large_incident_is_looked_at_in_part_and_moves_as_a_whole(bench, monkeypatch):
    """A storm costs each round about the same, and its incident stays one when it turns out to be more."""
    monkeypatch.setattr(grouping, "LARGE", 20)
    monkeypatch.setattr(grouping, "SEEN_OF_LARGE", 6)
    for part in range(4):
        bench.arrive(*(("10.0.0.1", "10.0.0.9", part * 15 + port, part * 1000 + port) for port in range(1, 16)))
        bench.settle()
    (scan,) = bench.incidents()
    assert (scan.kind, len(next(iter(bench.membership().values())))) == ("port scan", 60)
    near = bench.store.read(
        lambda db: grouping._near(db, {"10.0.0.9"}, {"since": 0, "until": bench.parts.START_MS + 10**9})
    )
    assert len(near) < 30
    bench.arrive(*(("10.0.0.1", "10.0.0.10", port, 5000 + port) for port in range(1, 10)))
    bench.settle()
    (grown,) = bench.incidents()
    assert (grown.id, len(bench.membership()[grown.id])) == (scan.id, 69)


def test_figures_of_a_large_incident_are_put_off_but_not_forgotten(bench, monkeypatch):
    """Until it has grown by a quarter or some time has passed."""
    monkeypatch.setattr(grouping, "LARGE", 20)
    bench.arrive(*(("10.0.0.1", "10.0.0.9", port, port) for port in range(1, 41)))
    bench.settle()
    bench.arrive(("10.0.0.1", "10.0.0.9", 500, 500))
    bench.settle()
    assert "tried 40 ports" in bench.incidents()[0].title
    bench.grouper._clock.forward(seconds=31)
    bench.settle()
    assert "tried 41 ports" in bench.incidents()[0].title


async def test_a_round_is_announced(bench):
    """Pages that watch incidents learn of them."""
    bench.arrive(("10.0.0.1", "10.0.0.9", 1, 0))
    async with bench.events.subscribe("incident") as watching:
        await bench.grouper.round()
        event = await watching.get(timeout_s=1)
    assert event is not None
    assert event.detail["ids"] == [1]


flows = st.tuples(
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.9.8", "10.0.9.9"]),
    st.sampled_from([1, 22, 80, 443]),
    st.integers(0, 5).map(lambda step: step * (GAP_MS // 2)),
    st.booleans(),
).map(lambda flow: flow[:4] + (("talk",) if flow[4] else ()))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_arriving_in_any_order_and_grouping_ends_like_grouping_all_at_once(parts, data):
    """The law that lets grouping look at the neighbourhood of what is new alone."""
    arriving = data.draw(st.lists(flows, min_size=1, max_size=25))
    settle_after = data.draw(st.sets(st.integers(0, len(arriving) - 1), max_size=6))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(folder, parts)
        try:
            for place, flow in enumerate(arriving):
                bench.arrive(flow)
                if place in settle_after:
                    bench.settle()
            bench.settle()
            expected = {frozenset(member.id for member in found.members) for found in group(bench.points())}
            assert {frozenset(members) for members in bench.membership().values()} == expected
            shown = {found.id: found.alerts for found in bench.incidents()}
            assert shown == {incident: len(members) for incident, members in bench.membership().items()}
        finally:
            bench.store.close()
