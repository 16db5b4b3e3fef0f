"""The spool, as the shipper sees it: lease, commit, roll back. It never writes to the spool file (agent/spool_file.py).

`lease` hands out what comes next in order; `rollback` forgets what was handed out and not committed, so that it is
leased again; `commit` moves the cursor, from where the sensor takes it and deletes. Losing the cursor repeats records
that the aggregator recognises by their number; it loses none.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from agent import spool_file
from agent.errors import DiskTrouble, SpoolAbsent, SpoolDamaged
from agent.spool import suspect_path
from agent.spool_file import Cursor, Figures, Kind, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.state import StateDir


DAMAGED: Final = "the record was damaged on disk"


class EpochEnded(Exception):  # noqa: N818 - an event, not an error
    """The file was replaced and another epoch began: say Hello again."""


class SpoolReader:
    """A reader with a cursor. Raises `SpoolAbsent` while there is no spool, `SpoolDamaged` and `DiskTrouble` later."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._file = self._identity()
        try:
            self._db = spool_file.connect(state.spool, "rw")
            try:
                self._db.execute("PRAGMA query_only = 1")
                self._db.execute("PRAGMA wal_autocheckpoint = 0")
                made = int(self._db.execute("PRAGMA user_version").fetchone()[0]) > 0
                self.epoch = spool_file.epoch_of(self._db) if made else ""
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise spool_file.translate(error, f"opening spool {state.spool}") from error
        if not made:
            self._db.close()
            raise SpoolAbsent(f"opening spool {state.spool}: it is still being made")
        cursor = spool_file.read_cursor(state.cursor)
        self._cursor = cursor.sequence if cursor.epoch == self.epoch else 0
        self._position = self._cursor

    @property
    def cursor(self) -> int:
        """The highest sequence number known to be committed."""
        return self._cursor

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def lease(self, count: int, *, max_bytes: int = 1 << 20) -> list[Record]:
        """The next records in order, at most `count`, and after the first one at most `max_bytes` of payload.

        A payload whose checksum does not fit comes as a gap. Raises `EpochEnded` when the file was replaced.
        """
        self._require_epoch()
        leased: list[Record] = []
        total = 0
        with self._reading("leasing"):
            rows = self._db.execute(
                f"SELECT {spool_file.COLUMNS} FROM records WHERE sequence > ? ORDER BY sequence LIMIT ?",  # noqa: S608
                (self._position, count),
            )
            for row in rows:
                record = spool_file.decode(row) or Record(row[0], row[0], Kind.GAP, row[3], row[4], b"", DAMAGED)
                total += len(record.payload)
                if leased and total > max_bytes:
                    break
                leased.append(record)
            rows.close()
        if leased:
            self._position = leased[-1].sequence
        return leased

    def commit(self, up_to: int) -> None:
        """Everything up to `up_to` is on the aggregator's disk."""
        if up_to <= self._cursor:
            return
        try:
            spool_file.write_cursor(self._state.cursor, Cursor(self.epoch, up_to))
        except OSError as error:
            raise DiskTrouble(f"writing {self._state.cursor}: {error}; free some space") from error
        self._cursor = up_to
        self._position = max(self._position, up_to)

    def rollback(self) -> None:
        """Lease again what was not committed."""
        self._position = self._cursor

    def waiting(self) -> Figures:
        """Records and bytes that are not committed."""
        with self._reading("counting"):
            row = self._db.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM records INDEXED BY sizes WHERE sequence > ?",
                (self._cursor,),
            ).fetchone()
        return Figures(int(row[0]), int(row[1]))

    def last_sequence(self) -> int:
        """The highest sequence number given so far."""
        with self._reading("reading"):
            return spool_file.last_sequence(self._db)

    def _identity(self) -> tuple[int, int]:
        try:
            status = self._state.spool.stat()
        except OSError as error:
            raise SpoolAbsent(f"opening spool {self._state.spool}: {error.strerror}") from error
        return status.st_dev, status.st_ino

    def _require_epoch(self) -> None:
        if self._identity() != self._file:
            raise EpochEnded

    @contextlib.contextmanager
    def _reading(self, doing: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            translated = spool_file.translate(error, f"{doing} from spool {self._state.spool}")
            if isinstance(translated, SpoolDamaged):
                with contextlib.suppress(OSError):
                    suspect_path(self._state.spool).touch()  # the sensor repairs it
            raise translated from error
