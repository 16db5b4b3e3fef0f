"""Runs side by side: what differs in their settings, and what each model got in each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nicegui import ui

from aggregator.errors import Invalid
from aggregator.web.pages import charts, parts
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import board, drawing, grid, words
from aggregator.workbench import results

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit


async def build(visit: Visit) -> None:
    """The page."""
    asked = [one for one in visit.asked("ids").split(",") if one.isdecimal() and len(one) < 12]
    if len(asked) < 2:
        raise Invalid("tick two to six experiments on the workbench's page to compare them")
    found = await in_thread(results.compare, visit.services, [int(one) for one in asked])
    runs = found.experiments
    parts.trail(("Workbench", "/workbench"))
    with parts.heading("Compare", ", ".join(f"run {run.id}" for run in runs)):
        pass
    parts.notice(sentence(found.note), "info" if found.same_data else "warn")
    with ui.element("div").classes("tiles"):
        for run in runs:
            parts.tile(
                f"{run.id}: {run.name}", run.best_title or "-",
                f"{words.metric(run.metric)} {grid.metric(run.test_value)} on test rows",
                target=f"/workbench/experiments/{run.id}",
            )  # fmt: skip
    titles = [f"{run.id}: {run.name}" for run in runs]
    with parts.panel("The pick of each, on test rows"):
        charts.chart(drawing.ranking(titles, [run.test_value for run in runs], "on test rows"), "The pick of each run")
    with parts.panel("Models, on test rows"):
        metric = (runs[0].metric or "f1").replace("-", "_")
        parts.text("p", f"{board.METRICS.get(metric, metric)}; a dash where a run had no such model.", "muted")
        made = grid.Grid("What each model got in each run")
        made.fill(
            ["Model", *titles],
            [[row["title"], *(_value(entry, metric) for entry in row["entries"])] for row in found.rows],
        )
    with parts.panel("Settings that differ"):
        if not found.settings:
            parts.empty("None.", "These runs were asked to do the same.")
            return
        differing = grid.Grid("Settings that differ")
        differing.fill(
            ["Setting", *titles], [[row["name"], *(_plain(value) for value in row["values"])] for row in found.settings]
        )


def _value(entry: dict[str, Any] | None, metric: str) -> str:
    return grid.metric(((entry or {}).get("test") or {}).get(metric))


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
