"""New rows through a model: a file, pasted rows, a data set that is here, or one row typed in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import parts, tables, wording
from aggregator.web.pages.tables import Cell, Column, Row
from aggregator.web.pages.visits import in_thread
from aggregator.web.pages.workbench import prediction, uploads, words
from aggregator.workbench import catalogue, datasets, experiments, predictions, results

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aggregator.users import Principal
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Experiment, Prediction

COLUMNS = (
    Column("source", "Rows from", "lead"),
    Column("model", "Model"),
    Column("rows", "Rows", "number"),
    Column("strange", "Strange", "number"),
    Column("made", "Made", "narrow"),
    Column("state", "State", "narrow end"),
)
DIFFERING = {
    "rename_alike": "take names that differ in spelling only",
    "fill_missing": "fill in typical values, however many are missing",
}
"""What may be done where the columns of the rows are not those of the model; named as in REST."""

MOST_FIELDS = 60
"""Columns up to which one row can be typed in."""


def row(found: Prediction) -> Row:
    """A prediction as the table shows it."""
    return Row(
        found.id,
        {
            "source": Cell(found.source, href=f"/workbench/predictions/{found.id}"),
            "model": Cell(catalogue.title_of(found.model)),
            "rows": Cell("-" if found.rows is None else wording.count(found.rows)),
            "strange": Cell("-" if found.anomalies is None else wording.count(found.anomalies)),
            "made": Cell(ms=found.created_ms),
            "state": Cell(words.state(found.state), tone=words.tone(found.state)),
        },
        about=found.source,
    )


async def build(visit: Visit) -> None:
    """The page."""
    services, experiment_id = visit.services, visit.number("experiment_id")
    one = await in_thread(experiments.get_experiment, services, experiment_id)
    result = await in_thread(results.result, services, experiment_id)
    titles = {str(m["name"]): str(m["title"]) for m in result.get("leaderboard", ()) if m.get("state") == "done"}
    asked = visit.asked("model")
    model = asked if asked in titles else one.best
    chosen: dict[str, str | None] = {"model": model, **{key: "true" for key in DIFFERING if visit.asked(key)}}

    def turned(key: str, value: str | None) -> None:
        ui.navigate.to(wording.link(f"/workbench/experiments/{one.id}/predict", **(chosen | {key: value})))

    async def arrived(answer: dict[str, Any]) -> None:
        ui.navigate.to(f"/workbench/predictions/{answer['id']}")

    parts.trail(("Workbench", "/workbench"), (one.name, f"/workbench/experiments/{one.id}"))
    with parts.heading("Predict", f"with {titles.get(model, model)}"):
        if len(titles) > 1:
            other = ui.select(titles, value=model if model in titles else None, label="Model")
            other.props("outlined dense").style("min-width: 13rem")
            other.on_value_change(lambda event: turned("model", event.value))
    if visit.may(Role.ANALYST):
        with ui.element("div").classes("line"):
            parts.text("span", "Columns that differ:", "muted")
            for key, title in DIFFERING.items():
                tick = ui.checkbox(title, value=key in chosen)
                tick.on_value_change(lambda event, key=key: turned(key, "true" if event.value else None))
        matching = predictions.Matching(rename_alike="rename_alike" in chosen, fill_missing="fill_missing" in chosen)
        await _ways(visit, one, model, matching, arrived)
    with parts.panel("Predictions so far", flush=True):
        before = tables.Table(COLUMNS, label="Predictions, newest first")
        with ui.element("div") as none_yet:
            how = "Upload a file, or paste a few rows." if visit.may(Role.ANALYST) else "Analysts make them."
            parts.empty("No prediction yet.", how)

    async def refresh() -> None:
        page = await in_thread(predictions.list_predictions, services, experiment_id=one.id, limit=20)
        before.fill([row(found) for found in page.items])
        none_yet.visible = not page.items

    await refresh()
    visit.follow("prediction", refresh=refresh)


async def _ways(
    visit: Visit,
    one: Experiment,
    model: str,
    matching: predictions.Matching,
    arrived: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    with ui.element("div").classes("columns"):
        with parts.panel("A file"):
            parts.text(
                "p", "With the columns of the data set; what differs is explained. The label may be missing.", "muted"
            )
            address = wording.link(f"/api/v1/experiments/{one.id}/predict/upload", model=model, **_asked(matching))
            uploads.picker("Upload a file to predict", address, arrived)
        with parts.panel("A data set that is here"):
            await _dataset(visit, one, model, matching)
        with parts.panel("Pasted rows"):
            _pasted(visit, one, model, matching)
    with parts.panel("One row"), ui.expansion("Type it in").props("dense dense-toggle").style("width: 100%") as typed:
        await _typed(visit, one, model, typed)


def _asked(matching: predictions.Matching) -> dict[str, str]:
    """As parameters of REST."""
    return {key: "true" for key in DIFFERING if getattr(matching, key)}


async def _dataset(visit: Visit, one: Experiment, model: str, matching: predictions.Matching) -> None:
    page = await in_thread(datasets.list_datasets, visit.services, limit=200)
    ready = {found.id: f"{found.name} ({words.shape(found)})" for found in page.items if found.state == "ready"}

    async def go() -> None:
        with visit.acting() as actor:
            made = await predictions.predict_dataset(
                visit.services,
                actor,
                one.id,
                model=model or None,
                dataset_id=int(chosen.value or 0),
                matching=matching,
            )
            ui.navigate.to(f"/workbench/predictions/{made.id}")

    chosen = (
        ui.select(ready, value=next(iter(ready), None), label="Data set").props("outlined dense").style("width: 100%")
    )
    parts.button("Predict it", go)


def _pasted(visit: Visit, one: Experiment, model: str, matching: predictions.Matching) -> None:
    text = ui.textarea("A heading line, then rows; CSV or copied from a spreadsheet")
    text.props("outlined dense autogrow maxlength=1000000 input-style='max-height: 14rem'").style("width: 100%")

    async def go() -> None:
        with visit.acting() as actor:
            made = await predictions.predict_text(
                visit.services, actor, one.id, text.value or "", model=model or None, matching=matching
            )
            ui.navigate.to(f"/workbench/predictions/{made.id}")

    parts.button("Predict these rows", go)


async def _typed(visit: Visit, one: Experiment, model: str, holder: ui.expansion) -> None:
    if not model:
        return
    form = (await in_thread(predictions.row_form, visit.services, one.id, model))[:MOST_FIELDS]
    given: dict[str, Any] = {}

    async def go() -> None:
        with visit.acting() as actor:
            busy.visible = True
            try:
                found = await _one(visit, actor, one, model, given)
            finally:
                busy.visible = False
            place.clear()
            with place:
                prediction.one_row(found)

    with holder, ui.element("div").classes("filters"):
        for column in form:
            name, start = str(column["name"]), column.get("fill")
            given[name] = start
            _field(column, name, start, partial(given.__setitem__, name))
        parts.button("Predict this row", go, kind="main")
        busy = ui.spinner(size="sm")
        busy.visible = False
    with holder:
        place = ui.element("div")


def _field(column: dict[str, Any], name: str, start: Any, changed: Callable[[Any], None]) -> None:
    def heard(event: Any) -> None:
        changed(event.value)

    if column.get("kind") != "word":
        ui.number(name, value=start, on_change=heard).props("outlined dense")
        return
    known = sorted({*(str(word) for word in column.get("words") or ()), str(start or "")})
    made = ui.select(
        known, value=str(start or ""), label=name, with_input=True, new_value_mode="add-unique", on_change=heard
    )
    made.props("outlined dense")


async def _one(visit: Visit, actor: Principal, one: Experiment, model: str, given: dict[str, Any]) -> dict[str, Any]:
    return await predictions.predict_row(visit.services, actor, one.id, given, model=model)
