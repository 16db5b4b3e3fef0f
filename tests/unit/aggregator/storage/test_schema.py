"""Migrations keep what an older aggregator stored."""

from __future__ import annotations

import json
import sqlite3
import struct

import pytest
import sqlite_utils

from aggregator.storage import schema, tables
from aggregator.triage import cases, grouping

RELEASED = ("fleet", "findings", "registry", "people")
"""Migrations of the first release: what they made must be taken on by the later ones."""

TRAITS = {4: 3.0, 5: 180.0, 7: 2.0, 8: 90.0, 11: 12.5, 41: 3.0, 44: 0.0, 49: 0.0, 55: 1.0}
"""Features of an alert by their place in the contract of the first release."""


@pytest.fixture
def old():
    """A database as the first release left it: two alerts in one incident, the later one the other way round."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    db = sqlite_utils.Database(connection)
    for name in RELEASED:
        getattr(tables, name)(db)
    schema.migrations.ensure_migrations_table(db)
    for name in RELEASED:
        db[schema.migrations.migrations_table].insert(
            {"migration_set": "aggregator", "name": name, "applied_at": "2026-01-01"}
        )
    connection.execute(
        "INSERT INTO incidents (id, rule, anchor, kind, title, src_ip, dst_ip, first_seen_ms, last_seen_ms, updated_ms, "
        "alerts) VALUES (1, 'pair', '10.0.0.9>10.0.0.1', 'repeated connections', 'as it was', '10.0.0.9', '10.0.0.1', "
        "1000, 2000, 5000, 2)"
    )
    features = [0.0] * 93
    for place, value in TRAITS.items():
        features[place] = value
    for number, (src, dst) in enumerate((("10.0.0.9", "10.0.0.1"), ("10.0.0.1", "10.0.0.9")), 1):
        connection.execute(
            "INSERT INTO alerts (agent_id, epoch, sequence, row, inbox_id, flow_id, src_ip, src_port, dst_ip, dst_port, "
            'protocol, ip_version, vlan_id, "end", first_seen_ms, last_seen_ms, received_ms, packets, bytes, score, '
            "threshold, model_digest, policy_version, reasons, health, features, incident_id) VALUES "
            "('a', 'e', ?, 0, 1, ?, ?, 40000, ?, 22, 6, 4, 0, 3, 1000, 2000, ?, 5, 270, 4.0, 3.0, '', 1, ?, '{}', ?, 1)",
            (number, f"a.e.{number}.0", src, dst, 3000 + number, json.dumps([]), struct.pack("<93f", *features)),
        )
    connection.commit()
    yield connection
    connection.close()


def test_alerts_of_an_older_release_are_recognised_too(old):
    """What grouping reads is taken from the features that were stored with them."""
    schema.migrate(old)
    assert schema.pending(old) == []
    row = old.execute("SELECT * FROM alerts WHERE id = 1").fetchone()
    assert (row["src_packets"], row["src_bytes"], row["dst_bytes"], row["deviation"]) == (3, 180, 90, 12.5)
    assert (row["opened"], row["refused"], row["unanswered"], row["suppression_id"]) == (1, 1, 1, None)
    assert [point.incident_id for point in grouping._points(old, "ORDER BY alerts.id")] == [1, 1]


def test_incidents_of_an_older_release_are_named_anew(old):
    """They keep their id and their alerts; a pair is one whoever spoke first."""
    schema.migrate(old)
    row = old.execute("SELECT * FROM incidents").fetchone()
    assert (row["anchor"], row["active_ms"], row["figures_stale"]) == ("10.0.0.1>10.0.0.9", 3002, 1)
    figures, owed = grouping.stale_figures(old, now_ms=10_000)
    assert owed is False
    grouping.refresh(old, figures, now_ms=10_000)
    (incident,) = cases.find(old, now_ms=10_000, limit=10).items
    assert (incident.id, incident.alerts, incident.state) == (1, 2, "open")
    assert incident.kind == "unusual exchange"
    assert incident.evidence


def test_migrations_keep_their_order():
    """Where a module stands in an import list must not decide what runs first: databases out there remember the order."""
    names = schema.pending(sqlite3.connect(":memory:"))
    assert names == [
        *RELEASED, "learning", "recognised_incidents", "promises", "workbench", "handling", "families",
    ]  # fmt: skip
