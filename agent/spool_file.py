"""The spool's file: its tables, how it is opened, what its errors mean, and the shipper's cursor beside it.

One table of records in the order of their sequence, and the epoch. Every sequence number ever given is covered: by its
record, or by a gap that stands for `first .. sequence`. So the aggregator sees either data or a declared loss, and
silence is never mistaken for quiet. A checksum a record, because SQLite does not notice a flipped bit inside a value.

SQLite before 3.51.3 can corrupt a file in WAL mode when one connection checkpoints while another one writes and resets
the log. Here it cannot happen: one connection, the sensor's, does all writing and every checkpoint. The shipper only
reads (`query_only`, no automatic checkpoint); what it has to say, "committed up to here", is a small file of its own.
"""

from __future__ import annotations

import sqlite3
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from agent.errors import DiskTrouble, SpoolAbsent, SpoolBusy, SpoolDamaged, StateError
from agent.state import read_json, replace_json

if TYPE_CHECKING:
    from pathlib import Path

VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 5.0
RECORD_OVERHEAD: Final = 128
"""Bytes a record is counted with beyond its payload: columns, indexes and page slack."""

_SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: a number is never given twice, even after everything was sent and deleted.
    """CREATE TABLE records (
         sequence INTEGER PRIMARY KEY AUTOINCREMENT, first INTEGER NOT NULL, kind INTEGER NOT NULL,
         alerts INTEGER NOT NULL, flows INTEGER NOT NULL, size INTEGER NOT NULL, crc INTEGER NOT NULL,
         payload BLOB NOT NULL)""",
    "CREATE INDEX sizes ON records (sequence, size)",
    "CREATE INDEX quiet ON records (sequence, size) WHERE kind = 1 AND alerts = 0",
)


class Kind(IntEnum):
    """What a record is."""

    BATCH = 1
    GAP = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A batch to be kept. One with alerts is never dropped."""

    payload: bytes
    alerts: int
    flows: int

    @property
    def size(self) -> int:
        """Bytes it is counted with."""
        return len(self.payload) + RECORD_OVERHEAD


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was kept. A gap stands for `first .. sequence`, and its `reason` says why."""

    sequence: int
    first: int
    kind: Kind
    alerts: int
    flows: int
    payload: bytes
    reason: str = ""

    @property
    def size(self) -> int:
        """Bytes it is counted with; a gap costs nothing."""
        return len(self.payload) + RECORD_OVERHEAD if self.kind is Kind.BATCH else 0


@dataclass(frozen=True, slots=True)
class Figures:
    """How much waits."""

    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """The shipper's word: everything of `epoch` up to `sequence` is committed by the aggregator."""

    epoch: str = ""
    sequence: int = 0


def read_cursor(path: Path) -> Cursor:
    """The cursor in `path`; the start when there is none. Losing it costs a repetition, never a record."""
    content = read_json(path)
    epoch, sequence = content.get("epoch"), content.get("sequence")
    if isinstance(epoch, str) and isinstance(sequence, int) and sequence >= 0:
        return Cursor(epoch, sequence)
    return Cursor()


def write_cursor(path: Path, cursor: Cursor) -> None:
    """Replace the cursor. Raises `OSError`."""
    replace_json(path, {"epoch": cursor.epoch, "sequence": cursor.sequence})


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection in SQLite's URI `mode` (`rwc`, `rw`, `ro`), with explicit transactions."""
    location = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(location, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


def create(db: sqlite3.Connection, epoch: str) -> None:
    """Tables and epoch, all or nothing."""
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES ('epoch', ?)", (epoch,))
    db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def epoch_of(db: sqlite3.Connection) -> str:
    """The epoch of an open spool."""
    row = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    if row is None:
        raise sqlite3.DatabaseError("the spool has no epoch")
    return str(row[0])


def last_sequence(db: sqlite3.Connection) -> int:
    """The highest sequence number ever given, 0 for none."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return int(row[0]) if row else 0


COLUMNS: Final = "sequence, first, kind, alerts, flows, crc, payload"
"""What `decode` takes, in its order."""


def insert(db: sqlite3.Connection, record: Record) -> None:
    """Add a record under the number it names."""
    data = record.payload if record.kind is Kind.BATCH else record.reason.encode()
    db.execute(
        "INSERT INTO records (sequence, first, kind, alerts, flows, size, crc, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.sequence,
            record.first,
            int(record.kind),
            record.alerts,
            record.flows,
            record.size,
            _checksum(record.sequence, record.first, int(record.kind), record.alerts, record.flows, data),
            data,
        ),
    )


def decode(row: tuple[Any, ...]) -> Record | None:
    """The record in a row of `COLUMNS`; None when it is not what was written."""
    *numbers, data = row
    if not all(isinstance(number, int) for number in numbers) or not isinstance(data, bytes):
        return None
    sequence, first, kind, alerts, flows, crc = numbers
    if _checksum(sequence, first, kind, alerts, flows, data) != crc:
        return None
    if kind == Kind.GAP:
        return Record(sequence, first, Kind.GAP, alerts, flows, b"", data.decode("utf-8", "replace"))
    return Record(sequence, first, Kind.BATCH, alerts, flows, data)


def _checksum(sequence: int, first: int, kind: int, alerts: int, flows: int, data: bytes) -> int:  # noqa: PLR0917
    return zlib.crc32(data, zlib.crc32(b"%d %d %d %d %d" % (sequence, first, kind, alerts, flows)))


def translate(error: sqlite3.Error, doing: str) -> StateError:
    """The error of this room for one of SQLite's: what was being done, what went wrong, what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}:
        return DiskTrouble(f"{doing}: {error}; free some space or look at the disk: the agent tries again by itself")
    if code == sqlite3.SQLITE_CANTOPEN:
        return SpoolAbsent(f"{doing}: {error}; the sensor makes the spool when it starts")
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return SpoolBusy(f"{doing}: {error}; another program holds the file, close it")
    return SpoolDamaged(f"{doing}: {error}; the file is set aside as .broken and what can be read is kept")
