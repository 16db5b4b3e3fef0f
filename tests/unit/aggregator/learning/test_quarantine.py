"""What is held back from training, as a table of cases, and read from the store."""

from __future__ import annotations

import contextlib

import pytest

from aggregator.learning import quarantine
from aggregator.learning.quarantine import MALICIOUS, OPEN, Case, why_held
from aggregator.storage.store import Store
from aggregator.triage import cases
from aggregator.triage.incidents import BEACON, GAP_MS, KINDS, PORT_SCAN, SINGLE_FLOW, SLOW_GAP_MS, UNUSUAL_EXCHANGE

NOW = 1_790_000_000_000
LONG_AGO = NOW - 10 * SLOW_GAP_MS


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case(UNUSUAL_EXCHANGE, None, NOW, suppressed=False), OPEN),
        (Case(UNUSUAL_EXCHANGE, None, LONG_AGO, suppressed=False), ""),
        (Case(UNUSUAL_EXCHANGE, None, NOW - GAP_MS, suppressed=False), OPEN),
        (Case(UNUSUAL_EXCHANGE, None, NOW - GAP_MS - 1, suppressed=False), ""),
        (Case(BEACON, None, NOW - SLOW_GAP_MS, suppressed=False), OPEN),
        (Case(SINGLE_FLOW, "unsure", LONG_AGO, suppressed=False), ""),
        (Case(PORT_SCAN, None, LONG_AGO, suppressed=False), "unjudged port scan"),
        (Case(BEACON, "unsure", LONG_AGO, suppressed=False), "unjudged beacon"),
        (Case(PORT_SCAN, "benign", LONG_AGO, suppressed=False), ""),
        (Case(PORT_SCAN, "benign", NOW, suppressed=False), ""),
        (Case(PORT_SCAN, "malicious", LONG_AGO, suppressed=False), MALICIOUS),
        (Case(UNUSUAL_EXCHANGE, "mixed", LONG_AGO, suppressed=False), MALICIOUS),
        (Case(PORT_SCAN, None, NOW, suppressed=True), ""),
        (Case(PORT_SCAN, "malicious", NOW, suppressed=True), MALICIOUS),
    ],
)
def test_why_the_flows_around_an_incident_are_held_back(case: Case, expected: str) -> None:
    """Open, called malicious, or an attack's kind that nobody judged."""
    assert why_held(case, now_ms=NOW) == expected


def test_every_kind_that_alarms_is_an_attacks() -> None:
    """A new kind is held back until somebody decides otherwise here."""
    assert set(KINDS) - quarantine.ATTACK_KINDS == {UNUSUAL_EXCHANGE, SINGLE_FLOW}


def test_the_list_names_the_source_else_the_target_else_every_host(tmp_path) -> None:
    """And the lowest threshold under which each agent alerted."""
    with contextlib.closing(Store(tmp_path / "a.db").open()) as store:
        for src, dst, hosts in (("a", "b", '["a", "b"]'), (None, "v", '["v", "x"]'), (None, None, '["p", "q"]')):
            store.write_now(
                lambda db, src=src, dst=dst, hosts=hosts: db.execute(
                    "INSERT INTO incidents (rule, anchor, updated_ms, kind, src_ip, dst_ip, hosts, first_seen_ms, "
                    "last_seen_ms, alerts, active_ms) VALUES ('pair', 'x', 1, 'flood', ?, ?, ?, 5, 9, 2, 1)",
                    (src, dst, hosts),
                )
            )
        held = store.read(lambda db: quarantine.held(db, now_ms=NOW))
    assert [entry["host"] for entry in held["hosts"]] == ["a", "v", "p", "q"]
    assert {(entry["from_ms"], entry["until_ms"], entry["why"]) for entry in held["hosts"]} == {
        (5, 9, "unjudged flood")
    }
    assert held["thresholds"] == []
    assert held["format"] == quarantine.FORMAT


async def test_open_here_is_open_there(tmp_path, parts) -> None:
    """The console and the list of what is held back mean the same by an open incident."""
    async with parts.services(tmp_path / "state") as hall:
        now_ms = hall.clock.now_ms()
        for number, (kind, age_ms) in enumerate(
            ((UNUSUAL_EXCHANGE, GAP_MS), (UNUSUAL_EXCHANGE, GAP_MS + 1), (BEACON, SLOW_GAP_MS), (SINGLE_FLOW, 0))
        ):
            hall.store.write_now(
                lambda db, kind=kind, age_ms=age_ms, number=number: db.execute(
                    "INSERT INTO incidents (rule, anchor, updated_ms, kind, src_ip, hosts, alerts, active_ms) "
                    "VALUES ('pair', 'x', 1, ?, ?, '[]', 1, ?)",
                    (kind, f"host {number}", now_ms - age_ms),
                )
            )
        held = hall.store.read(lambda db: quarantine.held(db, now_ms=now_ms))
        shown = hall.store.read(lambda db: cases.find(db, now_ms=now_ms, limit=9)).items
        is_open = {incident.src_ip for incident in shown if incident.state == "open"}
        assert {entry["host"] for entry in held["hosts"] if entry["why"] == OPEN} == is_open
        assert len(is_open) == 3
