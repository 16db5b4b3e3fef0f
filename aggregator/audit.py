"""Who did what: an append-only log in which each entry's hash covers the entry before it.

`record` is called inside the transaction of the deed, so there is no deed without its entry. Removing or changing an
entry breaks the chain, which `anomaflow-aggregator check` verifies.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator import paging

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Page

FIRST: Final = "0" * 64
"""What the first entry's hash covers in place of a predecessor."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what. Each entry's hash covers the one before."""

    id: int
    at_ms: int
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    hash: str


def record(
    db: sqlite3.Connection, *, at_ms: int, actor: str, action: str, about: str, detail: dict[str, Any] | None = None
) -> None:
    """Append an entry within the caller's transaction."""
    last = db.execute("SELECT hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    text = json.dumps(detail or {}, sort_keys=True)
    digest = _link(last["hash"] if last else FIRST, at_ms, actor, action, about, text)
    db.execute(
        "INSERT INTO audit (at_ms, actor, action, object, detail, hash) VALUES (?, ?, ?, ?, ?, ?)",
        (at_ms, actor, action, about, text, digest),
    )


def find(db: sqlite3.Connection, *, limit: int, cursor: str | None = None) -> Page[AuditEntry]:
    """Entries, newest first."""
    before = paging.id_cursor(cursor)
    found = db.execute(
        "SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?", (before, paging.size(limit) + 1)
    ).fetchall()
    return paging.page([_entry(row) for row in found], limit, lambda entry: str(entry.id))


def broken_link(db: sqlite3.Connection) -> int | None:
    """The id of the first entry whose hash does not fit, None when the chain is whole."""
    previous = FIRST
    for row in db.execute("SELECT * FROM audit ORDER BY id"):
        if _link(previous, row["at_ms"], row["actor"], row["action"], row["object"], row["detail"]) != row["hash"]:
            return int(row["id"])
        previous = row["hash"]
    return None


def _link(previous: str, *entry: str | int) -> str:
    return hashlib.sha256(json.dumps([previous, *entry]).encode()).hexdigest()


def _entry(row: sqlite3.Row) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        at_ms=row["at_ms"],
        actor=row["actor"],
        action=row["action"],
        object=row["object"],
        detail=json.loads(row["detail"]),
        hash=row["hash"],
    )
