"""What a run says while it goes: `events.jsonl`, read on from a place in it. Its lines are data, not trusted.

A place is a number of bytes. Only whole lines are read, so a line that is being written is read the next time.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

TEXT: Final = 500
"""Longest message that is kept."""

MOST: Final = 1 << 20
"""Bytes read at a time; a longer line is skipped."""


def read(path: Path, place: int, *, limit: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """The events from `place` on, at most `limit`, and the place after them. Lines that are no event are left out."""
    try:
        with path.open("rb") as file:
            file.seek(place)
            chunk = file.read(MOST)
    except FileNotFoundError:
        return [], place
    whole, newline, rest = chunk.rpartition(b"\n")
    if not newline:
        return [], place + len(rest) if len(rest) == MOST else place
    events: list[dict[str, Any]] = []
    for line in whole.split(b"\n"):
        if limit is not None and len(events) == limit:
            break
        place += len(line) + 1
        if event := parse(line):
            events.append(event)
    return events, place


def size(path: Path) -> int:
    """Where the next event will begin."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def parse(line: bytes) -> dict[str, Any]:
    """An event with its texts cut and its fraction within bounds; {} for any other line."""
    try:
        event = json.loads(line)
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            return {}
    except ValueError:
        return {}
    kept = {str(name)[:64]: _plain(value) for name, value in list(event.items())[:32]}
    if "fraction" in kept:
        fraction = kept["fraction"]
        kept["fraction"] = min(1.0, max(0.0, float(fraction))) if isinstance(fraction, int | float) else 0.0
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float) else json.dumps(value)[:TEXT]
