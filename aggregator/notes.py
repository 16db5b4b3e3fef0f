"""Notes: what a person writes beside what they did. Kept as it was written, but for space around it. Pure."""

from __future__ import annotations

from typing import Final

from aggregator.errors import Invalid

LONGEST: Final = 2000
"""Characters."""


def require(note: str) -> str:
    """`note`, tidied. Raises `Invalid` for one that is too long."""
    if len(note) > LONGEST:
        raise Invalid(f"a note has at most {LONGEST} characters, this one {len(note)}")
    return note.strip()
