"""From the stage to `table.parquet`: row groups of bounded size, counted and digested as they go by.

Words are categorical if few different ones occur, and text otherwise; physically both are strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trainer.workbench.datasets.digest import ContentDigest
from trainer.workbench.datasets.inference import arrow_type
from trainer.workbench.datasets.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from trainer.workbench.datasets.staging import Staged

_GROUP_ROWS: Final = 131_072
_GROUP_BYTES: Final = 64 * MIB
_CATEGORIES: Final = 1_000
"""Most different words of a categorical column."""
_CATEGORY_SHARE: Final = 0.5
_FEW: Final = 20
"""So many different words are categories however short the table is."""
_CATEGORY_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the type and the missing values of each column, and the digest of the content."""

    types: tuple[str, ...]
    missing: tuple[int, ...]
    digest: str


def write(staged: Staged, names: Sequence[str], path: Path, told: Callable[[int], None]) -> Written:
    """Write the staged table under `names` to `path`; `told` hears the rows so far."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [column.kind for column in staged.columns]
    digest = ContentDigest(names, kinds)
    missing = [0] * len(kinds)
    words = {at: Words() for at, kind in enumerate(kinds) if kind == "words"}
    schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in zip(names, kinds, strict=True)])
    held: list[Any] = []
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1) as writer:
        for arrays in staged.batches():
            digest.add(arrays)
            for at, array in enumerate(arrays):
                missing[at] += array.null_count
                if at in words:
                    words[at].see(array)
            held.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
            rows += held[-1].num_rows
            if (
                sum(batch.num_rows for batch in held) >= _GROUP_ROWS
                or sum(batch.nbytes for batch in held) >= _GROUP_BYTES
            ):
                writer.write_table(pa.Table.from_batches(held), row_group_size=_GROUP_ROWS)
                held = []
                told(rows)
        if held:
            writer.write_table(pa.Table.from_batches(held), row_group_size=_GROUP_ROWS)
    types = [words[at].type(rows - missing[at]) if at in words else kind for at, kind in enumerate(kinds)]
    return Written(tuple(types), tuple(missing), digest.hexdigest())


class Words:
    """Counts different words, up to the point where they are no categories any more."""

    def __init__(self) -> None:
        self._seen: set[str] | None = set()

    def see(self, array: Any) -> None:
        """Look at a batch of words."""
        import pyarrow.compute as pc

        if self._seen is None:
            return
        fresh = pc.unique(array)
        longest = pc.max(pc.binary_length(fresh)).as_py() or 0
        if len(fresh) > _CATEGORIES + 1 or longest > _CATEGORY_BYTES:
            self._seen = None
            return
        self._seen.update(word for word in fresh.to_pylist() if word is not None)
        if len(self._seen) > _CATEGORIES:
            self._seen = None

    def type(self, values: int) -> str:
        """`categorical` or `text`, of so many values that are not missing."""
        if self._seen is None or not values:
            return "text"
        return "categorical" if len(self._seen) <= max(_FEW, _CATEGORY_SHARE * values) else "text"
