"""Rows to predict on, from where they are: the table of a data set, any file a data set can be made of, a pasted text.

Promises:

- However large the table, only a batch of it is in memory; it can be gone through as often as needed.
- A pasted text is at most `MOST_PASTED` bytes of JSON (one object, or a list of them) or delimited text with a header;
  what is neither is refused with what was expected. Its values are taken as written; an empty one is missing.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trainer.errors import SourceMissing, TableUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOST_PASTED: Final = 16 << 20
BATCH_ROWS: Final = 32_768
_DELIMITERS: Final = "\t;,|"
_PASTED: Final = "pasted rows"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A table of `rows` with columns `names`; `batches()` goes through it in Arrow record batches."""

    name: str
    names: tuple[str, ...]
    rows: int
    batches: Callable[[], Iterator[Any]]


def from_parquet(path: Path, *, limit: int | None = None, name: str | None = None) -> Incoming:
    """The table at `path`, or its first `limit` rows; `name` is what people know it by.

    Raises `SourceMissing` or `TableUnreadable`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise SourceMissing(f"reading rows: there is no file {path}; check the path")
    try:
        schema = pq.read_schema(path)
        total = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise TableUnreadable(
            f"reading rows from {path.name}: it is no Parquet file ({error}); give another one"
        ) from error
    rows = total if limit is None else min(limit, total)

    def batches() -> Iterator[Any]:
        left = rows
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                if left <= 0:
                    return
                yield batch.slice(0, left)
                left -= batch.num_rows

    return Incoming(name or path.name, tuple(schema.names), rows, batches)


def from_text(data: bytes, *, limit: int | None = None) -> Incoming:
    """The rows of a pasted text. Raises `TableUnreadable`."""
    import pyarrow as pa

    if len(data) > MOST_PASTED:
        raise TableUnreadable(
            f"reading {_PASTED}: {len(data)} bytes are pasted, {MOST_PASTED} at most; give them as a file"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableUnreadable(
            f"reading {_PASTED}: the text is not UTF-8 ({error.reason} at byte {error.start})"
        ) from error
    text = text.strip("\r\n")
    if not text.strip():
        raise TableUnreadable(
            f"reading {_PASTED}: there is nothing; give a header and at least one row, or a JSON object"
        )
    columns = _json(text) if text.lstrip()[0] in "[{" else _delimited(text)
    table = pa.table({key: _array(values) for key, values in columns.items()}).slice(0, limit)
    if table.num_rows == 0:
        raise TableUnreadable(f"reading {_PASTED}: there is a header and no row; give at least one")
    return Incoming(_PASTED, tuple(table.column_names), table.num_rows, lambda: iter(table.to_batches(BATCH_ROWS)))


def _json(text: str) -> dict[str, list[Any]]:
    try:
        told = json.loads(text, parse_constant=lambda _word: None)
    except ValueError as error:
        raise TableUnreadable(
            f"reading {_PASTED}: it begins like JSON and is none ({error}); check the brackets"
        ) from error
    rows = told if isinstance(told, list) else [told]
    if not all(isinstance(row, dict) for row in rows):
        raise TableUnreadable(f'reading {_PASTED}: JSON rows are objects, such as {{"bytes": 12}}, or a list of them')
    names = list(dict.fromkeys(key for row in rows for key in row))
    if not names:
        raise TableUnreadable(f"reading {_PASTED}: the JSON rows have no values; name a column and its value")
    for row in rows:
        for key, value in row.items():
            if isinstance(value, (dict, list)):
                raise TableUnreadable(
                    f"reading {_PASTED}: {key} holds a list or an object; a value is a number or a text"
                )
    return {key: [row.get(key) for row in rows] for key in names}


def _delimited(text: str) -> dict[str, list[Any]]:
    first = text.splitlines()[0]
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if line]
    except csv.Error as error:
        raise TableUnreadable(f"reading {_PASTED}: {error}; check the quotes") from error
    header, rows = [cell.strip() for cell in lines[0]], lines[1:]
    twice = sorted({cell for cell in header if header.count(cell) > 1})
    if twice or "" in header:
        what = f"the column {twice[0]!r} is there twice" if twice and twice[0] else "a column has no name"
        raise TableUnreadable(f"reading {_PASTED}: {what}; give each column one name in the first line")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise TableUnreadable(
                f"reading {_PASTED}: line {number} has {len(row)} values, the header {len(header)}; check the line"
            )
    return {key: [row[place].strip() or None for row in rows] for place, key in enumerate(header)}


def _array(values: list[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pa.array(values, pa.bool_())
    if kinds <= {int, float}:
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    texts = [None if value is None else (value if isinstance(value, str) else json.dumps(value)) for value in values]
    return pa.array(texts, pa.string())
