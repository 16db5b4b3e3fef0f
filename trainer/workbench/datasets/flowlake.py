"""The product's own flows: every Parquet file of the lake (or staging) below a folder, with what people said of them.

Files of another feature contract, as an upgrade leaves them behind, are left out and counted. Rows come as they lie:
what is benign enough to learn from is the experiment's question, and the verdicts are columns like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.errors import DatasetRefused, SourceMissing
from trainer.workbench.datasets.columnar import settled
from trainer.workbench.datasets.limits import Limits, check_rows
from trainer.workbench.datasets.raw import Raw, rows_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SPOKEN: Final = ("verdict", "family")
"""Columns of the merged lake that staging does not have yet."""
_LEFT_OUT: Final = frozenset({"flow_id", "epoch", "sequence", "row", "verdict_by", "verdict_ms", "received_ms"})
"""Book-keeping: it says where a row came from, never what it was."""
_TIMES: Final = frozenset({"first_seen_ms", "last_seen_ms"})


def read(folder: Path, limits: Limits) -> tuple[Raw, str]:
    """Open the lake below `folder`; also returns what to call it. Raises `SourceMissing`, `DatasetRefused`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from protos import contract
    from trainer.corpora import lake, sources

    files: list[Path] = []
    names: dict[str, None] = {}
    rows, foreign = 0, 0
    for found in sources.find([folder]):
        if found.path.suffix != lake.SUFFIX:
            continue
        try:
            schema = pq.read_schema(found.path)
            count = pq.read_metadata(found.path).num_rows
        except (pa.ArrowException, OSError) as error:
            raise DatasetRefused(
                f"importing {found.name}: the Parquet file is damaged ({error}); take it away"
            ) from error
        if (schema.metadata or {}).get(lake.DIGEST_KEY, b"").decode("ascii", "replace") != contract.DIGEST:
            foreign += 1
            continue
        files.append(found.path)
        rows += count
        check_rows(rows, folder.name, limits)
        names.update(dict.fromkeys(name for name in schema.names if name not in _LEFT_OUT))
    if not files:
        raise SourceMissing(
            f"importing {folder}: no Parquet file of this installation's flows is in it"
            + (f" ({foreign} follow another feature contract)" if foreign else "")
            + "; give the folder of the lake"
        )
    for name in _SPOKEN:
        names.pop(name, None)
    columns = (*names, *_SPOKEN)
    warnings = [f"{foreign} files of another feature contract were left out"] if foreign else []
    shown = tuple(name.removesuffix("_ms") if name in _TIMES else name for name in columns)
    raw = Raw(shown, _batches(files, columns), loose=False, warnings=warnings, total=rows)
    return raw, f"{folder.name} ({len(files)} files)"


def _batches(files: Sequence[Path], columns: Sequence[str]) -> Iterator[list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from protos import contract

    for path in files:
        file = pq.ParquetFile(path)
        there = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(batch_size=rows_at_once(len(columns)), columns=there):
            arrays = []
            for name in columns:
                if name not in there:
                    kind = pa.float64() if name in contract.FEATURES else pa.string()
                    arrays.append(pa.nulls(batch.num_rows, kind))
                elif name in _TIMES:
                    arrays.append(batch.column(name).cast(pa.timestamp("ms", tz="UTC")))
                else:
                    arrays.append(settled(batch.column(name)))
            yield arrays
