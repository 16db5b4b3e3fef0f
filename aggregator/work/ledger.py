"""Spawned work in the store: what is queued, what runs as which process, and how it ended."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import NotFound
from aggregator.work.processes import Identity
from aggregator.work.rows import Order, Work, WorkState

if TYPE_CHECKING:
    import sqlite3

UNDER_WAY: Final = "('queued', 'running')"


def add(db: sqlite3.Connection, order: Order, *, by: str, now_ms: int) -> int:
    """Queue `order`; its id. The supervisor starts it at its turn."""
    made = db.execute(
        'INSERT INTO works (kind, about, folder, lane, "order", state, "by", created_ms) '
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            order.kind,
            order.about,
            order.folder,
            order.lane,
            json.dumps(dataclasses.asdict(order)),
            WorkState.QUEUED,
            by,
            now_ms,
        ),
    )
    return int(made.lastrowid or 0)


def get(db: sqlite3.Connection, work_id: int) -> Work:
    """One piece of work. Raises `NotFound`."""
    row = db.execute("SELECT * FROM works WHERE id = ?", (work_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no work {work_id}")
    return _work(row)


def order_of(db: sqlite3.Connection, work_id: int) -> Order:
    """What it was ordered to do."""
    told = json.loads(db.execute('SELECT "order" FROM works WHERE id = ?', (work_id,)).fetchone()[0])
    return Order(**{**told, "arguments": tuple(told["arguments"]), "secrets": tuple(told["secrets"])})


def identity_of(db: sqlite3.Connection, work_id: int) -> Identity | None:
    """The process it last ran as."""
    row = db.execute("SELECT pid, born FROM works WHERE id = ?", (work_id,)).fetchone()
    return None if row["pid"] is None else Identity(row["pid"], row["born"])


def events_from(db: sqlite3.Connection, work_id: int) -> int:
    """Where the present attempt's story begins."""
    return int(db.execute("SELECT events_from FROM works WHERE id = ?", (work_id,)).fetchone()[0])


def running(db: sqlite3.Connection) -> list[Work]:
    """What runs, as far as was written down."""
    return [_work(row) for row in db.execute("SELECT * FROM works WHERE state = 'running' ORDER BY id")]


def next_queued(db: sqlite3.Connection, lane: str) -> int | None:
    """The one whose turn it is."""
    row = db.execute("SELECT min(id) FROM works WHERE state = 'queued' AND lane = ?", (lane,)).fetchone()
    return None if row[0] is None else int(row[0])


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many are queued and running, by lane and state (`heavy_running`, ...)."""
    found = {f"{lane}_{state}": 0 for lane in ("heavy", "light") for state in ("queued", "running")}
    for row in db.execute(
        f"SELECT lane, state, count(*) AS n FROM works WHERE state IN {UNDER_WAY} GROUP BY lane, state"  # noqa: S608
    ):
        found[f"{row['lane']}_{row['state']}"] = row["n"]
    return found


def update(db: sqlite3.Connection, work_id: int, **values: Any) -> None:
    """Set fields of one row."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    db.execute(f"UPDATE works SET {assignments} WHERE id = :id", {**values, "id": work_id})  # noqa: S608 - our own names


def _work(row: sqlite3.Row) -> Work:
    return Work(
        id=row["id"],
        kind=row["kind"],
        about=row["about"],
        state=WorkState(row["state"]),
        asked=row["asked"],
        stage=row["stage"],
        fraction=row["fraction"],
        message=row["message"],
        error=row["error"],
        attempts=row["attempts"],
        by=row["by"],
        created_ms=row["created_ms"],
        started_ms=row["started_ms"],
        ended_ms=row["ended_ms"],
        exit_code=row["exit_code"],
    )
