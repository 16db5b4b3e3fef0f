"""Taking a run's work away: a model's file, a script, and the way into the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aggregator.calibration import policies
from aggregator.errors import Conflict, TrainerFailed
from aggregator.learning import yardsticks
from aggregator.models import registry
from aggregator.rows import Role
from aggregator.work import ledger
from aggregator.workbench import orders, places, results, runs
from aggregator.workbench.noting import note
from aggregator.workbench.rows import Promotion

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from aggregator.services import Services
    from aggregator.users import Principal


def model_file(services: Services, experiment_id: int, model: str | None = None) -> Path:
    """model.onnx of a model, the best by default. Raises `NotFound`."""
    _, name = results.chosen(services, experiment_id, model)
    return services.config.workbench_dir / places.model_folder(experiment_id, name) / "model.onnx"


async def script_file(services: Services, actor: Principal, experiment_id: int, model: str | None = None) -> Path:
    """A Python script that repeats the fit; made when first asked for. Viewers too.

    Raises `NotFound`, `Busy`, `TrainerFailed`.
    """
    actor.require(Role.VIEWER, write=False)
    _, name = results.chosen(services, experiment_id, model)
    out = f"{places.model_folder(experiment_id, name)}/script.py"
    path = services.config.workbench_dir / out
    if not path.exists():
        arguments = (orders.WORKBENCH, "script", places.run_folder(experiment_id), name, "--out", out)
        await services.workbench.short.run(arguments, cwd=services.config.workbench_dir)
    if not path.exists():
        raise TrainerFailed("the trainer wrote no script; try again")
    return path


async def promote_model(
    services: Services, actor: Principal, experiment_id: int, model: str | None = None, *, reason: str = ""
) -> Promotion:
    """Put a model on flow features into the registry, past the same gate as any. Operators and up.

    It arrives as candidate (its gate passed) or admitted; making it champion is `queries.promote`. Goes on as work.
    Raises `NotFound`, `Conflict` while another promotion of the run is under way.
    """
    actor.require(Role.OPERATOR)
    _, name = results.chosen(services, experiment_id, model)
    now_ms = services.clock.now_ms()

    def queue(db: sqlite3.Connection) -> None:
        runs.get(db, experiment_id)
        latest = _latest(db, experiment_id)
        if latest is not None and not latest.work.state.over:
            raise Conflict(f"a promotion of experiment {experiment_id} is under way; wait for it")
        order = orders.promote(services.config, experiment_id, name, _gate(db, services))
        db.execute(
            "INSERT INTO promotions (experiment_id, model, reason, work_id, "
            '"by", created_ms) VALUES (?, ?, ?, ?, ?, ?)',
            (
                experiment_id,
                name,
                reason[:500],
                ledger.add(db, order, by=actor.name, now_ms=now_ms),
                actor.name,
                now_ms,
            ),
        )
        about = f"experiment {experiment_id}"
        note(db, actor, "experiment.promote", about, now_ms=now_ms, model=name, reason=reason[:500])

    await services.store.write(queue)
    await services.workbench.works.start_queued()
    services.events.publish("experiment", id=experiment_id)
    found = get_promotion(services, experiment_id)
    if found is None:
        raise Conflict(f"experiment {experiment_id} was deleted meanwhile")
    return found


def get_promotion(services: Services, experiment_id: int) -> Promotion | None:
    """The latest promotion of a run, None when there was none. Raises `NotFound`."""

    def ask(db: sqlite3.Connection) -> Promotion | None:
        runs.get(db, experiment_id)
        return _latest(db, experiment_id)

    return services.store.read(ask)


def _gate(db: sqlite3.Connection, services: Services) -> orders.Gate:
    """As a training run has it: the same sets, the model in use, the rate that agents will be held to."""
    attacks, golden = yardsticks.judges(db, services.config)
    champion = registry.champion(db)
    place = None if champion is None else services.config.models_dir / f"{champion.digest}.onnx"
    return orders.Gate(
        champion=None if place is None else str(place.absolute()),
        attacks=attacks,
        golden=golden,
        alpha=policies.current(db).promised_fpr or services.config.promised_fpr,
    )


def _latest(db: sqlite3.Connection, experiment_id: int) -> Promotion | None:
    row = db.execute(
        "SELECT * FROM promotions WHERE experiment_id = ? ORDER BY id DESC LIMIT 1", (experiment_id,)
    ).fetchone()
    if row is None:
        return None
    return Promotion(
        work=ledger.get(db, row["work_id"]),
        experiment_id=row["experiment_id"],
        model=row["model"],
        digest=row["digest"],
        gate_passed=None if row["gate_passed"] is None else bool(row["gate_passed"]),
    )
