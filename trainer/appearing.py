"""Files that appear by rename: whole and on disk, or not at all. What was there before stays until then."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

from trainer.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A path to write a file at, which takes the name `path` when the block ends well and is gone when it does not.

    Folders on the way are made. Raises `OutputError` for an `OSError`, the block's own among them.
    """
    # A name nobody can foresee: in a folder of many users another's link might be waiting under one that they could.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"writing {path}: {error.strerror or error}; check the folder and the space left") from error


def write(path: Path, held: bytes) -> None:
    """Put `held` at `path`. Raises `OutputError`."""
    with appearing(path) as beside:
        beside.write_bytes(held)
