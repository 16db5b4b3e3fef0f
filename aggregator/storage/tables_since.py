"""Migrations after those of tables.py, in the order in which they run. A change is a new function at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.storage import workbench_tables
from aggregator.storage.migration import append_only, migration, script

if TYPE_CHECKING:
    import sqlite_utils


@migration
def workbench(db: sqlite_utils.Database) -> None:
    """Spawned work, data sets and their versions, experiments, predictions, kept plots, promotions."""
    script(db, *workbench_tables.STATEMENTS)


@migration
def handling(db: sqlite_utils.Database) -> None:
    """Who looks after an incident: acknowledged, assigned, commented on, and what follows from it."""
    script(
        db,
        """
        CREATE TABLE incident_steps (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            incident_id INTEGER NOT NULL REFERENCES incidents,
            deed TEXT NOT NULL CHECK (deed IN ('acknowledge', 'assign', 'comment', 'undo')),
            assignee TEXT, kind TEXT NOT NULL, note TEXT NOT NULL, "by" TEXT NOT NULL, at_ms INTEGER NOT NULL,
            undoes INTEGER UNIQUE REFERENCES incident_steps,
            CHECK ((deed = 'undo') = (undoes IS NOT NULL)), CHECK (assignee IS NULL OR deed = 'assign')
        ) STRICT
        """,
        *append_only("incident_steps"),
        "CREATE INDEX incident_steps_by_incident ON incident_steps (incident_id)",
        "CREATE INDEX incidents_merged ON incidents (merged_into) WHERE merged_into IS NOT NULL",
        "ALTER TABLE incidents ADD COLUMN reopened_ms INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE incidents ADD COLUMN acknowledged_by TEXT",
        "ALTER TABLE incidents ADD COLUMN acknowledged_ms INTEGER",
        "ALTER TABLE incidents ADD COLUMN assignee TEXT",
        "ALTER TABLE incidents ADD COLUMN comments INTEGER NOT NULL DEFAULT 0",
    )


@migration
def families(db: sqlite_utils.Database) -> None:
    """The family of labelled attacks that an alert looks like to the model which raised it."""
    script(
        db,
        "ALTER TABLE alerts ADD COLUMN family TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE alerts ADD COLUMN family_share REAL NOT NULL DEFAULT 0",
    )
