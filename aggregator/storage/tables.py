"""The tables of the first releases, as migrations. None of them is edited any more: changes go to tables_since.py."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from aggregator.storage.migration import append_only, migration, script

if TYPE_CHECKING:
    import sqlite_utils


@migration
def fleet(db: sqlite_utils.Database) -> None:
    """Agents, how far each has been stored, and what they sent."""
    script(
        db,
        """
        CREATE TABLE agents (
            agent_id TEXT PRIMARY KEY,
            hostname TEXT NOT NULL DEFAULT '', version TEXT NOT NULL DEFAULT '', source TEXT NOT NULL DEFAULT '',
            epoch TEXT NOT NULL DEFAULT '', feature_digest TEXT NOT NULL DEFAULT '',
            connected INTEGER NOT NULL DEFAULT 0,
            first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,
            model_digest TEXT NOT NULL DEFAULT '',
            reported_digest TEXT NOT NULL DEFAULT '', model_state TEXT NOT NULL DEFAULT '',
            model_detail TEXT NOT NULL DEFAULT '',
            policy_version INTEGER NOT NULL DEFAULT 0,
            spool_bytes INTEGER NOT NULL DEFAULT 0, spool_records INTEGER NOT NULL DEFAULT 0,
            batches INTEGER NOT NULL DEFAULT 0, flows INTEGER NOT NULL DEFAULT 0, alerts INTEGER NOT NULL DEFAULT 0,
            lost_flows INTEGER NOT NULL DEFAULT 0, lost_alerts INTEGER NOT NULL DEFAULT 0,
            broken_batches INTEGER NOT NULL DEFAULT 0,
            health TEXT NOT NULL DEFAULT '{}'
        ) STRICT
        """,
        """
        CREATE TABLE cursors (
            agent_id TEXT NOT NULL REFERENCES agents, epoch TEXT NOT NULL,
            sequence INTEGER NOT NULL, updated_ms INTEGER NOT NULL,
            PRIMARY KEY (agent_id, epoch)
        ) STRICT, WITHOUT ROWID
        """,
        # AUTOINCREMENT: an id is never used twice, because staging files are named by the ids they hold.
        """
        CREATE TABLE inbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            agent_id TEXT NOT NULL, epoch TEXT NOT NULL, sequence INTEGER NOT NULL,
            received_ms INTEGER NOT NULL, row_count INTEGER NOT NULL, batch BLOB NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE gaps (
            id INTEGER PRIMARY KEY,
            agent_id TEXT NOT NULL, epoch TEXT NOT NULL,
            first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
            flows INTEGER NOT NULL, alerts INTEGER NOT NULL, reason TEXT NOT NULL, received_ms INTEGER NOT NULL
        ) STRICT
        """,
    )


@migration
def findings(db: sqlite_utils.Database) -> None:
    """Alerts, the incidents they form, and the verdicts on them."""
    script(
        db,
        """
        CREATE TABLE incidents (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            merged_into INTEGER,
            rule TEXT NOT NULL, anchor TEXT NOT NULL,
            kind TEXT NOT NULL DEFAULT '', title TEXT NOT NULL DEFAULT '',
            src_ip TEXT, dst_ip TEXT,
            sources INTEGER NOT NULL DEFAULT 0, targets INTEGER NOT NULL DEFAULT 0, ports INTEGER NOT NULL DEFAULT 0,
            hosts TEXT NOT NULL DEFAULT '[]', agents TEXT NOT NULL DEFAULT '[]',
            first_seen_ms INTEGER NOT NULL DEFAULT 0, last_seen_ms INTEGER NOT NULL DEFAULT 0,
            updated_ms INTEGER NOT NULL, alerts INTEGER NOT NULL DEFAULT 0, max_score REAL NOT NULL DEFAULT 0,
            reasons TEXT NOT NULL DEFAULT '[]', verdict TEXT,
            figures_stale INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX incidents_stale ON incidents (id) WHERE figures_stale = 1",
        "CREATE INDEX incidents_by_activity ON incidents (last_seen_ms, id) WHERE merged_into IS NULL",
        """
        CREATE TABLE alerts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            agent_id TEXT NOT NULL, epoch TEXT NOT NULL, sequence INTEGER NOT NULL, row INTEGER NOT NULL,
            inbox_id INTEGER NOT NULL, flow_id TEXT NOT NULL UNIQUE,
            src_ip TEXT NOT NULL, src_port INTEGER NOT NULL, dst_ip TEXT NOT NULL, dst_port INTEGER NOT NULL,
            protocol INTEGER NOT NULL, ip_version INTEGER NOT NULL, vlan_id INTEGER NOT NULL, "end" INTEGER NOT NULL,
            first_seen_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL,
            packets INTEGER NOT NULL, bytes INTEGER NOT NULL,
            score REAL NOT NULL, threshold REAL NOT NULL,
            model_digest TEXT NOT NULL, policy_version INTEGER NOT NULL,
            reasons TEXT NOT NULL, health TEXT NOT NULL, features BLOB NOT NULL,
            incident_id INTEGER REFERENCES incidents,
            verdict TEXT, verdict_by TEXT, verdict_ms INTEGER, label_id INTEGER,
            lake_stale INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX alerts_by_arrival ON alerts (received_ms)",
        "CREATE INDEX alerts_by_incident ON alerts (incident_id, id)",
        "CREATE INDEX alerts_by_source ON alerts (src_ip, last_seen_ms)",
        "CREATE INDEX alerts_by_target ON alerts (dst_ip, last_seen_ms)",
        "CREATE INDEX alerts_by_model ON alerts (model_digest)",
        "CREATE INDEX alerts_ungrouped ON alerts (id) WHERE incident_id IS NULL",
        "CREATE INDEX alerts_without_verdict ON alerts (id) WHERE verdict IS NULL",
        "CREATE INDEX alerts_stale ON alerts (inbox_id) WHERE lake_stale = 1",
        """
        CREATE TABLE labels (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            target TEXT NOT NULL CHECK (target IN ('alert', 'incident')), target_id INTEGER NOT NULL,
            verdict TEXT CHECK (verdict IN ('benign', 'malicious', 'unsure')),
            note TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            undoes INTEGER UNIQUE REFERENCES labels,
            CHECK ((verdict IS NULL) = (undoes IS NOT NULL))
        ) STRICT
        """,
        "CREATE INDEX labels_by_target ON labels (target, target_id)",
        # Which alerts a verdict was given on: an incident may grow afterwards.
        """
        CREATE TABLE label_alerts (
            alert_id INTEGER NOT NULL REFERENCES alerts, label_id INTEGER NOT NULL REFERENCES labels,
            PRIMARY KEY (alert_id, label_id)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX label_alerts_by_label ON label_alerts (label_id)",
        *append_only("labels"),
        *append_only("label_alerts"),
    )


@migration
def registry(db: sqlite_utils.Database) -> None:
    """Models, who reigned when, policies, and training runs."""
    script(
        db,
        """
        CREATE TABLE models (
            digest TEXT PRIMARY KEY,
            version INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
            size INTEGER NOT NULL, feature_digest TEXT NOT NULL, created_ms INTEGER NOT NULL,
            admitted_ms INTEGER NOT NULL, admitted_by TEXT NOT NULL,
            gate_passed INTEGER, has_report INTEGER NOT NULL, manifest TEXT NOT NULL
        ) STRICT
        """,
        "CREATE UNIQUE INDEX one_champion ON models (state) WHERE state = 'champion'",
        # `predecessor` makes rollback a step down a stack, however often it is repeated.
        """
        CREATE TABLE reigns (
            id INTEGER PRIMARY KEY,
            digest TEXT NOT NULL REFERENCES models, predecessor INTEGER REFERENCES reigns,
            since_ms INTEGER NOT NULL, "by" TEXT NOT NULL, how TEXT NOT NULL, reason TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE policies (
            version INTEGER PRIMARY KEY,
            model_digest TEXT NOT NULL, threshold REAL NOT NULL, promised_fpr REAL,
            keep_fraction REAL NOT NULL, max_alerts_per_minute INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, "by" TEXT NOT NULL, reason TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL, state TEXT NOT NULL, stage TEXT NOT NULL, fraction REAL NOT NULL,
            message TEXT NOT NULL, params TEXT NOT NULL, "by" TEXT NOT NULL,
            created_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER, exit_code INTEGER,
            model_digest TEXT, gate TEXT, promoted INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT ''
        ) STRICT
        """,
        "CREATE UNIQUE INDEX one_running_job ON jobs (state) WHERE state = 'running'",
    )


@migration
def people(db: sqlite_utils.Database) -> None:
    """Accounts, sessions, tokens, and the audit log."""
    script(
        db,
        """
        CREATE TABLE users (
            name TEXT PRIMARY KEY, role TEXT NOT NULL, password_hash TEXT NOT NULL,
            created_ms INTEGER NOT NULL, disabled INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        """
        CREATE TABLE sessions (
            hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES users,
            created_ms INTEGER NOT NULL, last_used_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE tokens (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, user TEXT NOT NULL REFERENCES users,
            scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
            created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, last_used_ms INTEGER,
            revoked INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at_ms INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,
            detail TEXT NOT NULL, hash TEXT NOT NULL
        ) STRICT
        """,
        *append_only("audit"),
    )


@migration
def learning(db: sqlite_utils.Database) -> None:
    """Verdicts on flows that raised no alert, their expiry and family; frozen sets."""
    script(
        db,
        # A CHECK cannot be altered: the table is made anew under its name; references are looked at when all is done.
        "PRAGMA defer_foreign_keys = ON",
        """
        CREATE TABLE labels_anew (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            target TEXT NOT NULL CHECK (target IN ('alert', 'incident', 'flow')), target_id INTEGER NOT NULL,
            verdict TEXT CHECK (verdict IN ('benign', 'malicious', 'unsure')),
            note TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            undoes INTEGER UNIQUE REFERENCES labels,
            expires_ms INTEGER, family TEXT NOT NULL DEFAULT '', settles INTEGER NOT NULL DEFAULT 0,
            CHECK ((verdict IS NULL) = (undoes IS NOT NULL))
        ) STRICT
        """,
        'INSERT INTO labels_anew (id, target, target_id, verdict, note, "by", at_ms, undoes) '
        'SELECT id, target, target_id, verdict, note, "by", at_ms, undoes FROM labels',
        "DROP TABLE labels",
        "ALTER TABLE labels_anew RENAME TO labels",
        "CREATE INDEX labels_by_target ON labels (target, target_id)",
        "CREATE INDEX labels_by_time ON labels (at_ms)",
        "CREATE INDEX labels_expiring ON labels (expires_ms) WHERE expires_ms IS NOT NULL",
        *append_only("labels"),
        # People contradict each other on it: it is not trained on until that is settled.
        "ALTER TABLE alerts ADD COLUMN disputed INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX alerts_disputed ON alerts (id) WHERE disputed = 1",
        # `inbox_id` lies in the range of the file that holds the flow, and of every file that one becomes part of.
        """
        CREATE TABLE judged_flows (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            flow_id TEXT NOT NULL UNIQUE, agent_id TEXT NOT NULL, inbox_id INTEGER NOT NULL,
            verdict TEXT, verdict_by TEXT, verdict_ms INTEGER, label_id INTEGER,
            disputed INTEGER NOT NULL DEFAULT 0, lake_stale INTEGER NOT NULL DEFAULT 0
        ) STRICT
        """,
        "CREATE INDEX judged_flows_by_inbox ON judged_flows (inbox_id)",
        "CREATE INDEX judged_flows_stale ON judged_flows (inbox_id) WHERE lake_stale = 1",
        """
        CREATE TABLE frozen_sets (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            purpose TEXT NOT NULL CHECK (purpose IN ('attacks', 'golden')),
            sha256 TEXT NOT NULL, feature_digest TEXT NOT NULL,
            row_count INTEGER NOT NULL, families TEXT NOT NULL, made_of TEXT NOT NULL,
            note TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            retired_ms INTEGER, retired_by TEXT, retired_note TEXT NOT NULL DEFAULT ''
        ) STRICT
        """,
        "CREATE UNIQUE INDEX frozen_sets_in_use ON frozen_sets (purpose, sha256) WHERE retired_ms IS NULL",
    )


@migration
def recognised_incidents(db: sqlite_utils.Database) -> None:
    """What incidents are recognised by, their evidence, and rules that say what is normal here."""
    script(
        db,
        "ALTER TABLE alerts ADD COLUMN src_packets INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN src_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN dst_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN opened INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE alerts ADD COLUMN refused INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN deviation REAL NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN suppression_id INTEGER",
        "CREATE INDEX alerts_suppressed ON alerts (suppression_id) WHERE suppression_id IS NOT NULL",
        "ALTER TABLE incidents ADD COLUMN evidence TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE incidents ADD COLUMN conversations INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE incidents ADD COLUMN suppressed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE incidents ADD COLUMN active_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE incidents ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE incidents ADD COLUMN figured INTEGER NOT NULL DEFAULT 0",
        """
        CREATE TABLE suppressions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            src TEXT, dst TEXT, port INTEGER, protocol INTEGER, kind TEXT, agent_id TEXT, "group" TEXT,
            reason TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            since_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, share REAL NOT NULL, forced INTEGER NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE suppression_ends (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            suppression_id INTEGER NOT NULL REFERENCES suppressions,
            how TEXT NOT NULL CHECK (how IN ('end', 'undo')),
            reason TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            UNIQUE (suppression_id, how)
        ) STRICT
        """,
        *append_only("suppressions"),
        *append_only("suppression_ends"),
        # A pair is one whoever spoke first.
        "UPDATE incidents SET anchor = substr(anchor, instr(anchor, '>') + 1) || '>' || "
        "substr(anchor, 1, instr(anchor, '>') - 1) WHERE rule = 'pair' "
        "AND substr(anchor, instr(anchor, '>') + 1) < substr(anchor, 1, instr(anchor, '>') - 1)",
        "UPDATE incidents SET figures_stale = 1, "
        "active_ms = coalesce((SELECT max(received_ms) FROM alerts WHERE incident_id = incidents.id), 0) "
        "WHERE merged_into IS NULL AND alerts > 0",
    )
    kept = db.execute("SELECT id, protocol, packets, features FROM alerts").fetchall()
    for alert_id, protocol, packets, features in kept:
        # The features that grouping reads, where they stand in the contract of the releases before this one.
        sent, sent_bytes, received, received_bytes, deviation, asked, acknowledged, accepted, resets = (
            struct.unpack_from("<f", features, 4 * place)[0] for place in (4, 5, 7, 8, 11, 41, 44, 49, 55)
        )
        db.execute(
            "UPDATE alerts SET src_packets = ?, src_bytes = ?, dst_bytes = ?, opened = ?, refused = ?, "
            "unanswered = ?, deviation = ? WHERE id = ?",
            [
                *(int(min(max(value, 0), 2**53)) for value in (sent, sent_bytes, received_bytes)),
                int(protocol != 6 or (asked > 0 and acknowledged < sent)),
                int(resets > 0 and packets <= 6),
                int(received <= 0 or (protocol == 6 and asked > 0 and accepted <= 0)),
                max(deviation, 0.0),
                alert_id,
            ],
        )


@migration
def promises(db: sqlite_utils.Database) -> None:
    """Scores counted by agents, groups of agents, and what a policy's threshold rests on."""
    script(
        db,
        """
        CREATE TABLE score_counts (
            agent_id TEXT NOT NULL REFERENCES agents, run TEXT NOT NULL,
            hour_ms INTEGER NOT NULL, model_digest TEXT NOT NULL,
            flows INTEGER NOT NULL, counts BLOB NOT NULL, updated_ms INTEGER NOT NULL,
            PRIMARY KEY (agent_id, run, hour_ms, model_digest)
        ) STRICT
        """,
        "CREATE INDEX score_counts_by_hour ON score_counts (model_digest, hour_ms)",
        "CREATE INDEX score_counts_by_agent ON score_counts (agent_id, hour_ms)",
        "ALTER TABLE agents ADD COLUMN \"group\" TEXT NOT NULL DEFAULT 'default'",
        "ALTER TABLE alerts ADD COLUMN counted_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE alerts ADD COLUMN weighed INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX alerts_by_count ON alerts (model_digest, counted_ms)",
        "ALTER TABLE policies ADD COLUMN \"group\" TEXT NOT NULL DEFAULT 'default'",
        "ALTER TABLE policies ADD COLUMN basis TEXT NOT NULL DEFAULT 'model'",
        "UPDATE policies SET basis = 'hand' WHERE promised_fpr IS NULL",
        'CREATE INDEX policies_by_group ON policies ("group", version)',
    )
