"""Reading of tables: CSV, plain or gzip, with a header or without one. What cannot be read is refused in clear words.

Rows of unequal length, an empty file, a header that names a column twice and bytes that are no text are errors that
name the file and, where there is one, the line. Column names lose the spaces around them, as some published tables have
them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from trainer.errors import SourceMissing, TableUnreadable
from trainer.tables.table import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NUMBERS: Final = frozenset({"nan", "inf", "-inf", "+inf", "infinity", "-infinity", ""})
_BLOCK: Final = 1 << 20


def read(path: Path, names: Sequence[str] | None = None) -> Table:
    """The table in `path`. With `names` the file has no header and its columns are called so.

    Raises `SourceMissing` or `TableUnreadable`.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not path.is_file():
        raise SourceMissing(f"reading a table: {path} does not exist or is not a file; give a CSV file, gzip allowed")
    try:
        with pa.input_stream(str(path), compression="gzip" if _gzipped(path) else None) as stream:
            raw = csv.read_csv(
                stream,
                read_options=csv.ReadOptions(column_names=None if names is None else list(names), block_size=16 << 20),
                convert_options=csv.ConvertOptions(strings_can_be_null=False, null_values=["", "NaN", "nan", "NA"]),
            )
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, UnicodeDecodeError) as error:
        raise TableUnreadable(f"reading {path.name}: {_plain(error)}; every line must have as many values") from error
    columns = [str(name).strip() for name in raw.column_names]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise TableUnreadable(
            f"reading {path.name}: more than one column is called {repeated[0]!r}; rename or remove one"
        )
    if raw.num_rows == 0:
        raise TableUnreadable(f"reading {path.name}: there are no rows in it; give a table with a header and rows")
    return Table(
        name=path.name,
        columns={name: _column(raw.column(at)) for at, name in enumerate(columns)},
        sha256=_digest(path),
    )


def width(path: Path) -> int:
    """How many values the first line of `path` has. Raises `SourceMissing` or `TableUnreadable`."""
    return len(first_line(path).split(","))


def first_line(path: Path) -> str:
    """The first line of `path`. Raises `SourceMissing` or `TableUnreadable`."""
    import gzip

    if not path.is_file():
        raise SourceMissing(f"reading a table: {path} does not exist or is not a file; give a CSV file, gzip allowed")
    try:
        with gzip.open(path, "rb") if _gzipped(path) else path.open("rb") as file:
            line = file.readline(_BLOCK).decode("utf-8-sig").strip()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise TableUnreadable(f"reading {path.name}: {_plain(error)}; it must be text, plain or gzip") from error
    if not line:
        raise TableUnreadable(f"reading {path.name}: it is empty; give a table with a header and rows")
    return line


def _column(values: Any) -> Column:
    import pyarrow as pa

    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    if pa.types.is_null(kind):
        return np.full(len(values), np.nan)
    words = np.array(["" if value is None else str(value).strip() for value in values.to_pylist()], dtype=np.str_)
    return _numbers(words)


def _numbers(words: Column) -> Column:
    """Words as numbers if all of them are, infinities and gaps included."""
    try:
        return np.array(
            [
                np.nan if word == "" else float(word)
                for word in words.tolist()
                if word[-1:].isdigit() or word.lower() in _NUMBERS or _raise()
            ]
        )
    except ValueError:
        return words


def _raise() -> bool:
    raise ValueError


def _gzipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__
