"""The relational store: one thread owns the only write connection, and every read uses a connection that cannot write.

Promises:

- `write(change)` runs `change(connection)` inside a transaction and returns only after it is committed and fsynced
  (WAL, `synchronous=FULL`): acknowledged means stored. A change that raises leaves no trace and raises to its caller.
- Changes that wait together share one commit, each inside its own savepoint. That is what makes small batches cheap.
- Reads see a consistent snapshot and never block the writer. Their connections are `query_only` and never checkpoint:
  SQLite before 3.51.3 can corrupt a WAL when two connections checkpoint at the same time.
- A disk that is full or broken raises `StateError`; nothing was acknowledged, and the same call may succeed later.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aggregator.errors import StateError
from aggregator.storage import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

Result = TypeVar("Result")

GROUP: Final = 64
"""Changes that may share one commit."""

READ_END_S: Final = 10.0
"""How long a close waits for running reads before it interrupts them."""

CHECKPOINT_PAGES: Final = 4_000
"""WAL pages after which the writer checkpoints (16 MiB)."""


class Store:
    """The database file at `path`. `open` it before use; `close` waits for what was asked before.

    A short command beside a running aggregator takes `checkpoint_pages=0`: checkpoints are left to the other one.
    """

    def __init__(self, path: Path, *, checkpoint_pages: int = CHECKPOINT_PAGES) -> None:
        self.path = path
        self._checkpoint_pages = checkpoint_pages
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        # Closing a connection that another thread is using crashes the process: close waits for running reads.
        self._reads = threading.Condition()
        self._reading = 0
        self._gone = False
        self._writer: threading.Thread | None = None
        self._closed = False

    def open(self) -> Store:
        """Open or create the database, migrate it, start the writer. Raises `StateError`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = connect(self.path, write=True, checkpoint_pages=self._checkpoint_pages)
            schema.migrate(connection)
        except (sqlite3.Error, OSError) as error:
            raise StateError(
                f"opening the database {self.path}: {error}; check its directory, rights and disk"
            ) from error
        self._writer = threading.Thread(target=self._run, args=(connection,), name="store-writer", daemon=True)
        self._writer.start()
        return self

    def close(self) -> None:
        """Finish pending changes, then close every connection. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        if self._writer is not None:
            self._writer.join()

    def submit(self, change: Callable[[sqlite3.Connection], Result]) -> concurrent.futures.Future[Result]:
        """Queue a change. The future resolves after its commit."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        if self._closed:
            future.set_exception(StateError(f"writing to {self.path}: the store is closed"))
        else:
            self._jobs.put(_Job(change, future))
        return future

    async def write(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `change` in a transaction; return its result once that is on disk."""
        # Shielded: a cancelled waiter must not cancel a change that shares its transaction with others.
        return await asyncio.shield(asyncio.wrap_future(self.submit(change)))

    def write_now(self, change: Callable[[sqlite3.Connection], Result]) -> Result:
        """`write` for threads and commands: blocks until the change is on disk."""
        return self.submit(change).result()

    def read(self, question: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `question` on this thread's read connection, on one snapshot."""
        with self._reads:
            if self._gone:
                raise StateError(f"reading {self.path}: the store is closed")
            self._reading += 1
        try:
            connection = self._reader()
            with _snapshot(connection):
                return question(connection)
        except sqlite3.OperationalError as error:
            raise StateError(f"reading {self.path}: {error}; run `anomaflow-aggregator check`") from error
        finally:
            with self._reads:
                self._reading -= 1
                self._reads.notify_all()

    def _reader(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self.path, write=False)
            with self._reads:
                self._readers.append(connection)
        return connection

    def _run(self, connection: sqlite3.Connection) -> None:
        ending = False
        while not ending:
            jobs = [self._jobs.get()]
            with contextlib.suppress(queue.Empty):
                while len(jobs) < GROUP:
                    jobs.append(self._jobs.get_nowait())
            ending = None in jobs
            _commit_together(connection, [job for job in jobs if job is not None], self.path)
        self._close_readers()
        connection.close()

    def _close_readers(self) -> None:
        with self._reads:
            self._gone = True
            if not self._reads.wait_for(lambda: not self._reading, READ_END_S):
                for reader in self._readers:
                    reader.interrupt()
            if self._reads.wait_for(lambda: not self._reading, READ_END_S):
                for reader in self._readers:
                    reader.close()


class _Job:
    __slots__ = ("change", "future")

    def __init__(self, change: Callable[[sqlite3.Connection], Any], future: concurrent.futures.Future[Any]) -> None:
        self.change = change
        self.future = future


def connect(path: Path, *, write: bool, checkpoint_pages: int = CHECKPOINT_PAGES) -> sqlite3.Connection:
    """A connection with this store's settings. Rows are `sqlite3.Row`; transactions are explicit."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    if write:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {checkpoint_pages}")
        connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * 4096}")
    else:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA query_only = ON")
    return connection


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    if connection.in_transaction:  # a question that asks another one
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def _commit_together(connection: sqlite3.Connection, jobs: list[_Job], path: Path) -> None:
    """Run all jobs in one transaction, a savepoint each, and resolve their futures after the commit."""
    running = [job for job in jobs if job.future.set_running_or_notify_cancel()]
    if not running:
        return
    outcomes: list[tuple[_Job, Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for job in running:
            connection.execute("SAVEPOINT job")
            try:
                result = job.change(connection)
                connection.execute("RELEASE job")
                outcomes.append((job, result, None))
            except Exception as error:  # whatever one change raises is its caller's; the others of the commit go on
                if not connection.in_transaction:  # SQLite gave the whole transaction up (disk full, I/O error)
                    raise
                connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
                outcomes.append((job, None, _explained(error, path)))
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - nothing was committed: every caller must hear of it
        log.error("commit_failed path=%s changes=%d error=%s", path, len(running), error)  # noqa: TRY400
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        for job in running:
            job.future.set_exception(_explained(error, path))
        return
    for job, result, problem in outcomes:
        if problem is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(problem)


def _explained(error: Exception, path: Path) -> Exception:
    if isinstance(error, sqlite3.OperationalError):
        return StateError(f"writing to {path}: {error}; free the disk or check its health, nothing was acknowledged")
    return error
