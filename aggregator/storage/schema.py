"""The schema of the store: all migrations in their order, each inside a transaction.

Labels, audit, rules of what is normal and steps about incidents are append-only, and triggers hold them to it. Times
are UTC milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlite_utils

from aggregator.storage import tables, tables_since
from aggregator.storage.migration import migrations

if TYPE_CHECKING:
    import sqlite3

RELEASES: Final = (tables, tables_since)
"""Modules of migrations, in the order in which they register themselves."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database of `connection` to the newest schema."""
    if pending(connection):
        migrations.apply(sqlite_utils.Database(connection))


def pending(connection: sqlite3.Connection) -> list[str]:
    """Names of migrations that have not run."""
    return [migration.name for migration in migrations.pending(sqlite_utils.Database(connection))]
