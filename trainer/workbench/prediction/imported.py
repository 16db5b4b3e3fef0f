"""A raw file to predict on, brought in as a data set is: the same reading, the same types, the same refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainer.workbench.datasets.importing import TABLE, Asked, import_table

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workbench.telling import Tell


def table(path: Path, folder: Path, tell: Tell) -> Path:
    """The Parquet table made of the file `path` in `folder`. Raises `TrainerError` as an import does."""
    import_table(
        Asked(source=str(path), out=folder), lambda stage, fraction, message: tell(stage, 0.1 * fraction, message)
    )
    return folder / TABLE
