"""The rows of a prediction as CSV for people with a spreadsheet, guarded against formulas (datasets/guarded.py).

The table is gone through in batches, and the file appears by rename.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.appearing import appearing
from trainer.workbench.datasets import guarded
from trainer.workbench.prediction.incoming import from_parquet

if TYPE_CHECKING:
    from pathlib import Path


def save(table: Path, out: Path) -> int:
    """Write the Parquet `table` as CSV to `out`; the number of rows. Raises `TrainerError`."""
    from_parquet(table)  # a file that is no table is refused in words before anything is written
    with appearing(out) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        return guarded.write_parquet_as_csv(table, stream)
