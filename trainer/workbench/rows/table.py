"""The table of an experiment as columns in memory: numbers, words or times, at most `max_rows` rows.

A larger table is sampled: a seeded choice of rows, in the table's order, read batch by batch, so that memory is bounded
by the rows kept and not by the file. Numbers are float32, because that is what a model's file is given; a missing one
is NaN. Words are places in a list of the distinct ones; a missing word is the empty one, and so is the word "".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from trainer.errors import SourceMissing, TableUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Picked: TypeAlias = "NDArray[np.intp] | NDArray[np.bool_]"

_BATCH: Final = 65_536
MISSING: Final = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """`values` [n]: float32 of a number, float64 seconds since 1970 of a time; NaN where missing."""

    values: NDArray[Any]
    time: bool = False

    def take(self, rows: Picked) -> Numbers:
        """Those rows."""
        return Numbers(self.values[rows], self.time)

    def as_words(self) -> NDArray[np.object_]:
        """Each value as it would be written: `1`, not `1.0`; empty where missing."""
        distinct, inverse = np.unique(self.values, return_inverse=True)
        written = np.array([MISSING if np.isnan(one) else f"{one:.9g}" for one in distinct.tolist()], dtype=object)
        return written[inverse]


@dataclass(frozen=True, slots=True)
class Words:
    """`codes` int32 [n] are places in `words`, which are distinct."""

    codes: NDArray[np.int32]
    words: tuple[str, ...]

    def take(self, rows: Picked) -> Words:
        """Those rows."""
        return Words(self.codes[rows], self.words)

    def as_words(self) -> NDArray[np.object_]:
        """The words themselves."""
        return np.array(self.words, dtype=object)[self.codes]


Column: TypeAlias = Numbers | Words


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of equal length; `of` is how many rows the table itself has."""

    columns: dict[str, Column]
    of: int

    def __len__(self) -> int:
        first = next(iter(self.columns.values()), None)
        if first is None:
            return 0
        return len(first.values if isinstance(first, Numbers) else first.codes)

    def take(self, rows: Picked) -> Rows:
        """Those rows, in the order given."""
        return Rows({name: column.take(rows) for name, column in self.columns.items()}, self.of)

    def only(self, names: Iterable[str]) -> Rows:
        """Those columns."""
        return Rows({name: self.columns[name] for name in names}, self.of)


def read(path: Path, *, max_rows: int, seed: int, columns: Sequence[str] | None = None) -> Rows:
    """The Parquet file `path`. Raises `SourceMissing` or `TableUnreadable`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise SourceMissing(f"reading the table {path}: there is no such file; import the data first")
    try:
        with pq.ParquetFile(path) as file:
            of = file.metadata.num_rows
            chosen = _chosen(of, max_rows, seed)
            parts, start = [], 0
            for batch in file.iter_batches(batch_size=_BATCH, columns=None if columns is None else list(columns)):
                if chosen is None:
                    parts.append(batch)
                else:
                    low, high = np.searchsorted(chosen, [start, start + batch.num_rows])
                    parts.append(batch.take(pa.array(chosen[low:high] - start)))
                start += batch.num_rows
            table = pa.Table.from_batches(parts, schema=parts[0].schema) if parts else file.schema_arrow.empty_table()
    except (pa.ArrowInvalid, OSError) as error:
        raise TableUnreadable(f"reading the table {path.name}: {error}; import the data once more") from error
    return Rows({name: _column(table.column(name)) for name in table.column_names}, of)


def _chosen(rows: int, most: int, seed: int) -> NDArray[np.int64] | None:
    if rows <= most:
        return None
    return np.sort(np.random.default_rng([seed, 81]).choice(rows, most, replace=False))


def _column(column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        milliseconds = pc.cast(pc.cast(column, pa.timestamp("ms"), safe=False), pa.int64())
        return Numbers(_floats(milliseconds) / 1000.0, time=True)
    if pa.types.is_boolean(kind):
        return Numbers(_floats(pc.cast(column, pa.int8())).astype(np.float32))
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        with np.errstate(over="ignore"):  # beyond float32 is infinite, which the encoding knows what to do with
            return Numbers(_floats(pc.cast(column, pa.float64(), safe=False)).astype(np.float32))
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
    text = pc.fill_null(pc.cast(column, pa.string()), MISSING)
    held = text.combine_chunks().dictionary_encode()
    held = held.combine_chunks() if isinstance(held, pa.ChunkedArray) else held
    return Words(held.indices.to_numpy(zero_copy_only=False).astype(np.int32), tuple(held.dictionary.to_pylist()))


def _floats(column: Any) -> NDArray[np.float64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan"))
    return np.array(filled.to_numpy(), dtype=np.float64)


def aligned(rows: Rows, like: Rows, where: str) -> Rows:
    """`rows` with the columns of `like`, each of the same kind. Raises `TableUnreadable` for a missing column.

    A column of words where `like` has numbers counts as missing numbers, unless its words are numbers after all.
    """
    missing = [name for name in like.columns if name not in rows.columns]
    if missing:
        raise TableUnreadable(
            f"reading {where}: it lacks columns that the table learnt from has: {', '.join(missing[:8])}; "
            "give a table of the same layout"
        )
    return Rows({name: _alike(rows.columns[name], column) for name, column in like.columns.items()}, rows.of)


def _alike(column: Column, like: Column) -> Column:
    if isinstance(column, Numbers) and isinstance(like, Words):
        distinct, codes = np.unique(column.as_words(), return_inverse=True)
        return Words(codes.astype(np.int32), tuple(map(str, distinct)))
    if isinstance(column, Words) and isinstance(like, Numbers):
        numbers = np.array([_number(word) for word in column.words] or [float("nan")], dtype=np.float64)
        return Numbers(numbers[column.codes].astype(np.float64 if like.time else np.float32), like.time)
    return column


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")
