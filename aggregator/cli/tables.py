"""What people read: aligned tables, times, sizes. Pure functions of what the API answered."""

from __future__ import annotations

import datetime as dt
import json
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}


def show(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, Callable[[Any], str]]], *, as_json: bool
) -> None:
    """Print rows: as JSON Lines, or as a table of `(heading, how to get the text from a row)`."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    lines = [[clean(text(row)) for _, text in columns] for row in rows]
    if not lines:
        print("(nothing)")
        return
    print(align([heading for heading, _ in columns], lines))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All fields of rows as a table."""
    if not rows:
        return "(nothing)"
    return align(list(rows[0]), [[clean(field(name, row[name])) for name in rows[0]] for row in rows])


def card(row: Mapping[str, Any]) -> str:
    """One row, a line a field."""
    width = max(len(name) for name in row)
    return "\n".join(f"{name.ljust(width)}  {clean(field(name, value))}" for name, value in row.items())


def align(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest text; numbers to the right."""
    widths = [max(len(line[place]) for line in (headings, *lines)) for place in range(len(headings))]
    numeric = [all(_is_number(line[place]) for line in lines) for place in range(len(headings))]

    def row(line: Sequence[str]) -> str:
        texts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        return "  ".join(texts).rstrip()

    return "\n".join([row(headings), *map(row, lines)])


def field(name: str, value: Any) -> str:
    """A value in the form its field's name asks for."""
    if value is None:
        return "-"
    if name.endswith("_ms") and isinstance(value, int):
        return when(value)
    if name == "digest" or name.endswith("_digest"):
        return str(value)[:12] or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict | list):
        return json.dumps(value)
    return str(value)


def when(milliseconds: int | None) -> str:
    """A time, UTC, to the second."""
    if not milliseconds:
        return "-"
    try:
        moment = dt.datetime.fromtimestamp(milliseconds / 1000, tz=dt.UTC)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def endpoint(row: Mapping[str, Any], side: str) -> str:
    """`address:port` of `src` or `dst`, with brackets around an IPv6 address."""
    address, port = row[f"{side}_ip"], row[f"{side}_port"]
    text = f"[{address}]" if ":" in address else address
    return f"{text}:{port}" if port else str(address)


def protocol(number: int) -> str:
    """A protocol's name, or its number."""
    return PROTOCOLS.get(number, str(number))


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return str(count)


def clean(text: str) -> str:
    """`text` without control characters: what an agent wrote must not steer a terminal."""
    return "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in text)


def _is_number(text: str) -> bool:
    return text == "-" or text.replace(".", "", 1).replace("-", "", 1).isdigit()
