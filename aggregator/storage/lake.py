"""Flows: from the inbox to staging, from staging to the permanent lake with the verdicts, and questions about both.

Three steps, each of which may be cut off anywhere and simply runs again:

- `stage` writes inbox records into a staging file named by their range, then deletes them from the inbox.
- `merge` writes staging files that are past quarantine into a lake file with what was said about each flow, then
  removes them. A flow enters the lake once.
- `relabel` rewrites the lake files that hold flows whose verdict changed after they were merged.

The steps exclude each other by a lock; readers take none. The lake is partitioned by the day of *receipt*, UTC: the
clock of this machine orders it, whatever times a hostile or replaying agent reports. Quarantine is judged by a whole
staging file: one goes when its newest row is old enough.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from aggregator.learning import labels
from aggregator.storage import flows, parquet

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from aggregator.learning.judged import Place
    from aggregator.rows import Flow, FlowCount, Page
    from aggregator.storage.flows import FlowFilter
    from aggregator.storage.parquet import FlowFile
    from aggregator.storage.store import Store

log = logging.getLogger(__name__)

HOUR_MS: Final = 3_600_000
STAGE_BYTES: Final = 64 << 20
"""Bytes of inbox records held in memory at once."""

SMALL_FILES: Final = 32
"""Small neighbouring staging files of a day are put into one when there are so many."""


@dataclass(frozen=True, slots=True)
class LakeSize:
    """Rows and bytes on disk."""

    staged_rows: int
    staged_files: int
    lake_rows: int
    lake_files: int
    bytes: int


class Lake:
    """`staging/` and `lake/` below `folder`, fed from the inbox of `store`."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        stage_rows: int = 50_000,
        lake_file_rows: int = 200_000,
        query_memory_mib: int = 512,
        query_seconds: float = 20.0,
    ) -> None:
        self.staging_dir = folder / "staging"
        self.lake_dir = folder / "lake"
        self._store = store
        self._stage_rows = stage_rows
        self._lake_file_rows = lake_file_rows
        self._lock = threading.Lock()
        self._recovered = False
        self._rows: dict[Path, int] = {}
        self._questions = flows.Questions(self.files, store, memory_mib=query_memory_mib, seconds=query_seconds)

    # --- writing -----------------------------------------------------------------------------------------------

    def open(self) -> Lake:
        """Create the folders and finish what a crash left half done."""
        self.staging_dir.mkdir(parents=True, exist_ok=True)
        self.lake_dir.mkdir(parents=True, exist_ok=True)
        with self._step():
            pass
        return self

    def stage(self) -> int:
        """Write everything in the inbox to staging; returns the rows written."""
        total = 0
        with self._step():
            while written := self._stage_some():
                total += written
            self._compact()
        return total

    def merge(self, *, now_ms: int, quarantine_hours: float) -> int:
        """Move staging files past quarantine into the lake and correct the lake's verdicts; returns the rows moved."""
        cutoff = now_ms - round(quarantine_hours * HOUR_MS)
        self._store.write_now(lambda db: labels.expire(db, now_ms=now_ms))
        with self._step():
            ready: list[FlowFile] = []
            for file in parquet.staged_files(self.staging_dir):
                if file.received_ms > cutoff:
                    break  # later files wait too: ranges in the lake stay whole
                ready.append(file)
            moved = 0
            for group in parquet.runs(ready, [self._rows_of(file) for file in ready], rows=self._lake_file_rows):
                moved += self._merge_files(group)
            corrected = self._relabel()
        if moved or corrected:
            log.info("lake_merged rows=%d corrected_files=%d", moved, corrected)
        return moved

    def relabel(self) -> int:
        """Carry changed verdicts into the lake; returns the files rewritten."""
        with self._step():
            return self._relabel()

    @contextlib.contextmanager
    def _step(self) -> Iterator[None]:
        """One step at a time, on clean ground: after one that was cut off, what it left is put right first."""
        with self._lock:
            if not self._recovered:
                self._recover()
            self._recovered = False
            yield
            self._recovered = True

    def _recover(self) -> None:
        """Drop half-written files, spent files, and inbox records that are in a file already."""
        for leftover in (*self.staging_dir.glob("*.tmp"), *self.lake_dir.glob("day=*/*.tmp")):
            leftover.unlink()
        staged, merged = parquet.staged_files(self.staging_dir), parquet.lake_files(self.lake_dir)
        parquet.remove(parquet.spent(staged, merged))
        everything = [*staged, *merged]
        highest = max((file.high for file in everything), default=0)
        self._store.write_now(lambda db: _forget(db, everything, highest))

    def _stage_some(self) -> int:
        records = self._store.read(lambda db: _next_records(db, rows=self._stage_rows))
        if not records:
            return 0
        low, high = records[0]["id"], records[-1]["id"]
        file = parquet.staging_file(self.staging_dir, _day(records[0]["received_ms"]), low, high)
        table = parquet.table_of(records)
        parquet.write(table, file.path, received_ms=max(record["received_ms"] for record in records))
        self._store.write_now(lambda db: _forget(db, [file], high))
        return int(table.num_rows)

    def _compact(self) -> None:
        files = [file for file in parquet.staged_files(self.staging_dir) if self._rows_of(file) < self._stage_rows]
        if len(files) < SMALL_FILES:
            return
        everything = parquet.staged_files(self.staging_dir)
        sizes = [self._rows_of(file) for file in everything]
        for group in parquet.runs(everything, sizes, rows=self._stage_rows):
            if len(group) > 1:
                table, digest = parquet.read(group), group[0].digest
                target = parquet.staging_file(self.staging_dir, group[0].day, group[0].low, group[-1].high)
                received_ms = max(file.received_ms for file in group)
                parquet.write(table, target.path, received_ms=received_ms, digest=digest)
                parquet.remove(group)

    def _merge_files(self, group: list[FlowFile]) -> int:
        table, digest = parquet.read(group), group[0].digest
        target = parquet.lake_file(self.lake_dir, group[0].day, group[0].low, group[-1].high)
        self._write_judged(table, target, received_ms=max(file.received_ms for file in group), digest=digest)
        parquet.remove(group)
        return int(table.num_rows)

    def _relabel(self) -> int:
        merged = parquet.lake_files(self.lake_dir)
        stale = self._store.read(_stale_inbox_ids)
        touched = [file for file in merged if any(file.low <= inbox_id <= file.high for inbox_id in stale)]
        for file in touched:
            self._write_judged(parquet.read([file]), file, received_ms=file.received_ms, digest=file.digest)
        return len(touched)

    def _write_judged(self, table: pa.Table, target: FlowFile, *, received_ms: int, digest: str) -> None:
        """Write flows as lake file `target`, with today's verdicts."""
        said = self._store.read(lambda db: _verdicts(db, target))
        parquet.write(_with_verdicts(table, said), target.path, received_ms=received_ms, digest=digest)
        self._store.write_now(lambda db: _settled(db, said))

    # --- reading -----------------------------------------------------------------------------------------------

    def files(self) -> list[FlowFile]:
        """Every file whose rows count, by range."""
        staged, merged = parquet.staged_files(self.staging_dir), parquet.lake_files(self.lake_dir)
        gone = {file.path for file in parquet.spent(staged, merged)}
        return sorted([*(file for file in staged if file.path not in gone), *merged])

    def size(self) -> LakeSize:
        """Rows and bytes of staging and lake."""
        files = self.files()
        merged = [file for file in files if file.path.is_relative_to(self.lake_dir)]
        rows = {file.path: self._rows_of(file) for file in files}
        lake_rows = sum(rows[file.path] for file in merged)
        return LakeSize(
            staged_rows=sum(rows.values()) - lake_rows,
            staged_files=len(files) - len(merged),
            lake_rows=lake_rows,
            lake_files=len(merged),
            bytes=sum(_bytes_of(file.path) for file in files),
        )

    def place(self, flow_id: str) -> Place:
        """Where a flow lies. Raises `NotFound` for one that is in no file (yet)."""
        return self._questions.place(flow_id)

    def sample(self, *, since_ms: int, rows: int) -> list[tuple[Any, ...]]:
        """Quiet flows received since then with their features, the highest scores and some others."""
        return self._questions.sample(since_ms=since_ms, rows=rows)

    def labelled_rows(self) -> int:
        """Rows of the lake that carry a verdict."""
        return self._questions.labelled_rows([file for file in self.files() if file.path.is_relative_to(self.lake_dir)])

    def flows(self, where: FlowFilter | None = None, *, limit: int, cursor: str | None = None) -> Page[Flow]:
        """Flows of staging and lake, latest first."""
        return self._questions.find(where, limit=limit, cursor=cursor)

    def counts_per_minute(self, *, now_ms: int, minutes: int) -> tuple[FlowCount, ...]:
        """Flows received per minute, oldest first."""
        return self._questions.counts_per_minute(now_ms=now_ms, minutes=minutes)

    def _rows_of(self, file: FlowFile) -> int:
        if file.path not in self._rows:
            try:
                self._rows[file.path] = file.rows
            except FileNotFoundError:  # merged away while we looked
                return 0
        return self._rows[file.path]


def _with_verdicts(table: pa.Table, said: list[sqlite3.Row]) -> pa.Table:
    """`table` with the verdict columns; flows nobody judged have null."""
    places = pc.index_in(table["flow_id"], value_set=pa.array([row["flow_id"] for row in said], pa.string()))
    for field in parquet.VERDICT_FIELDS:
        values = pa.array([row[field.name] for row in said], field.type)
        table = table.append_column(field, values.take(places.combine_chunks()))
    return table


def _verdicts(db: sqlite3.Connection, file: FlowFile) -> list[sqlite3.Row]:
    """What was said about flows of `file`, with the label that says it; undone verdicts are null.

    The family of an attack is what the person called it, else the kind of its incident.
    """
    return db.execute(
        """
        SELECT 'alerts' AS source, alerts.id, flow_id, iif(disputed, 'unsure', alerts.verdict) AS verdict, verdict_by,
               verdict_ms, label_id,
               iif(alerts.verdict = 'malicious', coalesce(nullif(labels.family, ''), incidents.kind), NULL) AS family
        FROM alerts LEFT JOIN labels ON labels.id = label_id LEFT JOIN incidents ON incidents.id = incident_id
        WHERE inbox_id BETWEEN :low AND :high AND (alerts.verdict IS NOT NULL OR lake_stale = 1)
        UNION ALL
        SELECT 'judged_flows', judged_flows.id, flow_id, iif(disputed, 'unsure', judged_flows.verdict), verdict_by,
               verdict_ms, label_id, iif(judged_flows.verdict = 'malicious', nullif(labels.family, ''), NULL)
        FROM judged_flows LEFT JOIN labels ON labels.id = label_id
        WHERE inbox_id BETWEEN :low AND :high AND (judged_flows.verdict IS NOT NULL OR lake_stale = 1)
        """,
        {"low": file.low, "high": file.high},
    ).fetchall()


def _settled(db: sqlite3.Connection, said: list[sqlite3.Row]) -> None:
    """The lake says what `said` says; a verdict that changed meanwhile stays stale."""
    for source in ("alerts", "judged_flows"):
        db.executemany(
            f"UPDATE {source} SET lake_stale = 0 WHERE id = ? AND label_id IS ?",  # noqa: S608 - our own names
            [(row["id"], row["label_id"]) for row in said if row["source"] == source],
        )


def _stale_inbox_ids(db: sqlite3.Connection) -> list[int]:
    query = " UNION ".join(f"SELECT inbox_id FROM {one} WHERE lake_stale = 1" for one in ("alerts", "judged_flows"))  # noqa: S608
    return [row["inbox_id"] for row in db.execute(query)]


def _next_records(db: sqlite3.Connection, *, rows: int) -> list[sqlite3.Row]:
    """The oldest inbox records of one day, at most about `rows` rows."""
    records: list[sqlite3.Row] = []
    held_rows = held_bytes = 0
    for record in db.execute("SELECT * FROM inbox ORDER BY id"):
        if records and (
            held_rows + record["row_count"] > rows
            or held_bytes > STAGE_BYTES
            or _day(record["received_ms"]) != _day(records[0]["received_ms"])
        ):
            break
        records.append(record)
        held_rows += record["row_count"]
        held_bytes += len(record["batch"])
    return records


def _forget(db: sqlite3.Connection, files: Iterable[FlowFile], highest: int) -> None:
    """Delete the inbox records that `files` hold, and see to it that their ids are never used again."""
    for file in files:
        db.execute("DELETE FROM inbox WHERE id BETWEEN ? AND ?", (file.low, file.high))
    known = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'inbox'").fetchone()
    if known is None:
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('inbox', ?)", (highest,))
    elif known["seq"] < highest:  # a database restored from before these files were written
        db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'inbox'", (highest,))


def _day(received_ms: int) -> str:
    return dt.datetime.fromtimestamp(received_ms / 1000, tz=dt.UTC).date().isoformat()


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
