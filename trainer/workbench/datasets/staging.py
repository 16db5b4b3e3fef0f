"""Rows between reading and typing: on disk, in Arrow's own stream format, since the types are known only at the end.

Memory holds one batch at a time. The stage lies beside the result and is removed whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainer.errors import DatasetRefused
from trainer.workbench.datasets.inference import Loose, Typed
from trainer.workbench.datasets.limits import Limits, check_expanded, check_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from trainer.workbench.datasets.raw import Raw

Column = Loose | Typed


@dataclass(frozen=True, slots=True)
class Staged:
    """A table on the stage, with its columns decided."""

    path: Path
    rows: int
    columns: tuple[Column, ...]

    def batches(self) -> Iterator[list[Any]]:
        """The rows, cast to the decided types: one array a column."""
        import pyarrow as pa

        with pa.OSFile(str(self.path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield [column.cast(array) for column, array in zip(self.columns, batch.columns, strict=True)]


def stage(raw: Raw, names: Sequence[str], path: Path, name: str, limits: Limits, told: Callable[[int], None]) -> Staged:
    """Take every row of `raw` to `path`, watching the columns; `told` hears the rows so far. Raises `DatasetRefused`."""
    import pyarrow as pa

    columns: list[Column] = [Loose(column) if raw.loose else Typed(column) for column in names]
    labels = [f"c{at}" for at in range(len(columns))]
    rows = 0
    writer = None
    with pa.OSFile(str(path), "wb") as file:
        try:
            for arrays in raw.batches:
                tidied = [column.tidy(array) for column, array in zip(columns, arrays, strict=True)]
                for column, array in zip(columns, tidied, strict=True):
                    column.see(array)
                batch = pa.RecordBatch.from_arrays(tidied, names=labels)
                rows += batch.num_rows
                check_rows(rows, name, limits)
                check_expanded(file.tell(), limits.max_expanded_bytes, name, limits)
                if writer is None:
                    options = pa.ipc.IpcWriteOptions(compression="lz4")
                    writer = pa.ipc.new_stream(file, batch.schema, options=options)
                writer.write_batch(batch)
                told(rows)
        finally:
            if writer is not None:
                writer.close()
    if rows == 0:
        raise DatasetRefused(f"importing {name}: there is a header and no row below it; give a table with rows")
    for column in columns:
        column.decide()
    return Staged(path, rows, tuple(columns))
