"""A picture as an image file, SVG or PNG, through matplotlib: for reports, where there is no page to draw on.

The ground is white and the text dark, as paper is. The same picture gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trainer.appearing import appearing
from trainer.workbench.datasets.plots.echarts import DIVERGING, PALETTE
from trainer.workbench.datasets.plots.pictures import Bars, Boxes, Points

if TYPE_CHECKING:
    from pathlib import Path

    from trainer.workbench.datasets.plots.pictures import Grid, Picture

_SHOWN: Final = 25
"""Most names along an axis."""
_MOST_LABELLED: Final = 60


def save(picture: Picture, path: Path) -> None:
    """Draw into `path`, whose suffix says how. Raises `OutputError`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure

    # No date and no random names: the same picture, the same bytes. Dollar signs in names are no formulas.
    with mpl.rc_context({"svg.hashsalt": "anomaflow", "text.parse_math": False}):
        figure = Figure(figsize=(9, 6), layout="constrained")
        axes = figure.add_subplot()
        _draw(figure, axes, picture)
        axes.set_title(picture.title)
        if picture.note:
            figure.supxlabel(picture.note, fontsize=8)
        kind = path.suffix.lower().removeprefix(".")
        with appearing(path) as beside:
            figure.savefig(beside, format=kind, dpi=120, metadata={"Date": None} if kind == "svg" else None)


def _draw(figure: Any, axes: Any, picture: Picture) -> None:
    shape = picture.shape
    if isinstance(shape, Bars):
        _bars(axes, shape)
    elif isinstance(shape, Boxes):
        _boxes(axes, shape)
    elif isinstance(shape, Points):
        for at, cloud in enumerate(shape.clouds):
            x, y = zip(*cloud.points, strict=True) if cloud.points else ((), ())
            axes.scatter(x, y, s=8, alpha=0.6, color=PALETTE[at % len(PALETTE)], label=cloud.name, linewidths=0)
        axes.set_xlabel(shape.x_name)
        axes.set_ylabel(shape.y_name)
        if len(shape.clouds) > 1:
            axes.legend(fontsize=8)
    else:
        _grid(figure, axes, shape)


def _bars(axes: Any, shape: Bars) -> None:
    base = [0.0] * len(shape.categories)
    places = range(len(shape.categories))
    for at, one in enumerate(shape.series):
        axes.bar(places, one.values, bottom=base, width=0.95, color=PALETTE[at % len(PALETTE)], label=one.name)
        base = [low + value for low, value in zip(base, one.values, strict=True)]
    _names(axes, shape.categories)
    axes.set_xlabel(shape.x_name)
    axes.set_ylabel(shape.y_name)
    if len(shape.series) > 1:
        axes.legend(fontsize=8)


def _boxes(axes: Any, shape: Boxes) -> None:
    keys = ("whislo", "q1", "med", "q3", "whishi")
    boxes = [dict(zip(keys, box, strict=True)) for box in shape.boxes]
    axes.bxp(boxes, positions=range(len(boxes)), showfliers=False)
    if shape.outliers:
        x, y = zip(*shape.outliers, strict=True)
        axes.scatter(x, y, s=6, alpha=0.5, color=PALETTE[1], linewidths=0)
    _names(axes, shape.categories)
    axes.set_ylabel(shape.y_name)


def _grid(figure: Any, axes: Any, shape: Grid) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("signs", DIVERGING)
    values = [[float("nan") if value is None else value for value in row] for row in shape.matrix]
    image = axes.imshow(values, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    figure.colorbar(image, ax=axes, label="correlation")
    size = 8 if len(shape.names) <= _SHOWN else 5
    if len(shape.names) <= _MOST_LABELLED:
        axes.set_xticks(range(len(shape.names)), shape.names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(shape.names)), shape.names, fontsize=size)


def _names(axes: Any, names: list[str]) -> None:
    step = -(-len(names) // _SHOWN)
    shown = list(range(0, len(names), step))
    axes.set_xticks(shown, [names[at] for at in shown], rotation=45, ha="right", fontsize=8)
