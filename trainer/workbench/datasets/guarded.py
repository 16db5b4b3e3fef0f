"""CSV that may be opened in a spreadsheet: no cell of it, column names among them, is taken for a formula.

Data sets themselves keep their values; only what leaves as CSV is guarded (protos/formulas.py). Every CSV that the
trainer writes of a data set goes through this module.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from typing import IO, TYPE_CHECKING, Any

from protos import formulas

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def guard(value: Any) -> Any:
    """The cell to write for a value: texts that would run are made plain text, missing values are empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return formulas.guarded(value) if isinstance(value, str) else value


def write_csv(out: IO[str], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a header and rows to `out` (opened with `newline=""`); returns the rows written."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([guard(name) for name in names])
    count = 0
    for row in rows:
        writer.writerow([guard(value) for value in row])
        count += 1
    return count


def write_parquet_as_csv(parquet: Any, out: IO[str], *, batch_rows: int = 8192) -> int:
    """Write a Parquet file (a path) as guarded CSV to `out`, in bounded memory; returns the rows written."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(parquet)

    def rows() -> Iterable[tuple[Any, ...]]:
        for batch in file.iter_batches(batch_size=batch_rows):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    return write_csv(out, file.schema_arrow.names, rows())
