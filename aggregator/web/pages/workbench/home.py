"""The workbench's first page: data sets and experiments, and the ways in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nicegui import ui

from aggregator.rows import Role
from aggregator.web.pages import parts, tables, wording
from aggregator.web.pages.tables import Cell, Column, Deed, Row
from aggregator.web.pages.visits import in_thread
from aggregator.web.pages.workbench import connecting, uploads, words
from aggregator.workbench import datasets, experiments

if TYPE_CHECKING:
    from aggregator.web.pages.visits import Visit
    from aggregator.workbench.rows import Dataset, Experiment

DATASETS: Final = (
    Column("number", "#", "number"),
    Column("name", "Name", "lead"),
    Column("size", "Size", "number"),
    Column("columns", "Columns", "number"),
    Column("rows", "Rows", "number"),
    Column("origin", "Origin"),
    Column("version", "Version", "number"),
    Column("digest", "Digest", "narrow"),
    Column("added", "Added", "narrow"),
    Column("state", "State", "narrow end"),
)

EXPERIMENTS: Final = (
    Column("number", "#", "number"),
    Column("name", "Name", "lead"),
    Column("data", "Data set"),
    Column("task", "Task"),
    Column("best", "Best model"),
    Column("value", "When choosing", "number"),
    Column("test", "On test rows", "number"),
    Column("started", "Started", "narrow"),
    Column("state", "State", "narrow end"),
)

SHOWN: Final = 50


def dataset_row(found: Dataset) -> Row:
    """A data set as the table shows it."""
    return Row(
        found.id,
        {
            "number": Cell(str(found.id)),
            "name": Cell(
                found.name, sub=found.error or words.progress_of(found), href=f"/workbench/datasets/{found.id}"
            ),
            "size": Cell(wording.size(found.bytes)),
            "columns": Cell("-" if found.columns is None else wording.count(found.columns)),
            "rows": Cell("-" if found.rows is None else wording.count(found.rows)),
            "origin": Cell(words.SOURCES.get(found.source_kind, found.source_kind), sub=found.source_what),
            "version": Cell(str(found.version)),
            "digest": Cell(found.digest[:8] or "-", mono=True),
            "added": Cell(ms=found.created_ms),
            "state": Cell(words.state(found.state), tone=words.tone(found.state)),
        },
        about=found.name,
    )


def experiment_row(found: Experiment, ticked: frozenset[int] | set[int] = frozenset()) -> Row:
    """A run as the table shows it, with its tick for comparing."""
    under_way = words.under_way(found.state)
    deeds = () if under_way else (Deed("tick", "Compare", f"Compare run {found.id}", pressed=found.id in ticked),)
    return Row(
        found.id,
        {
            "number": Cell(str(found.id)),
            "name": Cell(
                found.name,
                sub=words.progress(found) if under_way else words.KINDS.get(found.kind, found.kind),
                href=f"/workbench/experiments/{found.id}",
            ),
            "data": Cell(found.dataset_name, sub=f"version {found.dataset_version}"),
            "task": Cell(words.TASKS.get(found.task, found.task)),
            "best": Cell(found.best_title or "-"),
            "value": Cell(wording.metric(found.value), sub=words.metric(found.metric)),
            "test": Cell(wording.metric(found.test_value)),
            "started": Cell(ms=found.created_ms),
            "state": Cell(words.state(found.state), tone=words.tone(found.state)),
        },
        deeds=deeds,
        about=found.name,
    )


async def build(visit: Visit) -> None:
    """The page."""
    services = visit.services
    ticked: set[int] = set()
    room = await in_thread(datasets.room, services, visit.user)

    async def arrived(answer: dict[str, Any]) -> None:
        ui.navigate.to(f"/workbench/datasets/{answer['id']}")

    async def tick(key: str, _deed: str) -> None:
        ticked.symmetric_difference_update({int(key)})
        compare.set_enabled(2 <= len(ticked) <= 6)
        await refresh()

    def compare_them() -> None:
        ui.navigate.to(wording.link("/workbench/compare", ids=",".join(map(str, sorted(ticked)))))

    async def refresh() -> None:
        page = await in_thread(datasets.list_datasets, services, search=search.value or None, limit=SHOWN)
        there.fill([dataset_row(found) for found in page.items])
        nothing.visible = not page.items
        runs = await in_thread(experiments.list_experiments, services, limit=SHOWN)
        ran.fill([experiment_row(found, ticked) for found in runs.items])
        no_runs.visible = not runs.items

    with parts.heading("Workbench", "anomaly detection on any table"):
        pass
    if visit.may(Role.ANALYST):
        with parts.panel("Add data"):
            formats = ", ".join(name.removeprefix(".") for name in room.formats if not name.endswith(".gz"))
            parts.text(
                "p",
                f"{formats}; text and captures also as .gz. At most {wording.size(room.upload_bytes)}, "
                f"{wording.plural(room.rows, 'row')}, {wording.plural(room.columns, 'column')}. "
                "Nothing leaves this server.",
                "muted",
            )
            with ui.element("div").classes("line"):
                uploads.picker("Upload a file", uploads.ROUTE, arrived)
                parts.button("Flows of the agents", lambda: connecting.lake(visit), icon="sensors")
                if visit.may(Role.OPERATOR):
                    parts.button("Database", lambda: connecting.database(visit), icon="storage")
                    parts.button("Remote file", lambda: connecting.remote(visit, room.schemes), icon="cloud_download")
    with parts.panel("Data sets", flush=True) as head:
        with head:
            search = ui.input("Search", on_change=refresh).props("outlined dense clearable debounce=250 type=search")
        there = tables.Table(DATASETS, label="Data sets, newest first")
        with ui.element("div") as nothing:
            parts.empty("No data set yet.", "Upload a table: a CSV file is enough.")
    with parts.panel("Experiments", flush=True) as head:
        with head:
            compare = parts.button("Compare the ticked ones", compare_them, icon="compare_arrows")
            compare.set_enabled(False)
        ran = tables.Table(EXPERIMENTS, label="Experiments, newest first", on_deed=tick)
        with ui.element("div") as no_runs:
            parts.empty("No experiment yet.", "Open a data set and find what is strange in it.")
    used = f"{wording.size(room.used_bytes)} of {wording.size(room.quota_bytes)} are taken by data sets and runs."
    parts.text("p", used, "muted")
    await refresh()
    visit.follow("dataset", "experiment", refresh=refresh, together_s=1.0)
