"""A sample of a table's rows, drawn by seed and kept in the table's order, ready for arithmetic.

The same table, columns, size and seed give the same rows. Only the rows that were drawn are held.
"""

# ruff: noqa: S608 - columns are quoted by `identifier`

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainer.workbench.datasets.exploration.columns import NUMBERS, identifier

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows in their order. Numbers are float64 with NaN for missing; words are codes (-1 missing) and their names."""

    rows: int
    numbers: dict[str, NDArray[np.float64]]
    codes: dict[str, NDArray[np.int64]]
    words: dict[str, list[str]]
    place: NDArray[np.int64]
    """Number of each row in the table."""


def draw(base: Any, path: Path, kinds: dict[str, str], rows: int, *, most: int, seed: int) -> Sample:
    """At most `most` rows of the Parquet file, drawn by seed, in the table's order. Moments become milliseconds."""
    wanted = []
    for name, kind in kinds.items():
        column = identifier(name)
        if kind == "time":
            wanted.append(f"epoch_ms({column})::DOUBLE")
        elif kind in NUMBERS:
            wanted.append(f"{column}::DOUBLE")
        else:
            wanted.append(f"left({column}::VARCHAR, 200)")
    where = ""
    if rows > most:
        chosen = np.sort(np.random.default_rng(seed).choice(rows, size=most, replace=False))
        # A table of places to join with: DuckDB then reads each row group once and keeps only these rows.
        base.execute("CREATE OR REPLACE TEMP TABLE chosen (place BIGINT)")
        import pyarrow as pa

        held = pa.table({"place": chosen.astype(np.int64)})
        base.register("held", held)
        base.execute("INSERT INTO chosen SELECT place FROM held")
        base.unregister("held")
        where = "WHERE file_row_number IN (SELECT place FROM chosen)"
    listed = ", ".join(f"{sql} AS c{at}" for at, sql in enumerate(wanted))
    table = base.sql(
        f"SELECT {listed}, file_row_number AS place FROM read_parquet(?, file_row_number = true) {where} "
        "ORDER BY file_row_number",
        params=[str(path)],
    ).to_arrow_table()
    numbers: dict[str, NDArray[np.float64]] = {}
    codes: dict[str, NDArray[np.int64]] = {}
    words: dict[str, list[str]] = {}
    for at, (name, kind) in enumerate(kinds.items()):
        column = table.column(f"c{at}").combine_chunks()
        if kind in NUMBERS or kind == "time":
            numbers[name] = np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
        else:
            encoded = column.dictionary_encode()
            codes[name] = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
            words[name] = [str(one) for one in encoded.dictionary.to_pylist()]
    place = np.asarray(table.column("place").to_numpy(), dtype=np.int64)
    return Sample(len(place), numbers, codes, words, place)
