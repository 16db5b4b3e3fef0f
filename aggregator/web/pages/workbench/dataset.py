"""One data set: its rows, a first look, its plots, its versions; and the way to an experiment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import moments, parts, wording
from aggregator.web.pages.visits import in_thread, sentence
from aggregator.web.pages.workbench import analytics, dialogs, exploring, uploads, words
from aggregator.web.pages.workbench.grid import Grid
from aggregator.workbench import datasets
from aggregator.workbench import exploring as profiles
from aggregator.workbench import tables as previews

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Dataset, DatasetDetail

PAGE: Final = 25
TAIL: Final = 60
VIEWS: Final = {"rows": "Rows", "explore": "Exploration", "plots": "Analytics", "about": "About"}


async def build(visit: Visit) -> None:
    """The page."""
    services, dataset_id = visit.services, visit.number("dataset_id")
    asked = visit.asked("version")
    version = int(asked) if asked.isdecimal() and len(asked) < 9 else None
    found = await in_thread(datasets.get_dataset, services, dataset_id, version)
    shown = _state(found.dataset)

    async def refresh() -> None:
        nonlocal found, shown
        found = await in_thread(datasets.get_dataset, services, dataset_id, version)
        standing.refresh()
        if _state(found.dataset) != shown:
            shown = _state(found.dataset)
            content.refresh()
            await asyncio.sleep(0)

    @ui.refreshable
    def standing() -> None:
        _standing(visit, found)

    @ui.refreshable
    async def content() -> None:
        if found.dataset.state == "ready":
            await _views(visit, found)

    parts.trail(("Workbench", "/workbench"), ("Data set", ""))
    standing()
    await content()
    visit.follow("dataset", refresh=refresh)


def _state(found: Dataset) -> tuple[Any, ...]:
    return (found.state, found.version, found.profiled, found.digest, found.name)


def _standing(visit: Visit, found: DatasetDetail) -> None:
    one = found.dataset
    with parts.heading(one.name, words.shape(one) if one.state == "ready" else ""):
        parts.chip(words.state(one.state), words.tone(one.state))
        if one.versions > 1:
            parts.chip(f"version {one.version} of {one.versions}")
        if one.state == "ready" and visit.may(Role.ANALYST):
            address = f"/workbench/datasets/{one.id}/experiment"
            go = parts.button("New experiment", lambda: ui.navigate.to(address), icon="science", kind="main")
            go.props["aria-label"] = "New experiment on this data set"
    if words.under_way(one.state):
        _bar(one)
        if visit.may(Role.ANALYST):
            parts.button("Cancel", lambda: _cancel(visit, one), kind="danger")
    elif one.state == "ready" and not one.profiled and (one.message or one.stage):
        _bar(one)
    if one.error:
        parts.notice(sentence(one.error), "bad")
        log = datasets.dataset_log(visit.services, one.id, one.version, lines=TAIL)
        if log:
            with ui.expansion("Log").props("dense dense-toggle").style("width: 100%"):
                parts.text("pre", "\n".join(log), "log mono").props("tabindex=0 role=log aria-label='Import log'")
    if one.state != "ready" and not words.under_way(one.state) and visit.may(Role.ANALYST):
        with ui.element("div").classes("line"):
            _another(one)
            parts.button("Delete", lambda: _delete(visit, one), icon="delete", kind="danger")
    for words_ in one.warnings:
        parts.notice(sentence(words_), "warn")


def _bar(one: Dataset) -> None:
    parts.progress(one.fraction, words.progress_of(one) or words.shape(one))


async def _views(visit: Visit, found: DatasetDetail) -> None:
    with ui.tabs().props("dense no-caps align=left inline-label").classes("views") as tabs:
        for name, title in VIEWS.items():
            ui.tab(name, label=title)
    start = visit.asked("view")
    with ui.tab_panels(tabs, value=start if start in VIEWS else "rows", animated=False).classes("viewed"):
        with ui.tab_panel("rows"):
            await _rows(visit, found)
        with ui.tab_panel("explore"):
            await _explore(visit, found)
        with ui.tab_panel("plots"):
            await analytics.show(visit, found)
        with ui.tab_panel("about"):
            _about(visit, found)


async def _rows(visit: Visit, found: DatasetDetail) -> None:
    offset, order, falling = 0, None, False
    one = found.dataset

    async def show() -> None:
        with visit.acting():
            page = await in_thread(
                previews.preview, visit.services, one.id, one.version,
                offset=offset, limit=PAGE, sort=order, descending=falling,
            )  # fmt: skip
            table.fill(page.columns, page.rows)
            last = min(offset + PAGE, page.total)
            place.text = f"rows {wording.count(offset + 1)} to {wording.count(last)} of {wording.count(page.total)}"
            back.set_enabled(offset > 0)
            on.set_enabled(last < page.total)

    async def step(by: int) -> None:
        nonlocal offset
        offset = max(0, offset + by)
        await show()

    async def sort() -> None:
        nonlocal order, falling, offset
        order, falling, offset = sorted_by.value or None, bool(down.value), 0
        await show()

    with parts.panel("Rows") as head:
        with head, ui.element("div").classes("line"):
            names = {column.name: column.name for column in found.columns}
            sorted_by = ui.select(names, label="Sorted by", clearable=True, on_change=sort, with_input=True)
            sorted_by.props("outlined dense").style("min-width: 11rem")
            down = ui.checkbox("largest first", on_change=sort)
        table = Grid(f"Rows of {one.name}")
        with ui.element("div").classes("line"):
            back = parts.button("Previous", lambda: step(-PAGE), icon="chevron_left")
            on = parts.button("Next", lambda: step(PAGE), icon="chevron_right")
            place = parts.text("span", "", "muted")
    await show()


async def _explore(visit: Visit, found: DatasetDetail) -> None:
    one = found.dataset
    profile = await in_thread(profiles.get_profile, visit.services, one.id, one.version)

    async def again() -> None:
        with visit.acting() as actor:
            await profiles.profile(visit.services, actor, one.id, one.version, label=label.value or None)
            ui.notify("Looking again", type="info")

    if visit.may(Role.ANALYST):
        with ui.element("div").classes("line"):
            names = {column.name: column.name for column in found.columns}
            label = ui.select(names, value=one.label if one.label in names else None, label="Label", clearable=True)
            label.props("outlined dense").style("min-width: 12rem")
            parts.button("Look again with this label", again, icon="refresh")
    if profile is None:
        parts.empty("The first look is not done yet.", "It appears here by itself.")
    else:
        exploring.show(profile)


def _about(visit: Visit, found: DatasetDetail) -> None:
    one = found.dataset
    with parts.panel("About"):
        parts.facts(
            (
                ("Name", one.name),
                ("Origin", f"{words.SOURCES.get(one.source_kind, one.source_kind)}: {one.source_what}"),
                ("Format", one.source_format),
                ("Size", wording.size(one.bytes)),
                ("Digest", lambda: parts.text("span", one.digest, "mono")),
                ("Added", lambda: moments.moment(one.created_ms)),
                ("By", one.by),
            )
        )
        if visit.may(Role.ANALYST):
            with ui.element("div").classes("line"):
                parts.button("Rename", lambda: _rename(visit, one), icon="edit")
                parts.button("Delete", lambda: _delete(visit, one), icon="delete", kind="danger")
    if visit.may(Role.ANALYST):
        with parts.panel("New version"):
            parts.text("p", "The same table at a later time. Experiments keep the version they were run on.", "muted")
            with ui.element("div").classes("line"):
                _another(one)
    if found.other_versions:
        with parts.panel("Other versions"), ui.element("ul").classes("history"):
            for other in found.other_versions:
                with ui.element("li"):
                    target = wording.link(f"/workbench/datasets/{one.id}", version=other.version)
                    parts.link(f"Version {other.version}", target)
                    parts.text("span", words.shape(other), "muted")
                    moments.moment(other.created_ms)


def _another(one: Dataset) -> None:
    """A button that uploads a later or a mended state of the same table."""

    async def arrived(_answer: dict[str, Any]) -> None:
        ui.navigate.to(f"/workbench/datasets/{one.id}")

    uploads.picker("Upload a new version", f"/api/v1/datasets/{one.id}/upload", arrived, main=False)


async def _cancel(visit: Visit, one: Dataset) -> None:
    with visit.acting() as actor:
        await datasets.cancel_import(visit.services, actor, one.id, one.version)


def _rename(visit: Visit, one: Dataset) -> None:
    dialogs.rename(visit, one.name, lambda who, name: datasets.rename_dataset(visit.services, who, one.id, name))


def _delete(visit: Visit, one: Dataset) -> None:
    with ui.dialog(value=True) as dialog, ui.element("div").classes("sheet"):
        dialog.on("hide", dialog.delete)
        parts.text("h2", f"Delete {one.name}?")
        parts.text("p", "Its files go at once. Experiments that used it keep their results.", "muted")
        every = ui.checkbox("all versions", value=True)
        every.visible = one.versions > 1

        async def go() -> None:
            with visit.acting() as actor:
                await datasets.delete_dataset(visit.services, actor, one.id, None if every.value else one.version)
                dialog.close()
                ui.navigate.to("/workbench")

        with ui.element("div").classes("ends"):
            parts.button("Keep it", dialog.close)
            parts.button("Delete", go, kind="danger")
