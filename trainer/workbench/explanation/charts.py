"""Explanations as Apache ECharts options. Pure. Colours and texts are readable on a light and on a dark ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

RAISES: Final = "#d0654f"
LOWERS: Final = "#4c8fdd"
PLAIN: Final = "#4c8fdd"
TEXT: Final = "#768390"
GRID: Final = "rgba(127, 140, 155, 0.25)"
MOST_BARS: Final = 20


def bars(names: Sequence[str], values: Sequence[float], axis: str, *, signed: bool) -> dict[str, Any]:
    """Horizontal bars, the first name on top; with `signed`, what raises the score has another colour."""
    shown = [
        {"value": rounded(value), "itemStyle": {"color": (RAISES if value > 0 else LOWERS) if signed else PLAIN}}
        for value in values[:MOST_BARS]
    ]
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "textStyle": {"color": TEXT},
        "grid": {"left": 8, "right": 24, "top": 8, "bottom": 28, "containLabel": True},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "xAxis": {"type": "value", "name": axis, "nameLocation": "middle", "nameGap": 24, **_axis()},
        "yAxis": {
            "type": "category",
            "inverse": True,
            "data": list(names[:MOST_BARS]),
            **_axis(),
            "axisTick": {"show": False},
        },
        "series": [{"type": "bar", "name": axis, "data": shown, "barCategoryGap": "30%"}],
    }


def curve(
    places: Sequence[Any], mean: Sequence[float], lines: Sequence[Sequence[float]], feature: str, axis: str
) -> dict[str, Any]:
    """The mean over the places as a line, or as bars where the places are words; single rows as thin lines."""
    numbers = all(isinstance(place, float) for place in places)
    horizontal: dict[str, Any] = {"name": feature, "nameLocation": "middle", "nameGap": 26, **_axis()}
    if numbers:
        horizontal |= {"type": "value", "scale": True}
    else:
        horizontal |= {"type": "category", "data": ["missing" if place is None else str(place) for place in places]}

    def points(values: Sequence[float]) -> list[Any]:
        told = [rounded(value) for value in values]
        return [[rounded(x), y] for x, y in zip(places, told, strict=True)] if numbers else told

    thin = [
        {
            "type": "line",
            "data": points(line),
            "showSymbol": False,
            "silent": True,
            "lineStyle": {"color": TEXT, "width": 1, "opacity": 0.25},
            "tooltip": {"show": False},
        }
        for line in lines
    ]
    main: dict[str, Any] = {
        "type": "line" if numbers else "bar",
        "name": axis,
        "data": points(mean),
        "showSymbol": False,
        "z": 5,
    }
    main |= {"lineStyle": {"color": PLAIN, "width": 3}} if numbers else {}
    return {
        "animation": False,
        "backgroundColor": "transparent",
        "textStyle": {"color": TEXT},
        "grid": {"left": 8, "right": 16, "top": 28, "bottom": 28, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": horizontal,
        "yAxis": {"type": "value", "name": axis, "scale": True, **_axis()},
        "series": [*(thin if numbers else []), {**main, "itemStyle": {"color": PLAIN}}],
    }


def rounded(value: float) -> float:
    """Four digits that mean something: a chart shows no more."""
    return float(f"{value:.4g}")


def _axis() -> dict[str, Any]:
    return {
        "axisLabel": {"color": TEXT},
        "nameTextStyle": {"color": TEXT},
        "axisLine": {"lineStyle": {"color": GRID}},
        "splitLine": {"lineStyle": {"color": GRID}},
    }
