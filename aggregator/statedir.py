"""The state directory: one aggregator at a time."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from aggregator.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(state_dir: Path) -> Iterator[None]:
    """Hold the state directory for one aggregator. Raises `StateError` when another one has it."""
    try:
        handle = (state_dir / "lock").open("a")
    except OSError as error:
        raise StateError(f"opening {state_dir}: {error.strerror}; check the directory and its rights") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"another aggregator is running on {state_dir}; stop it first") from None
        yield
