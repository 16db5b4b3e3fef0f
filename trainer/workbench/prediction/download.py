"""The rows of a prediction as CSV for people with a spreadsheet, guarded against formulas (datasets/guarded.py).

The table is gone through in batches, and the file appears by rename.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from trainer.errors import OutputError
from trainer.workbench.datasets import guarded
from trainer.workbench.prediction.incoming import from_parquet


def save(table: Path, out: Path) -> int:
    """Write the Parquet `table` as CSV to `out`; the number of rows. Raises `TrainerError`."""
    from_parquet(table)  # a file that is no table is refused in words before anything is written
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.", suffix=".partial")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                rows = guarded.write_parquet_as_csv(table, stream)
            Path(partial).chmod(0o644)
            Path(partial).replace(out)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"writing {out}: {error.strerror}; check the folder and the space left") from error
    return rows
