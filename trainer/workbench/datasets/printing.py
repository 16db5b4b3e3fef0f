"""A profile as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def profile(told: dict[str, Any]) -> str:
    """The profile as people read it: properties, numbers, words, suspects, notes."""
    parts = [f"{told['rows']:,} rows, {told['columns']:,} columns, {told['duplicates']['rows']:,} repeated rows"]
    parts.append(_table(told["properties"], ("name", "type", "missing", "unique")))
    parts.append(_table(told["numeric"], ("name", "count", "mean", "std", "min", "q25", "median", "q75", "max")))
    parts.append(_table(told["categorical"], ("name", "count", "unique", "top", "frequency")))
    parts.extend(f"may be the label: {one['name']} ({one['reason']})" for one in told["labels"])
    parts.extend(f"suspect: {one['name']} ({one['reason']}; strength {one['strength']})" for one in told["leakage"])
    parts.extend(f"note: {warning}" for warning in told["warnings"])
    return "\n".join(part for part in parts if part)


def _table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    if not rows:
        return ""
    cells = [list(names), *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(names))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n" + "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:40]
