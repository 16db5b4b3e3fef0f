"""The spool, as the sensor sees it: records are enqueued here and leave through `agent.spool_reader`.

Promises:

- What `enqueue` returned a number for is on disk: it survives kill -9, a reboot and a power cut (a write-ahead log,
  synchronous=FULL).
- Bounded: payloads and their overhead never exceed `max_bytes`. Quiet records may fill four fifths; the last fifth is
  reserved for records with alerts.
- When room is needed the oldest quiet records go first and become a gap, which declares how many flows went. Adjacent
  gaps are one. A record with alerts is never dropped: when nothing but alerts is left, `SpoolFull` is raised, and the
  caller keeps what it has (agent/keeper.py).
- A sequence number is given once in an epoch. The epoch is random and born with the file. A damaged file is set aside,
  what can be read moves to a new file and a new epoch, and what cannot is declared.
- One writer: a second sensor on the same directory is refused while the first one lives.

Gaps are not counted against the limit; there is never more than one between two records that were kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import sqlite3
from typing import IO, TYPE_CHECKING, Final

from agent import spool_file
from agent.errors import DiskTrouble, SpoolBusy, SpoolDamaged, SpoolFull, StateError
from agent.spool_file import Entry, Figures, Kind, Record
from agent.spool_recovery import finish_recovery, recover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.state import StateDir

log = logging.getLogger(__name__)

ALERT_SHARE: Final = 0.2
DROPPED: Final = "spool full: the oldest quiet flows were dropped"
VANISHED: Final = "the spool file was gone or empty when the sensor started: what it held is not known"
_LOG_LIMIT: Final = 8 << 20
_RETURN_ABOVE: Final = 4096  # free pages kept for reuse before the file shrinks


class Spool:
    """The only writer of a spool file. Not for use by two threads at once."""

    def __init__(self, db: sqlite3.Connection, lock: IO[bytes], state: StateDir, max_bytes: int) -> None:
        self._db = db
        self._lock = lock
        self._state = state
        self._limit = max_bytes
        self._quiet_limit = int(max_bytes * (1 - ALERT_SHARE))
        self.epoch = spool_file.epoch_of(db)
        self._count()

    @classmethod
    def open(
        cls,
        state: StateDir,
        *,
        max_bytes: int,
        clock: Clock,
        new_epoch: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> Spool:
        """The spool of `state`, made or repaired if need be. Raises `StateError` and its children."""
        lock = _lock(state.spool.with_name("spool.lock"))
        try:
            finish_recovery(state.spool)
            try:
                db = _open_sound(state, new_epoch)
            except SpoolDamaged as error:
                log.error("spool_damaged path=%s error=%s", state.spool, error)  # noqa: TRY400 - the text says it all
                recover(state, clock=clock, epoch=new_epoch(), why="the spool file was damaged on disk")
                db = _open_sound(state, new_epoch)
            try:
                return cls(db, lock, state, max_bytes)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            lock.close()
            raise spool_file.translate(error, f"opening spool {state.spool}") from error
        except OSError as error:
            lock.close()
            raise DiskTrouble(f"opening spool {state.spool}: {error}; free some space or look at the disk") from error
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Close the file and let the next writer in."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self._lock.close()

    # --- writing -----------------------------------------------------------------------------------------------

    def enqueue(self, payload: bytes, *, alerts: int, flows: int) -> int:
        """Keep one batch; its sequence number. On disk when this returns."""
        return self.enqueue_all([Entry(payload, alerts, flows)])[0]

    def enqueue_all(self, entries: Sequence[Entry]) -> list[int]:
        """Keep all of `entries` or none; their sequence numbers. One wait for the disk.

        A quiet record for which there is no room becomes a gap at once. Raises `SpoolFull` when a record with alerts
        has no room, `DiskTrouble` and `SpoolDamaged` when the disk fails.
        """
        with self._transaction("enqueueing"):
            self._prune()
            return [self._store(entry) for entry in entries]

    def declare(self, *, flows: int, alerts: int, reason: str) -> int:
        """Keep the fact that `flows` and `alerts` were lost before they could be kept; the gap's sequence number."""
        with self._transaction("declaring a loss"):
            return self._append_gap(flows, alerts, reason)

    def prune(self) -> int:
        """Forget what the aggregator has committed; how many records went. Call now and then, also when idle.

        Raises `SpoolDamaged` when the shipper found damage, or the aggregator knows later records of this epoch than
        this file: the file is then an old copy, its numbers are used up, and reopening it begins a new epoch.
        """
        if self._suspect.exists():
            raise SpoolDamaged(f"reading spool {self._state.spool}: the shipper found a damaged record")
        with self._transaction("pruning"):
            removed = self._prune()
        try:
            free = int(self._db.execute("PRAGMA freelist_count").fetchone()[0])
            if free > _RETURN_ABOVE:
                # A script, because this statement is one step a page, and `execute` makes only the first.
                self._db.executescript(f"PRAGMA incremental_vacuum({min(free - _RETURN_ABOVE, _RETURN_ABOVE)})")
        except sqlite3.Error as error:
            raise spool_file.translate(error, f"shrinking spool {self._state.spool}") from error
        return removed

    @property
    def _suspect(self) -> Path:
        return suspect_path(self._state.spool)

    def figures(self) -> Figures:
        """Records and bytes on disk, committed ones that are not pruned yet included."""
        records = int(self._db.execute("SELECT count(*) FROM records").fetchone()[0])
        return Figures(records, self._bytes)

    # --- inside a transaction ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            with contextlib.suppress(sqlite3.Error):
                self._count()
            if isinstance(error, sqlite3.Error):
                translated = spool_file.translate(error, f"{doing} in spool {self._state.spool}")
                if isinstance(translated, DiskTrouble):
                    with contextlib.suppress(sqlite3.Error):
                        # A full disk may be full of the log: give that back before the next attempt.
                        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                raise translated from error
            raise

    def _count(self) -> None:
        self._last = spool_file.last_sequence(self._db)
        total, quiet = self._db.execute(
            "SELECT coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE kind = 1 AND alerts = 0), 0) FROM records"
        ).fetchone()
        self._bytes, self._quiet = int(total), int(quiet)

    def _store(self, entry: Entry) -> int:
        over = self._bytes + entry.size - self._limit
        if entry.alerts:
            self._evict(over)
            if self._bytes + entry.size > self._limit:
                raise SpoolFull(
                    f"keeping an alert in spool {self._state.spool}: {self._bytes} of {self._limit} bytes are alerts "
                    "that wait for the aggregator; bring it back, or raise spool_max_mib"
                )
        elif entry.size > self._quiet_limit:
            return self._append_gap(entry.flows, 0, DROPPED)
        else:
            self._evict(max(over, self._quiet + entry.size - self._quiet_limit))
            if self._bytes + entry.size > self._limit:
                return self._append_gap(entry.flows, 0, DROPPED)
            self._quiet += entry.size
        self._bytes += entry.size
        self._last += 1
        self._insert_batch(entry)
        return self._last

    def _insert_batch(self, entry: Entry) -> None:
        spool_file.insert(
            self._db,
            Record(self._last, self._last, Kind.BATCH, entry.alerts, entry.flows, entry.payload),
        )

    def _insert_gap(self, sequence: int, first: int, *, alerts: int, flows: int, reason: str) -> None:
        spool_file.insert(self._db, Record(sequence, first, Kind.GAP, alerts, flows, b"", reason))

    def _append_gap(self, flows: int, alerts: int, reason: str) -> int:
        first = self._last + 1
        before = self._gap_ending_at(self._last, reason)
        if before is not None:
            first, more_flows, more_alerts = before
            flows, alerts = flows + more_flows, alerts + more_alerts
            self._db.execute("DELETE FROM records WHERE sequence = ?", (self._last,))
        self._last += 1
        self._insert_gap(self._last, first, alerts=alerts, flows=flows, reason=reason)
        return self._last

    def _evict(self, need: int) -> None:
        """Turn the oldest quiet records into gaps until `need` bytes are free or none is left."""
        while need > 0:
            oldest = self._db.execute(
                "SELECT sequence, size FROM records WHERE kind = 1 AND alerts = 0 ORDER BY sequence LIMIT 64"
            ).fetchall()
            if not oldest:
                return
            for sequence, size in oldest:
                if need <= 0:
                    return
                self._drop(sequence)
                self._bytes -= size
                self._quiet -= size
                need -= size

    def _drop(self, sequence: int) -> None:
        """Put a gap in a record's place, one with its neighbours."""
        (flows,) = self._db.execute("SELECT flows FROM records WHERE sequence = ?", (sequence,)).fetchone()
        first = sequence
        before = self._gap_ending_at(sequence - 1, DROPPED)
        if before is not None:
            first, more_flows, _ = before
            flows += more_flows
            self._db.execute("DELETE FROM records WHERE sequence = ?", (sequence - 1,))
        self._db.execute("DELETE FROM records WHERE sequence = ?", (sequence,))
        after = self._db.execute(
            "SELECT sequence, first, kind, payload FROM records WHERE sequence > ? ORDER BY sequence LIMIT 1",
            (sequence,),
        ).fetchone()
        if after is not None and after[1:] == (sequence + 1, Kind.GAP, DROPPED.encode()):
            self._db.execute(
                "UPDATE records SET first = ?, flows = flows + ? WHERE sequence = ?", (first, flows, after[0])
            )
        else:
            self._insert_gap(sequence, first, alerts=0, flows=flows, reason=DROPPED)

    def _gap_ending_at(self, sequence: int, reason: str) -> tuple[int, int, int] | None:
        row = self._db.execute(
            "SELECT first, flows, alerts FROM records WHERE sequence = ? AND kind = ? AND payload = ?",
            (sequence, int(Kind.GAP), reason.encode()),
        ).fetchone()
        return None if row is None else (row[0], row[1], row[2])

    def _prune(self) -> int:
        cursor = spool_file.read_cursor(self._state.cursor)
        if cursor.epoch != self.epoch:
            return 0
        if cursor.sequence > self._last:
            self._suspect.touch()
            raise SpoolDamaged(
                f"reading cursor {self._state.cursor}: the aggregator has {cursor.sequence} records of this epoch, "
                f"this file ends at {self._last}: it is an old copy, and goes on under a new epoch"
            )
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(size) FILTER (WHERE kind = 1 AND alerts = 0), 0)"
            " FROM records WHERE sequence <= ?",
            (cursor.sequence,),
        ).fetchone()
        if row[0]:
            self._db.execute("DELETE FROM records WHERE sequence <= ?", (cursor.sequence,))
            self._bytes -= int(row[1])
            self._quiet -= int(row[2])
        return int(row[0])


def suspect_path(spool: Path) -> Path:
    """A file whose presence says: check this spool before its next use."""
    return spool.with_name("spool.suspect")


def _lock(path: Path) -> IO[bytes]:
    """Own the spool until closed; the kernel lets go of it when the process dies."""
    try:
        lock = path.open("ab+", buffering=0)
    except OSError as error:
        raise DiskTrouble(f"opening {path}: {error.strerror}; free some space or check the rights") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read(20).decode("ascii", "replace").strip() or "unknown"
        lock.close()
        raise SpoolBusy(
            f"opening the spool in {path.parent}: another agent (process {owner}) uses this state directory; "
            "stop it, or give this one another --state-dir"
        ) from error
    with contextlib.suppress(OSError):  # the number is a courtesy to whoever is refused; a full disk may keep it
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()).encode())
    return lock


def _open_sound(state: StateDir, new_epoch: Callable[[], str]) -> sqlite3.Connection:
    """A writable connection to a file that passed SQLite's check. Raises `SpoolDamaged` if it does not."""
    db = spool_file.connect(state.spool, "rwc")
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        _require_version(version, state.spool)
        if version == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT}")
        if version == 0:
            spool_file.create(db, new_epoch())
            if spool_file.read_cursor(state.cursor).epoch:  # there was a spool here: somebody or something removed it
                spool_file.insert(db, Record(1, 1, Kind.GAP, 0, 0, b"", VANISHED))
        verdict = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
        _require_sound("marked as suspect" if suspect_path(state.spool).exists() else verdict, state.spool)
        spool_file.epoch_of(db)
    except sqlite3.Error as error:
        db.close()
        raise spool_file.translate(error, f"opening spool {state.spool}") from error
    except BaseException:
        db.close()
        raise
    return db


def _require_version(version: int, spool: Path) -> None:
    if version > spool_file.VERSION:
        raise StateError(
            f"opening spool {spool}: it was written by a newer version ({version}, here {spool_file.VERSION}); "
            "upgrade the agent, or use another --state-dir"
        )


def _require_sound(verdict: str, spool: Path) -> None:
    if verdict != "ok":
        raise SpoolDamaged(f"checking spool {spool}: {verdict}")
