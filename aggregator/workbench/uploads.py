"""Uploads: a file comes in and becomes a data set, or another version of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.rows import Role
from aggregator.work import ledger
from aggregator.workbench import orders, receiving, shelf
from aggregator.workbench.noting import note

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator

    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset


async def receive_upload(
    services: Services,
    actor: Principal,
    chunks: AsyncIterator[bytes],
    *,
    filename: str,
    name: str | None = None,
    dataset_id: int | None = None,
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    header: str | None = None,
    announced: int | None = None,
) -> Dataset:
    """Take a file in and import it as a new data set, or as a new version of `dataset_id`. Analysts and up.

    Returns as soon as the file is here; the import goes on as work (`Dataset.state`). `announced` is the size the
    sender claims, for refusing at once. Raises `Invalid` (name, ending), `TooLarge` (a limit, named), `Conflict`,
    `NotFound`, `Busy`.
    """
    actor.require(Role.ANALYST)
    if name is not None:
        name = shelf.require_name(name)
    if dataset_id is not None:
        services.store.read(lambda db: shelf.get(db, dataset_id))
    received = await services.workbench.receiving.receive(chunks, filename=filename, by=actor.name, announced=announced)
    kind = "captures" if received.ending.removesuffix(".gz").removeprefix(".") in receiving.CAPTURES else "file"
    try:
        return await bring_in(
            services,
            actor,
            source=received.path,
            described=(kind, received.shown, received.ending.removeprefix(".")),
            name=name,
            wish=receiving.stem(received.shown),
            dataset_id=dataset_id,
            options={
                "file-name": received.shown,
                "sheet": sheet,
                "delimiter": delimiter,
                "encoding": encoding,
                "header": header,
            },
            secrets=(received.path,),
            detail={"bytes": received.bytes, "sha256": received.sha256},
        )
    except BaseException:
        (services.config.workbench_dir / received.path).unlink(missing_ok=True)
        raise


async def bring_in(
    services: Services,
    actor: Principal,
    *,
    source: str,
    described: tuple[str, str, str],
    name: str | None,
    wish: str,
    dataset_id: int | None,
    options: dict[str, str | bool | None],
    secrets: tuple[str, ...],
    detail: dict[str, object],
    environment: str = "",
) -> Dataset:
    """Queue the import of `source` (`described`: kind, what, format) into a new version, and write that down."""
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> tuple[int, int]:
        shelf.require_room(db, services.config, actor.name)
        made, version = shelf.add(
            db, name=name, wish=wish, dataset_id=dataset_id, source=described, by=actor.name, now_ms=now_ms
        )
        called = shelf.get(db, made, version).name
        order = orders.bring_in(
            services.config,
            made,
            version,
            source=source,
            name=called,
            options=options,
            secrets=secrets,
            environment=environment,
        )
        shelf.change(db, made, version, work_id=ledger.add(db, order, by=actor.name, now_ms=now_ms))
        told = {"version": version, "name": called, "kind": described[0], "what": described[1], **detail}
        note(db, actor, "dataset.import", f"dataset {made}", now_ms=now_ms, **told)
        return made, version

    made, version = await services.store.write(queue)
    services.events.publish("dataset", id=made)
    await services.workbench.works.start_queued()
    return services.store.read(lambda db: shelf.get(db, made, version))
