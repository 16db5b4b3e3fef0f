"""Predictions: a run's model applied to a data set, a file, pasted rows, or one row."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import Conflict, Invalid, TooLarge, TrainerFailed
from aggregator.rows import Role
from aggregator.work import ledger
from aggregator.workbench import orders, places, results, runs, shelf, tables
from aggregator.workbench.concluding import PREDICTION, WELL
from aggregator.workbench.noting import note
from protos import formulas

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset, Prediction, Preview

MOST_PASTED: Final = 1 << 20
MOST_FIELDS: Final = 5_000
LONGEST_VALUE: Final = 10_000
MOST_REASONS: Final = 100


@dataclass(frozen=True, slots=True)
class Matching:
    """How rows are matched with what a model learnt from, and how many columns are named a row as `reasons`.

    Where columns differ: `rename` maps theirs to the model's, `rename_alike` takes names that differ in spelling only,
    `fill_missing` fills in typical values.
    """

    reasons: int = 3
    rename: dict[str, str] | None = None
    rename_alike: bool = False
    fill_missing: bool = False

    def options(self) -> tuple[str, ...]:
        """As the trainer is told. Raises `Invalid`."""
        if not 0 <= self.reasons <= MOST_REASONS:
            raise Invalid(f"reasons = {self.reasons} must be between 0 and {MOST_REASONS}")
        renamed = (self.rename or {}).items()
        for theirs, mine in renamed:
            if not theirs or not mine or "=" in theirs:
                raise Invalid(f"cannot take column {theirs[:80]!r} for {mine[:80]!r}")
        return (
            *orders.given({"reasons": self.reasons}),
            *(f"--rename={theirs}={mine}" for theirs, mine in renamed),
            *(("--rename-alike",) if self.rename_alike else ()),
            *(("--fill-missing",) if self.fill_missing else ()),
        )


def renames(pairs: Sequence[str]) -> dict[str, str]:
    """Pairs as they stand in a request, `THEIRS=MINE`. Raises `Invalid`."""
    parted = [pair.partition("=") for pair in pairs]
    for pair, (_, equals, _mine) in zip(pairs, parted, strict=True):
        if not equals:
            raise Invalid(f"{pair[:80]!r} renames nothing; say THEIRS=MINE, such as src-bytes=src_bytes")
    return {theirs: mine for theirs, _, mine in parted}


AS_IS: Final = Matching()
"""Columns have the names the model knows."""


async def predict_dataset(
    services: Services,
    actor: Principal,
    experiment_id: int,
    *,
    model: str | None = None,
    dataset_id: int,
    version: int | None = None,
    matching: Matching = AS_IS,
) -> Prediction:
    """Predict a data set with a model, the best by default. Analysts and up.

    Raises `NotFound`, `Conflict`, `Invalid`.
    """
    actor.require(Role.ANALYST)
    options = matching.options()
    data = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    path = f"{places.dataset_folder(data.id, data.version)}/table.parquet"
    source = f"{data.name}, version {data.version}"
    return await _queue(services, actor, experiment_id, model, path, source, options, data=data)


async def predict_upload(
    services: Services,
    actor: Principal,
    experiment_id: int,
    chunks: AsyncIterator[bytes],
    *,
    filename: str,
    model: str | None = None,
    matching: Matching = AS_IS,
    announced: int | None = None,
) -> Prediction:
    """Predict a file of the sender's, under the limits of uploads. Analysts and up. Raises also `TooLarge`, `Busy`."""
    actor.require(Role.ANALYST)
    options = matching.options()
    results.chosen(services, experiment_id, model)
    received = await services.workbench.receiving.receive(chunks, filename=filename, by=actor.name, announced=announced)
    return await _of_file(services, actor, experiment_id, model, received.path, received.shown, options)


async def predict_text(
    services: Services,
    actor: Principal,
    experiment_id: int,
    text: str,
    *,
    model: str | None = None,
    matching: Matching = AS_IS,
) -> Prediction:
    """Predict a pasted table: CSV with a heading line, or rows copied from a spreadsheet. Analysts and up.

    Raises `TooLarge` above 1 MiB.
    """
    actor.require(Role.ANALYST)
    options = matching.options()
    if len(text.encode()) > MOST_PASTED:
        raise TooLarge(f"what was pasted has more than {MOST_PASTED >> 20} MiB; upload it as a file")
    if not text.strip():
        raise Invalid("nothing was pasted")
    results.chosen(services, experiment_id, model)

    async def once() -> AsyncIterator[bytes]:
        yield text.encode()

    received = await services.workbench.receiving.receive(once(), filename="pasted.csv", by=actor.name)
    return await _of_file(services, actor, experiment_id, model, received.path, "pasted rows", options)


async def predict_row(
    services: Services,
    actor: Principal,
    experiment_id: int,
    row: dict[str, Any],
    *,
    model: str | None = None,
    reasons: int = 3,
) -> dict[str, Any]:
    """Predict one row and wait: `{"model", "row", "schema", "notes"}`; `row` has prediction, score and reasons too.

    Nothing is kept. Analysts and up. Raises `NotFound`, `Invalid`, `Busy`, `TrainerFailed`.
    """
    actor.require(Role.ANALYST)
    _, name = results.chosen(services, experiment_id, model)
    if not row or len(row) > MOST_FIELDS:
        raise Invalid(f"a row has 1 to {MOST_FIELDS} values")
    for field, value in row.items():
        if not isinstance(value, str | int | float | bool | None) or len(str(value)) > LONGEST_VALUE:
            raise Invalid(f"the value of {field[:80]!r} must be a text, a number, true, false or nothing")
    out = f"{places.INCOMING}/row-{uuid.uuid4().hex}"
    root = services.config.workbench_dir
    arguments = orders.predict_arguments(
        places.model_folder(experiment_id, name), data="-", out=out, options=Matching(reasons).options()
    )
    try:
        await services.workbench.short.run(arguments, cwd=root, said=json.dumps(row).encode())
        summary = await asyncio.to_thread(places.read_json, root / out / "summary.json", PREDICTION)
    finally:
        await asyncio.to_thread(places.remove, root, out)
    if summary is None or not summary.get("preview"):
        raise TrainerFailed("the trainer predicted nothing; look at the row's values")
    return {
        "model": name,
        "row": summary["preview"][0],
        "schema": summary.get("schema") or {},
        "notes": summary.get("notes") or [],
    }


def row_form(services: Services, experiment_id: int, model: str | None = None) -> list[dict[str, Any]]:
    """What to ask for one row: `{"name", "type", "kind", "fill", "words", "low", "median", "high"}` a column."""
    _, name = results.chosen(services, experiment_id, model)
    told = results.model_detail(services, experiment_id, name)["file"] or {}
    return [
        {field: column.get(field) for field in ("name", "type", "kind", "fill", "words", "low", "median", "high")}
        for column in told.get("columns") or []
    ]


def list_predictions(
    services: Services, *, experiment_id: int | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Prediction]:
    """Predictions, newest first."""
    return services.store.read(
        lambda db: runs.find_predictions(db, experiment_id=experiment_id, limit=limit, cursor=cursor)
    )


def get_prediction(services: Services, prediction_id: int) -> Prediction:
    """One prediction. Raises `NotFound`."""
    return services.store.read(lambda db: runs.get_prediction(db, prediction_id))


def prediction_summary(services: Services, prediction_id: int) -> dict[str, Any]:
    """summary.json of a prediction, {} while there is none. Raises `NotFound`."""
    one = get_prediction(services, prediction_id)
    folder = services.config.workbench_dir / places.prediction_folder(one.id)
    return places.read_json(folder / "summary.json", PREDICTION) or {}


def prediction_rows(
    services: Services,
    prediction_id: int,
    *,
    offset: int = 0,
    limit: int = 50,
    sort: str | None = None,
    descending: bool = False,
    prediction: str | None = None,
) -> Preview:
    """Its rows by page, of one predicted value if asked. Blocks (call it in a thread).

    Raises `NotFound`, `Conflict`, `Invalid`.
    """
    path = rows_path(services, prediction_id)
    return tables.page(
        services.config,
        path,
        {},
        offset=offset,
        limit=limit,
        sort=sort,
        descending=descending,
        where=None if prediction is None else ("prediction", prediction),
    )


def prediction_csv(services: Services, prediction_id: int) -> Iterator[bytes]:
    """The whole as CSV, cells that a spreadsheet would run as formulas guarded. Blocks between chunks.

    Raises `NotFound`, `Conflict` before the first chunk.
    """
    path = rows_path(services, prediction_id)
    columns, _ = tables.shape(path)
    return _csv(path, columns)


async def cancel_prediction(services: Services, actor: Principal, prediction_id: int) -> Prediction:
    """End a prediction under way. Analysts and up. Raises `NotFound`, `Conflict`."""
    actor.require(Role.ANALYST)
    work_id = services.store.read(lambda db: runs.work_of(db, "predictions", prediction_id))
    await services.workbench.works.cancel(work_id, by=actor.name)
    return get_prediction(services, prediction_id)


async def delete_prediction(services: Services, actor: Principal, prediction_id: int) -> None:
    """Remove a prediction. Analysts and up. Raises `NotFound`, `Conflict` while it runs."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def delete(db: sqlite3.Connection) -> None:
        one = runs.get_prediction(db, prediction_id)
        if not one.state.over:
            raise Conflict(f"prediction {prediction_id} is under way; wait for it or cancel it")
        db.execute("UPDATE predictions SET deleted_ms = ?, bytes = 0 WHERE id = ?", (now_ms, prediction_id))
        note(db, actor, "prediction.delete", f"prediction {prediction_id}", now_ms=now_ms)

    await services.store.write(delete)
    await asyncio.to_thread(places.remove, services.config.workbench_dir, places.prediction_folder(prediction_id))
    services.events.publish("prediction", id=prediction_id)


async def _of_file(  # noqa: PLR0917 - the parts of a request
    services: Services,
    actor: Principal,
    experiment_id: int,
    model: str | None,
    path: str,
    source: str,
    options: tuple[str, ...],
) -> Prediction:
    try:
        return await _queue(services, actor, experiment_id, model, path, source, options, secrets=(path,))
    except BaseException:
        (services.config.workbench_dir / path).unlink(missing_ok=True)
        raise


async def _queue(  # noqa: PLR0917 - the parts of a request
    services: Services,
    actor: Principal,
    experiment_id: int,
    model: str | None,
    path: str,
    source: str,
    options: tuple[str, ...],
    *,
    data: Dataset | None = None,
    secrets: tuple[str, ...] = (),
) -> Prediction:
    _, name = results.chosen(services, experiment_id, model)
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> int:
        runs.get(db, experiment_id)
        shelf.require_room(db, services.config, actor.name)
        if data is not None:
            shelf.ready(db, data.id, data.version)
        prediction_id = runs.next_id(db, "predictions")
        order = orders.predict(
            services.config,
            prediction_id,
            model_folder=places.model_folder(experiment_id, name),
            data=path,
            options=options,
            secrets=secrets,
        )
        db.execute(
            "INSERT INTO predictions (id, experiment_id, model, source, dataset_id, dataset_version, work_id, "
            '"by", created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
            (
                prediction_id,
                experiment_id,
                name,
                source,
                data.id if data else None,
                data.version if data else None,
                ledger.add(db, order, by=actor.name, now_ms=now_ms),
                actor.name,
                now_ms,
            ),
        )
        detail = {"experiment": experiment_id, "model": name, "source": source}
        note(db, actor, "prediction.start", f"prediction {prediction_id}", now_ms=now_ms, **detail)
        return prediction_id

    prediction_id = await services.store.write(queue)
    await services.workbench.works.start_queued()
    services.events.publish("prediction", id=prediction_id)
    return get_prediction(services, prediction_id)


def rows_path(services: Services, prediction_id: int) -> Path:
    """Where the rows of a finished prediction lie. Raises `NotFound`, `Conflict`."""
    one = get_prediction(services, prediction_id)
    path = services.config.workbench_dir / places.prediction_folder(one.id) / "rows.parquet"
    if one.state not in WELL or not path.exists():
        why = one.error or "wait until it is done"
        raise Conflict(f"prediction {prediction_id} has no rows: {why}")
    return path


def _csv(path: Path, columns: tuple[str, ...]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([formulas.guarded(name) for name in columns])
    with contextlib.closing(tables.batches(path)) as batches:
        for rows in batches:
            writer.writerows([_guarded(value) for value in row] for row in rows)
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()


def _guarded(value: Any) -> Any:
    cell = tables.cell(value)
    return formulas.guarded(cell) if isinstance(cell, str) else cell
