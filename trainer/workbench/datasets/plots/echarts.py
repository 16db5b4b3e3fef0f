"""A picture as an Apache ECharts option object.

No colour of text, axis or ground is named, so that the page's light and dark mode decide; the colours of data are
chosen to be told apart on both grounds and by colour-blind readers (Okabe and Ito).
"""

from __future__ import annotations

from typing import Any, Final

from trainer.workbench.datasets.plots.pictures import Bars, Boxes, Grid, Picture, Points

FORMAT: Final = "anomaflow-plot-1"
PALETTE: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b2a300", "#8c8c8c")
DIVERGING: Final = ("#0072b2", "#9ecae1", "#c7c7c7", "#fdae6b", "#d55e00")
_LARGE: Final = 2_000
_ROTATE: Final = 12


def plot(picture: Picture) -> dict[str, Any]:
    """The plot as it is saved: format, kind, title, note and option."""
    return {
        "format": FORMAT,
        "kind": picture.kind,
        "title": picture.title,
        "note": picture.note,
        "option": option(picture),
    }


def option(picture: Picture) -> dict[str, Any]:
    """The option object alone."""
    shape = picture.shape
    base: dict[str, Any] = {
        "backgroundColor": "transparent",
        "color": list(PALETTE),
        "animation": False,
        "grid": {"left": 8, "right": 24, "top": 56, "bottom": 48, "containLabel": True},
        "toolbox": {"right": 8, "feature": {"saveAsImage": {}, "dataZoom": {}, "restore": {}}},
    }
    if isinstance(shape, Bars):
        return base | _bars(shape)
    if isinstance(shape, Boxes):
        return base | _boxes(shape)
    if isinstance(shape, Points):
        return base | _points(shape)
    return base | _grid(shape)


def _bars(shape: Bars) -> dict[str, Any]:
    return {
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        **_legend([one.name for one in shape.series]),
        "xAxis": _categories(shape.categories, shape.x_name),
        "yAxis": {"type": "value", "name": shape.y_name},
        "series": [
            {"type": "bar", "name": one.name, "stack": "all", "barCategoryGap": "4%", "data": one.values}
            for one in shape.series
        ],
    }


def _boxes(shape: Boxes) -> dict[str, Any]:
    return {
        "tooltip": {"trigger": "item"},
        "xAxis": _categories(shape.categories, ""),
        "yAxis": {"type": "value", "name": shape.y_name, "scale": True},
        "series": [
            {"type": "boxplot", "name": shape.y_name, "data": shape.boxes},
            {"type": "scatter", "name": "beyond the whiskers", "symbolSize": 4, "data": shape.outliers},
        ],
    }


def _points(shape: Points) -> dict[str, Any]:
    return {
        "tooltip": {"trigger": "item"},
        **_legend([cloud.name for cloud in shape.clouds]),
        "xAxis": {"type": "value", "name": shape.x_name, "nameLocation": "middle", "nameGap": 28, "scale": True},
        "yAxis": {"type": "value", "name": shape.y_name, "scale": True},
        "series": [
            {
                "type": "scatter",
                "name": cloud.name,
                "symbolSize": 5,
                "large": len(cloud.points) > _LARGE,
                "itemStyle": {"opacity": 0.6},
                "data": cloud.points,
            }
            for cloud in shape.clouds
        ],
    }


def _grid(shape: Grid) -> dict[str, Any]:
    data = [
        [column, row, value]
        for row, line in enumerate(shape.matrix)
        for column, value in enumerate(line)
        if value is not None
    ]
    return {
        "tooltip": {"position": "top"},
        "grid": {"left": 8, "right": 24, "top": 16, "bottom": 72, "containLabel": True},
        "xAxis": {"type": "category", "data": shape.names, "axisLabel": {"rotate": 60, "interval": "auto"}},
        "yAxis": {"type": "category", "data": shape.names, "inverse": True, "axisLabel": {"interval": "auto"}},
        "visualMap": {
            "min": -1,
            "max": 1,
            "precision": 2,
            "calculable": True,
            "orient": "horizontal",
            "left": "center",
            "bottom": 0,
            "inRange": {"color": list(DIVERGING)},
        },
        "series": [{"type": "heatmap", "name": "correlation", "data": data, "progressive": 2000}],
    }


def _categories(names: list[str], title: str) -> dict[str, Any]:
    turned = {"rotate": 45} if len(names) > _ROTATE or any(len(name) > _ROTATE for name in names) else {}
    return {
        "type": "category",
        "data": names,
        "name": title,
        "nameLocation": "middle",
        "nameGap": 84 if turned else 36,
        "axisLabel": {"hideOverlap": True, **turned},
    }


def _legend(names: list[str]) -> dict[str, Any]:
    return {"legend": {"type": "scroll", "top": 0, "left": 0, "right": 120, "data": names}} if len(names) > 1 else {}
