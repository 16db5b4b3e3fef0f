"""Exploration: the profile of a data set, and plots of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator import paging
from aggregator.errors import Conflict, Invalid, NotFound, TrainerFailed
from aggregator.rows import Role
from aggregator.work import ledger
from aggregator.workbench import datasets, orders, places, shelf
from aggregator.workbench.concluding import PROFILE
from aggregator.workbench.noting import note
from aggregator.workbench.rows import SavedPlot

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset

PLOT: Final = "anomaflow-plot-1"
KINDS: Final = ("histogram", "box", "scatter", "heatmap", "counts", "embedding")
METHODS: Final = ("pca", "tsne")
"""How an embedding may be made: principal components, or t-SNE, which takes longer and draws fewer rows."""

IMAGES: Final = ("svg", "png")
MOST_KEPT: Final = 200
"""Plots of one version that are kept for the next asker; the oldest go first."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw: a kind of plot, the columns it shows, and how an embedding is made (principal components)."""

    kind: str
    x: str | None = None
    y: str | None = None
    by: str | None = None
    method: str | None = None


def get_profile(services: Services, dataset_id: int, version: int | None = None) -> dict[str, Any] | None:
    """The profile as the trainer wrote it, None while there is none. Raises `NotFound`."""
    found = services.store.read(lambda db: shelf.get(db, dataset_id, version))
    folder = services.config.workbench_dir / places.dataset_folder(found.id, found.version)
    return places.read_json(folder / "profile.json", PROFILE)


async def profile(
    services: Services, actor: Principal, dataset_id: int, version: int | None = None, *, label: str | None = None
) -> Dataset:
    """Start a profile, again when there is one. Every import does so by itself. Analysts and up.

    With `label`, what gives that column away is looked for. Raises `NotFound`, `Invalid`, `Conflict`.
    """
    actor.require(Role.ANALYST)
    found = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    _require_columns(services, found, label)
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> None:
        current = shelf.ready(db, dataset_id, found.version)
        if current.busy:
            raise Conflict(f"data set {current.name!r} is being profiled already; wait for it or cancel it")
        order = orders.profile(services.config, found.id, found.version, label)
        shelf.change(db, found.id, found.version, work_id=ledger.add(db, order, by=actor.name, now_ms=now_ms))
        about = f"dataset {found.id}"
        note(db, actor, "dataset.profile", about, now_ms=now_ms, version=found.version, label=label)

    await services.store.write(queue)
    await services.workbench.works.start_queued()
    services.events.publish("dataset", id=found.id)
    return services.store.read(lambda db: shelf.get(db, found.id, found.version))


async def plot(
    services: Services,
    actor: Principal,
    dataset_id: int,
    version: int | None,
    wanted: Drawing,
) -> dict[str, Any]:
    """Draw and wait for it: the plot with its ECharts option. Viewers too.

    Raises `NotFound`, `Conflict`, `Invalid`, `Busy`, `TrainerFailed`.
    """
    path = await _drawn(services, actor, dataset_id, version, wanted, "json")
    told = await asyncio.to_thread(places.read_json, services.config.workbench_dir / path, PLOT)
    if told is None:
        raise TrainerFailed("the trainer drew nothing; try again")
    return told


async def plot_image(
    services: Services,
    actor: Principal,
    dataset_id: int,
    version: int | None,
    wanted: Drawing,
    *,
    format: str = "svg",  # noqa: A002 - what it is called in the query, too
) -> bytes:
    """The same as an image, svg or png."""
    if format not in IMAGES:
        raise Invalid(f"there is no image format {format[:20]!r}; use {' or '.join(IMAGES)}")
    path = await _drawn(services, actor, dataset_id, version, wanted, format)
    return await asyncio.to_thread((services.config.workbench_dir / path).read_bytes)


async def save_plot(
    services: Services,
    actor: Principal,
    dataset_id: int,
    version: int | None,
    wanted: Drawing,
    *,
    title: str | None = None,
) -> SavedPlot:
    """Keep a plot. Analysts and up."""
    actor.require(Role.ANALYST)
    told = await plot(services, actor, dataset_id, version, wanted)
    called = shelf.require_name(title or str(told.get("title") or wanted.kind)[: shelf.LONGEST_NAME])
    now_ms = services.clock.now_ms()

    def keep(db: sqlite3.Connection) -> int:
        found = shelf.ready(db, dataset_id, version)
        made = db.execute(
            'INSERT INTO plots (dataset_id, version, title, kind, request, "by", created_ms) '
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (found.id, found.version, called, wanted.kind, json.dumps(asdict(wanted)), actor.name, now_ms),
        )
        note(db, actor, "plot.save", f"dataset {found.id}", now_ms=now_ms, title=called)
        places.write_json(
            services.config.workbench_dir / _kept(found.id, found.version, int(made.lastrowid or 0)), told
        )
        return int(made.lastrowid or 0)

    plot_id = await services.store.write(keep)
    services.events.publish("dataset", id=dataset_id)
    return services.store.read(lambda db: _row(db, plot_id))


def list_plots(services: Services, dataset_id: int, *, limit: int = 50, cursor: str | None = None) -> Page[SavedPlot]:
    """Plots kept of any version of a data set, newest first."""

    def ask(db: sqlite3.Connection) -> Page[SavedPlot]:
        shelf.get(db, dataset_id)
        rows = db.execute(
            "SELECT * FROM plots WHERE dataset_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
            (dataset_id, paging.id_cursor(cursor), paging.size(limit) + 1),
        ).fetchall()
        return paging.page([_saved(row) for row in rows], limit, lambda one: str(one.id))

    return services.store.read(ask)


def get_plot(services: Services, plot_id: int) -> dict[str, Any]:
    """A kept plot with its ECharts option. Raises `NotFound`."""
    kept = services.store.read(lambda db: _row(db, plot_id))
    told = places.read_json(services.config.workbench_dir / _kept(kept.dataset_id, kept.version, kept.id), PLOT)
    if told is None:
        raise NotFound(f"the file of plot {plot_id} is gone; draw it again")
    return told


async def delete_plot(services: Services, actor: Principal, plot_id: int) -> None:
    """Remove a kept plot. Analysts and up. Raises `NotFound`."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def delete(db: sqlite3.Connection) -> SavedPlot:
        kept = _row(db, plot_id)
        db.execute("DELETE FROM plots WHERE id = ?", (plot_id,))
        note(db, actor, "plot.delete", f"dataset {kept.dataset_id}", now_ms=now_ms, title=kept.title)
        return kept

    kept = await services.store.write(delete)
    path = services.config.workbench_dir / _kept(kept.dataset_id, kept.version, kept.id)
    await asyncio.to_thread(path.unlink, missing_ok=True)
    services.events.publish("dataset", id=kept.dataset_id)


async def _drawn(  # noqa: PLR0917 - the parts of a request
    services: Services,
    actor: Principal,
    dataset_id: int,
    version: int | None,
    wanted: Drawing,
    ending: str,
) -> str:
    """The file of a plot, drawn now unless it was before."""
    actor.require(Role.VIEWER, write=False)
    if wanted.kind not in KINDS:
        raise Invalid(f"there is no plot of kind {wanted.kind[:40]!r}; kinds are {', '.join(KINDS)}")
    if wanted.method is not None and (wanted.kind != "embedding" or wanted.method not in METHODS):
        raise Invalid(
            f"method {wanted.method[:40]!r} does not draw a {wanted.kind}; an embedding is made by "
            f"{' or '.join(METHODS)}, and other kinds have no method"
        )
    found = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    _require_columns(services, found, wanted.x, wanted.y, wanted.by)
    folder = places.dataset_folder(found.id, found.version)
    mark = hashlib.sha256(json.dumps(asdict(wanted), sort_keys=True).encode()).hexdigest()[:24]
    path = f"{folder}/plots/drawn-{mark}.{ending}"
    whole = services.config.workbench_dir / path
    if not whole.exists():
        whole.parent.mkdir(exist_ok=True)
        await asyncio.to_thread(_thin_out, whole.parent)
        arguments = (orders.WORKBENCH, "plot", folder, *orders.given(asdict(wanted)), "--out", path)
        await services.workbench.short.run(arguments, cwd=services.config.workbench_dir)
    if not whole.exists():
        raise TrainerFailed("the trainer drew nothing; try again")
    return path


def _thin_out(folder: Any) -> None:
    drawn = sorted(folder.glob("drawn-*"), key=lambda path: path.stat().st_mtime_ns)
    for path in drawn[: max(0, len(drawn) - MOST_KEPT)]:
        path.unlink(missing_ok=True)


def _require_columns(services: Services, dataset: Dataset, *names: str | None) -> None:
    there = {column.name for column in datasets.columns(services, dataset)}
    for name in names:
        if name is not None and name not in there:
            raise Invalid(f"data set {dataset.name!r} has no column {name[:80]!r}")


def _kept(dataset_id: int, version: int, plot_id: int) -> str:
    return f"{places.dataset_folder(dataset_id, version)}/plots/{plot_id}.json"


def _row(db: sqlite3.Connection, plot_id: int) -> SavedPlot:
    row = db.execute("SELECT * FROM plots WHERE id = ?", (plot_id,)).fetchone()
    if row is None:
        raise NotFound(f"there is no kept plot {plot_id}")
    return _saved(row)


def _saved(row: sqlite3.Row) -> SavedPlot:
    return SavedPlot(
        id=row["id"],
        dataset_id=row["dataset_id"],
        version=row["version"],
        title=row["title"],
        kind=row["kind"],
        request=json.loads(row["request"]),
        created_ms=row["created_ms"],
        by=row["by"],
    )
