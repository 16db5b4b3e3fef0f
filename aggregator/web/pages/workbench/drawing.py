"""Charts of the workbench. Pure: a part of a run's JSON in, a dictionary for ECharts out.

Colours are middle tones that stand out from light and dark alike; text takes its colour from the style sheet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aggregator.web.pages import charts, theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Figures = dict[str, Any]

PALETTE: Final = ("#4c8fdd", "#d08a2e", "#4aa96c", "#c75c9b", "#8a7bd8", "#5aa9b5", "#c46a4b", "#8a9a3c")
"""Tells series apart; the first is the one that matters."""

MOST_BARS: Final = 20
SMALLEST_NUMBERED: Final = 12
"""Classes up to which a confusion matrix shows its numbers in the cells."""

_TEXT: Final = {"color": "inherit"}


def roc(curve: Mapping[str, Any]) -> Figures:
    """Share of the strange that is found, over false alarms; chance as the diagonal."""
    points = list(zip(curve.get("fpr", ()), curve.get("tpr", ()), strict=False))
    return charts.curves("False positives", "Found", (("this model", points), ("chance", ((0, 0), (1, 1)))))


def precision_recall(curve: Mapping[str, Any], prevalence: float | None) -> Figures:
    """Precision over recall; always saying "strange" as the baseline."""
    points = list(zip(curve.get("recall", ()), curve.get("precision", ()), strict=False))
    series: list[tuple[str, Sequence[Sequence[float]]]] = [("this model", points)]
    if prevalence is not None:
        series.append(("calling everything strange", ((0, prevalence), (1, prevalence))))
    return charts.curves("Found (recall)", "Right (precision)", series)


def calibration(curve: Mapping[str, Any]) -> Figures:
    """How often it was so, over how sure the model was."""
    points = list(zip(curve.get("predicted", ()), curve.get("observed", ()), strict=False))
    return charts.curves(
        "The model's chance", "How often it was so", (("this model", points), ("exact", ((0, 0), (1, 1))))
    )


def confusion(found: Mapping[str, Any]) -> Figures:
    """What rows are, over what the model called them, as shares of each true class."""
    classes, matrix = [str(one) for one in found["classes"]], found["matrix"]
    cells = [
        [column, row, round(count / max(sum(line), 1), 4), count]
        for row, line in enumerate(matrix)
        for column, count in enumerate(line)
    ]
    few = len(classes) <= SMALLEST_NUMBERED
    return {
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 8, "bottom": 28, "containLabel": True},
        "tooltip": {"position": "top"},
        "xAxis": {"type": "category", "data": classes, "name": "called", "nameLocation": "middle", "nameGap": 26,
                  "splitArea": {"show": False}},
        "yAxis": {"type": "category", "data": classes, "inverse": True, "name": "is", "nameLocation": "start"},
        "visualMap": {"show": False, "min": 0, "max": 1, "dimension": 2, "inRange": {
            "color": ["rgba(76,143,221,0.06)", "rgba(76,143,221,0.55)"]}},
        "series": [{
            "type": "heatmap", "data": cells, "encode": {"x": 0, "y": 1, "value": 2, "tooltip": [3, 2]},
            "label": {"show": few, "formatter": "{@[3]}", **_TEXT},
            "dimensions": ["called", "is", "share of the class", "rows"],
        }],
    }  # fmt: skip


def correlations(found: Mapping[str, Any]) -> Figures:
    """Correlation of every pair of columns, from -1 to 1."""
    names = [str(one) for one in found["names"]]
    cells = [
        [column, row, None if value is None else round(value, 2)]
        for row, line in enumerate(found["matrix"])
        for column, value in enumerate(line)
    ]
    few = len(names) <= SMALLEST_NUMBERED
    return {
        "animation": False,
        "grid": {"left": 8, "right": 12, "top": 8, "bottom": 8, "containLabel": True},
        "tooltip": {"position": "top"},
        "xAxis": {"type": "category", "data": names, "axisLabel": {"rotate": 60, "interval": 0, "fontSize": 10}},
        "yAxis": {"type": "category", "data": names, "inverse": True, "axisLabel": {"interval": 0, "fontSize": 10}},
        "visualMap": {"show": False, "min": -1, "max": 1, "dimension": 2, "inRange": {
            "color": ["rgba(208,138,46,0.6)", "rgba(127,140,155,0.08)", "rgba(76,143,221,0.6)"]}},
        "series": [{"type": "heatmap", "data": cells, "label": {"show": few, **_TEXT}}],
    }  # fmt: skip


def importance(rows: Sequence[Mapping[str, Any]]) -> Figures:
    """What each column is worth to the model, on test and train rows, the most important on top."""
    shown = list(rows)[:MOST_BARS][::-1]
    return _bars(
        [str(row["feature"]) for row in shown],
        (("test", [row.get("test") for row in shown]), ("train", [row.get("train") for row in shown])),
    )


def history(rows: Sequence[Mapping[str, Any]], what: str) -> Figures:
    """Loss (`loss`) or accuracy (`acc`) by epoch, on fitted and on validation rows."""
    names = {what: "fitted rows", f"val_{what}": "validation rows"}
    return lines(
        "Epoch",
        [
            (title, [[row["epoch"], row[key]] for row in rows if row.get(key) is not None])
            for key, title in names.items()
        ],
    )


def lines(x_name: str, series: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> Figures:
    """Curves over whole numbers."""
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 34, "bottom": 24, "containLabel": True},
        "legend": {"top": 0, "icon": "roundRect", "itemHeight": 3},
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "value", "minInterval": 1, "name": x_name, "nameLocation": "middle", "nameGap": 24,
                  "min": "dataMin", "max": "dataMax", "splitLine": {"show": False}},
        "yAxis": {"type": "value", "scale": True, "splitLine": {"lineStyle": {"color": theme.GRID}}},
        "series": [
            {"name": name, "type": "line", "showSymbol": len(points) < 3, "data": [list(one) for one in points],
             "lineStyle": {"width": 2}, "color": PALETTE[at % len(PALETTE)]}
            for at, (name, points) in enumerate(series)
        ],
    }  # fmt: skip


def ranking(names: Sequence[str], values: Sequence[float | None], title: str) -> Figures:
    """One bar a model or run, best on top."""
    return _bars(list(names)[::-1], ((title, list(values)[::-1]),))


def shares(counts: Mapping[str, int]) -> Figures:
    """How many rows got which answer."""
    return {
        "animation": False,
        "tooltip": {"trigger": "item"},
        "legend": {"bottom": 0},
        "series": [{
            "type": "pie", "radius": ["48%", "74%"], "center": ["50%", "44%"], "label": {"show": False},
            "data": [
                {"name": name, "value": value, "itemStyle": {"color": PALETTE[at % len(PALETTE)]}}
                for at, (name, value) in enumerate(counts.items())
            ],
        }],
    }  # fmt: skip


def saveable(option: Mapping[str, Any], name: str) -> Figures:
    """The same chart with a button that saves it as a picture."""
    kept = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in name)[:60] or "plot"
    box = {
        "right": 4,
        "top": -6,
        "feature": {"saveAsImage": {"name": kept, "title": "Save as a picture", "pixelRatio": 2}},
    }
    return {**option, "toolbox": box}


def _bars(names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> Figures:
    return {
        "animation": False,
        "grid": {"left": 8, "right": 20, "top": 26 if len(series) > 1 else 8, "bottom": 4, "containLabel": True},
        "legend": {"show": len(series) > 1, "top": 0, "itemHeight": 8},
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "xAxis": {"type": "value", "splitLine": {"lineStyle": {"color": theme.GRID}}},
        "yAxis": {"type": "category", "data": list(names), "axisTick": {"show": False}},
        "series": [
            {"name": name, "type": "bar", "data": list(values),
             "itemStyle": {"color": PALETTE[at % len(PALETTE)], "borderRadius": [0, 2, 2, 0]}}
            for at, (name, values) in enumerate(series)
        ],
    }  # fmt: skip
