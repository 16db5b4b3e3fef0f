"""Cost: seconds to fit, bytes a model holds, rows a second on one core."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

_TASKS: Final = Path("/proc/self/task")
_TIMED_ROWS: Final = 4096


def rows_a_second(
    score: Callable[[NDArray[np.float32]], Any], rows: NDArray[np.float32], clock: Callable[[], float]
) -> float:
    """Rows scored in a second, with every thread of this process on one core."""
    rows = rows[:_TIMED_ROWS]
    with one_core():
        score(rows[:64])
        start = clock()
        score(rows)
        taken = clock() - start
    return len(rows) / max(taken, 1e-9)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Hold all threads of this process on one core, where the system can."""
    before = {task: _cores(task) for task in _tasks()}
    everywhere = os.sched_getaffinity(0)
    for task in before:
        _hold(task, {min(everywhere)})
    try:
        yield
    finally:
        for task in _tasks():
            _hold(task, before.get(task) or everywhere)


def size(model: Any) -> int:
    """Bytes of all the numbers a fitted model holds: the arrays in it, however deep."""
    return _size(model, {})


def _size(value: Any, seen: dict[int, Any]) -> int:
    if id(value) in seen or isinstance(value, str | bytes | int | float | type | None):
        return 0
    seen[id(value)] = value  # held, so that no other object gets its number meanwhile
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, dict):
        return sum(_size(part, seen) for name, part in value.items() if name != "model_")
    if isinstance(value, list | tuple | set | frozenset):
        return sum(_size(part, seen) for part in value)
    if callable(value) or type(value).__module__.split(".")[0] in {"tensorflow", "keras"}:
        return 0
    try:
        state = value.__getstate__()
    except (TypeError, AttributeError):
        return 0
    return _size(state, seen)


def _tasks() -> list[int]:
    return [int(path.name) for path in _TASKS.iterdir()] if _TASKS.is_dir() else [0]


def _cores(task: int) -> set[int]:
    try:
        return os.sched_getaffinity(task)
    except OSError:  # a thread may end at any moment
        return set()


def _hold(task: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):
        os.sched_setaffinity(task, cores)
