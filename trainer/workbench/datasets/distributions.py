"""Distributions of one column over every row: histogram, box and counts, whole or by the values of another column.

Figures of traffic span many powers of ten. Where they do, the bins of a histogram grow with the value, as the note says:
with equal bins nearly every row would stand in the first one.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import numpy as np

from trainer.errors import SettingsUnusable
from trainer.workbench.datasets.columns import identifier
from trainer.workbench.datasets.pictures import Bars, Boxes, Picture, Series, rounded

GROUPS: Final = 8
OTHER: Final = "(other)"
_MISSING: Final = "(missing)"
BINS: Final = 40
_CATEGORIES: Final = 25
_BOXES: Final = 12
_OUTLIERS: Final = 50
_SKEWED: Final = 50
_FAR: Final = 20
"""Values beyond the whiskers that span so many times the whole of the boxes are told of, not drawn."""


def grows(low: float, middle: float, high: float) -> bool:
    """Whether values from `low` to `high`, three quarters of them below `middle`, span many powers of ten."""
    return low >= 0 and high > _SKEWED * (middle + 1)


def histogram(base: Any, x: str, kind: str, by: str | None) -> Picture:
    """How many rows lie in each of 40 ranges of `x`."""
    column = identifier(x)
    value = f"epoch_ms({column})::DOUBLE" if kind == "time" else f"{column}::DOUBLE"
    low, high, middle, missing = _ask(
        base,
        f"SELECT min({value}), max({value}), quantile_cont({value}, 0.75), count(*) - count({column}) FROM t",
    )[0]
    if low is None:
        raise SettingsUnusable(f"drawing a histogram: column {x!r} is empty; choose another one")
    notes = [f"{missing:,} rows without a value are left out"] if missing else []
    growing = kind != "time" and grows(low, middle, high)
    if growing:
        edges = np.expm1(np.linspace(np.log1p(low), np.log1p(high), BINS + 1))
        place = f"(ln({value} + 1) - {np.log1p(low)!r}) / {float(np.log1p(high) - np.log1p(low))!r}"
        notes.append("the ranges grow with the value, since the values span many powers of ten")
    else:
        whole = kind == "integer" and high - low < BINS
        bins = int(high - low) + 1 if whole else BINS
        top = high + 1 if whole else high
        edges = np.linspace(low, top, bins + 1)
        place = f"({value} - {float(low)!r}) / {max(float(top - low), 1e-300)!r}"
    count = len(edges) - 1
    place = place.replace("np.float64(", "(")
    group, names = _groups(base, by)
    rows = _ask(
        base,
        f"SELECT least(greatest(floor({place} * {count}), 0), {count - 1})::INTEGER AS bin, {group} AS g, count(*) "
        f"FROM t WHERE {column} IS NOT NULL GROUP BY bin, g",
    )
    counts = {name: [0] * count for name in names}
    for at, name, found in rows:
        counts[str(name)][int(at)] += int(found)
    labels = _labels(edges, kind)
    series = [Series(name, list(counts[name])) for name in names]
    return Picture(
        "histogram", f"Distribution of {x}" + (f" by {by}" if by else ""), "; ".join(notes), Bars(labels, series, x)
    )


def counts(base: Any, x: str, by: str | None, kind: str) -> Picture:
    """How many rows have each value of `x`: the 25 most frequent ones, and the rest together."""
    column = f"coalesce(left({identifier(x)}::VARCHAR, 60), '{_MISSING}')"
    top = [
        str(value)
        for value, _ in _ask(
            base, f"SELECT {column} AS v, count(*) AS n FROM t GROUP BY v ORDER BY n DESC, v LIMIT {_CATEGORIES + 1}"
        )
    ]
    more = len(top) > _CATEGORIES
    shown = [*top[:_CATEGORIES], OTHER] if more else top
    group, names = _groups(base, by)
    found = {name: dict.fromkeys(shown, 0) for name in names}
    listed = ", ".join(_quoted(value) for value in top[:_CATEGORIES])
    for value, name, rows in _ask(
        base,
        f"SELECT CASE WHEN v IN ({listed}) THEN v ELSE '{OTHER}' END AS c, g, sum(n) FROM "
        f"(SELECT {column} AS v, {group} AS g, count(*) AS n FROM t GROUP BY v, g) GROUP BY c, g",
    ):
        found[str(name)][str(value)] += int(rows)
    series = [Series(name, list(found[name].values())) for name in names]
    note = f"the {_CATEGORIES} most frequent values; all others together are {OTHER}" if more else ""
    return Picture(
        "counts" if kind == "histogram" else kind,
        f"Rows by {x}" + (f" and {by}" if by else ""),
        note,
        Bars(shown, series, x),
    )


def box(base: Any, x: str, by: str | None) -> Picture:
    """Quartiles of `x`, whiskers to the last value within one and a half times the box (Tukey), and some beyond them."""
    column = f"{identifier(x)}::DOUBLE"
    group, names = _groups(base, by, _BOXES)
    boxes, outliers, used = [], [], []
    found = {
        str(name): quartiles
        for name, quartiles in _ask(
            base,
            f"SELECT {group} AS g, quantile_cont({column}, [0.25, 0.5, 0.75]) FROM t WHERE {column} IS NOT NULL GROUP BY g",
        )
    }
    for name in names:
        if name not in found:
            continue
        low, middle, high = found[name]
        reach = 1.5 * (high - low)
        here = f"{group} = {_quoted(name)} AND {column} IS NOT NULL"
        inside = f"{column} BETWEEN {low - reach!r} AND {high + reach!r}"
        bottom, top = _ask(base, f"SELECT min({column}), max({column}) FROM t WHERE {here} AND {inside}")[0]
        boxes.append([rounded(value) for value in (bottom, low, middle, high, top)])
        beyond = _ask(
            base,
            f"SELECT DISTINCT {column} AS v FROM t WHERE {here} AND NOT ({inside}) ORDER BY hash(v) LIMIT {_OUTLIERS}",
        )
        outliers += [[len(used), rounded(value)] for (value,) in beyond]
        used.append(name)
    if not used:
        raise SettingsUnusable(f"drawing a box plot: column {x!r} is empty; choose another one")
    note = f"at most {_OUTLIERS} values beyond the whiskers are drawn for each box" if outliers else ""
    reached, span = [value for _, value in outliers], max(one[4] for one in boxes) - min(one[0] for one in boxes)
    if reached and max(reached) - min(reached) > _FAR * max(span, 1e-300):
        note = f"values beyond the whiskers, from {min(reached):g} to {max(reached):g}, are not drawn: they would flatten the boxes"
        outliers = []
    return Picture("box", f"{x}" + (f" by {by}" if by else ""), note, Boxes(used, boxes, outliers, x))


def _groups(base: Any, by: str | None, most: int = GROUPS) -> tuple[str, list[str]]:
    """SQL that names a row's group, and the groups: the most frequent values, and the rest together."""
    if by is None:
        return "'rows'", ["rows"]
    text = f"coalesce(left({identifier(by)}::VARCHAR, 60), '{_MISSING}')"
    names = [
        str(value)
        for value, _ in _ask(
            base, f"SELECT {text} AS v, count(*) AS n FROM t GROUP BY v ORDER BY n DESC, v LIMIT {most + 1}"
        )
    ]
    if len(names) <= most:
        return text, names
    kept = names[: most - 1]
    listed = ", ".join(_quoted(name) for name in kept)
    return f"CASE WHEN {text} IN ({listed}) THEN {text} ELSE '{OTHER}' END", [*kept, OTHER]


def _labels(edges: Any, kind: str) -> list[str]:
    if kind == "time":
        moments = [dt.datetime.fromtimestamp(edge / 1000, tz=dt.UTC) for edge in edges[:-1]]
        return [moment.strftime("%Y-%m-%d %H:%M") for moment in moments]
    if kind == "integer" and edges[1] - edges[0] == 1 and edges[-1] - edges[-2] == 1:
        return [f"{edge:.0f}" for edge in edges[:-1]]
    return [f"{edge:.4g} to {after:.4g}" for edge, after in zip(edges[:-1], edges[1:], strict=True)]


def _ask(base: Any, sql: str) -> list[Any]:
    return base.execute(sql).fetchall()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
