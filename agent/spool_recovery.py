"""What happens to a damaged spool: it is set aside as `.broken`, and what can be read goes on under a new epoch.

A crash at any point leaves either the damaged file in place, to be recovered again, or a complete `.recovered` file
whose installation the next start finishes:

    1. every readable record is copied into `spool.db.partial`; what lies between them becomes a gap
    2. spool.db.partial -> spool.db.recovered        from here on the recovery counts
    3. spool.db-wal -> spool.db.<ms>.broken-wal      before the file itself: a log beside a new file would be replayed
    4. spool.db -> spool.db.<ms>.broken              into it
    5. spool.db.recovered -> spool.db

Records that the aggregator has committed, as far as the cursor knows, are not copied: they would arrive twice.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from agent import spool_file
from agent.spool_file import Cursor, Kind, Record
from agent.state import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.clock import Clock
    from agent.state import StateDir

log = logging.getLogger(__name__)


def recover(state: StateDir, *, clock: Clock, epoch: str, why: str) -> None:
    """Replace the spool of `state` by what can be read of it.

    Raises `OSError` or `sqlite3.Error` when the disk fails; nothing is lost then, and it can be tried again.
    """
    spool = state.spool
    partial = spool.with_name("spool.db.partial")
    _remove(partial)
    old_epoch, last, records = _salvage(spool)
    done, after = _sent(spool_file.read_cursor(state.cursor), old_epoch, last, records)
    kept = [record for record in records if record.sequence > done]
    _write(partial, epoch, renumber(kept, after=after, last=last, why=why))
    log.warning("spool_recovered records=%d epoch=%s old_epoch=%s", len(kept), epoch, old_epoch or "unreadable")
    partial.replace(spool.with_name("spool.db.recovered"))
    sync_directory(spool.parent)
    finish_recovery(spool, stamp_ms=clock.wall_ms())
    spool.with_name("spool.suspect").unlink(missing_ok=True)


def finish_recovery(spool: Path, *, stamp_ms: int = 0) -> None:
    """Install a complete recovery, also one that a crash interrupted."""
    recovered = spool.with_name("spool.db.recovered")
    if not recovered.exists():
        return
    broken = _free_name(spool, stamp_ms)
    for suffix in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            spool.with_name(spool.name + suffix).rename(broken.with_name(broken.name + suffix))
    spool.with_name(spool.name + "-shm").unlink(missing_ok=True)
    recovered.rename(spool)
    sync_directory(spool.parent)
    spool.with_name("spool.suspect").unlink(missing_ok=True)


def _sent(cursor: Cursor, epoch: str, last: int, records: Sequence[Record]) -> tuple[int, int]:
    """Up to where records were committed, and where numbering went on. An unreadable epoch is taken for the cursor's.

    A cursor beyond `last` means that the file is an old copy whose numbers were used twice: nothing is taken for sent,
    and what is missing at its beginning was sent before the copy was made.
    """
    if cursor.epoch != (epoch or cursor.epoch):
        return 0, 0
    if last and cursor.sequence > last:
        return 0, records[0].first - 1 if records else last
    return cursor.sequence, cursor.sequence


def _free_name(spool: Path, stamp_ms: int) -> Path:
    number = stamp_ms
    while (broken := spool.with_name(f"{spool.name}.{number}.broken")).exists():
        number += 1
    return broken


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _salvage(spool: Path) -> tuple[str, int, list[Record]]:
    """Epoch ("" if unreadable), highest sequence given (0 if unreadable), and every readable record in order."""
    epoch, last = "", 0
    found: dict[int, Record] = {}
    for mode in ("ro", "ro&immutable=1"):  # the second one reads the file without its log, should that be the damage
        try:
            db = spool_file.connect(spool, mode)
        except sqlite3.Error:
            continue
        with contextlib.closing(db):
            with contextlib.suppress(sqlite3.Error):
                epoch = epoch or spool_file.epoch_of(db)
            with contextlib.suppress(sqlite3.Error):
                last = max(last, spool_file.last_sequence(db))
            # From both ends: a damaged page hides what lies beyond it from one side only.
            for order in ("ASC", "DESC"):
                for record in _readable(db, order):
                    if record.sequence in found:
                        break
                    found[record.sequence] = record
        if found:
            break
    return epoch, last, [found[sequence] for sequence in sorted(found)]


def _readable(db: sqlite3.Connection, order: str) -> Iterator[Record]:
    """Sound records in one direction, until the file cannot be read further."""
    with contextlib.suppress(sqlite3.Error):
        # NOT INDEXED: the table itself, whatever became of its indexes.
        query = f"SELECT {spool_file.COLUMNS} FROM records NOT INDEXED ORDER BY sequence {order}"  # noqa: S608
        for row in db.execute(query):
            record = spool_file.decode(row)
            if record is not None:
                yield record


def _write(path: Path, epoch: str, records: list[Record]) -> None:
    with contextlib.closing(spool_file.connect(path, "rwc")) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA synchronous = FULL")
        spool_file.create(db, epoch)
        db.execute("BEGIN IMMEDIATE")
        for record in records:
            spool_file.insert(db, record)
        db.execute("COMMIT")


def renumber(records: Sequence[Record], *, after: int, last: int, why: str) -> list[Record]:
    """`records` numbered as if `after` had been 0, with a gap wherever numbers are missing up to `last`. Pure."""
    result: list[Record] = []
    reached = after

    def gap_up_to(sequence: int) -> None:
        missing = sequence - reached
        if missing > 0:
            reason = f"{why}: {missing} record{'s' if missing > 1 else ''} could not be read"
            result.append(Record(sequence - after, reached + 1 - after, Kind.GAP, 0, 0, b"", reason))

    for record in records:
        first = max(record.first, reached + 1)
        gap_up_to(first - 1)
        result.append(replace(record, sequence=record.sequence - after, first=first - after))
        reached = record.sequence
    gap_up_to(last)
    if not result and not last:
        reason = f"{why}: nothing could be read, what it held is not known"
        result.append(Record(1, 1, Kind.GAP, 0, 0, b"", reason))
    return result
