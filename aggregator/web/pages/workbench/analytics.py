"""Analytics: plots of a data set, drawn on request, saved with it, and saved as pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import charts, parts, wording
from aggregator.web.pages.visits import in_thread
from aggregator.web.pages.workbench import drawing
from aggregator.workbench import exploring

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import DatasetDetail

KINDS: Final = {
    "histogram": "Distribution of a number",
    "box": "Box plot",
    "scatter": "One number over another",
    "counts": "How often each word occurs",
    "heatmap": "Correlation heat map",
    "embedding": "All rows on a map",
}
"""What can be drawn, in plain words."""

WANTS: Final = {
    "histogram": ("x", "by"), "box": ("x", "by"), "scatter": ("x", "y", "by"), "counts": ("x", "by"),
    "heatmap": (), "embedding": ("by", "method"),
}  # fmt: skip
"""What each kind asks for."""

METHODS: Final = {"pca": "principal components", "tsne": "t-SNE (slower, 1,500 rows)"}
"""How a map of all rows is made, in plain words."""

_NUMBERS: Final = frozenset({"integer", "number"})


async def show(visit: Visit, found: DatasetDetail) -> None:
    """Controls, the plot, and those that were saved."""
    one = found.dataset
    numbers = [column.name for column in found.columns if column.type in _NUMBERS]
    every = [column.name for column in found.columns]
    drawn: list[exploring.Drawing] = []

    def asked() -> exploring.Drawing:
        wanted = WANTS[str(kind.value)]
        given = {"x": x.value, "y": y.value, "by": None if by.value == x.value and "x" in wanted else by.value}
        given["method"] = method.value
        return exploring.Drawing(str(kind.value), **{name: given[name] or None for name in wanted})

    def turned() -> None:
        wanted = WANTS[str(kind.value)]
        for name, control in (("x", x), ("y", y), ("by", by), ("method", method)):
            control.visible = name in wanted
        x.set_options(every if kind.value == "counts" else numbers, value=_first(kind.value, numbers, every, one.label))

    async def draw() -> None:
        with visit.acting() as actor:
            busy.visible = True
            wanted = asked()  # once: the choices may change while it is drawn, and what is saved is what is seen
            try:
                plot = await exploring.plot(visit.services, actor, one.id, one.version, wanted)
            finally:
                busy.visible = False
            drawn[:] = [wanted]
            _put(place, plot)
            keep.set_enabled(True)

    async def save() -> None:
        with visit.acting() as actor:
            await exploring.save_plot(visit.services, actor, one.id, one.version, drawn[0])
            await saved.refresh()
            ui.notify("Saved with the data set", type="positive")

    @ui.refreshable
    async def saved() -> None:
        plots = await in_thread(exploring.list_plots, visit.services, one.id)
        if not plots.items:
            return
        with parts.panel("Saved plots"), ui.element("ul").classes("history"):
            for kept in plots.items:
                with ui.element("li"):
                    parts.button(kept.title, partial(again, kept.id), icon="insert_chart")
                    parts.text("span", f"by {kept.by}", "muted")
                    if visit.may(Role.ANALYST):
                        parts.button("Remove", partial(remove, kept.id), kind="danger")

    async def again(plot_id: int) -> None:
        with visit.acting():
            _put(place, await in_thread(exploring.get_plot, visit.services, plot_id))

    async def remove(plot_id: int) -> None:
        with visit.acting() as actor:
            await exploring.delete_plot(visit.services, actor, plot_id)
            await saved.refresh()

    with parts.panel("Draw"):
        with ui.element("div").classes("filters"):
            kind = ui.select(KINDS, value="histogram" if numbers else "counts", label="Plot", on_change=turned)
            kind.props("outlined dense").classes("wide")
            x = ui.select(numbers or every, value=(numbers or every)[0], label="Column", with_input=True)
            x.props("outlined dense")
            y = ui.select(numbers, value=numbers[1] if len(numbers) > 1 else None, label="Over", with_input=True)
            y.props("outlined dense")
            by = ui.select(every, value=one.label if one.label in every else None, label="By", clearable=True)
            by.props("outlined dense")
            method = ui.select(METHODS, value="pca", label="Made by").props("outlined dense")
            parts.button("Draw", draw, icon="insert_chart", kind="main")
            keep = parts.button("Save", save, icon="bookmark_add")
            keep.set_enabled(False)
            keep.visible = visit.may(Role.ANALYST)
            busy = ui.spinner(size="sm")
            busy.visible = False
        place = ui.element("div")
    turned()
    await saved()


def _first(kind: object, numbers: list[str], every: list[str], label: str | None) -> str | None:
    if kind == "counts":
        words = [name for name in every if name not in numbers]
        return label if label in every else (words or every)[0]
    return numbers[0] if numbers else None


def _put(place: ui.element, plot: dict[str, Any]) -> None:
    place.clear()
    title = str(plot.get("title") or "plot")
    with place:
        parts.text("h2", title)
        charts.chart(drawing.saveable(plot["option"], title), title).classes("square" if _is_square(plot) else "plot")
        if plot.get("note"):
            parts.text("p", str(plot["note"]), "muted")


def _is_square(plot: dict[str, Any]) -> bool:
    return wording.feature(str(plot.get("kind"))) in {"heatmap", "scatter", "embedding"}
