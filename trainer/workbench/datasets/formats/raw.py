"""What every reader hands on: the columns of a table as they stand in the source, in batches, nothing decided yet.

A *loose* table is all text (None where the source has nothing), whatever its columns turn out to be;
inference.py finds that out. A typed one (Parquet, captures) keeps the types it came with.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BATCH_ROWS: Final = 65_536
LOOSE_ROWS: Final = 8_192
_BATCH_CELLS: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Raw:
    """A source opened: column names as written there, and its rows.

    `batches` yields one list a batch, a pyarrow array a column, all equally long.
    """

    names: tuple[str, ...]
    batches: Iterator[list[Any]]
    loose: bool
    warnings: list[str] = field(default_factory=list)
    """Readers may add to it until the last batch was taken."""
    total: int | None = None
    """Rows or bytes in all, where known, to say how far the reading is."""


def rows_at_once(columns: int, most: int = BATCH_ROWS) -> int:
    """Rows of a batch so that wide tables stay within memory."""
    return max(min(most, _BATCH_CELLS // max(columns, 1)), 1)


def text_of(value: Any) -> str | None:
    """A loose value as text, so that the same value reads the same whichever format it came in."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def loose_columns(rows: Sequence[Sequence[Any]], width: int) -> list[Any]:
    """Rows of loose values as one array of text a column."""
    import pyarrow as pa

    return [pa.array([text_of(row[at]) for row in rows], type=pa.string()) for at in range(width)]
