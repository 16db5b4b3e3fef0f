"""Files that appear by rename: whole and on disk, through a power cut as well, or not at all.

What a crash leaves half-written has a name that ends in .tmp, and nobody reads it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A path to write a file at, which takes the name `path` when the block ends well and is gone when it does not.

    Folders on the way are made, what was at `path` is replaced at once. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two who write the same file at once do not write into each other's.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield beside
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the renames in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
