"""Names of columns: every one there, without spaces around it, and no two alike. What was changed is said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST: Final = 128
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Named:
    """Final names, the original of each that was changed, and what there is to say."""

    names: tuple[str, ...]
    was: dict[str, str]
    warnings: tuple[str, ...]


def clean(originals: Sequence[str]) -> Named:
    """Names for columns that are called `originals` in their source."""
    names: list[str] = []
    was: dict[str, str] = {}
    taken: set[str] = set()
    wanted = {_plain(original) for original in originals}
    empty, twice = [], []
    for at, original in enumerate(originals, start=1):
        plain = _plain(original)
        if not plain:
            empty.append(at)
        name = base = plain or f"column_{at}"
        again = 1
        while name in taken or (again > 1 and name in wanted):
            again += 1
            name = f"{base}_{again}"
        if again > 1 and plain:
            twice.append(f"{plain!r} (now {name!r})")
        taken.add(name)
        names.append(name)
        if name != original:
            was[name] = original
    warnings = []
    if empty:
        warnings.append(f"{_columns(len(empty))} without a name: called by number, such as column_{empty[0]}")
    if twice:
        rest = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
        warnings.append(f"more than one column had the same name: {', '.join(twice[:_SHOWN])}{rest}")
    return Named(tuple(names), was, tuple(warnings))


def _plain(name: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f]+", " ", name).strip()[:_LONGEST].strip()


def _columns(count: int) -> str:
    return "one column" if count == 1 else f"{count} columns"
