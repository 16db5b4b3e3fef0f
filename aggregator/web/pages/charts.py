"""Options for the charts. Pure: figures in, a dictionary for ECharts out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import MinuteCount
from aggregator.web.pages import moments, theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aggregator.rows import TimelinePart

MOST_POINTS: Final = 600
"""Points of one curve that are drawn; a longer one is thinned evenly."""


def per_minute(counts: Sequence[MinuteCount]) -> dict[str, Any]:
    """Alerts per minute as bars."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 8, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "category",
            "data": [moments.minute(count.minute_ms) for count in counts],
            "axisTick": {"show": False},
            "axisLine": {"lineStyle": {"color": theme.GRID}},
            "axisLabel": {"interval": 9},
        },
        "yAxis": {"type": "value", "minInterval": 1, "splitLine": {"lineStyle": {"color": theme.GRID}}},
        "series": [
            {
                "name": "Alerts",
                "type": "bar",
                "barCategoryGap": "25%",
                "itemStyle": {"color": theme.SERIES, "borderRadius": [2, 2, 0, 0]},
                "data": [count.alerts for count in counts],
            }
        ],
    }


def timeline(found: Sequence[TimelinePart]) -> dict[str, Any]:
    """Alerts of an incident over its span as bars."""
    options = per_minute([MinuteCount(part.from_ms, part.alerts) for part in found])
    short = bool(found) and found[-1].from_ms - found[0].from_ms < 2 * 3_600_000
    options["xAxis"]["data"] = [moments.second(part.from_ms) if short else moments.hour(part.from_ms) for part in found]
    options["xAxis"]["axisLabel"] = {"interval": max(0, len(found) // 6)}
    return options


def curves(x_name: str, y_name: str, series: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> dict[str, Any]:
    """Curves over the unit square: the model first, what it is compared with after it."""
    axis = {
        "type": "value",
        "min": 0,
        "max": 1,
        "nameLocation": "middle",
        "splitLine": {"lineStyle": {"color": theme.GRID}},
    }
    return {
        "animation": False,
        "grid": {"left": 46, "right": 14, "top": 34, "bottom": 40},
        "legend": {"top": 0, "icon": "roundRect", "itemHeight": 3},
        "tooltip": {"trigger": "item"},
        "xAxis": {**axis, "name": x_name, "nameGap": 26},
        "yAxis": {**axis, "name": y_name, "nameGap": 32},
        "series": [
            {
                "name": name,
                "type": "line",
                "showSymbol": False,
                "lineStyle": {"width": 2, "type": "solid" if index == 0 else "dashed"},
                "color": (theme.SERIES, theme.BASELINE)[index % 2],
                "data": [[point[0], point[1]] for point in thinned(points)],
            }
            for index, (name, points) in enumerate(series)
        ],
    }


def thinned(points: Sequence[Sequence[float]]) -> Sequence[Sequence[float]]:
    """At most `MOST_POINTS` of the points, the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(index * step)] for index in range(MOST_POINTS)]


def chart(options: dict[str, Any], label: str, *, tall: bool = False) -> ui.echart:
    """A chart with a name for those who cannot see it. Drawn as SVG, so that its text follows the style sheet."""
    made = ui.echart(options, renderer="svg").classes("chart tall" if tall else "chart")
    made.props["role"] = "img"
    made.props["aria-label"] = label
    return made
