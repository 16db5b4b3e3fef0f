"""Lists by cursor: how many rows a page has, and what continues it.

A cursor is the sort key of the last row shown, so a list stays right while rows arrive. It is text that callers hand
back untouched; one that was tampered with is `Invalid`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from aggregator.errors import Invalid
from aggregator.rows import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Row = TypeVar("Row")

LARGEST: Final = 1000
"""Rows of one page, at most."""

START: Final = 2**62
"""Above every id and time."""


def size(limit: int) -> int:
    """`limit` if it is between 1 and `LARGEST`; raises `Invalid` otherwise."""
    if not 1 <= limit <= LARGEST:
        raise Invalid(f"limit = {limit} must be between 1 and {LARGEST}")
    return limit


def id_cursor(cursor: str | None) -> int:
    """The id below which the page begins."""
    if cursor is None:
        return START
    if not cursor.isdecimal() or len(cursor) > 18:
        raise _unknown(cursor)
    return int(cursor)


def timed_cursor(cursor: str | None) -> tuple[int, str]:
    """The `(time, key)` below which the page begins, of a cursor written as `time~key`."""
    if cursor is None:
        return START, ""
    time, separator, key = cursor.partition("~")
    if not separator or not time.isdecimal() or len(time) > 18:
        raise _unknown(cursor)
    return int(time), key


def page(rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str]) -> Page[Row]:
    """A page of `rows`, which were asked for with one more than `limit`."""
    shown = tuple(rows[:limit])
    return Page(shown, cursor_of(shown[-1]) if len(rows) > limit else None)


def _unknown(cursor: str) -> Invalid:
    return Invalid(f"cursor {cursor[:40]!r} was not given by this list; leave it out to start at the beginning")
