"""Data sets: what there is, their names and versions, and their removal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aggregator.errors import Conflict
from aggregator.rows import Role
from aggregator.work import endings, processes
from aggregator.workbench import places, receiving, shelf
from aggregator.workbench.noting import note
from aggregator.workbench.rows import Column, DatasetDetail, Room

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset

ABOUT = "anomaflow-dataset-1"


def list_datasets(
    services: Services, *, search: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Dataset]:
    """Data sets at their newest version, newest first. `search` looks into names."""
    return services.store.read(lambda db: shelf.find(db, search=search, limit=limit, cursor=cursor))


def get_dataset(services: Services, dataset_id: int, version: int | None = None) -> DatasetDetail:
    """One version of a data set, the newest by default, with its columns. Raises `NotFound`."""
    found, there = services.store.read(lambda db: (shelf.get(db, dataset_id, version), shelf.versions(db, dataset_id)))
    others = tuple(one for one in there if one.version != found.version)
    return DatasetDetail(found, columns(services, found), others)


def columns(services: Services, dataset: Dataset) -> tuple[Column, ...]:
    """The columns of a version, none while it has no table."""
    told = about(services, dataset) if dataset.state == "ready" else None
    return tuple(
        Column(str(one["name"]), str(one["type"]), int(one.get("missing") or 0), one.get("was"))
        for one in (told or {}).get("columns", ())
    )


def about(services: Services, dataset: Dataset) -> dict[str, Any] | None:
    """about.json of a version as the trainer wrote it."""
    folder = services.config.workbench_dir / places.dataset_folder(dataset.id, dataset.version)
    return places.read_json(folder / "about.json", ABOUT)


def room(services: Services, actor: Principal) -> Room:
    """What may be uploaded, and how much room is taken, by all and by the asker."""
    config = services.config
    used, mine = services.store.read(lambda db: (shelf.used_bytes(db), shelf.used_bytes(db, actor.name)))
    return Room(
        upload_bytes=config.workbench_upload_mib << 20,
        rows=config.workbench_rows,
        columns=config.workbench_columns,
        quota_bytes=config.workbench_quota_mib << 20,
        used_bytes=used,
        user_quota_bytes=config.workbench_user_quota_mib << 20,
        user_used_bytes=mine,
        schemes=config.workbench_schemes,
        databases=config.workbench_databases,
        formats=receiving.ENDINGS,
    )


async def rename_dataset(services: Services, actor: Principal, dataset_id: int, name: str) -> Dataset:
    """Give all versions another name. Analysts and up. Raises `NotFound`, `Invalid`, `Conflict` when it is taken."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def rename(db: sqlite3.Connection) -> Dataset:
        shelf.rename(db, dataset_id, name)
        note(db, actor, "dataset.rename", f"dataset {dataset_id}", now_ms=now_ms, name=name.strip())
        return shelf.get(db, dataset_id)

    renamed = await services.store.write(rename)
    services.events.publish("dataset", id=dataset_id)
    return renamed


async def delete_dataset(services: Services, actor: Principal, dataset_id: int, version: int | None = None) -> None:
    """Remove one version, or all of them; its files go at once, its row stays for the runs that name it.

    Analysts and up. Raises `NotFound`, and `Conflict` while work on it is under way.
    """
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def delete(db: sqlite3.Connection) -> list[int]:
        gone = shelf.delete(db, dataset_id, version, now_ms=now_ms)
        note(db, actor, "dataset.delete", f"dataset {dataset_id}", now_ms=now_ms, versions=gone)
        return gone

    for gone in await services.store.write(delete):
        await asyncio.to_thread(places.remove, services.config.workbench_dir, places.dataset_folder(dataset_id, gone))
    services.events.publish("dataset", id=dataset_id)


async def cancel_import(services: Services, actor: Principal, dataset_id: int, version: int | None = None) -> Dataset:
    """End an import or profile that is under way. Analysts and up. Raises `NotFound`, `Conflict` when nothing is."""
    actor.require(Role.ANALYST)
    found = services.store.read(lambda db: shelf.get(db, dataset_id, version))
    if found.work_id is None or not found.busy:
        raise Conflict(f"nothing is under way on data set {found.name!r}")
    await services.workbench.works.cancel(found.work_id, by=actor.name)
    return services.store.read(lambda db: shelf.get(db, dataset_id, found.version))


def dataset_log(services: Services, dataset_id: int, version: int | None = None, *, lines: int = 200) -> list[str]:
    """The last lines of the log of its import and profile, without progress. Raises `NotFound`."""
    found = services.store.read(lambda db: shelf.get(db, dataset_id, version))
    folder = services.config.workbench_dir / places.dataset_folder(found.id, found.version)
    told = processes.tail(folder / endings.LOG, lines=10_000)
    return [line for line in told if not line.startswith('{"')][-lines:]
