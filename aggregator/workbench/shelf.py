"""Data sets in the store: names, versions, what an import brought, and how much room everything takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from aggregator import paging
from aggregator.errors import Conflict, Invalid, NotFound, TooLarge
from aggregator.work.ledger import UNDER_WAY
from aggregator.workbench.rows import Dataset

if TYPE_CHECKING:
    import sqlite3

    from aggregator.config import AggregatorConfig
    from aggregator.rows import Page

LONGEST_NAME: Final = 120

_SELECT: Final = """
    SELECT d.name, v.*, coalesce(w.stage, '') AS stage, coalesce(w.fraction, 0) AS fraction,
        coalesce(w.message, '') AS message, coalesce(w.state IN ('queued', 'running'), 0) AS busy,
        (SELECT count(*) FROM dataset_versions o WHERE o.dataset_id = d.id AND o.deleted_ms IS NULL) AS versions
    FROM datasets d JOIN dataset_versions v ON v.dataset_id = d.id LEFT JOIN works w ON w.id = v.work_id
    WHERE d.deleted_ms IS NULL AND v.deleted_ms IS NULL
"""
_NEWEST: Final = (
    " AND v.version = (SELECT max(version) FROM dataset_versions n WHERE n.dataset_id = d.id AND n.deleted_ms IS NULL)"
)


def find(db: sqlite3.Connection, *, search: str | None, limit: int, cursor: str | None) -> Page[Dataset]:
    """Newest versions, newest data set first."""
    conditions, values = [" AND d.id < ?"], [paging.id_cursor(cursor)]
    if search:
        conditions.append(" AND instr(lower(d.name), lower(?)) > 0")
        values.append(search)  # type: ignore[arg-type]
    rows = db.execute(
        f"{_SELECT}{_NEWEST}{''.join(conditions)} ORDER BY d.id DESC LIMIT ?",
        (*values, paging.size(limit) + 1),
    ).fetchall()
    return paging.page([_dataset(row) for row in rows], limit, lambda one: str(one.id))


def get(db: sqlite3.Connection, dataset_id: int, version: int | None = None) -> Dataset:
    """One version, the newest by default. Raises `NotFound`."""
    which = _NEWEST if version is None else " AND v.version = ?"
    values = (dataset_id,) if version is None else (dataset_id, version)
    row = db.execute(f"{_SELECT} AND d.id = ?{which}", values).fetchone()
    if row is None:
        named = "" if version is None else f" with a version {version}"
        raise NotFound(f"there is no data set {dataset_id}{named}")
    return _dataset(row)


def versions(db: sqlite3.Connection, dataset_id: int) -> list[Dataset]:
    """All versions that are there, newest first."""
    rows = db.execute(f"{_SELECT} AND d.id = ? ORDER BY v.version DESC", (dataset_id,))
    return [_dataset(row) for row in rows]


def ready(db: sqlite3.Connection, dataset_id: int, version: int | None = None) -> Dataset:
    """One version whose table is there. Raises `NotFound`, `Conflict`."""
    found = get(db, dataset_id, version)
    if found.state != "ready":
        why = found.error or "it is being imported; wait until it is ready"
        raise Conflict(f"data set {found.name!r} has no table: {why}")
    return found


def gone(db: sqlite3.Connection, dataset_id: int, version: int | None) -> bool:
    """True when the files of a version were deleted."""
    row = db.execute(
        "SELECT deleted_ms FROM dataset_versions WHERE dataset_id = ? AND version = ?", (dataset_id, version)
    ).fetchone()
    return row is None or row["deleted_ms"] is not None


def of_work(db: sqlite3.Connection, work_id: int) -> tuple[int, int] | None:
    """Which version a piece of work is about."""
    row = db.execute("SELECT dataset_id, version FROM dataset_versions WHERE work_id = ?", (work_id,)).fetchone()
    return None if row is None else (row["dataset_id"], row["version"])


def add(
    db: sqlite3.Connection, *, name: str | None, wish: str, dataset_id: int | None, source: tuple[str, str, str],
    by: str, now_ms: int,
) -> tuple[int, int]:  # fmt: skip
    """A new version, of a new data set unless `dataset_id` is given: its id and version.

    `source` is kind, what, format. Without `name`, the new data set is called `wish`, or `wish (2)` and so on. Raises
    `Conflict` when `name` is taken, `NotFound`.
    """
    if dataset_id is None:
        wanted = free_name(db, wish) if name is None else require_name(name)
        if name is not None:
            _require_free(db, wanted)
        made = db.execute('INSERT INTO datasets (name, "by", created_ms) VALUES (?, ?, ?)', (wanted, by, now_ms))
        dataset_id = int(made.lastrowid or 0)
    else:
        get(db, dataset_id)
    version = (
        1
        + db.execute(
            "SELECT coalesce(max(version), 0) FROM dataset_versions WHERE dataset_id = ?", (dataset_id,)
        ).fetchone()[0]
    )
    db.execute(
        "INSERT INTO dataset_versions (dataset_id, version, state, source_kind, source_what, source_format, "
        "\"by\", created_ms) VALUES (?, ?, 'importing', ?, ?, ?, ?, ?)",
        (dataset_id, version, *source, by, now_ms),
    )
    return dataset_id, version


def change(db: sqlite3.Connection, dataset_id: int, version: int, **values: Any) -> None:
    """Set fields of one version."""
    assignments = ", ".join(f"{name} = :{name}" for name in values)
    db.execute(
        f"UPDATE dataset_versions SET {assignments} WHERE dataset_id = :of AND version = :which",  # noqa: S608
        {**values, "of": dataset_id, "which": version},
    )


def rename(db: sqlite3.Connection, dataset_id: int, name: str) -> None:
    """Another name. Raises `NotFound`, `Invalid`, `Conflict` when it is taken."""
    current, wanted = get(db, dataset_id), require_name(name)
    if wanted != current.name:
        _require_free(db, wanted)
        db.execute("UPDATE datasets SET name = ? WHERE id = ?", (wanted, dataset_id))


def delete(db: sqlite3.Connection, dataset_id: int, version: int | None, *, now_ms: int) -> list[int]:
    """Mark one version or all as gone: the versions whose files may go. Raises `NotFound`, `Conflict` while in use."""
    there = [one.version for one in versions(db, dataset_id)]
    get(db, dataset_id, version)
    going = there if version is None else [version]
    for one in going:
        _require_idle(db, dataset_id, one)
        change(db, dataset_id, one, deleted_ms=now_ms, bytes=0)
        db.execute("DELETE FROM plots WHERE dataset_id = ? AND version = ?", (dataset_id, one))
    if len(going) == len(there):
        db.execute("UPDATE datasets SET deleted_ms = ? WHERE id = ?", (now_ms, dataset_id))
    return going


def used_bytes(db: sqlite3.Connection, by: str | None = None) -> int:
    """Bytes of everything in the workbench, or of what one user brought and made."""
    total = 0
    for table in ("dataset_versions", "experiments", "predictions"):
        query = f"SELECT coalesce(sum(bytes), 0) FROM {table} WHERE deleted_ms IS NULL"  # noqa: S608 - our own names
        total += db.execute(query + ("" if by is None else ' AND "by" = ?'), () if by is None else (by,)).fetchone()[0]
    return total


def require_room(db: sqlite3.Connection, config: AggregatorConfig, by: str, *, coming: int = 0, mine: int = 0) -> None:
    """Raise `TooLarge` unless there is room for `coming` more bytes in all, `mine` of them of user `by`."""
    if used_bytes(db) + coming > config.workbench_quota_mib << 20:
        raise _no_room("the workbench", "workbench_quota_mib", config.workbench_quota_mib)
    if used_bytes(db, by) + mine > config.workbench_user_quota_mib << 20:
        raise _no_room(f"user {by}", "workbench_user_quota_mib", config.workbench_user_quota_mib)


def _no_room(whose: str, setting: str, limit: int) -> TooLarge:
    return TooLarge(f"this needs more room than {whose} has ({setting} = {limit}); delete data sets or runs first")


def require_name(name: str) -> str:
    """`name` if it can be a data set's or a run's; raises `Invalid`."""
    kept = name.strip()
    if not 1 <= len(kept) <= LONGEST_NAME or not kept.isprintable():
        raise Invalid(f"a name has 1 to {LONGEST_NAME} characters, none of them a control character")
    return kept


def free_name(db: sqlite3.Connection, wish: str) -> str:
    """`wish`, or the first of `wish (2)`, `wish (3)`... that nobody has."""
    base, number = require_name(wish)[: LONGEST_NAME - 8], 1
    name = base
    while db.execute("SELECT 1 FROM datasets WHERE name = ? AND deleted_ms IS NULL", (name,)).fetchone():
        number += 1
        name = f"{base} ({number})"
    return name


def _require_free(db: sqlite3.Connection, name: str) -> None:
    if db.execute("SELECT 1 FROM datasets WHERE name = ? AND deleted_ms IS NULL", (name,)).fetchone():
        raise Conflict(f"there is a data set named {name!r} already; add a version to it, or choose another name")


def _require_idle(db: sqlite3.Connection, dataset_id: int, version: int) -> None:
    busy = db.execute(
        f"SELECT kind, about FROM works WHERE state IN {UNDER_WAY} AND id IN ("  # noqa: S608
        "SELECT work_id FROM dataset_versions WHERE dataset_id = :of AND version = :which UNION "
        "SELECT work_id FROM experiments WHERE dataset_id = :of AND dataset_version = :which UNION "
        "SELECT work_id FROM experiments WHERE test_dataset_id = :of AND test_dataset_version = :which UNION "
        "SELECT work_id FROM predictions WHERE dataset_id = :of AND dataset_version = :which)",
        {"of": dataset_id, "which": version},
    ).fetchone()
    if busy is not None:
        raise Conflict(f"the {busy['kind']} of {busy['about']} is under way on it; wait for it or cancel it")


def _dataset(row: sqlite3.Row) -> Dataset:
    return Dataset(
        id=row["dataset_id"],
        version=row["version"],
        versions=row["versions"],
        name=row["name"],
        state=row["state"],
        source_kind=row["source_kind"],
        source_what=row["source_what"],
        source_format=row["source_format"],
        rows=row["row_count"],
        columns=row["column_count"],
        bytes=row["bytes"],
        digest=row["digest"],
        warnings=tuple(json.loads(row["warnings"])),
        label=row["label"],
        profiled=bool(row["profiled"]),
        busy=bool(row["busy"]),
        stage=row["stage"],
        fraction=row["fraction"],
        message=row["message"],
        error=row["error"],
        work_id=row["work_id"],
        created_ms=row["created_ms"],
        by=row["by"],
    )
