"""How the tables came to be what they are: migrations, registered in the order in which they stand, run once each.

`tables.py` has those of the first releases, `tables_since.py` those after them; `schema.py` puts them together and runs
them. A migration that has been released is never edited; a change is a new one at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlite_utils

if TYPE_CHECKING:
    from collections.abc import Callable

migrations = sqlite_utils.Migrations("aggregator")


def migration(step: Callable[[sqlite_utils.Database], None]) -> Callable[[sqlite_utils.Database], None]:
    """Register `step` as the next migration, under its own name."""
    return migrations()(step)


def script(db: sqlite_utils.Database, *statements: str) -> None:
    """Run statements within the transaction of a migration."""
    # Not executescript: it commits, and a migration must be one transaction.
    for statement in statements:
        db.execute(statement)


def append_only(table: str) -> list[str]:
    """Triggers that hold a table to it that nothing in it changes or goes."""
    return [
        f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
        f"BEGIN SELECT raise(ABORT, '{table} is append-only'); END"
        for deed in ("UPDATE", "DELETE")
    ]
