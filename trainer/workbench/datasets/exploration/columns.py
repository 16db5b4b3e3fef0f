"""Each column on its own, over every row: what is missing, how many different values, quantiles, most frequent value.

DuckDB reads the columns in groups, so that wide tables stay within memory. Quantiles are exact and interpolated, and
the standard deviation is the sample's, as people know them from pandas' `describe`.
"""

# ruff: noqa: S608 - columns are quoted by `identifier`

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GROUP: Final = 8
NUMBERS: Final = frozenset({"integer", "number"})
"""Types of columns that arithmetic is done with."""
_WORDS: Final = frozenset({"categorical", "text", "boolean"})
_APPROXIMATE_ROWS: Final = 3_000_000
"""Above so many rows quantiles are approximate (t-digest)."""


@dataclass(slots=True)
class Counted:
    """What was counted, in the order of the columns."""

    properties: list[dict[str, Any]] = field(default_factory=list)
    numeric: list[dict[str, Any]] = field(default_factory=list)
    categorical: list[dict[str, Any]] = field(default_factory=list)
    moments: list[dict[str, Any]] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)

    def unique(self, name: str) -> int:
        """Different values of a column."""
        return next(int(one["unique"]) for one in self.properties if one["name"] == name)


def identifier(name: str) -> str:
    """A column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def count(base: Any, kinds: dict[str, str], rows: int, *, exact: bool, tell: Callable[[float], None]) -> Counted:
    """Count every column of the view `t`."""
    counted = Counted()
    names = list(kinds)
    for start in range(0, len(names), _GROUP):
        for name, row in zip(*_group(base, names[start : start + _GROUP], kinds, rows, exact=exact), strict=True):
            _add(counted, name, kinds[name], row, rows)
        tell((start + _GROUP) / (len(names) + _GROUP))
    for one in counted.categorical:
        one["top"], one["frequency"] = _top(base, one["name"])
    counted.constants = [one["name"] for one in counted.properties if one["unique"] <= 1]
    return counted


def duplicates(base: Any, names: Sequence[str], rows: int) -> int:
    """Rows that repeat an earlier one exactly, by a 64-bit hash of each row."""
    listed = ", ".join(identifier(name) for name in names)
    different = base.execute(f"SELECT count(DISTINCT hash({listed})) FROM t").fetchall()[0][0]
    return max(rows - int(different), 0)


def _group(
    base: Any, names: Sequence[str], kinds: dict[str, str], rows: int, *, exact: bool
) -> tuple[Sequence[str], list[dict[str, Any]]]:
    parts: list[tuple[str, str, str]] = []
    for name in names:
        column = identifier(name)
        parts += [
            (name, "there", f"count({column})"),
            (name, "unique", f"count(DISTINCT {column})" if exact else f"approx_count_distinct({column})"),
            (name, "min", f"min({column})"),
            (name, "max", f"max({column})"),
        ]
        if kinds[name] in NUMBERS:
            quantile = "quantile_cont" if rows <= _APPROXIMATE_ROWS else "approx_quantile"
            parts += [
                (name, "mean", f"avg({column})"),
                (name, "std", f"stddev_samp({column}::DOUBLE)"),
                (name, "quartiles", f"{quantile}({column}::DOUBLE, [0.25, 0.5, 0.75])"),
                (name, "zeros", f"count(*) FILTER ({column} = 0)"),
            ]
    answer = base.execute(f"SELECT {', '.join(sql for _, _, sql in parts)} FROM t").fetchall()[0]
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for (name, what, _), value in zip(parts, answer, strict=True):
        found[name][what] = value
    return names, [found[name] for name in names]


def _add(counted: Counted, name: str, kind: str, row: dict[str, Any], rows: int) -> None:
    there = int(row["there"])
    # An approximate count may say two where every value is the same, or more than there are.
    unique = min(int(row["unique"]), there) if row["min"] != row["max"] else min(there, 1)
    counted.properties.append(
        {
            "name": name,
            "type": kind,
            "missing": rows - there,
            "missing_share": _plain((rows - there) / rows),
            "unique": max(unique, 2) if row["min"] != row["max"] else unique,
        }
    )
    if kind in NUMBERS:
        low, middle, high = row["quartiles"] or (None, None, None)
        counted.numeric.append(
            {
                "name": name,
                "count": there,
                "mean": _plain(row["mean"]),
                "std": _plain(row["std"]),
                "min": _plain(row["min"]),
                "q25": _plain(low),
                "median": _plain(middle),
                "q75": _plain(high),
                "max": _plain(row["max"]),
                "zeros": int(row["zeros"]),
            }
        )
    elif kind in _WORDS:
        counted.categorical.append({"name": name, "count": there, "unique": unique, "top": None, "frequency": 0})
    else:
        counted.moments.append({"name": name, "count": there, "first": _iso(row["min"]), "last": _iso(row["max"])})


def _top(base: Any, name: str) -> tuple[str | None, int]:
    """The most frequent value, the first in the alphabet of equals."""
    column = identifier(name)
    found = base.execute(
        f"SELECT {column}::VARCHAR AS v, count(*) AS n FROM t WHERE {column} IS NOT NULL GROUP BY v "
        "ORDER BY n DESC, v LIMIT 1"
    ).fetchall()
    return (str(found[0][0])[:200], int(found[0][1])) if found else (None, 0)


def _plain(value: Any) -> float | int | None:
    if value is None:
        return None
    if isinstance(value, int):
        return value
    return float(f"{float(value):.10g}") if math.isfinite(value) else None


def _iso(value: Any) -> str | None:
    return None if value is None else str(value.isoformat(timespec="milliseconds"))
