"""How the workbench stands: figures for machines that watch, and what `check` finds wrong with its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.work import ledger
from aggregator.workbench import places, shelf

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path


def figures(db: sqlite3.Connection) -> dict[str, int]:
    """What runs and waits, how many bytes are taken, how many data sets and experiments there are."""
    counts = ledger.counts(db)
    found = {
        "running": counts["heavy_running"] + counts["light_running"],
        "queued": counts["heavy_queued"] + counts["light_queued"],
        "bytes": shelf.used_bytes(db),
    }
    for table in ("datasets", "experiments"):
        query = f"SELECT count(*) FROM {table} WHERE deleted_ms IS NULL"  # noqa: S608 - our own names
        found[table] = int(db.execute(query).fetchone()[0])
    return found


def problems(db: sqlite3.Connection, root: Path) -> list[str]:
    """Rows whose files are missing, in sentences. A backup has the workbench's files only when it is asked to."""
    found = []
    for row in db.execute("SELECT * FROM dataset_versions WHERE state = 'ready' AND deleted_ms IS NULL"):
        folder = root / places.dataset_folder(row["dataset_id"], row["version"])
        if not (folder / "table.parquet").exists() or not (folder / "about.json").exists():
            found.append(
                f"workbench: the table of data set {row['dataset_id']}, version {row['version']} is missing; delete "
                "that version, or import it again"
            )
    best = db.execute("SELECT id, best FROM experiments WHERE best <> '' AND deleted_ms IS NULL")
    return found + [
        f"workbench: the best model of experiment {row['id']} is missing; delete it, or run it again"
        for row in best
        if not (root / places.model_folder(row["id"], row["best"]) / "model.onnx").exists()
    ]
