"""The digest of a table's content: names, types and values in their order, and nothing else.

The same table gives the same digest whatever file it came in and however its rows were cut into batches: each column
keeps a running SHA-256 of which values are there, of the values, and of the lengths of words; the digest is the SHA-256
over all of them with the names and types.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


class ContentDigest:
    """Told every batch; `hexdigest` of all of them."""

    def __init__(self, names: Sequence[str], kinds: Sequence[str]) -> None:
        self._head = json.dumps([list(names), list(kinds)], ensure_ascii=False)
        self._columns = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in names]
        self._rows = 0

    def add(self, arrays: Sequence[Any]) -> None:
        """One array a column: int64, float64, bool, timestamp[ms] or string."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for (there, values, lengths), array in zip(self._columns, arrays, strict=True):
            there.update(_bytes(pc.is_valid(array)))
            if pa.types.is_string(array.type):
                full = pc.fill_null(array, "")
                lengths.update(np.asarray(pc.binary_length(full), dtype="<i4").tobytes())
                _, offsets, data = full.buffers()
                if data is not None:
                    ends = np.frombuffer(offsets, dtype="<i4")[full.offset : full.offset + len(full) + 1]
                    values.update(memoryview(data)[int(ends[0]) : int(ends[-1])])
            elif pa.types.is_boolean(array.type):
                values.update(_bytes(pc.fill_null(array, pa.scalar(False))))
            elif pa.types.is_floating(array.type):
                # A negative zero is the same number.
                values.update((np.asarray(pc.fill_null(array, 0.0), dtype="<f8") + 0.0).tobytes())
            else:
                plain = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
                values.update(np.asarray(pc.fill_null(plain, 0), dtype="<i8").tobytes())
        self._rows += len(arrays[0]) if arrays else 0

    def hexdigest(self) -> str:
        """SHA-256 of the table so far."""
        whole = hashlib.sha256(f"{self._rows}\n{self._head}\n".encode())
        for column in self._columns:
            for part in column:
                whole.update(part.digest())
        return whole.hexdigest()


def _bytes(mask: Any) -> bytes:
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.uint8).tobytes()
