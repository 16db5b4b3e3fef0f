"""The tables, as migrations: decorated functions that run once each, in this order, inside a transaction.

A migration that has been released is never edited; a change is a new function at the end. Labels and audit are
append-only, and triggers hold them to it. Times are UTC milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlite_utils

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

migrations = sqlite_utils.Migrations("aggregator")


def migration(step: Callable[[sqlite_utils.Database], None]) -> Callable[[sqlite_utils.Database], None]:
    """Register `step` as the next migration, under its own name."""
    return migrations()(step)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database of `connection` to the newest schema."""
    if pending(connection):
        migrations.apply(sqlite_utils.Database(connection))


def pending(connection: sqlite3.Connection) -> list[str]:
    """Names of migrations that have not run."""
    return [migration.name for migration in migrations.pending(sqlite_utils.Database(connection))]


def _script(db: sqlite_utils.Database, *statements: str) -> None:
    # Not executescript: it commits, and a migration must be one transaction.
    for statement in statements:
        db.execute(statement)


@migration
def fleet(db: sqlite_utils.Database) -> None:
    """Agents, how far each has been stored, and what they sent."""
    _script(
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
    _script(
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
        *_append_only("labels"),
        *_append_only("label_alerts"),
    )


@migration
def registry(db: sqlite_utils.Database) -> None:
    """Models, who reigned when, policies, and training runs."""
    _script(
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
    _script(
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
        *_append_only("audit"),
    )


def _append_only(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
        f"BEGIN SELECT raise(ABORT, '{table} is append-only'); END"
        for deed in ("UPDATE", "DELETE")
    ]
