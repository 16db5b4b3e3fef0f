"""Backup, restore and check of a state directory.

A backup is a folder, or a tar of one: the database as one consistent copy (taken while the aggregator runs, if it
does), the models with their reports, and a listing of the flow files; with `flows`, those files too. Of the workbench
it holds the rows, and with `workbench` its files: tables, models, predictions. The manifest names every file with its
digest and is written last, so an unfinished backup is not mistaken for one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aggregator import audit
from aggregator.errors import Conflict, Invalid, StateError
from aggregator.learning import yardsticks
from aggregator.models import admission
from aggregator.statedir import locked
from aggregator.storage import parquet, schema
from aggregator.storage.store import connect
from aggregator.workbench import places, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aggregator.clock import Clock
    from aggregator.config import AggregatorConfig

MANIFEST: Final = "backup.json"
FORMAT: Final = 1


def backup(
    config: AggregatorConfig, clock: Clock, target: Path, *, flows: bool, workbench: bool = False
) -> dict[str, Any]:
    """Write a backup to `target`: a tar when its name ends in .tar or .tar.gz, else a new folder."""
    if not config.database.exists():
        raise StateError(f"there is no aggregator in {config.state_dir}")
    if target.exists():
        raise Conflict(f"{target} exists already; name another place")
    if not target.name.endswith((".tar", ".tar.gz")):
        return _write(config, clock, target, flows=flows, workbench=workbench)
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=target.parent) as folder:
        described = _write(config, clock, Path(folder) / "backup", flows=flows, workbench=workbench)
        beside = Path(folder) / target.name
        with tarfile.open(beside, "w:gz" if target.name.endswith(".gz") else "w") as archive:
            archive.add(Path(folder) / "backup", arcname="backup")
        beside.replace(target)
    return described


def restore(config: AggregatorConfig, source: Path, *, force: bool) -> dict[str, Any]:
    """Bring a backup into the state directory. With `force`, over a database that is there; it is kept as `.old`."""
    if config.database.exists() and not force:
        raise Conflict(f"there is an aggregator in {config.state_dir} already; restore with --force to replace it")
    with _opened(source) as folder:
        described = _verified(folder)
        config.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(config.state_dir):
            for name in ("models", "sets", "staging", "lake", "workbench"):
                if (folder / name).is_dir():
                    shutil.copytree(folder / name, config.state_dir / name, dirs_exist_ok=True)
            for suffix in ("", "-wal", "-shm"):
                old = config.database.with_name(config.database.name + suffix)
                if old.exists():
                    old.replace(config.database.with_name(config.database.name + ".old" + suffix))
            arriving = config.database.with_suffix(".arriving")
            shutil.copyfile(folder / "aggregator.db", arriving)
            arriving.replace(config.database)
    return described


def check(config: AggregatorConfig) -> list[str]:
    """What is wrong with the state directory, in sentences; empty when all is well. Changes nothing."""
    if not config.database.exists():
        raise StateError(f"there is no aggregator in {config.state_dir}; run `anomaflow-aggregator init` first")
    try:
        with contextlib.closing(connect(config.database, write=False)) as db:
            problems = [f"database: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"] + [
                f"database: row {row[1]} of {row[0]} refers to nothing"
                for row in db.execute("PRAGMA foreign_key_check")
            ]
            if missing := schema.pending(db):
                return [*problems, f"database: its schema lacks {', '.join(missing)}; `run` brings it up to date"]
            problems += _check_cursors(db) + _check_models(db, config) + _check_sets(db, config)
            problems += _check_alerts(db) + standing.problems(db, config.workbench_dir)
            if (entry := audit.broken_link(db)) is not None:
                problems.append(f"audit: the chain breaks at entry {entry}; entries were changed or removed")
    except sqlite3.DatabaseError as error:
        return [f"database: {error}; restore a backup"]
    return problems + _check_files(config)


def _write(config: AggregatorConfig, clock: Clock, folder: Path, *, flows: bool, workbench: bool) -> dict[str, Any]:
    folder.mkdir(parents=True)
    with contextlib.closing(connect(config.database, write=False)) as source:
        copy = sqlite3.connect(folder / "aggregator.db")
        with contextlib.closing(copy):
            source.backup(copy, pages=4096)
            # A copy that is opened later must not need a WAL beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    for kept in (config.models_dir, config.sets_dir):
        (folder / kept.name).mkdir()
        for path in sorted(kept.glob("*.*")):
            if path.is_file():
                shutil.copy2(path, folder / kept.name / path.name)
    files = parquet.staged_files(config.state_dir / "staging") + parquet.lake_files(config.state_dir / "lake")
    listing = [
        {"path": str(file.path.relative_to(config.state_dir)), "day": file.day, "rows": file.rows} for file in files
    ]
    if flows:
        for file in files:
            place = folder / file.path.relative_to(config.state_dir)
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # merged away meanwhile: its rows are in a later file
                shutil.copy2(file.path, place)
    if workbench:
        _copy_workbench(config.workbench_dir, folder / config.workbench_dir.name)
    described = {
        "format": FORMAT,
        "made_ms": clock.now_ms(),
        "flow_files": listing,
        "flows_included": flows,
        "workbench_included": workbench,
        "files": {
            str(path.relative_to(folder)): admission.digest_of(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    (folder / MANIFEST).write_text(json.dumps(described, indent=1), encoding="utf-8")
    return described


def _copy_workbench(source: Path, target: Path) -> None:
    """Everything but what is coming in; a file that goes meanwhile, or is half written, is left out."""
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if not path.is_file() or inner.parts[0] == places.INCOMING or path.suffix in {".tmp", ".part"}:
            continue
        place = target / inner
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(path, place)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    if not source.exists():
        raise Invalid(f"there is no backup {source}")
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        try:
            with tarfile.open(source) as archive:
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise Invalid(f"{source} is not a backup: {error}") from error
        yield Path(folder) / "backup"


def _verified(folder: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files: dict[str, str] = described["files"]
        if described["format"] != FORMAT:
            raise Invalid(f"the backup has format {described['format']}, this version reads {FORMAT}")
    except (OSError, ValueError, KeyError) as error:
        raise Invalid(f"{folder} is not a finished backup ({error})") from error
    for name, digest in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise Invalid(f"the backup lacks {name}")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise Invalid(f"the backup's {name} is damaged")
    if "aggregator.db" not in files:
        raise Invalid("the backup has no database")
    return described


def _check_cursors(db: sqlite3.Connection) -> list[str]:
    rows = db.execute(
        "SELECT agent_id, epoch, max(sequence) AS reached, (SELECT sequence FROM cursors WHERE "
        "cursors.agent_id = alerts.agent_id AND cursors.epoch = alerts.epoch) AS cursor FROM alerts "
        "GROUP BY agent_id, epoch"
    )
    return [
        f"cursor: agent {row['agent_id']} has alerts up to record {row['reached']}, its cursor says {row['cursor']}"
        for row in rows
        if row["cursor"] is None or row["cursor"] < row["reached"]
    ]


def _check_alerts(db: sqlite3.Connection) -> list[str]:
    row = db.execute(
        "SELECT count(*) AS wrong FROM incidents WHERE merged_into IS NULL AND alerts <> "
        "(SELECT count(*) FROM alerts WHERE incident_id = incidents.id)"
    ).fetchone()
    return [f"incidents: {row['wrong']} do not count their alerts right"] if row["wrong"] else []


def _check_models(db: sqlite3.Connection, config: AggregatorConfig) -> list[str]:
    problems = []
    for row in db.execute("SELECT digest, state FROM models WHERE state <> 'refused' ORDER BY version"):
        path = config.models_dir / f"{row['digest']}.onnx"
        if not path.exists():
            problems.append(f"models: the file of {row['state']} {row['digest'][:12]} is missing; upload it again")
        elif admission.digest_of(path) != row["digest"]:
            problems.append(f"models: the file of {row['state']} {row['digest'][:12]} is damaged; upload it again")
    return problems


def _check_sets(db: sqlite3.Connection, config: AggregatorConfig) -> list[str]:
    return [
        f"sets: the file of set {one.id} is missing or damaged; add it again, or retire it"
        for one in yardsticks.in_use(db)
        if not (path := yardsticks.file_of(config.sets_dir, one)).exists() or admission.digest_of(path) != one.sha256
    ]


def _check_files(config: AggregatorConfig) -> list[str]:
    problems = []
    for file in (*parquet.staged_files(config.state_dir / "staging"), *parquet.lake_files(config.state_dir / "lake")):
        try:
            if file.rows < 1 or file.received_ms < 1:
                problems.append(f"flows: {file.path.name} is empty")
        except Exception as error:  # noqa: BLE001 - pyarrow raises many kinds on damaged files
            problems.append(f"flows: {file.path} cannot be read ({error}); move it away or restore it")
    return problems
