"""Parquet: read row group by row group, with the types it came with.

Numbers of any width become 64-bit ones, decimals become numbers, dates become moments. What is nested is told apart:
fields of a structure become columns of their own, lists become text. A file that is damaged, or whose few bytes claim
billions of rows, is refused before it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused
from trainer.workbench.datasets.limits import MIB, Limits, check_columns, check_expanded, check_rows, size
from trainer.workbench.datasets.raw import Raw, rows_at_once, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BATCH_BYTES: Final = 256 * MIB
_BATCH_ROWS: Final = 16_384


def read(path: Path, name: str, limits: Limits) -> Raw:
    """Open a Parquet file. Raises `DatasetRefused`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path, memory_map=False)
        schema, rows = file.schema_arrow, file.metadata.num_rows
        expanded = sum(file.metadata.row_group(at).total_byte_size for at in range(file.metadata.num_row_groups))
        check_columns(len(schema.names), name, limits)
        check_rows(rows, name, limits)
        check_expanded(expanded, path.stat().st_size, name, limits)
        words = [
            field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        ]
        # Words stay a dictionary until they were measured: a file may repeat a megabyte a million times in few bytes.
        file = pq.ParquetFile(path, memory_map=False, read_dictionary=words)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(name, error) from error
    if rows == 0:
        raise DatasetRefused(f"importing {name}: the Parquet file has no rows; give a table with rows")
    names, takers = [], []
    for at, field in enumerate(schema):
        for label, take in _takers(field.name, field.type, at):
            names.append(label)
            takers.append(take)
    if not names:
        raise DatasetRefused(f"importing {name}: the Parquet file has no columns; give a table with columns")
    check_columns(len(names), name, limits)
    return Raw(tuple(names), _batches(file, takers, name, limits), loose=False, total=rows)


def _batches(file: Any, takers: list[Callable[[Any], Any]], name: str, limits: Limits) -> Iterator[list[Any]]:
    import pyarrow as pa

    try:
        for batch in file.iter_batches(batch_size=rows_at_once(len(takers), _BATCH_ROWS)):
            if batch.num_rows == 0:
                continue
            for column in batch.columns:
                _measure(column, name, limits)
            yield [take(batch) for take in takers]
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError) as error:
        raise _damaged(name, error) from error


def _measure(column: Any, name: str, limits: Limits) -> None:
    """Refuse values too long before a dictionary is spelled out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        lengths = pc.binary_length(column.dictionary)
        longest = pc.max(lengths).as_py() or 0
        total = (pc.sum(pc.take(lengths, column.indices)).as_py() or 0) if longest > 1024 else 0
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_binary(column.type):
        lengths = pc.binary_length(column)
        longest, total = pc.max(lengths).as_py() or 0, pc.sum(lengths).as_py() or 0
    else:
        return
    if longest > limits.max_cell_bytes or total > _BATCH_BYTES:
        raise DatasetRefused(
            f"importing {name}: a value is {size(longest)} long, and the limit is {size(limits.max_cell_bytes)} "
            f"(max-cell-bytes), or {size(_BATCH_BYTES)} for {_BATCH_ROWS:,} rows together; leave out columns of long texts"
        )


def _takers(label: str, kind: Any, at: int) -> list[tuple[str, Callable[[Any], Any]]]:
    """Name and reading of each column that one field of the schema becomes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_struct(kind):
        return [(label, lambda batch: settled(batch.column(at)))]
    found = []
    for inner in kind:

        def take(batch: Any, part: str = inner.name) -> Any:
            return settled(pc.struct_field(batch.column(at), part))

        found.append((f"{label}.{inner.name}", take))
    return found


def settled(column: Any) -> Any:
    """One column as int64, float64, bool, timestamp[ms, UTC] or string, whatever width it came in."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return settled(column.dictionary_decode())
    if pa.types.is_boolean(kind) or kind == pa.string():
        return column
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    if pa.types.is_uint64(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_integer(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", tz="UTC" if kind.tz else None), safe=False).cast(
            pa.timestamp("ms", tz="UTC"), safe=False
        )
    if pa.types.is_date(kind):
        return column.cast(pa.timestamp("ms"), safe=False).cast(pa.timestamp("ms", tz="UTC"))
    if pa.types.is_duration(kind):
        return pc.divide(column.cast(pa.duration("us"), safe=False).cast(pa.int64()).cast(pa.float64()), 1e6)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    return pa.array([text_of(value) for value in column.to_pylist()], type=pa.string())


def _damaged(name: str, error: Exception) -> DatasetRefused:
    text = " ".join(str(error).split())[:160]
    return DatasetRefused(
        f"importing {name}: the Parquet file is damaged, cut off or of an unknown kind ({text}); write it again"
    )
