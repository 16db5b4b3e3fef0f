"""Promises of the one writer and its readers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from aggregator.errors import Conflict, StateError
from aggregator.storage import schema
from aggregator.storage.store import Store, connect


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "test.db").open()
    yield opened
    opened.close()


def add_user(name):
    return lambda db: db.execute("INSERT INTO users VALUES (?, 'viewer', 'x', 1, 0)", (name,))


def names(db):
    return [row["name"] for row in db.execute("SELECT name FROM users ORDER BY name")]


async def test_a_write_is_visible_when_it_returns(store):
    """`write` returns after the commit: a read that follows sees it, from another connection too."""
    await store.write(add_user("ada"))
    assert store.read(names) == ["ada"]
    other = connect(store.path, write=False)
    assert names(other) == ["ada"]
    other.close()


async def test_a_failing_change_leaves_no_trace_and_does_not_harm_its_neighbours(store):
    """Changes share a commit, but each has its own savepoint."""

    def half_done(db):
        add_user("ghost")(db)
        raise Conflict("changed my mind")

    results = await asyncio.gather(
        *(store.write(add_user(f"user{number}")) for number in range(20)),
        store.write(half_done),
        *(store.write(add_user(f"user{number}")) for number in range(20, 40)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert store.read(names) == sorted(f"user{number}" for number in range(40))


def test_readers_cannot_write(store):
    """A read connection is query_only: the writer thread is the only one that can change anything."""
    with pytest.raises(StateError, match="readonly"):
        store.read(add_user("mallory"))


def test_readers_never_checkpoint(store):
    """Two connections that checkpoint at once can corrupt a WAL in SQLite before 3.51.3; readers never do."""
    assert store.read(lambda db: db.execute("PRAGMA wal_autocheckpoint").fetchone()[0]) == 0


async def test_the_disk_is_asked_to_flush(store):
    """Acknowledged means fsynced: the writer runs WAL with synchronous=FULL."""
    mode, synchronous = await store.write(
        lambda db: (
            db.execute("PRAGMA journal_mode").fetchone()[0],
            db.execute("PRAGMA synchronous").fetchone()[0],
        )
    )
    assert (mode, synchronous) == ("wal", 2)


def test_a_read_is_one_snapshot(store):
    """A question that reads twice sees the same state, whatever is written meanwhile."""

    def twice(db):
        before = names(db)
        store.write_now(add_user("late"))
        return before, names(db)

    before, after = store.read(twice)
    assert before == after == []


async def test_a_cancelled_waiter_does_not_undo_the_change(store):
    """Who stops waiting does not take back what was asked."""
    waiting = asyncio.create_task(store.write(add_user("ada")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    store.write_now(lambda db: None)
    assert store.read(names) == ["ada"]


def test_a_closed_store_says_so(store):
    """Writing after close is an error, not a hang."""
    store.close()
    with pytest.raises(StateError, match="closed"):
        store.write_now(add_user("late"))


def test_a_path_that_cannot_be_opened_is_named(tmp_path):
    """A file that is no database is refused with its path and a remedy."""
    (tmp_path / "not.db").write_bytes(b"these are not the pages you are looking for" * 100)
    with pytest.raises(StateError, match=r"not\.db.*check"):
        Store(tmp_path / "not.db").open()


def test_a_full_disk_is_told_to_every_waiter_and_is_survivable(store):
    """When SQLite gives up the transaction nobody is acknowledged, and the store works again afterwards."""
    store.write_now(lambda db: db.execute("PRAGMA max_page_count = 200").fetchone())

    def too_much(db):
        db.execute(
            "INSERT INTO inbox (agent_id, epoch, sequence, received_ms, row_count, batch) VALUES "
            "('a', 'b', 1, 1, 1, zeroblob(4000000))"
        )

    with pytest.raises(StateError, match="full"):
        store.write_now(too_much)
    store.write_now(add_user("ada"))
    assert store.read(names) == ["ada"]
    assert store.read(lambda db: db.execute("SELECT count(*) FROM inbox").fetchone()[0]) == 0


@pytest.mark.parametrize("table", ["labels", "audit"])
def test_append_only_tables_refuse_changes(store, table):
    """Not even the writer can change or remove a label or an audit entry."""

    def fill(db):
        db.execute(
            "INSERT INTO labels (target, target_id, verdict, note, [by], at_ms) VALUES ('alert', 1, 'benign', '', 'x', 1)"
        )
        db.execute(
            "INSERT INTO audit (at_ms, actor, action, object, detail, hash) VALUES (1, 'a', 'b', 'c', '{}', 'd')"
        )

    store.write_now(fill)
    for statement in (f"UPDATE {table} SET at_ms = 2", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.write_now(lambda db, statement=statement: db.execute(statement))


def test_migrations_run_once(store):
    """A second open finds nothing to do."""
    assert store.read(schema.pending) == []
    store.close()
    again = Store(store.path).open()
    assert again.read(schema.pending) == []
    again.close()


def test_closing_waits_for_a_read_that_is_under_way(store):
    """A connection is never closed under a thread that is using it: the read ends well, later ones are refused."""
    begun, go_on, answers = threading.Event(), threading.Event(), []

    def question(db):
        begun.set()
        go_on.wait(5)
        return db.execute("SELECT 41 + 1").fetchone()[0]

    reader = threading.Thread(target=lambda: answers.append(store.read(question)))
    reader.start()
    assert begun.wait(5)
    closer = threading.Thread(target=store.close)
    closer.start()
    closer.join(0.2)
    assert closer.is_alive()
    go_on.set()
    reader.join(5)
    closer.join(5)
    assert answers == [42]
    with pytest.raises(StateError, match="closed"):
        store.read(lambda db: db.execute("SELECT 1"))
