"""A prediction: how many rows got which answer, what did not fit, and the rows with score and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import charts, parts, wording
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import board, dialogs, drawing, grid, words
from aggregator.workbench import catalogue, predictions

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Prediction

PAGE: Final = 25
ANSWERS: Final = ("prediction", "score", "chance", "reasons")
"""Columns a prediction adds; they are shown first."""


async def build(visit: Visit) -> None:
    """The page."""
    services, prediction_id = visit.services, visit.number("prediction_id")
    one = await in_thread(predictions.get_prediction, services, prediction_id)
    shown = ""

    async def refresh() -> None:
        nonlocal one, shown
        one = await in_thread(predictions.get_prediction, services, prediction_id)
        top.refresh()
        if str(one.state) != shown:
            shown = str(one.state)
            await found.refresh()

    @ui.refreshable
    def top() -> None:
        _top(visit, one)

    @ui.refreshable
    async def found() -> None:
        if not words.under_way(one.state):
            summary = await in_thread(predictions.prediction_summary, services, prediction_id)
            if summary:
                await _show(visit, one, summary)

    parts.trail(
        ("Workbench", "/workbench"),
        (one.experiment_name, f"/workbench/experiments/{one.experiment_id}"),
        ("Predict", wording.link(f"/workbench/experiments/{one.experiment_id}/predict", model=one.model)),
    )
    top()
    await found()
    shown = str(one.state)
    visit.follow("prediction", refresh=refresh)


def one_row(found: dict[str, Any]) -> None:
    """The answer for one row, with its reasons and what of it did not fit."""
    answer = found.get("row") or {}
    with ui.element("div").classes("line"):
        parts.chip(str(answer.get("prediction")), "info")
        for name in ("score", "chance"):
            if answer.get(name) is not None:
                parts.text("span", f"{name} {grid.figure(float(answer[name]))}", "muted")
    if answer.get("reasons"):
        parts.text("p", str(answer["reasons"]))
    _differences(found.get("schema") or {})


def _top(visit: Visit, one: Prediction) -> None:
    with parts.heading("Prediction", f"{catalogue.title_of(one.model)} on {one.source}"):
        parts.chip(words.state(one.state), words.tone(one.state))
        if str(one.state) == "done":
            parts.link("Download as CSV", f"/api/v1/predictions/{one.id}/rows.csv").props("download")
        if visit.may(Role.ANALYST) and words.under_way(one.state):

            async def cancel() -> None:
                with visit.acting() as actor:
                    await predictions.cancel_prediction(visit.services, actor, one.id)

            parts.button("Cancel", cancel, kind="danger")
        elif visit.may(Role.ANALYST):
            parts.button("Delete", lambda: _delete(visit, one), icon="delete", kind="danger")
    if words.under_way(one.state):
        parts.progress(one.fraction, words.progress(one))
    if one.error:
        parts.notice(sentence(one.error), "bad")


def _delete(visit: Visit, one: Prediction) -> None:
    dialogs.delete(
        visit,
        f"the prediction on {one.source}",
        "Its rows go at once; the model stays.",
        lambda who: predictions.delete_prediction(visit.services, who, one.id),
        then=f"/workbench/experiments/{one.experiment_id}/predict",
    )


async def _show(visit: Visit, one: Prediction, summary: dict[str, Any]) -> None:
    counts = {str(key): int(value) for key, value in (summary.get("counts") or {}).items()}
    rows = int(summary.get("rows") or 0)
    with ui.element("div").classes("tiles"):
        parts.tile("Rows", wording.count(rows))
        strange = summary.get("anomalies")
        if strange is not None:
            parts.tile("Strange", wording.count(strange), wording.percent(strange / rows) if rows else "")
        for name, value in (summary.get("labelled") or {}).items():
            if name in board.HEADLINES and value is not None:
                parts.tile(board.METRICS[name], wording.metric(value), "against the label in the file")
    _differences(summary.get("schema") or {})
    if counts:
        with parts.panel("Summary"):
            charts.chart(drawing.shares(counts), "How many rows got which answer", tall=True)
    with parts.panel("Rows") as head:
        await _rows(visit, one, list(counts), head)


def _differences(schema: dict[str, Any]) -> None:
    said = [str(note) for note in schema.get("notes") or ()]
    if said:
        with parts.panel("What did not fit, and what was done"), ui.element("ul").classes("evidence"):
            for note in said:
                parts.text("li", note)


async def _rows(visit: Visit, one: Prediction, answers: list[str], head: ui.element) -> None:
    offset = 0

    async def show() -> None:
        with visit.acting():
            page = await in_thread(
                predictions.prediction_rows, visit.services, one.id, offset=offset, limit=PAGE,
                sort="score" if strangest.value else None, descending=True, prediction=only.value or None,
            )  # fmt: skip
            order = [at for name in ANSWERS for at, column in enumerate(page.columns) if column == name]
            order += [at for at in range(len(page.columns)) if at not in order]
            table.fill([page.columns[at] for at in order], [[row[at] for at in order] for row in page.rows])
            last = min(offset + PAGE, page.total)
            first = wording.count(offset + 1 if last else 0)
            place.text = f"rows {first} to {wording.count(last)} of {wording.count(page.total)}"
            back.set_enabled(offset > 0)
            on.set_enabled(last < page.total)

    async def step(by: int) -> None:
        nonlocal offset
        offset = max(0, offset + by)
        await show()

    async def again() -> None:
        nonlocal offset
        offset = 0
        await show()

    with head, ui.element("div").classes("line"):
        only = ui.select(answers, label="Only", clearable=True, on_change=again).props("outlined dense")
        only.style("min-width: 9rem")
        strangest = ui.checkbox("highest score first", on_change=again)
    table = grid.Grid("Rows with their predictions")
    with ui.element("div").classes("line"):
        back = parts.button("Previous", lambda: step(-PAGE), icon="chevron_left")
        on = parts.button("Next", lambda: step(PAGE), icon="chevron_right")
        place = parts.text("span", "", "muted")
    await show()
