"""Times in the spellings people use: which one a column follows, and its values as UTC milliseconds.

ISO 8601 first; then day, month and year with strokes, points or dashes, with or without a clock. Whether the day or the
month comes first is decided by a value above twelve, never by the place somebody lives.
"""

from __future__ import annotations

from typing import Any, Final

_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
ISO: Final = "iso"
DAY_FIRST: Final = tuple(f"{day}{clock}" for day in ("%d/%m/%Y", "%d-%m-%Y") for clock in _CLOCKS)
MONTH_FIRST: Final = tuple(f"{day}{clock}" for day in ("%m/%d/%Y", "%m-%d-%Y") for clock in _CLOCKS)
_OTHER: Final = tuple(f"{day}{clock}" for day in ("%Y/%m/%d", "%d.%m.%Y") for clock in _CLOCKS)
FORMATS: Final = (ISO, *DAY_FIRST, *MONTH_FIRST, *_OTHER)


def read(array: Any, written: str) -> Any:
    """Text as moments, or None if a value does not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    target = pa.timestamp("ms", tz="UTC")
    if written != ISO:
        read = pc.strptime(array, format=written, unit="s", error_is_null=True)
        return None if read.null_count != array.null_count else read.cast(pa.timestamp("ms")).cast(target)
    for unit in ("ns", "us"):
        for zone in (None, "UTC"):
            try:
                # Milliseconds are kept; finer parts are cut, not rounded.
                return (
                    array.cast(pa.timestamp(unit, tz=zone)).cast(pa.timestamp("ms", tz=zone), safe=False).cast(target)
                )
            except pa.ArrowInvalid:
                continue
    return None


def order(written: str) -> str:
    """Which part of a date comes first, in words."""
    if written.startswith("%d"):
        return "day first"
    return "month first" if written.startswith("%m") else "year first"
