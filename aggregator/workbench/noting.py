"""Who did what to the workbench, for the audit log: within the transaction of the deed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aggregator import audit

if TYPE_CHECKING:
    import sqlite3

    from aggregator.users import Principal


def note(db: sqlite3.Connection, actor: Principal, action: str, about: str, *, now_ms: int, **detail: Any) -> None:
    """Append an entry; `about` is such as "dataset 3"."""
    audit.record(db, at_ms=now_ms, actor=actor.name, action=action, about=about, detail=detail)
