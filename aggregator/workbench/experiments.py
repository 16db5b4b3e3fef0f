"""Experiments: what they begin with, their start, and their end."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from aggregator.errors import Conflict, Invalid
from aggregator.rows import Role, as_json
from aggregator.work import ledger
from aggregator.work.rows import WorkState
from aggregator.workbench import catalogue, choices, datasets, exploring, guesses, orders, places, runs, shelf
from aggregator.workbench.noting import note
from aggregator.workbench.rows import Defaults, LabelGuess

if TYPE_CHECKING:
    import sqlite3

    from aggregator.rows import Page
    from aggregator.services import Services
    from aggregator.users import Principal
    from aggregator.workbench.rows import Dataset, Experiment

DATA: Final = "anomaflow-run-data-1"
MANY_CLASSES: Final = 100
"""A label with more values than this is more likely no label."""


def defaults(
    services: Services, dataset_id: int, version: int | None = None, *, label: str | None = None, kind: str = "ml"
) -> Defaults:
    """Settings to begin with: label and task guessed from the profile. `label=''` means none.

    Raises `NotFound`, `Conflict`, `Invalid`.
    """
    found = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    columns = datasets.columns(services, found)
    profile = exploring.get_profile(services, found.id, found.version) or {}
    found_labels = guesses.of_profile(profile)
    if label and label not in {column.name for column in columns}:
        raise Invalid(f"data set {found.name!r} has no column {label[:80]!r}")
    chosen = guesses.taken(found_labels) if label is None else (label or None)
    task, why = _task(chosen, found_labels)
    called = f"{found.name[: shelf.LONGEST_NAME - 20]}: {'networks' if kind == 'dl' else 'models'}"
    return Defaults(
        settings=choices.complete({"name": called, "kind": kind, "label": chosen}),
        labels=found_labels,
        task=task,
        why_task=why,
        columns=columns,
        models=tuple(as_json(model) for model in catalogue.models_for(kind, task)),
        warnings=tuple(str(one) for one in profile.get("warnings") or ()),
    )


async def start_experiment(
    services: Services,
    actor: Principal,
    settings: dict[str, Any],
    *,
    dataset_id: int,
    version: int | None = None,
    test_dataset_id: int | None = None,
    test_version: int | None = None,
) -> Experiment:
    """Queue a run with `settings` (what is left out is as by default). Analysts and up.

    With a test data set, its rows judge and nothing else. Raises `Invalid`, `NotFound`, `Conflict`, `TooLarge`.
    """
    actor.require(Role.ANALYST)
    wanted = choices.complete(settings)
    wanted["name"] = shelf.require_name(wanted["name"])
    data = services.store.read(lambda db: shelf.ready(db, dataset_id, version))
    _require_columns(services, data, wanted)
    test = None
    if test_dataset_id is not None:
        test = services.store.read(lambda db: shelf.ready(db, test_dataset_id, test_version))
        if (test.id, test.version) == (data.id, data.version):
            raise Invalid("the test data set is the data set itself; choose another one, or none")
    elif wanted["split"] == "file":
        raise Invalid("split = file needs a test data set; name one, or choose another split")
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> int:
        shelf.require_room(db, services.config, actor.name)
        for one in (data, test):
            if one is not None:
                shelf.ready(db, one.id, one.version)
        experiment_id = runs.next_id(db, "experiments")
        order = orders.run(services.config, experiment_id, resume=False)
        folder = services.config.workbench_dir / order.folder
        places.write_json(folder / "settings.json", wanted)
        places.write_json(folder / "data.json", _data(services, data, test))
        db.execute(
            "INSERT INTO experiments (id, name, kind, dataset_id, dataset_version, test_dataset_id, "
            'test_dataset_version, settings, label, work_id, "by", created_ms) '
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                experiment_id,
                wanted["name"],
                wanted["kind"],
                data.id,
                data.version,
                test.id if test else None,
                test.version if test else None,
                json.dumps(wanted),
                wanted["label"],
                ledger.add(db, order, by=actor.name, now_ms=now_ms),
                actor.name,
                now_ms,
            ),
        )
        detail = {"name": wanted["name"], "dataset": data.id, "version": data.version}
        note(db, actor, "experiment.start", f"experiment {experiment_id}", now_ms=now_ms, **detail)
        return experiment_id

    experiment_id = await services.store.write(queue)
    await services.workbench.works.start_queued()
    services.events.publish("experiment", id=experiment_id)
    return get_experiment(services, experiment_id)


def list_experiments(
    services: Services,
    *,
    dataset_id: int | None = None,
    kind: str | None = None,
    state: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Experiment]:
    """Runs, newest first."""
    return services.store.read(
        lambda db: runs.find(db, dataset_id=dataset_id, kind=kind, state=state, limit=limit, cursor=cursor)
    )


def get_experiment(services: Services, experiment_id: int) -> Experiment:
    """One run. Raises `NotFound`."""
    return services.store.read(lambda db: runs.get(db, experiment_id))


async def rename_experiment(services: Services, actor: Principal, experiment_id: int, name: str) -> Experiment:
    """Give a run another name. Analysts and up. Raises `NotFound`, `Invalid`."""
    actor.require(Role.ANALYST)
    called, now_ms = shelf.require_name(name), services.clock.now_ms()

    def rename(db: sqlite3.Connection) -> Experiment:
        runs.get(db, experiment_id)
        db.execute("UPDATE experiments SET name = ? WHERE id = ?", (called, experiment_id))
        note(db, actor, "experiment.rename", f"experiment {experiment_id}", now_ms=now_ms, name=called)
        return runs.get(db, experiment_id)

    renamed = await services.store.write(rename)
    services.events.publish("experiment", id=experiment_id)
    return renamed


async def cancel_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """End a run and wait until nothing of it runs; models already done stay. Analysts and up.

    Raises `NotFound`, `Conflict` when it is over already.
    """
    actor.require(Role.ANALYST)
    work_id = services.store.read(lambda db: runs.work_of(db, "experiments", experiment_id))
    await services.workbench.works.cancel(work_id, by=actor.name)
    return get_experiment(services, experiment_id)


async def stop_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """Ask a run to finish with what it has. Returns at once. Analysts and up. Raises `NotFound`, `Conflict`."""
    actor.require(Role.ANALYST)
    work_id = services.store.read(lambda db: runs.work_of(db, "experiments", experiment_id))
    await services.workbench.works.stop(work_id, by=actor.name)
    return get_experiment(services, experiment_id)


async def resume_experiment(services: Services, actor: Principal, experiment_id: int) -> Experiment:
    """Go on with a run that ended before its time: models already done are kept. Analysts and up.

    Raises `NotFound`, `Conflict` when it is under way, done, or its data set is gone.
    """
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> None:
        one = runs.get(db, experiment_id)
        if not one.state.over or one.state is WorkState.DONE:
            raise Conflict(f"experiment {experiment_id} is {one.state}; there is nothing to go on with")
        for dataset, version in (
            (one.dataset_id, one.dataset_version),
            (one.test_dataset_id, one.test_dataset_version),
        ):
            if dataset is not None and shelf.gone(db, dataset, version):
                raise Conflict(f"data set {dataset} was deleted; experiment {experiment_id} cannot go on without it")
        work_id = ledger.add(db, orders.run(services.config, experiment_id, resume=True), by=actor.name, now_ms=now_ms)
        db.execute("UPDATE experiments SET work_id = ? WHERE id = ?", (work_id, experiment_id))
        note(db, actor, "experiment.resume", f"experiment {experiment_id}", now_ms=now_ms)

    await services.store.write(queue)
    await services.workbench.works.start_queued()
    services.events.publish("experiment", id=experiment_id)
    return get_experiment(services, experiment_id)


async def delete_experiment(services: Services, actor: Principal, experiment_id: int) -> None:
    """Remove a run with its models and predictions. Analysts and up. Raises `NotFound`, `Conflict` while it runs."""
    actor.require(Role.ANALYST)
    now_ms = services.clock.now_ms()

    def delete(db: sqlite3.Connection) -> list[int]:
        one = runs.get(db, experiment_id)
        if not one.state.over or runs.busy_predictions(db, experiment_id):
            raise Conflict(f"work on experiment {experiment_id} is under way; wait for it or cancel it")
        rows = db.execute(
            "SELECT id FROM predictions WHERE experiment_id = ? AND deleted_ms IS NULL", (experiment_id,)
        ).fetchall()
        for table, column in (("experiments", "id"), ("predictions", "experiment_id")):
            db.execute(
                f"UPDATE {table} SET deleted_ms = ?, bytes = 0 WHERE {column} = ? AND deleted_ms IS NULL",  # noqa: S608
                (now_ms, experiment_id),
            )
        note(db, actor, "experiment.delete", f"experiment {experiment_id}", now_ms=now_ms, name=one.name)
        return [row["id"] for row in rows]

    predictions = await services.store.write(delete)
    for folder in (places.run_folder(experiment_id), *map(places.prediction_folder, predictions)):
        await asyncio.to_thread(places.remove, services.config.workbench_dir, folder)
    services.events.publish("experiment", id=experiment_id)


def settings_to_yaml(settings: dict[str, Any]) -> str:
    """Settings as a YAML file for people, with a sentence above each. Raises `Invalid`."""
    return choices.to_yaml(settings)


def settings_from_yaml(text: str, base: dict[str, Any] | None = None) -> dict[str, Any]:
    """Settings of a YAML file, complete and checked; what it leaves out is as in `base`. Raises `Invalid`."""
    return choices.from_yaml(text, base)


def _data(services: Services, data: Dataset, test: Dataset | None) -> dict[str, Any]:
    """data.json: where the tables are."""

    def place(one: Dataset, name: str) -> str:
        return str((services.config.workbench_dir / places.dataset_folder(one.id, one.version) / name).absolute())

    return {
        "format": DATA,
        "table": place(data, "table.parquet"),
        "about": place(data, "about.json"),
        "test_table": place(test, "table.parquet") if test else None,
        "test_about": place(test, "about.json") if test else None,
    }


def _task(label: str | None, found: tuple[LabelGuess, ...]) -> tuple[str, str]:
    """What a run would find, from what the profile counted. The run itself looks again, at all rows."""
    if label is None:
        return "unsupervised", "There is no label, so the run looks for rows that are unlike the others."
    values = next((guess.values for guess in found if guess.name == label), ())
    if len(values) == 1:
        return "benign-only", f"The label {label} has one value only, so the run learns what is ordinary."
    if len(values) == 2:
        return "binary", f"The label {label} has two values, so the run tells the two apart."
    counted = f"{len(values)} values" if 2 < len(values) <= MANY_CLASSES else "several values"
    return "multiclass", f"The label {label} has {counted}, so the run tells them apart."


def _require_columns(services: Services, data: Dataset, wanted: dict[str, Any]) -> None:
    there = {column.name for column in datasets.columns(services, data)}
    named = [wanted["label"], wanted["split_column"], *wanted["features"], *wanted["drop"]]
    for name in named:
        if name is not None and name not in there:
            raise Invalid(f"data set {data.name!r} has no column {name[:80]!r}")
