"""The workbench's tables as they were first released; tables_since.py runs these statements once, as one migration.

Like every migration that has been released they are never edited: a change is a new migration there.
"""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE works (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL, about TEXT NOT NULL, folder TEXT NOT NULL, lane TEXT NOT NULL,
        "order" TEXT NOT NULL, state TEXT NOT NULL, asked TEXT NOT NULL DEFAULT '',
        stage TEXT NOT NULL DEFAULT '', fraction REAL NOT NULL DEFAULT 0,
        message TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',
        pid INTEGER, born TEXT NOT NULL DEFAULT '', events_from INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0,
        exit_code INTEGER, "by" TEXT NOT NULL,
        created_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER
    ) STRICT
    """,
    "CREATE INDEX works_under_way ON works (lane, id) WHERE state IN ('queued', 'running')",
    """
    CREATE TABLE datasets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL, "by" TEXT NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER
    ) STRICT
    """,
    "CREATE UNIQUE INDEX datasets_by_name ON datasets (name) WHERE deleted_ms IS NULL",
    """
    CREATE TABLE dataset_versions (
        dataset_id INTEGER NOT NULL REFERENCES datasets, version INTEGER NOT NULL,
        state TEXT NOT NULL, source_kind TEXT NOT NULL, source_what TEXT NOT NULL, source_format TEXT NOT NULL,
        row_count INTEGER, column_count INTEGER, bytes INTEGER NOT NULL DEFAULT 0, digest TEXT NOT NULL DEFAULT '',
        warnings TEXT NOT NULL DEFAULT '[]', label TEXT, profiled INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '', work_id INTEGER REFERENCES works,
        "by" TEXT NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER,
        PRIMARY KEY (dataset_id, version)
    ) STRICT
    """,
    """
    CREATE TABLE experiments (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL, kind TEXT NOT NULL,
        dataset_id INTEGER NOT NULL, dataset_version INTEGER NOT NULL,
        test_dataset_id INTEGER, test_dataset_version INTEGER,
        settings TEXT NOT NULL, label TEXT, task TEXT NOT NULL DEFAULT '',
        models_done INTEGER NOT NULL DEFAULT 0, metric TEXT NOT NULL DEFAULT '', best TEXT NOT NULL DEFAULT '',
        best_title TEXT NOT NULL DEFAULT '', value REAL, test_value REAL, bytes INTEGER NOT NULL DEFAULT 0,
        work_id INTEGER NOT NULL REFERENCES works, "by" TEXT NOT NULL, created_ms INTEGER NOT NULL,
        deleted_ms INTEGER,
        FOREIGN KEY (dataset_id, dataset_version) REFERENCES dataset_versions,
        FOREIGN KEY (test_dataset_id, test_dataset_version) REFERENCES dataset_versions
    ) STRICT
    """,
    "CREATE INDEX experiments_by_dataset ON experiments (dataset_id, id)",
    """
    CREATE TABLE predictions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        experiment_id INTEGER NOT NULL REFERENCES experiments, model TEXT NOT NULL, source TEXT NOT NULL,
        dataset_id INTEGER, dataset_version INTEGER, row_count INTEGER, anomalies INTEGER,
        bytes INTEGER NOT NULL DEFAULT 0, work_id INTEGER NOT NULL REFERENCES works,
        "by" TEXT NOT NULL, created_ms INTEGER NOT NULL, deleted_ms INTEGER,
        FOREIGN KEY (dataset_id, dataset_version) REFERENCES dataset_versions
    ) STRICT
    """,
    "CREATE INDEX predictions_by_experiment ON predictions (experiment_id, id)",
    """
    CREATE TABLE plots (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        dataset_id INTEGER NOT NULL, version INTEGER NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL,
        request TEXT NOT NULL, "by" TEXT NOT NULL, created_ms INTEGER NOT NULL,
        FOREIGN KEY (dataset_id, version) REFERENCES dataset_versions
    ) STRICT
    """,
    """
    CREATE TABLE promotions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        experiment_id INTEGER NOT NULL REFERENCES experiments, model TEXT NOT NULL, reason TEXT NOT NULL,
        digest TEXT NOT NULL DEFAULT '', gate_passed INTEGER, work_id INTEGER NOT NULL REFERENCES works,
        "by" TEXT NOT NULL, created_ms INTEGER NOT NULL
    ) STRICT
    """,
)
