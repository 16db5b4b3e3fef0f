"""Rows of a Parquet table, a page at a time, under a time and a memory budget.

DuckDB sees no file but the one it is given, and no text of anybody's is part of a query: a column to sort by must be
one of the table's.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Self

from aggregator import paging
from aggregator.errors import Invalid, NotFound, StateError
from aggregator.workbench import datasets, places, shelf
from aggregator.workbench.rows import Preview

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import duckdb

    from aggregator.config import AggregatorConfig
    from aggregator.services import Services

MOST_CELLS: Final = 200_000
"""Of one page; a wide table has fewer rows on it."""

LONGEST_CELL: Final = 2_000
CHUNK: Final = 4_096
"""Rows fetched at a time for a download."""


def preview(
    services: Services,
    dataset_id: int,
    version: int | None = None,
    *,
    offset: int = 0,
    limit: int = 50,
    sort: str | None = None,
    descending: bool = False,
) -> Preview:
    """Rows of a data set as they are, or sorted by a column. Blocks (call it in a thread).

    A wide table has fewer rows on a page than asked for. Raises `NotFound`, `Conflict`, `Invalid`.
    """
    found = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    types = {column.name: column.type for column in datasets.columns(services, found)}
    path = services.config.workbench_dir / places.dataset_folder(found.id, found.version) / "table.parquet"
    return page(services.config, path, types, offset=offset, limit=limit, sort=sort, descending=descending)


def page(
    config: AggregatorConfig,
    path: Path,
    types: dict[str, str],
    *,
    offset: int,
    limit: int,
    sort: str | None = None,
    descending: bool = False,
    where: tuple[str, str] | None = None,
) -> Preview:
    """Some rows of a table; `where` is a column and the text its value must be. Blocks."""
    if offset < 0:
        raise Invalid(f"offset = {offset} must not be negative")
    columns, total = shape(path)
    kinds = kinds_of(path)
    for named in (sort, where[0] if where else None):
        if named is not None and named not in columns:
            raise Invalid(f"there is no column {named[:80]!r} in this table")
    rows_of = max(1, min(paging.size(limit), MOST_CELLS // max(1, len(columns))))
    condition, values = ("", []) if where is None else (f" WHERE CAST({_quoted(where[0])} AS VARCHAR) = ?", [where[1]])
    order = "" if sort is None else f" ORDER BY {_quoted(sort)} {'DESC' if descending else 'ASC'} NULLS LAST"
    with _Question(config) as question:
        if where is not None:
            total = question.ask(f"SELECT count(*) FROM read_parquet(?){condition}", [str(path), *values])[0][0]  # noqa: S608
        rows = question.ask(
            f"SELECT * FROM read_parquet(?){condition}{order} LIMIT ? OFFSET ?",  # noqa: S608 - columns that are there
            [str(path), *values, rows_of, offset],
        )
    return Preview(
        columns=columns,
        types=tuple(types.get(name) or kinds[name] for name in columns),
        rows=tuple(tuple(cell(value) for value in row) for row in rows),
        offset=offset,
        total=total,
    )


def shape(path: Path) -> tuple[tuple[str, ...], int]:
    """Column names and the number of rows of a table. Raises `NotFound`, `StateError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return tuple(file.schema_arrow.names), file.metadata.num_rows
    except FileNotFoundError:
        raise NotFound("the table's file is gone; import it again") from None
    except (OSError, pa.ArrowException) as error:
        raise StateError(f"reading a table: {error}; import it again") from error


def kinds_of(path: Path) -> dict[str, str]:
    """What each column of a table holds, in the words of a data set: integer, number, boolean, time, text."""
    import pyarrow.parquet as pq
    from pyarrow import types

    def kind(of: Any) -> str:
        tests = (
            ("boolean", types.is_boolean),
            ("integer", types.is_integer),
            ("number", types.is_floating),
            ("number", types.is_decimal),
            ("time", types.is_temporal),
        )
        return next((name for name, fits in tests if fits(of)), "text")

    return {field.name: kind(field.type) for field in pq.read_schema(path)}


def batches(path: Path) -> Generator[list[tuple[Any, ...]]]:
    """All rows of a table, some at a time. Blocks."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=CHUNK):
            columns = [column.to_pylist() for column in batch.columns]
            yield list(zip(*columns, strict=True)) if columns else []


def cell(value: Any) -> Any:
    """A value as JSON can say it: a time in ISO 8601, a long text cut, what is no number as None."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, dt.datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=dt.UTC)
        return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value[: LONGEST_CELL // 2].hex()
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


class _Question:
    """One connection with the budget's limits, for one page."""

    def __init__(self, config: AggregatorConfig) -> None:
        self._config = config

    def __enter__(self) -> Self:
        import duckdb

        settings = {
            "threads": "2",
            "memory_limit": f"{self._config.query_memory_mib}MB",
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        self._connection: duckdb.DuckDBPyConnection = duckdb.connect(":memory:", config=settings)
        # A setting of the built-in extension for time zones, which the connection must have loaded first.
        self._connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """All rows of the answer. Raises `Invalid` when the budget is spent."""
        import duckdb

        timer = threading.Timer(self._config.query_seconds, self._connection.interrupt)
        timer.start()
        try:
            # Through Arrow: DuckDB's own rows of moments with a zone want a package that nothing else here needs.
            found = self._connection.sql(query, params=values).to_arrow_table()
            return list(zip(*(column.to_pylist() for column in found.columns), strict=True))
        except duckdb.InterruptException:
            raise Invalid(
                f"this took longer than query_seconds = {self._config.query_seconds:g}; leave out the sorting"
            ) from None
        except duckdb.OutOfMemoryException:
            raise Invalid(
                f"this needs more memory than query_memory_mib = {self._config.query_memory_mib}; leave out the sorting"
            ) from None
        except duckdb.IOException:
            raise NotFound("the table's file is gone; import it again") from None
        except duckdb.Error as error:
            raise StateError(f"reading a table: {error}; import it again") from error
        finally:
            timer.cancel()


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
